//! The server's key says up to where a log is as this server wrote it; whoever changes the log after that is found.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use chrono::{SecondsFormat, TimeDelta, Utc};
use formats::HostId;
use formats::records::Record;
use formats::records::log::{Event, RestoreOutcome, RestoreWay};
use formats::records::log_head::LogHead;
use formats::records::plan::PrunePlan;
use history::{History, LogAppender};
use signing::{Certificate, Signer};

use crate::pruned::{NOTHING, execute, planned, plans, sequences, sign, text_of};
use crate::push::Push;
use crate::state::{State, file};
use crate::world::{Ended, World, give_away};

fn world() -> World {
    let world = World::new();
    world.seal(
        1,
        &Push::whole(1, &State::of([("a", file("one")), ("big", file(vec![7; 3_000_000]))])).bytes(),
    );
    world.ingest(0);
    world
}

fn head_file(world: &World) -> std::path::PathBuf {
    world.path("signing/heads/web01.asc")
}

fn head(world: &World) -> LogHead {
    let certificate = Certificate::beside(&world.path("signing")).unwrap().unwrap();
    let text = certificate.check(&fs::read(head_file(world)).unwrap(), 4096).unwrap();
    LogHead::from_line(text.trim_ascii_end()).unwrap()
}

fn is_all_signed(world: &World) -> bool {
    let (head, log) = (head(world), world.log());
    (head.line, head.hash) == (log.lines(), log.log_head())
}

fn verify_log(world: &World, more: &[&str]) -> Ended {
    world.run(&[&["verify", "--log", "web01"], more].concat())
}

fn hold(world: &World) -> Ended {
    world.run(&["hold", "web01", "--reason", "a test"])
}

/// Adds a line as a process that was killed before anything was signed.
fn add_unsigned(world: &World) {
    let host = HostId::parse("web01").unwrap();
    let place = History::open(&world.path("history")).unwrap().host(&host).unwrap();
    let alone = place.write_lock().unwrap().unwrap();
    let mut log = LogAppender::open(&place, &alone).unwrap();
    log.append(Event::Hold { reason: "unsigned".into(), snapshot: None }, Utc::now()).unwrap();
}

/// Writes the log anew: as it was up to this line, and others after it. Every check and hash of it is right.
fn rewrite(world: &World, lines: usize) {
    let path = world.path("history/web01/log");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.split_inclusive('\n').take(lines).collect::<String>()).unwrap();
    for _ in 0..3 {
        add_unsigned(world);
    }
}

fn sign_head(world: &World, key: &Path, change: impl FnOnce(&mut LogHead), at: SystemTime) {
    let mut head = head(world);
    change(&mut head);
    let signed = Signer::open(key).unwrap().sign(&head.to_line().unwrap(), at).unwrap();
    fs::write(head_file(world), signed).unwrap();
}

#[test]
fn whatever_adds_to_a_log_has_it_signed_and_gpg_checks_it() {
    let world = world();
    assert!(is_all_signed(&world), "ingest");
    assert_eq!(hold(&world).code, 0);
    assert!(is_all_signed(&world), "hold");
    assert_eq!(world.run(&["release", "web01", "--reason", "a test"]).code, 0);
    assert!(is_all_signed(&world), "release");
    assert_eq!(world.run(&["verify"]).code, 0);
    assert!(is_all_signed(&world), "verify");
    let restored =
        Ended::of(world.command(&["restore", "web01", "latest", "a", "--tar"]).stderr(Stdio::null()));
    assert_eq!(restored.code, 0);
    assert!(is_all_signed(&world), "restore");
    assert_eq!(world.log().lines(), 5);
    let ended = verify_log(&world, &[]);
    assert_eq!((ended.code, ended.out.contains("signed up to line 5")), (0, true), "{ended:?}");
    let home = tempfile::tempdir().unwrap();
    let gpg = |words: &[&std::ffi::OsStr]| {
        Command::new("gpg").args(["--batch", "--homedir"]).arg(home.path()).args(words).output()
    };
    let Ok(imported) = gpg(&["--import".as_ref(), world.path("signing/signing-key.asc").as_os_str()]) else {
        println!("SKIPPED: whatever_adds_to_a_log_has_it_signed_and_gpg_checks_it: no gpg");
        return;
    };
    assert!(imported.status.success(), "{imported:?}");
    let verify = |path: &Path| gpg(&["--verify".as_ref(), path.as_os_str()]).unwrap();
    let good = verify(&head_file(&world));
    assert!(good.status.success(), "{good:?}");
    let changed = home.path().join("changed.asc");
    let text = fs::read_to_string(head_file(&world)).unwrap();
    fs::write(&changed, text.replace("\"line\":5", "\"line\":4")).unwrap();
    assert!(!verify(&changed).status.success(), "control");
}

#[test]
fn a_log_that_is_not_the_signed_one_is_found() {
    type Change = fn(&World);
    let changes: [(&str, Change, i32, &str); 10] = [
        ("control", |_| (), 0, "0 are newer"),
        ("control: a line more", add_unsigned, 0, "1 are newer"),
        ("written anew from line 2 on", |world| rewrite(world, 1), 28, "another one than was signed"),
        ("cut short", cut, 28, "ends before line 3"),
        (
            "no log at all",
            |world| fs::remove_file(world.path("history/web01/log")).unwrap(),
            28,
            "not in the snapshot log",
        ),
        (
            "a head that somebody wrote",
            |world| {
                let text = fs::read_to_string(head_file(world)).unwrap();
                fs::write(head_file(world), text.replace("\"line\":3", "\"line\":2")).unwrap();
            },
            28,
            "signature is not good",
        ),
        (
            "a head of another key",
            |world| {
                let other = tempfile::tempdir().unwrap();
                sign_head(world, other.path(), |_| (), SystemTime::now());
            },
            28,
            "signature is not good",
        ),
        (
            "control: a head that was signed while the clock was ahead",
            |world| {
                let later = SystemTime::now() + Duration::from_secs(86_400);
                sign_head(world, &world.path("signing"), |_| (), later);
            },
            0,
            "0 are newer",
        ),
        (
            "the head of another host",
            |world| {
                let other = |head: &mut LogHead| head.host = HostId::parse("db1").unwrap();
                sign_head(world, &world.path("signing"), other, SystemTime::now());
            },
            28,
            "it is of the log of db1",
        ),
        ("no head", |world| fs::remove_file(head_file(world)).unwrap(), 3, "not signed"),
    ];
    let mut found = 0;
    for (what, change, code, words) in changes {
        let world = world();
        assert_eq!((hold(&world).code, hold(&world).code), (0, 0));
        change(&world);
        let ended = verify_log(&world, &[]);
        assert_eq!(ended.code, code, "{what}: {ended:?}");
        assert!(format!("{}{}", ended.out, ended.err).contains(words), "{what}: {ended:?}");
        found += usize::from(code == 28);
    }
    assert_eq!(found, 6);
}

fn cut(world: &World) {
    let path = world.path("history/web01/log");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.split_inclusive('\n').take(2).collect::<String>()).unwrap();
}

/// Shortened, and shortened and made longer again: a log that does not go on from the signed line is not signed, and every run says so.
#[test]
fn nothing_is_signed_over_a_log_that_was_written_anew() {
    for change in [cut as fn(&World), |world| rewrite(world, 1)] {
        let world = world();
        assert_eq!((hold(&world).code, hold(&world).code), (0, 0));
        let signed = fs::read(head_file(&world)).unwrap();
        change(&world);
        // As long as what was there.
        let ended = world.run(&["hold", "web01", "--reason", "b test"]);
        assert!(ended.err.contains("is not signed"), "{ended:?}");
        assert_eq!(fs::read(head_file(&world)).unwrap(), signed);
        let verified = world.run(&["verify"]);
        assert_eq!(verified.code, 28, "{verified:?}");
        assert!(world.log().verified().is_none(), "a prune would go on by it");
        assert_eq!(fs::read(head_file(&world)).unwrap(), signed);
    }
}

#[test]
fn killed_between_a_line_and_its_signature_the_next_run_signs() {
    let world = world();
    add_unsigned(&world);
    assert!(!is_all_signed(&world));
    assert!(verify_log(&world, &[]).out.contains("1 are newer"));
    // What a killed signer left is in nobody's way.
    let left = world.path("signing/heads/.unfinished-1-0");
    fs::write(&left, "half").unwrap();
    give_away(&left);
    assert_eq!(hold(&world).code, 0);
    assert!(is_all_signed(&world) && !left.exists());
}

#[test]
fn a_head_and_a_certificate_from_elsewhere_are_believed_more_than_what_lies_here() {
    let world = world();
    let (first, kept) = (world.log().log_head().to_string(), world.path("kept.asc"));
    fs::copy(world.path("signing/signing-key.asc"), &kept).unwrap();
    assert_eq!(hold(&world).code, 0);
    let kept = kept.to_str().unwrap();
    let ended = verify_log(&world, &["--head", &first, "--certificate", kept]);
    assert_eq!((ended.code, ended.out.contains("the hash of line 1")), (0, true), "{ended:?}");
    // Somebody with all of the server writes the log anew, and signs it with a key made for that.
    fs::remove_dir_all(world.path("signing")).unwrap();
    fs::write(world.path("history/web01/log"), "").unwrap();
    add_unsigned(&world);
    assert_eq!(hold(&world).code, 0);
    let of_here = verify_log(&world, &[]);
    assert!(of_here.out.contains("signed up to line 2"), "{of_here:?}");
    let ended = verify_log(&world, &["--head", &first]);
    assert_eq!((ended.code, ended.out.contains("no line of its log has the hash")), (28, true), "{ended:?}");
    let ended = verify_log(&world, &["--certificate", kept]);
    assert_eq!((ended.code, ended.out.contains("signature is not good")), (28, true), "{ended:?}");
}

#[test]
fn the_key_is_for_its_owner_alone_and_the_rest_for_everybody() {
    use std::os::unix::fs::PermissionsExt;
    let world = world();
    let mode = |name: &str| fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("signing/signing-key.pgp"), 0o600);
    for (name, expected) in
        [("", 0o755), ("/signing-key.asc", 0o644), ("/heads", 0o755), ("/heads/web01.asc", 0o644)]
    {
        assert_eq!(mode(&format!("signing{name}")), expected, "{name}");
    }
}

#[test]
fn every_restore_is_in_the_log_also_one_that_failed_and_one_that_was_killed() {
    let world = world();
    let name = world.log().latest().unwrap().name.to_string();
    fs::create_dir(world.path("out")).unwrap();
    give_away(&world.path("out"));
    let to = world.path("out/to");
    let newest = |world: &World| {
        let host = HostId::parse("web01").unwrap();
        let place = History::open(&world.path("history")).unwrap().host(&host).unwrap();
        place.log_reader().unwrap().unwrap().map(|raw| raw.unwrap().line.event).last().unwrap()
    };
    let is = |event: Event, expected: (RestoreWay, Option<&str>, RestoreOutcome)| {
        let Event::Restore { snapshot, path, way, outcome, who, .. } = event else { panic!("{event:?}") };
        assert_eq!((way, path.as_deref(), outcome), expected);
        assert!(snapshot == name && !who.is_empty(), "{snapshot} {who}");
    };
    world.run(&["restore", "web01", "latest", "a", "--to", to.to_str().unwrap()]);
    let outcome = if crate::world::is_root() { RestoreOutcome::Whole } else { RestoreOutcome::Partial };
    is(newest(&world), (RestoreWay::Folder, Some("a"), outcome));
    Ended::of(world.command(&["restore", "web01", "latest", "--tar"]).env("SUDO_USER", "ada"));
    let event = newest(&world);
    assert!(matches!(&event, Event::Restore { who, .. } if who == "ada"), "{event:?}");
    is(event, (RestoreWay::Archive, None, RestoreOutcome::Whole));
    world.run(&["restore", "web01", "latest", "a", "--metadata-onto", to.to_str().unwrap()]);
    assert!(matches!(newest(&world), Event::Restore { way: RestoreWay::Metadata, .. }));
    assert_eq!(Ended::of(&mut world.command(&["restore", "web01", "latest", "none", "--tar"])).code, 43);
    is(newest(&world), (RestoreWay::Archive, Some("none"), RestoreOutcome::Failed));
    // Nobody reads what it writes, so it waits in the middle; and is killed.
    let mut child = world.command(&["restore", "web01", "latest", "big", "--tar"]);
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 4096];
    child.stdout.as_mut().unwrap().read_exact(&mut some).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while world.log().lines() < 6 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    is(newest(&world), (RestoreWay::Archive, Some("big"), RestoreOutcome::Killed));
    assert_eq!(world.log().lines(), 6);
}

#[test]
fn a_restore_whose_line_cannot_be_written_says_so_and_restores_all_the_same() {
    use std::os::unix::fs::PermissionsExt;
    let world = world();
    let log = world.path("history/web01/log");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o440)).unwrap();
    let ended = world.command(&["restore", "web01", "latest", "a", "--tar"]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(
        (ended.status.code(), said.matches("is not noted in the log of web01").count()),
        (Some(0), 1),
        "{said}"
    );
    assert!(ended.stdout.windows(3).any(|part| part == b"one"));
    assert_eq!(world.log().lines(), 1);
}

/// Asks the process that has the key, as a prune does.
fn asked_to_sign(world: &World, plan: &PrunePlan) -> String {
    let mut child = world.command(&["sign"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let question = serde_json::json!({ "Plan": plan });
    writeln!(child.stdin.take().unwrap(), "{question}").unwrap();
    let mut answer = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    child.wait().unwrap();
    answer
}

#[test]
fn no_plan_that_names_something_is_signed_but_when_it_is_made() {
    let world = planned(3, &format!("{NOTHING}keep_min = 1\n"));
    let mut plan = PrunePlan::from_line(&text_of(&plans(&world)[0])).unwrap();
    assert!(!plan.remove.is_empty());
    for (hours, is_signed) in [(0, true), (-80, false), (1, false)] {
        let time = Utc::now() + TimeDelta::hours(hours);
        plan.written = time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let answer = asked_to_sign(&world, &plan);
        assert_eq!(answer.contains("SIGNED MESSAGE"), is_signed, "{hours}: {answer}");
    }
    plan.written = "2026-01-02T03:04:05Z".into();
    plan.remove.clear();
    assert!(asked_to_sign(&world, &plan).contains("SIGNED MESSAGE"), "what names nothing removes nothing");
}

#[test]
fn a_plan_that_the_servers_key_did_not_sign_removes_nothing() {
    type Change = fn(&World, &Path);
    let changes: [(&str, Change, i32, &[u64]); 6] = [
        ("control", |_, _| (), 0, &[5]),
        ("control: signed anew", |_, plan| sign(plan, &text_of(plan)), 0, &[5]),
        ("not signed", |_, plan| fs::write(plan, text_of(plan)).unwrap(), 28, &[1, 2, 3, 4, 5]),
        (
            "changed",
            |_, plan| {
                let text = fs::read_to_string(plan).unwrap();
                fs::write(plan, text.replace("\"snapshots\":5", "\"snapshots\":1")).unwrap();
            },
            28,
            &[1, 2, 3, 4, 5],
        ),
        (
            "signed by another key",
            |_, plan| {
                let other = tempfile::tempdir().unwrap();
                let signed = Signer::open(other.path()).unwrap().sign(&text_of(plan), SystemTime::now());
                fs::write(plan, signed.unwrap()).unwrap();
            },
            28,
            &[1, 2, 3, 4, 5],
        ),
        (
            "of the version before, which was not signed",
            |_, plan| {
                let text = String::from_utf8(text_of(plan)).unwrap();
                fs::write(plan, text.replace("firn.prune-plan/2.0", "firn.prune-plan/1.0")).unwrap();
            },
            0,
            &[1, 2, 3, 4, 5],
        ),
    ];
    let template = planned(5, &format!("{NOTHING}keep_min = 1\n"));
    for (what, change, code, left) in changes {
        let world = crate::pruned::copy(&template);
        change(&world, &plans(&world)[0]);
        execute(&world, code);
        assert_eq!(sequences(&world), left, "{what}");
        if code == 0 && left.len() > 1 {
            // It is planned again, and waits anew.
            let again = world.run(&["prune", "--plan"]);
            assert_eq!(
                (again.code, again.out.matches("plans to remove").count()),
                (0, 4),
                "{what}: {again:?}"
            );
            execute(&world, 0);
            assert_eq!(sequences(&world), left, "{what}");
        }
    }
}

//! Bits flip and files are cut: in a sealed push, in the history, in the vault, in a host's own state. Whatever is hit says so with
//! a code of its range, and nothing that is wrong becomes a snapshot or a restored file.

mod bench;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use pipeline_tests::checker::live::{compare, scan};
use pipeline_tests::checker::prints::{Depth, Prints};
use pipeline_tests::checker::{Moment, history, told};
use pipeline_tests::keys::OpenPgpKey;
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Scratch, data, settings};

use bench::{Damage, Saved, Tally, ended, integrity, put};

use super::comparator::own;
use crate::rig;

const HOST: &str = "web01";
/// Fewer than this is not the suite that was meant.
const CASES_MIN: usize = 100;
const FLIPS: usize = 40;

type Place = fn() -> Vec<Tally>;

/// A server with one host, whose tree was pushed once and is accepted.
fn server() -> (Scratch, Host, PathBuf) {
    let mut scratch = rig::scratch(&Options { segment_bytes: 128 * 1024, ..Options::default() });
    let root = scratch.folder.join("hosts/disk/files");
    data::write_small_files(&root, 11, 25, 2000).unwrap();
    data::write_file(&root.join("larger"), 12, 200_000).unwrap();
    fs::hard_link(root.join("larger"), root.join("d00/also")).unwrap();
    let host = scratch.add_host(HOST, std::slice::from_ref(&root)).unwrap();
    // What was made within two seconds of a push is read again by the next, whatever its state says.
    std::thread::sleep(Duration::from_secs(3));
    accepted(&scratch, &host);
    (scratch, host, root)
}

fn accepted(scratch: &Scratch, host: &Host) {
    let waits = settings::Push { verdict_wait_seconds: 120, ..settings::Push::default() };
    settings::write_push(scratch, host, &waits).unwrap();
    let (push, _) = scratch.push_and_ingest(host, Hear::Kept).unwrap();
    push.expect_code(&[0]).unwrap();
    settings::write_push(scratch, host, &settings::Push::default()).unwrap();
}

fn changed(root: &Path) {
    rig::file(&root.join("new"), b"new\n");
    data::write_file(&root.join("larger"), 13, 150_000).unwrap();
    fs::remove_file(root.join("d00/e0000/file-00003.txt")).unwrap();
}

/// All that a push moves.
fn moved(scratch: &Scratch, host: &Host) -> Vec<PathBuf> {
    vec![host.state(), host.jail.join("spool"), host.jail.join("state"), scratch.history(HOST)]
}

fn snapshots(scratch: &Scratch) -> Prints {
    let books = |path: &[u8]| matches!(path, b"." | b"log" | b".lock" | b".readers" | b".building");
    Prints::take(&scratch.history(HOST), &books).unwrap()
}

/// A sealed push: rejected, told to its host, and the history is as it was.
fn sealed_push() -> Vec<Tally> {
    let (scratch, host, root) = server();
    changed(&root);
    scratch.push(&host).unwrap().expect_code(&[18]).unwrap();
    let saved = Saved::take(&scratch, &moved(&scratch, &host));
    let [file] = host.queued().unwrap().try_into().unwrap();
    let bytes = fs::read(&file).unwrap();
    let mut tally = Tally::new("sealed push");
    for damage in Damage::all(&bytes, FLIPS) {
        saved.back();
        let before = snapshots(&scratch);
        damage.on(&file, &bytes);
        tally.case(damage, rejected(&scratch, &host, &before));
    }
    // The control: the same push, whole.
    saved.back();
    scratch.ingest().unwrap().expect_code(&[0]).unwrap();
    assert_eq!(rig::sound(&scratch, &host, Moment::Quiet).snapshots.len(), 2);
    scratch.push(&host).unwrap().expect_code(&[18]).unwrap();
    vec![tally]
}

fn rejected(scratch: &Scratch, host: &Host, before: &Prints) -> Result<i32, String> {
    ended(&scratch.ingest().unwrap(), |code| code == 0)?;
    let found = history::check(&scratch.history(HOST), HOST, Moment::Quiet);
    let changes = before.changes(&snapshots(scratch), Depth::Unchanged);
    if !found.breaches.is_empty() || !changes.is_empty() {
        return Err(format!("{}\n{}", told(&found.breaches), told(&changes)));
    }
    let last = found.events.last().cloned().unwrap_or_default();
    let code = last["code"].as_i64().and_then(|code| i32::try_from(code).ok()).unwrap_or_default();
    if last["kind"] != "reject" || !integrity(code) || found.snapshots.len() != 1 {
        return Err(format!("the log says {last}"));
    }
    // A push file that does not tell its own id any more cannot be rejected by it: for its host it never arrived. Either way the same
    // changes come again.
    let next = scratch.push(host).unwrap();
    let expected = if last["push"].is_null() { 18 } else { code };
    ended(&next, |code| code == expected)?;
    ended(&scratch.ingest().unwrap(), |code| code == 0)?;
    let snapshots = rig::sound(scratch, host, Moment::Quiet).snapshots.len();
    if snapshots == 2 { Ok(code) } else { Err(format!("there are {snapshots} snapshots afterwards")) }
}

/// A manifest or the log: nobody reads on.
fn history_files() -> Vec<Tally> {
    let (scratch, host, root) = server();
    changed(&root);
    accepted(&scratch, &host);
    let folder = scratch.history(HOST);
    let mut manifests: Vec<_> =
        fs::read_dir(folder.join("manifests")).unwrap().map(|entry| entry.unwrap().path()).collect();
    manifests.sort();
    let [older, newest] = manifests.try_into().unwrap();
    let mut tallies = Vec::new();
    for (place, path, flips) in [
        ("manifest", newest, FLIPS),
        ("older manifest", older, 8),
        ("snapshot log", folder.join("log"), FLIPS),
    ] {
        let mut tally = Tally::new(place);
        let bytes = fs::read(&path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        for damage in Damage::all(&bytes, flips).into_iter().chain([Damage::Missing]) {
            tally.case(damage, refused(&scratch, &path, &bytes, &name, damage.noticed(&bytes)));
        }
        tallies.push(tally);
    }
    // The control.
    Outcome::of(&mut scratch.snapshotter(&["verify"])).unwrap().expect_code(&[0]).unwrap();
    scratch.ice().unwrap().expect_code(&[0]).unwrap();
    tallies
}

fn refused(scratch: &Scratch, path: &Path, bytes: &[u8], name: &str, damage: Damage) -> Result<i32, String> {
    let meta = fs::metadata(path).unwrap();
    damage.on(path, bytes);
    let left = fs::read(path).ok();
    let mut verbs = vec![scratch.snapshotter(&["verify"])];
    // Only the newest goes into ice.
    if !path.with_extension("").ends_with("0000000001") && !name.ends_with("0000000001") {
        verbs.push(scratch.iceboxer(&["run"]));
    }
    let results: Vec<_> = verbs
        .iter_mut()
        .map(|verb| {
            let outcome = Outcome::of(verb).unwrap();
            let code = ended(&outcome, integrity)?;
            if outcome.said().contains(name) {
                Ok(code)
            } else {
                Err(format!("{name} is not named: {}", outcome.said()))
            }
        })
        .collect();
    let same = fs::read(path).ok() == left;
    if matches!(damage, Damage::Missing) {
        fs::write(path, bytes).unwrap();
        chown(path, Some(meta.uid()), Some(meta.gid())).unwrap();
        fs::set_permissions(path, meta.permissions()).unwrap();
    }
    put(path, bytes);
    if !same {
        return Err("the damaged file was written to".to_owned());
    }
    if scratch.folder.join("vault/objects/ice").exists() {
        return Err("something went into the vault".to_owned());
    }
    results.into_iter().try_fold(0, |_, result| result)
}

/// What lies in the vault: no drill proves it, nothing of it is restored.
fn vault_objects() -> Vec<Tally> {
    let (scratch, _, _) = server();
    scratch.ice().unwrap().expect_code(&[0]).unwrap();
    let ices = scratch.folder.join("vault/objects/ice").join(HOST);
    let ice = fs::read_dir(&ices).unwrap().next().unwrap().unwrap().path();
    let mut objects: Vec<_> = fs::read_dir(&ice).unwrap().map(|entry| entry.unwrap().path()).collect();
    objects.sort();
    assert!(objects.len() >= 4, "{objects:?}");
    let mut tally = Tally::new("vault object");
    for path in &objects {
        let bytes = fs::read(path).unwrap();
        let meta = fs::metadata(path).unwrap();
        // The newline at the end of the record says nothing.
        let told = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        for (number, damage) in Damage::all(told, FLIPS).into_iter().enumerate() {
            damage.on(path, &bytes);
            // Unlocking the key takes its time: of a segment either verb is tried, in turn.
            let verbs = match (path.ends_with("ice.json"), number % 2) {
                (true, _) => Verbs::Both,
                (false, 0) => Verbs::Verify,
                (false, _) => Verbs::Restore,
            };
            tally.case(
                damage,
                unproved(&scratch, verbs, &[], |code| integrity(code) || (40..=49).contains(&code)),
            );
            put(path, &bytes);
        }
        let aside = scratch.folder.join("vault/aside");
        fs::rename(path, &aside).unwrap();
        // Without its record it is no ice.
        let expected = if path.ends_with("ice.json") { [31, 43] } else { [31, 31] };
        tally.case(Damage::Missing, unproved(&scratch, Verbs::Both, &[], |code| expected.contains(&code)));
        fs::rename(&aside, path).unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions(), meta.permissions());
    }
    for record in fs::read_dir(scratch.folder.join("drill/records")).unwrap() {
        let record = fs::read_to_string(record.unwrap().path()).unwrap();
        assert!(record.contains(r#""result":"failed""#), "{record}\n{}", tally.failures.join("\n"));
    }
    let keys = wrong_keys(&scratch);
    // The control.
    scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    scratch.restore(HOST, &scratch.folder.join("drill/whole")).unwrap().expect_code(&[0]).unwrap();
    vec![tally, keys]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verbs {
    Verify,
    Restore,
    Both,
}

/// Neither verified nor restored; not one name appears below the target. Returns the code of the last verb.
fn unproved(
    scratch: &Scratch,
    verbs: Verbs,
    words: &[&str],
    fits: impl Fn(i32) -> bool,
) -> Result<i32, String> {
    let target = scratch.folder.join("drill/target");
    let ice = format!("{HOST}/latest");
    let mut code = 0;
    if verbs != Verbs::Restore {
        let outcome = Outcome::of(scratch.restore_drill(&["verify", &ice]).args(words)).unwrap();
        code = ended(&outcome, &fits)?;
    }
    if verbs != Verbs::Verify {
        let outcome =
            Outcome::of(scratch.restore_drill(&["restore", &ice, "--to"]).arg(&target).args(words)).unwrap();
        let appeared = fs::read_dir(&target).is_ok_and(|mut entries| entries.next().is_some());
        let _ = fs::remove_dir_all(&target);
        if appeared {
            return Err(format!("something appeared below the target: {}", outcome.said()));
        }
        code = ended(&outcome, &fits)?;
    }
    Ok(code)
}

fn wrong_keys(scratch: &Scratch) -> Tally {
    let mut tally = Tally::new("wrong key or passphrase");
    let folder = scratch.folder.join("drill/other");
    fs::create_dir(&folder).unwrap();
    // The home of GnuPG needs a short path.
    let home = tempfile::tempdir_in("/tmp").unwrap();
    let other = OpenPgpKey::make(&folder, home.path()).unwrap();
    let key = other.secret.to_string_lossy().into_owned();
    tally.case(Damage::Missing, unproved(scratch, Verbs::Both, &["--key", &key], |code| code == 40));
    let wrong = folder.join("wrong");
    for passphrase in ["another passphrase\n", "", "a throwaway passphras\n"] {
        fs::write(&wrong, passphrase).unwrap();
        fs::set_permissions(&wrong, fs::Permissions::from_mode(0o600)).unwrap();
        let file = wrong.to_string_lossy().into_owned();
        tally.case(
            Damage::Missing,
            unproved(scratch, Verbs::Both, &["--passphrase-file", &file], |code| code == 40),
        );
    }
    tally
}

/// What a host remembers: the next push is right all the same, or refused by name.
fn host_state() -> Vec<Tally> {
    let (scratch, host, root) = server();
    changed(&root);
    let saved = Saved::take(&scratch, &moved(&scratch, &host));
    let mut tallies = Vec::new();
    for (place, ending) in [
        ("client's manifest", ".manifest"),
        ("client's stamps", ".stamps"),
        ("client's state", "state"),
        ("client's installation", "installation"),
    ] {
        saved.back();
        let path = fs::read_dir(host.state()).unwrap().map(|entry| entry.unwrap().path());
        let path =
            path.into_iter().find(|path| path.to_string_lossy().ends_with(ending) && path.is_file()).unwrap();
        tallies.push(state_file(&scratch, &host, &root, &saved, place, &path));
    }
    saved.back();
    data::write_file(&root.join("long"), 14, 24 << 20).unwrap();
    cut_short(&scratch, &host);
    let saved = Saved::take(&scratch, &moved(&scratch, &host));
    tallies.push(state_file(
        &scratch,
        &host,
        &root,
        &saved,
        "client's journal",
        &host.state().join("journal"),
    ));
    tallies
}

fn state_file(
    scratch: &Scratch,
    host: &Host,
    root: &Path,
    saved: &Saved,
    place: &'static str,
    path: &Path,
) -> Tally {
    let mut tally = Tally::new(place);
    let bytes = fs::read(path).unwrap();
    let mut damages = Damage::all(&bytes, 9);
    if place.ends_with("journal") {
        // Its head has fields of which no record tells.
        damages.extend([9, 12, 30, 38, 44, 45, 76].map(|byte| Damage::Flip(byte, 0)));
    }
    for damage in damages.into_iter().chain([Damage::Missing]) {
        saved.back();
        damage.on(path, &bytes);
        tally.case(damage, next_push(scratch, host, root, path));
    }
    tally
}

fn next_push(scratch: &Scratch, host: &Host, root: &Path, path: &Path) -> Result<i32, String> {
    let push = scratch.push(host).unwrap();
    let code = ended(&push, |code| (2..50).contains(&code) && code != 3)?;
    if code != 18 {
        let named = push.said().contains(&*path.file_name().unwrap().to_string_lossy());
        return if named {
            Ok(code)
        } else {
            Err(format!("ended with {code} and names no file: {}", push.said()))
        };
    }
    ended(&scratch.ingest().unwrap(), |code| code == 0)?;
    let found = history::check(&scratch.history(HOST), HOST, Moment::Quiet);
    let newest = found.snapshots.last().map(|snapshot| own(&snapshot.items, root)).unwrap_or_default();
    let wrong = compare(&own(&scan(&[root]).unwrap(), root), &newest);
    if !found.breaches.is_empty() || !wrong.is_empty() || found.snapshots.len() != 2 {
        return Err(format!("{}\n{}\n{}", told(&found.breaches), told(&wrong), push.said()));
    }
    Ok(code)
}

/// A push that is killed among its contents.
fn cut_short(scratch: &Scratch, host: &Host) {
    let mut push = scratch.push_client(host, &["run"]);
    let mut child = push.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let current = host.jail.join("spool/incoming/current");
    let until = Instant::now() + Duration::from_secs(60);
    while fs::metadata(&current).map_or(0, |meta| meta.len()) < 4 << 20 {
        assert!(Instant::now() < until && child.try_wait().unwrap().is_none(), "the push could not be cut");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The server's side ends a moment later.
    std::thread::sleep(Duration::from_secs(1));
    assert!(current.exists() && host.queued().unwrap().is_empty());
}

#[test]
fn no_damage_goes_unnoticed_and_none_is_believed() {
    if !rig::has_or_skipped("no_damage_goes_unnoticed_and_none_is_believed", &["gpg"]) {
        return;
    }
    let only = std::env::var("FIRN_CASE").unwrap_or_default();
    let places: [(&str, Place); 4] =
        [("push", sealed_push), ("history", history_files), ("vault", vault_objects), ("state", host_state)];
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let chosen = places.into_iter().filter(|(name, _)| name.contains(&only));
        let running: Vec<_> = chosen.map(|(_, place)| scope.spawn(place)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    for tally in &tallies {
        println!("{:24} {:4} cases, codes {:?}", tally.place, tally.cases, tally.codes);
    }
    let count: usize = tallies.iter().map(|tally| tally.cases).sum();
    println!("CASES: {count}");
    let failures: Vec<_> = tallies.iter().flat_map(|tally| tally.failures.clone()).collect();
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= CASES_MIN || !only.is_empty(), "only {count} cases");
}

//! Outputs of commands as files of a push.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use formats::published::Verdict;
use formats::{Entry, Kind, Node};
use push_client::push::{Count, PushError};

use crate::around::{Around, assert_gone, signal};
use crate::commands::{run, text};
use crate::host::{Host, noise, root};
use crate::judge::{Files, Judged, judge};
use crate::server::Server;
use crate::sshd::Sshd;
use crate::unchanged::kept;

fn dump(around: &Around, path: &str, line: &str) -> String {
    format!("{}path = {path:?}\n", around.shell("dump", line))
}

fn pushed(around: &Around) -> Judged {
    judge(&fs::read(around.at("push")).unwrap(), &[], &HashMap::new())
}

fn node<'a>(entries: &'a [Entry], path: &str) -> &'a Node {
    let found = entries.iter().find(|entry| entry.path.as_bytes() == path.as_bytes());
    found.unwrap_or_else(|| panic!("no {path}")).node().unwrap()
}

#[test]
fn a_dump_is_a_file_of_the_push_and_of_nothing_else() {
    let around = Around::new();
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let commands = [
        dump(&around, "/nowhere/on this/host.sql", "echo one; echo two"),
        dump(&around, "/nowhere/another.sql", "printf '%s' \"$FIRN_HOST\"") + "mode = \"0640\"\n",
    ];
    let done = around.run(&commands.concat());
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let judged = pushed(&around);
    assert_eq!(judged.content("nowhere/on this/host.sql"), b"one\ntwo\n");
    assert_eq!(judged.content("nowhere/another.sql"), b"web01");
    let meta = &node(&judged.entries, "nowhere/on this/host.sql").meta;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    assert_eq!((meta.mode, meta.owner, meta.group, meta.links), (0o600, uid, gid, 1));
    assert!((before..before + 60).contains(&meta.mtime.seconds));
    assert_eq!(node(&judged.entries, "nowhere/another.sql").meta.mode, 0o640);
    for folder in ["nowhere", "nowhere/on this"] {
        let Node { meta, kind } = node(&judged.entries, folder);
        assert_eq!((kind, meta.mode, meta.owner, meta.group), (&Kind::Folder, 0o755, 0, 0));
    }
    assert!(!std::path::Path::new("/nowhere").exists());
}

#[test]
fn a_dump_takes_the_place_of_a_file_and_the_folders_above_it_stay_as_they_are() {
    let around = Around::new();
    around.host.write("backups/db.sql", b"what lies there");
    around.host.write("backups/other", b"other");
    fs::set_permissions(around.host.path("backups"), fs::Permissions::from_mode(0o2751)).unwrap();
    let top = around.host.path("").to_str().unwrap().trim_matches('/').to_owned();
    let commands = [
        dump(&around, &format!("/{top}/backups/db.sql"), "echo dumped"),
        dump(&around, &format!("/{top}/not there/db.sql"), "echo dumped too"),
    ];
    let commands = commands.concat();
    let done = around.run(&commands);
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    assert!(!text(&done.stderr).contains("left out: "), "{}", text(&done.stderr));
    let judged = pushed(&around);
    assert_eq!(judged.content(&format!("{top}/backups/db.sql")), b"dumped\n");
    assert_eq!(judged.content(&format!("{top}/backups/other")), b"other");
    assert_eq!(judged.content(&format!("{top}/file")), b"content");
    assert_eq!(node(&judged.entries, &format!("{top}/backups")).meta.mode, 0o2751);
    assert_eq!(node(&judged.entries, &format!("{top}/not there")).meta.mode, 0o755);
    // What will become of it can be asked.
    let settings = around.settings(&commands);
    let path = around.host.path("backups/db.sql");
    let done = run(&["exclude-test", "--config", &settings, path.to_str().unwrap()]);
    assert!(text(&done.stdout).contains("dump 1 makes it"), "{}", text(&done.stdout));
}

#[test]
fn a_dump_that_fails_leaves_no_push() {
    for (line, more, why) in [
        ("echo half; exit 3", "", "dump 1 (/bin/sh) ended with status 3"),
        ("true", "", "gave 0 bytes, and least_bytes is 1"),
        ("echo short", "least_bytes = 7\n", "gave 6 bytes, and least_bytes is 7"),
        ("echo half; kill -9 $$", "", "dump 1 (/bin/sh) was ended by signal 9"),
        ("head -c 3000000 /dev/urandom; kill -9 $$", "", "dump 1 (/bin/sh) was ended by signal 9"),
        ("echo half; exec sleep 600", "timeout_seconds = 1\n", "took longer than its timeout_seconds"),
        ("setsid sleep 5 & sleep 0.3; echo whole", "", "left something behind that holds its output open"),
        // What goes on writing is no dump that never ends.
        ("setsid timeout 30 yes & sleep 0.1", "", "left something behind that holds its output open"),
    ] {
        let around = Around::new();
        let first = dump(&around, "/d/1", line) + more;
        let second = dump(&around, "/d/2", "echo ran > @/second; echo fine");
        let after = around.shell("after", "echo $FIRN_EXIT > @/after");
        let done = around.run(&[first, second, after].concat());
        assert_eq!(done.status.code(), Some(7), "{line}: {}", text(&done.stderr));
        assert!(text(&done.stderr).contains(why), "{line}: {}", text(&done.stderr));
        assert!(!around.at("push").exists() && !around.at("second").exists(), "{line}");
        assert_eq!(around.read("after"), "7\n", "{line}");
    }
    // With the same settings and a command that does its work there is one.
    let around = Around::new();
    let done = around.run(&(dump(&around, "/d/1", "printf enough!") + "least_bytes = 7\n"));
    assert_eq!((done.status.code(), pushed(&around).content("d/1")), (Some(18), b"enough!".as_slice()));
    let empty = dump(&Around::new(), "/d/1", "true") + "least_bytes = 0\n";
    let around = Around::new();
    assert_eq!(
        (around.run(&empty).status.code(), pushed(&around).content("d/1")),
        (Some(18), b"".as_slice())
    );
}

#[test]
fn a_push_that_is_told_to_end_ends_its_dump() {
    let around = Around::new();
    let commands = [
        dump(&around, "/d/1", "echo half; echo $$ > @/pid; exec sleep 600") + "timeout_seconds = 60\n",
        around.shell("after", "echo $FIRN_EXIT > @/after"),
    ];
    let child = around.start(&commands.concat());
    around.wait_for("pid");
    let begun = Instant::now();
    signal(child.id(), "TERM");
    let done = child.wait_with_output().unwrap();
    assert!(begun.elapsed().as_secs() < 40, "{:?}", begun.elapsed());
    assert_eq!(done.status.code(), None, "{}", text(&done.stderr));
    assert_gone(&around.read("pid"));
    assert_eq!(around.read("after"), "143\n");
    assert!(!around.at("push").exists());
}

#[test]
fn a_dump_cannot_lie_behind_a_link() {
    let around = Around::new();
    fs::create_dir(around.at("real")).unwrap();
    std::os::unix::fs::symlink(around.at("real"), around.at("link")).unwrap();
    let path = around.at("link/db.sql");
    let done = around.run(&dump(&around, path.to_str().unwrap(), "echo dumped"));
    assert_eq!(done.status.code(), Some(2), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("link, which is no folder here"), "{}", text(&done.stderr));
}

#[test]
fn dumps_that_make_no_sense_are_refused_in_the_settings() {
    let around = Around::new();
    let top = around.host.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let one = "[[dump]]\ncommand = [\"true\"]\n";
    for (more, why) in [
        ("[[dump]]\ncommand = []\npath = \"/d\"\n".to_owned(), "`dump.command` must be a list of words"),
        ("[[dump]]\ncommand = [\"./x\"]\npath = \"/d\"\n".to_owned(), "`dump.command` must begin with"),
        (format!("{one}path = \"d\"\n"), "`dump.path` must be absolute"),
        (format!("{one}path = \"/\"\n"), "`dump.path` must be the absolute path of a file"),
        (format!("{one}path = {top:?}\n"), "`dump.path` must not be, or lie above, a root"),
        (format!("{one}path = \"/d\"\n{one}path = \"/d\"\n"), "`dump.path` must not be, or lie below"),
        (format!("{one}path = \"/d\"\n{one}path = \"/d/e\"\n"), "`dump.path` must not be, or lie below"),
        (format!("{one}path = \"/d\"\nmode = \"rw\"\n"), "`dump.mode`"),
        (format!("{one}path = \"/d\"\nmode = \"4755\"\n"), "`dump.mode`"),
        (format!("{one}path = \"/d\"\ntimeout_seconds = 0\n"), "`dump.timeout_seconds`"),
        (format!("{one}path = \"/d\"\nuser = \"\"\n"), "`dump.user`"),
        (format!("{one}path = \"/d\"\nshell = true\n"), "unknown key `shell`"),
        ("[[after]]\ncommand = [\"true\"]\n".repeat(33), "`after` must be at most 32"),
    ] {
        let done = run(&["run", "--config", &around.settings(&more)]);
        assert_eq!(done.status.code(), Some(2), "{more}: {}", text(&done.stderr));
        assert!(text(&done.stderr).contains(why), "{more}: {}", text(&done.stderr));
    }
}

#[test]
fn the_walk_keeps_one_capability_while_dumps_run() {
    if !root() {
        println!("SKIPPED: the_walk_keeps_one_capability_while_dumps_run: only root has others");
        return;
    }
    let around = Around::new();
    // The parent of a command is the runner, and the parent of that is the walk.
    let line = "walk=$(cut -d' ' -f4 /proc/$PPID/stat); grep CapEff /proc/$walk/status; grep CapEff /proc/self/status";
    let done = around.run(&dump(&around, "/d/1", line));
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let held = text(pushed(&around).content("d/1"));
    let held: Vec<_> = held.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    // CAP_DAC_READ_SEARCH is number 2; a command has what we had.
    let ours = fs::read_to_string("/proc/self/status").unwrap();
    let ours = ours.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim().to_owned();
    assert_eq!(held, ["0000000000000004", ours.as_str()]);
}

/// 300 MB, or as many as `FIRN_DUMP_MB` says.
#[test]
fn a_dump_of_any_size_costs_the_same_memory() {
    let megabytes: u64 = std::env::var("FIRN_DUMP_MB").ok().and_then(|mb| mb.parse().ok()).unwrap_or(300);
    let memory = |megabytes: u64| {
        let around = Around::new();
        let commands = [
            dump(&around, "/d/1", &format!("head -c {megabytes}M /dev/zero")),
            around.shell(
                "after",
                "walk=$(cut -d' ' -f4 /proc/$PPID/stat); grep VmHWM /proc/$walk/status > @/memory",
            ),
        ];
        let begun = Instant::now();
        let done = around.run(&commands.concat());
        assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
        let kib: u64 = around.read("memory").split_whitespace().nth(1).unwrap().parse().unwrap();
        println!("{megabytes} MB: {kib} KiB at most, {:?}", begun.elapsed());
        kib
    };
    let (small, large) = (memory(10), memory(megabytes));
    assert!(large < small + 32 * 1024, "{small} KiB for 10 MB, {large} KiB for {megabytes} MB");
}

/// A host whose one dump gives the bytes of a file beside it.
fn dumping(bytes: &[u8]) -> Host {
    let mut host = Host::new();
    let source = host.top().parent().unwrap().join("source");
    fs::write(&source, bytes).unwrap();
    host.more = format!("[[dump]]\ncommand = [\"cat\", {source:?}]\npath = \"/dumps/db.sql\"\n");
    host
}

fn source(host: &Host) -> std::path::PathBuf {
    host.top().parent().unwrap().join("source")
}

#[test]
fn of_a_dump_only_what_is_new_is_sent() {
    let mut bytes = noise(31, 8 << 20);
    let (host, mut server) = (dumping(&bytes), Server::new());
    let (_, account) = host.push_accepted(&mut server);
    assert!(account.get(Count::SentBytes) > 8 << 20);
    let mut files = Files::from([("dumps/db.sql", bytes.clone())]);
    // The same again, a row more in its midst, and a change at its end.
    for round in 0..3 {
        match round {
            1 => drop(bytes.splice(3_000_000..3_000_000, noise(32, 500))),
            2 => bytes[(8 << 20) - 5] ^= 1,
            _ => {}
        }
        fs::write(source(&host), &bytes).unwrap();
        let base = kept(&host, server.published.base.unwrap());
        let (outcome, account) = host.push(&mut server);
        let judged = server.newest_with(&base, &files);
        let sent = account.get(Count::SentBytes);
        println!("round {round}: {sent} bytes");
        let most = if round == 0 { 2_000 } else { 400_000 };
        assert!(sent < most, "round {round}: {sent}");
        if round > 0 {
            assert!(judged.content("dumps/db.sql") == bytes, "round {round}: another content");
        }
        server.judge(outcome.push, Verdict::Accepted { root: outcome.root });
        files.insert("dumps/db.sql", bytes.clone());
    }
}

#[test]
fn after_a_dump_that_failed_the_next_push_begins_anew() {
    let (mut host, mut server) = (dumping(&noise(33, 3 << 20)), Server::new());
    let good = host.more.clone();
    host.more = good.replace("[\"cat\", ", "[\"/bin/sh\", \"-c\", \"cat $0; exit 1\", ");
    let (outcome, _) = host.push_at(&mut server, 10);
    assert!(matches!(outcome, Err(PushError::Command(_))), "{outcome:?}");
    assert!(!server.partial.is_empty() && server.sealed.is_empty());
    host.more = good;
    host.push(&mut server);
    // Nothing of the first try is in it.
    assert!(server.sealed[0].len() < (3 << 20) + 10_000, "{}", server.sealed[0].len());
    assert_eq!(server.newest(&[]).content("dumps/db.sql").len(), 3 << 20);
}

#[test]
fn a_command_after_an_accepted_push_that_fails_ends_it_with_3() {
    let Some(sshd) = Sshd::start("a_command_after_an_accepted_push_that_fails_ends_it_with_3") else {
        return;
    };
    let mut server = Server::new();
    // Once: what is pushed is written with it.
    let plain = fs::read_to_string(sshd.settings(&sshd.key_line())).unwrap();
    let after = |line: &str, seconds: u32| {
        let patient = plain.replace("wait_seconds = 0", &format!("wait_seconds = {seconds}"));
        let text = format!("{patient}[[after]]\ncommand = [\"/bin/sh\", \"-c\", {line:?}]\n");
        sshd.written("push.toml", &text)
    };
    let push = |settings: &str, server: &mut Server| {
        let settings = settings.to_owned();
        let pushing = std::thread::spawn(move || run(&["run", "--config", &settings]));
        sshd.serve(server);
        pushing.join().unwrap()
    };
    let done = push(&after("true", 0), &mut server);
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let root = crate::server::seal(&server.sealed[0]).root;
    let push_id = crate::server::header(&server.sealed[0]).push;
    server.judge(push_id, Verdict::Accepted { root });
    for (line, exit) in [("test $FIRN_EXIT = 0", 0), ("false", 3)] {
        // Folders above the root may change meanwhile, and the state with them.
        server.accepts = true;
        let settings = after(line, 5);
        let done = push(&settings, &mut server);
        assert_eq!(done.status.code(), Some(exit), "{line}: {}", text(&done.stderr));
    }
}

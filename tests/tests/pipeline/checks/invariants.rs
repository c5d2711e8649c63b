//! Each invariant, broken by hand: exactly that one is told, by the program that tells it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::checker::history::check;
use pipeline_tests::checker::item::hex;
use pipeline_tests::checker::known::Known;
use pipeline_tests::checker::{Invariant, Moment};
use pipeline_tests::rawpush::root_of;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::{NAME, at, entries, first, honest, ingest, line_of, manifest};
use crate::rig;

const SECOND: &str = "20260103T030405Z-0000000002";
/// Its push, in the log that `honest` writes.
const PUSH: &str = "01";

/// Two snapshots and a hold, a jail beside them, and what is known of both.
struct Ground {
    folder: PathBuf,
    jail: PathBuf,
    known: Known,
}

fn ground(root: &Path) -> Ground {
    let folder = honest(root);
    let entries = entries();
    fs::write(folder.join("manifests").join(format!("{SECOND}.manifest")), manifest(&entries)).unwrap();
    let copied = Command::new("cp").arg("-a").arg(folder.join(NAME)).arg(folder.join(SECOND)).status();
    assert!(copied.unwrap().success());
    write_log(&folder, &[first_event(), second_event(), hold("why")]);
    let jail = root.join("jail");
    for part in ["spool/incoming", "spool/sealed", "state"] {
        fs::create_dir_all(jail.join(part)).unwrap();
    }
    let mut known = Known::of(&check(&folder, "web01", Moment::Quiet));
    known.accepted.push(PUSH.to_owned());
    known.floor = 2;
    Ground { folder, jail, known }
}

fn first_event() -> String {
    ingest(1, NAME, &root_of(&entries()), entries().len())
}

fn second_event() -> String {
    ingest(2, SECOND, &root_of(&entries()), entries().len())
}

fn hold(reason: &str) -> String {
    format!("{{\"kind\":\"hold\",\"reason\":\"{reason}\",\"snapshot\":\"{NAME}\"}}")
}

fn prune(sequence: u64, name: &str) -> String {
    let root = hex(&root_of(&entries()));
    format!(
        "{{\"kind\":\"prune\",\"sequence\":{sequence},\"name\":\"{name}\",\"root\":\"{root}\",\"planned\":\"2026-01-04T03:04:05Z\"}}"
    )
}

fn verified(name: &str) -> String {
    format!("{{\"kind\":\"verify\",\"newest\":\"{name}\"}}")
}

fn unchanged(push: &str) -> String {
    let root = hex(&root_of(&entries()));
    format!("{{\"kind\":\"unchanged\",\"sequence\":2,\"root\":\"{root}\",\"push\":\"{push}\"}}")
}

fn reject(push: &str) -> String {
    format!("{{\"kind\":\"reject\",\"push\":\"{push}\",\"code\":21}}")
}

fn write_log(folder: &Path, events: &[String]) {
    let (mut text, mut previous) = (String::new(), first());
    for (number, event) in (1..).zip(events) {
        let line = line_of("2.0", number, &previous, event);
        previous = hex(blake3::hash(line.as_bytes()).as_bytes());
        text += &line;
    }
    fs::write(folder.join("log"), text).unwrap();
}

/// A snapshot with all that belongs to it.
fn remove(folder: &Path, name: &str) {
    fs::remove_dir_all(folder.join(name)).unwrap();
    fs::remove_file(folder.join(format!("manifests/{name}.manifest"))).unwrap();
}

const RESET: &str = "{\"kind\":\"reset\",\"reason\":\"lost\"}";

impl Ground {
    /// Lines after those that are known.
    fn more(&self, events: &[String]) {
        write_log(&self.folder, &[&[first_event(), second_event(), hold("why")], events].concat());
    }
}

type Damage = fn(&mut Ground);

const DAMAGES: &[(Invariant, &str, Damage)] = &[
    (Invariant::Atomic, "a tree that is gone", |g| fs::remove_dir_all(g.folder.join(NAME)).unwrap()),
    (Invariant::Atomic, "a name too few in a tree", |g| fs::remove_file(at(&g.folder, "d/g")).unwrap()),
    (Invariant::Durable, "an accepted push without its line", |g| g.known.accepted.push("ff".to_owned())),
    (Invariant::Durable, "a sealed push that is nowhere", |g| g.known.sealed.push("ff".to_owned())),
    (Invariant::Restorable, "a byte of a file", |g| fs::write(at(&g.folder, "d/f"), b"Content").unwrap()),
    (Invariant::Immutable, "a snapshot that nothing pruned is gone, and its line", |g| {
        remove(&g.folder, SECOND);
        write_log(&g.folder, &[first_event(), hold("why")]);
        g.known.head = None;
    }),
    (Invariant::Immutable, "a snapshot pruned twice", |g| {
        remove(&g.folder, NAME);
        let twice = [first_event(), second_event(), prune(1, NAME), prune(1, NAME)];
        write_log(&g.folder, &twice);
        (g.known.head, g.known.floor) = (None, 1);
    }),
    (Invariant::Floor, "the newest is pruned", |g| {
        write_log(&g.folder, &[first_event(), second_event(), hold("why"), prune(2, SECOND)]);
    }),
    (Invariant::Floor, "the newest that was verified is pruned", |g| {
        write_log(&g.folder, &[first_event(), second_event(), verified(NAME), prune(1, NAME)]);
        g.known.head = None;
    }),
    (Invariant::Floor, "what is on hold is pruned", |g| {
        write_log(&g.folder, &[first_event(), second_event(), hold("why"), prune(1, NAME)]);
    }),
    (Invariant::Floor, "fewer are left than must be", |g| {
        remove(&g.folder, NAME);
        write_log(&g.folder, &[first_event(), second_event(), prune(1, NAME)]);
        g.known.head = None;
    }),
    (Invariant::Converging, "a building site", |g| {
        fs::create_dir_all(g.folder.join(".building/tree")).unwrap()
    }),
    (Invariant::Converging, "a push that was left", |g| {
        fs::write(g.jail.join("spool/incoming/x"), b"").unwrap()
    }),
    (Invariant::Unshared, "a file of the history in the jail", |g| {
        fs::hard_link(at(&g.folder, "d/f"), g.jail.join("state/f")).unwrap();
    }),
    (Invariant::Powerless, "a set-id bit", |g| {
        fs::set_permissions(at(&g.folder, "d/f"), fs::Permissions::from_mode(0o4640)).unwrap();
    }),
    (Invariant::Powerless, "a set-id bit of a manifest", |g| {
        let manifest = g.folder.join(format!("manifests/{NAME}.manifest"));
        fs::set_permissions(manifest, fs::Permissions::from_mode(0o4640)).unwrap();
    }),
    (Invariant::Chained, "another past, with a chain of its own", |g| {
        write_log(&g.folder, &[first_event(), second_event(), hold("another")]);
    }),
    (Invariant::Chained, "nothing has changed, of which the host is told no base", |g| {
        g.more(&[RESET.to_owned(), unchanged("03")]);
    }),
    (Invariant::Chained, "a second verdict: rejected what was accepted", |g| g.more(&[reject("02")])),
    (Invariant::Chained, "a second verdict: accepted what was rejected", |g| {
        g.more(&[reject("03"), unchanged("03")]);
    }),
    (Invariant::Chained, "a second verdict: accepted twice", |g| {
        g.more(&[unchanged("03"), unchanged("03")]);
    }),
    (Invariant::Chained, "a bit of the last line", |g| {
        let mut bytes = fs::read(g.folder.join("log")).unwrap();
        let place = bytes.len() - 100;
        bytes[place] ^= 1;
        fs::write(g.folder.join("log"), bytes).unwrap();
    }),
];

/// Power of every kind, where it is no other invariant's business: at a name that has it on the host, or that a manifest does not speak of.
const POWERS: &[(&str, &str, Damage)] = &[
    ("a device in a tree", "disk: ", |g| node(&at(&g.folder, "disk"), FileType::BlockDevice)),
    ("a device among the plans", ".prune/x: ", |g| {
        fs::create_dir(g.folder.join(".prune")).unwrap();
        node(&g.folder.join(".prune/x"), FileType::CharacterDevice);
    }),
    ("a file that is somebody else's", "belongs to 4711", |g| {
        lchown(at(&g.folder, "d/f"), Some(4711), None).unwrap()
    }),
    ("a symlink that is somebody else's", "belongs to 4711", |g| {
        lchown(at(&g.folder, "l"), Some(4711), None).unwrap()
    }),
    ("an access list", "posix_acl_access", |g| tool("setfacl", &["-m", "u:4711:r"], &at(&g.folder, "d/f"))),
    ("an access list for what is to come", "posix_acl_default", |g| {
        tool("setfacl", &["-m", "d:u:4711:rwx"], &at(&g.folder, "d"));
    }),
    ("a capability of a file", "a capability", |g| {
        tool("setcap", &["cap_net_bind_service=ep"], &at(&g.folder, "d/f"))
    }),
    ("a capability of a manifest", "a capability", |g| {
        tool("setcap", &["cap_setuid=ep"], &g.folder.join(format!("manifests/{NAME}.manifest")));
    }),
];

fn node(path: &Path, kind: FileType) {
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), makedev(8, 0)).unwrap();
}

fn tool(program: &str, words: &[&str], path: &Path) {
    assert!(Command::new(program).args(words).arg(path).status().unwrap().success(), "{program}");
}

/// What the program says: its code, and the invariants that it calls broken.
fn told(ground: &Ground) -> (i32, BTreeSet<&'static str>) {
    let (code, broken, _) = said(ground);
    (code, broken)
}

/// The same, and its words.
fn said(ground: &Ground) -> (i32, BTreeSet<&'static str>, String) {
    let known = ground.jail.with_extension("known");
    fs::write(&known, ground.known.told()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_invariant-check"));
    command.arg("--known").arg(known).arg(&ground.folder).arg("web01").arg(&ground.jail);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let is_broken = |name: &&str| said.lines().any(|line| line.starts_with(&format!("BROKEN {name}: ")));
    let broken = Invariant::ALL.iter().map(|invariant| invariant.name()).filter(is_broken).collect();
    (output.status.code().unwrap(), broken, said)
}

#[test]
fn each_invariant_broken_by_hand_is_told_and_no_other() {
    let mut seen = BTreeSet::new();
    for (invariant, what, damage) in DAMAGES {
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut ground = ground(scratch.path());
        assert_eq!(told(&ground), (0, BTreeSet::new()), "control of: {what}");
        damage(&mut ground);
        assert_eq!(told(&ground), (1, BTreeSet::from([invariant.name()])), "{what}");
        seen.insert(*invariant);
    }
    assert_eq!(seen, BTreeSet::from(Invariant::ALL), "each has its negative");
    println!("INVARIANTS: {} broken in {} ways", seen.len(), DAMAGES.len());
}

/// The controls of what is damage among lines without a change.
#[test]
fn lines_without_a_change_that_are_as_documented_are_no_damage() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ground = ground(scratch.path());
    let null = "{\"kind\":\"reject\",\"push\":null,\"code\":27}".to_owned();
    ground.more(&[unchanged("03"), unchanged("04"), reject("05"), null.clone(), null, RESET.to_owned()]);
    assert_eq!(told(&ground), (0, BTreeSet::new()));
}

#[test]
fn power_at_rest_of_every_kind_is_told_and_no_other_invariant() {
    const TEST: &str = "power_at_rest_of_every_kind_is_told_and_no_other_invariant";
    if !rig::is_root_or_skipped(TEST) || !rig::has_or_skipped(TEST, &["setfacl", "setcap"]) {
        return;
    }
    for (what, words, damage) in POWERS {
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut ground = ground(scratch.path());
        assert_eq!(told(&ground), (0, BTreeSet::new()), "control of: {what}");
        damage(&mut ground);
        let (code, broken, said) = said(&ground);
        assert_eq!((code, broken), (1, BTreeSet::from([Invariant::Powerless.name()])), "{what}: {said}");
        assert!(said.contains(words), "{what}: {said}");
    }
    println!("POWERS: told {} kinds", POWERS.len());
}

#[test]
fn a_prune_that_leaves_what_it_must_breaks_nothing() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut ground = ground(scratch.path());
    let release = hold("why").replace("\"hold\"", "\"release\"");
    write_log(
        &ground.folder,
        &[first_event(), second_event(), hold("why"), verified(SECOND), release, prune(1, NAME)],
    );
    remove(&ground.folder, NAME);
    ground.known.floor = 1;
    assert_eq!(told(&ground), (0, BTreeSet::new()));
}

#[test]
fn the_checker_notes_what_it_asks_for_later_and_refuses_what_it_does_not_know() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ground = ground(scratch.path());
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invariant-check"));
        command.args(words).output().unwrap()
    };
    let folder = ground.folder.to_str().unwrap();
    let noted = run(&["--note", folder, "web01"]);
    let noted = String::from_utf8(noted.stdout).unwrap();
    assert_eq!(noted, Known { accepted: Vec::new(), floor: 0, ..ground.known }.told());
    rig::file(&scratch.path().join("known"), b"nonsense\n");
    let known = scratch.path().join("known");
    for wrong in [&["--some", folder, "web01"][..], &["--known", known.to_str().unwrap(), folder, "web01"]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(run(&["/nowhere", "web01"]).status.code(), Some(2));
}

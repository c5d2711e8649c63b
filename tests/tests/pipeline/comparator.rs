//! The whole chain on a tree with everything a file system can hold, judged by rsync, which shares no code with Firn: pushed through
//! sshd, ingested, turned to ice, proved and restored, twice. Every kind of difference is planted afterwards, and rsync must see it.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::checker::item::Item;
use pipeline_tests::checker::live::{compare, scan};
use pipeline_tests::checker::{Moment, told};
use pipeline_tests::stock::{self, below};
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Power, Scratch, data, settings};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, makedev, mknodat, utimensat,
};

use crate::rig;

const HOST: &str = "web01";
/// Bytes with which a name is still one name: a newline, an escape sequence, no UTF-8, a leading dash, what shells and rsync treat as special.
const ODD_NAMES: [&[u8]; 7] = [
    b"new\nline",
    b"\x1b[2J",
    b"\xff\xfe\x80",
    b"-rf",
    b" ",
    b"*?[x]\\",
    "\u{fc}ml\u{e4}ut \u{202e}".as_bytes(),
];
/// Seconds and nanoseconds of mtimes at the edges of what formats can hold.
const MTIMES: [(&str, i64, i64); 5] = [
    ("epoch", 0, 0),
    ("before-1970", -86_400_000, 999_999_999),
    ("just-before-1970", -1, 1),
    ("after-2106", 4_300_000_000, 123_456_789),
    ("nanoseconds", 1_700_000_000, 1),
];
/// What the image cannot hold, and so stock tools do not bring back.
const MANIFEST_ONLY: [&str; 1] = ["long-target"];

fn run(program: &str, words: &[&str], path: &Path) -> Outcome {
    Outcome::of(Command::new(program).args(words).arg(path)).unwrap().expect_code(&[0]).unwrap()
}

fn attribute(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty())
        .unwrap_or_else(|errno| panic!("{}: {name}: {errno}", path.display()));
}

fn touch(path: &Path, seconds: i64, nanos: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn node(path: &Path, kind: FileType, major: u32, minor: u32) {
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o640), makedev(major, minor)).unwrap();
}

/// What everybody may make.
pub(super) fn furnish(root: &Path) {
    for folder in ["a/b/c", "other", "empty/too", "names", "times"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    rig::file(&root.join("a/text"), b"text\n");
    rig::file(&root.join("a/nothing"), b"");
    rig::file(&root.join("a/doomed"), b"removed before the second push\n");
    rig::file(&root.join("a/early-name"), b"renamed before the second push\n");
    data::write_file(&root.join("a/big"), 7, 5 << 20).unwrap();
    for name in ["a/b/one", "other/two", "z-three"] {
        fs::hard_link(root.join("a/text"), root.join(name)).unwrap();
    }
    symlink("text", root.join("a/link")).unwrap();
    fs::hard_link(root.join("a/link"), root.join("other/same-link")).unwrap();
    symlink("/nowhere/at all", root.join("dangling")).unwrap();
    symlink("t".repeat(900), root.join("long-target")).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"island", 3 << 20).unwrap();
    sparse.set_len(8 << 20).unwrap();
    node(&root.join("fifo"), FileType::Fifo, 0, 0);
    let longest = [b'n'; 255];
    for name in ODD_NAMES.into_iter().chain([longest.as_slice()]) {
        rig::file(&root.join("names").join(OsStr::from_bytes(name)), name);
        symlink(OsStr::from_bytes(name), root.join("other").join(OsStr::from_bytes(name))).unwrap();
    }
    for (name, mode) in [("a/suid", 0o4755), ("a/sgid", 0o2711), ("a/none", 0o000), ("a/all", 0o7777)] {
        rig::file(&root.join(name), name.as_bytes());
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(root.join("empty/too"), fs::Permissions::from_mode(0o3775)).unwrap();
    attribute(&root.join("a/big"), "user.comment", b"\0binary\xff");
    attribute(&root.join("a/big"), "user.empty", b"");
    attribute(&root.join("a/text"), "user.large", &[7; 2500]);
    attribute(&root.join("empty"), "user.folder", b"of a folder");
    run("setfacl", &["-m", "u:4711:r-x,g:4712:rw-,m::r--"], &root.join("a/nothing"));
    run("setfacl", &["-m", "d:u:4711:rwx,d:g::r-x,d:o::---"], &root.join("a/b"));
}

/// What only root may make.
pub(super) fn furnish_as_root(root: &Path) {
    node(&root.join("char"), FileType::CharacterDevice, 1, 3);
    node(&root.join("block"), FileType::BlockDevice, 7, 200);
    node(&root.join("large-device"), FileType::BlockDevice, 259, 65_600);
    for (name, owner, group) in [
        ("a/big", 123_456, 654_321),
        ("a/link", 4711, 4712),
        ("fifo", 0, 65_534),
        ("empty", 4_294_967_294, 1),
        ("char", 5, 6),
    ] {
        lchown(root.join(name), Some(owner), Some(group)).unwrap();
    }
    rig::file(&root.join("capable"), b"may open low ports\n");
    run("setcap", &["cap_net_bind_service=ep"], &root.join("capable"));
    attribute(&root.join("dangling"), "security.of-a-link", b"yes");
}

/// Times last: making things changes the times of what they are in.
pub(super) fn set_times(root: &Path) {
    for (name, seconds, nanos) in MTIMES {
        let path = root.join("times").join(name);
        rig::file(&path, name.as_bytes());
        touch(&path, seconds, nanos);
    }
    touch(&root.join("dangling"), -5, 5);
    touch(&root.join("fifo"), 1_000_000_000, 7);
    touch(&root.join("a/b"), 4_400_000_000, 8);
    touch(&root.join("a"), -4_000_000, 9);
}

/// What rsync would change in `right`, nanoseconds included, which it overlooks unless told.
fn rsync(left: &Path, right: &Path) -> String {
    let mut command = Command::new("rsync");
    command.args(["-naHAXi", "--delete", "--checksum", "--numeric-ids", "--modify-window=-1"]);
    let outcome =
        Outcome::of(command.arg(left.join("")).arg(right.join(""))).unwrap().expect_code(&[0]).unwrap();
    assert_eq!(outcome.stderr, "");
    outcome.stdout
}

/// Names that share an inode, as lists. rsync does not tell names that are linked on the right only.
fn linked(root: &Path) -> Vec<Vec<PathBuf>> {
    let mut inodes: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                folders.push(path);
            } else {
                inodes.entry(meta.ino()).or_default().push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut lists: Vec<_> = inodes.into_values().filter(|names| names.len() > 1).collect();
    lists.iter_mut().for_each(|names| names.sort());
    lists.sort();
    lists
}

/// Only what lies in the root: the folders above it are changed by other tests.
pub(super) fn own(items: &[Item], root: &Path) -> Vec<Item> {
    let top = &root.as_os_str().as_bytes()[1..];
    items.iter().filter(|item| item.path.starts_with(top)).cloned().collect()
}

/// Push, ingest, ice, drill and restore, all of which must end well. Returns where the roots came back.
fn chain(scratch: &Scratch, host: &Host, root: &Path, round: usize) -> PathBuf {
    let (push, ingest) = scratch.push_and_ingest(host, Hear::Kept).unwrap();
    ingest.expect("the push was never sealed").expect_code(&[0]).unwrap();
    push.expect_code(&[0]).unwrap();
    let found = rig::sound(scratch, host, Moment::Quiet);
    assert_eq!(found.snapshots.len(), round);
    let wrong =
        compare(&own(&scan(&[root]).unwrap(), root), &own(&found.snapshots.last().unwrap().items, root));
    assert!(wrong.is_empty(), "the manifest is not the disk:\n{}", told(&wrong));
    Outcome::of(&mut scratch.snapshotter(&["verify"])).unwrap().expect_code(&[0]).unwrap();
    scratch.ice().unwrap().expect_code(&[0]).unwrap();
    let drill = scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    let records: Vec<_> = fs::read_dir(scratch.folder.join("drill/records"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(records.len(), round, "{}", drill.said());
    for record in records {
        let record: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
        assert_eq!(record["result"], "proved");
        assert_eq!(record["failure"], serde_json::Value::Null);
    }
    let target = scratch.folder.join(format!("drill/restored-{round}"));
    scratch.restore(HOST, &target).unwrap().expect_code(&[0]).unwrap();
    below(&target, root)
}

pub(super) fn judge(root: &Path, restored: &Path) {
    judge_but_holes(root, restored);
    let sparse = fs::metadata(restored.join("sparse")).unwrap();
    assert!(
        sparse.blocks() * 512 < sparse.len() / 4,
        "the holes of a sparse file were filled: {} blocks",
        sparse.blocks()
    );
}

/// An archive has no holes.
pub(super) fn judge_but_holes(root: &Path, restored: &Path) {
    assert_eq!(stock::rsync_differences(root, restored).unwrap(), "");
    assert_eq!(rsync(root, restored), "");
    assert_eq!(linked(restored), linked(root));
}

/// What a day brings.
fn change(root: &Path) {
    rig::file(&root.join("a/text"), b"other text, the same under all its names\n");
    fs::remove_file(root.join("a/doomed")).unwrap();
    fs::rename(root.join("a/early-name"), root.join("empty/late-name")).unwrap();
    fs::remove_dir_all(root.join("empty/too")).unwrap();
    rig::file(&root.join("empty/too"), b"was a folder\n");
    fs::remove_file(root.join("dangling")).unwrap();
    fs::create_dir(root.join("dangling")).unwrap();
    fs::remove_file(root.join("other/two")).unwrap();
    fs::hard_link(root.join("a/nothing"), root.join("other/new-link")).unwrap();
    fs::set_permissions(root.join("a/suid"), fs::Permissions::from_mode(0o711)).unwrap();
    attribute(&root.join("empty"), "user.folder", b"changed");
    rig::file(&root.join("names/\u{1}added"), b"added\n");
    fs::rename(root.join("a/b"), root.join("other/b moved")).unwrap();
    touch(&root.join("a"), -3_000_000, 1);
}

/// gpg, unsquashfs and diff alone. They find all but what the image cannot hold.
fn stock_alone(scratch: &Scratch, root: &Path) {
    let (image, files) = (scratch.folder.join("drill/image"), scratch.folder.join("drill/stock"));
    let segments = stock::segments(&scratch.folder.join("vault"), HOST).unwrap();
    assert!(segments.len() > 2, "{segments:?}");
    stock::decrypt(scratch, &segments, &image, &mut |_| ()).unwrap();
    stock::unsquash(&image, &files).unwrap();
    let snapshots: Vec<_> =
        fs::read_dir(files.join("snapshots")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [snapshot] = snapshots.as_slice() else { panic!("{snapshots:?}") };
    let told = stock::diff(root, &below(snapshot, root)).unwrap();
    let expected = MANIFEST_ONLY.map(|name| format!("Only in {}: {name}", root.display()));
    assert_eq!(told.lines().collect::<Vec<_>>(), expected, "{told}");
}

/// Does one damage to the restored tree, and rsync must tell it by the name `told`, and nothing else is damaged.
fn control(root: &Path, restored: &Path, name: &str, told: &str, damage: impl FnOnce()) -> usize {
    let before = rsync(root, restored);
    damage();
    let after = rsync(root, restored);
    let new: Vec<_> = after.lines().filter(|line| !before.lines().any(|old| old == *line)).collect();
    assert!(new.iter().any(|line| line.contains(told)), "{name} went unnoticed: {new:?}");
    1
}

/// The time stays as it was.
fn quietly(path: &Path, change: impl FnOnce()) {
    let meta = path.symlink_metadata().unwrap();
    change();
    touch(path, meta.mtime(), meta.mtime_nsec());
}

fn controls(root: &Path, restored: &Path, power: Power) -> usize {
    let at = |name: &str| restored.join(name);
    let mut count = control(root, restored, "one byte, same size and time", "a/big", || {
        quietly(&at("a/big"), || {
            let file = File::options().read(true).write(true).open(at("a/big")).unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, 3_000_000).unwrap();
            file.write_all_at(&[byte[0] ^ 1], 3_000_000).unwrap();
        });
    });
    count += control(root, restored, "one attribute", "empty/", || {
        attribute(&at("empty"), "user.folder", b"other")
    });
    count += control(root, restored, "one hard link", "z-three", || {
        let (bytes, folder) = (at("z-three"), restored.to_owned());
        quietly(&folder, || {
            drop(run("sh", &["-c", "cp -a \"$1\" \"$1.new\" && mv \"$1.new\" \"$1\"", "-"], &bytes))
        });
    });
    count += control(root, restored, "one ACL", "a/nothing", || {
        drop(run("setfacl", &["-x", "u:4711"], &at("a/nothing")))
    });
    count += control(root, restored, "one default ACL", "b moved/", || {
        drop(run("setfacl", &["-k"], &at("other/b moved")))
    });
    count += control(root, restored, "one nanosecond", "times/nanoseconds", || {
        touch(&at("times/nanoseconds"), 1_700_000_000, 2)
    });
    count += control(root, restored, "one mode", "a/sgid", || {
        fs::set_permissions(at("a/sgid"), fs::Permissions::from_mode(0o711)).unwrap();
    });
    count += control(root, restored, "one target", "long-target", || {
        quietly(restored, || {
            fs::remove_file(at("long-target")).unwrap();
            symlink("t".repeat(899), at("long-target")).unwrap();
        });
    });
    count += control(root, restored, "one name too many", "extra", || rig::file(&at("extra"), b""));
    if power == Power::Root {
        count += control(root, restored, "one owner", "fifo", || lchown(at("fifo"), Some(1), None).unwrap());
        count += control(root, restored, "one capability", "capable", || {
            let name = CString::new("security.capability").unwrap();
            rustix::fs::lremovexattr(at("capable"), name.as_c_str()).unwrap();
        });
        count += control(root, restored, "one device number", "char", || {
            fs::remove_file(at("char")).unwrap();
            node(&at("char"), FileType::CharacterDevice, 1, 5);
        });
    }
    count
}

#[test]
fn rsync_finds_no_difference_after_the_whole_chain_twice() {
    let test = "rsync_finds_no_difference_after_the_whole_chain_twice";
    if !rig::has_or_skipped(test, &["rsync", "setfacl", "setcap", "gpg", "unsquashfs"]) {
        return;
    }
    let mut scratch = rig::scratch(&Options { segment_bytes: 1 << 20, ..Options::default() });
    let root = scratch.folder.join("hosts/disk/everything");
    fs::create_dir_all(&root).unwrap();
    furnish(&root);
    match scratch.power {
        Power::Root => furnish_as_root(&root),
        Power::User => {
            // Nobody but root reads it.
            fs::remove_file(root.join("a/none")).unwrap();
            rig::skipped(test, "devices, owners and capabilities need root; the rest was run");
        }
    }
    set_times(&root);
    let host = scratch.add_host(HOST, std::slice::from_ref(&root)).unwrap();
    let waits = settings::Push { verdict_wait_seconds: 120, ..settings::Push::default() };
    settings::write_push(&scratch, &host, &waits).unwrap();

    let first = chain(&scratch, &host, &root, 1);
    judge(&root, &first);
    stock_alone(&scratch, &root);
    change(&root);
    assert_ne!(rsync(&root, &first), "");
    let second = chain(&scratch, &host, &root, 2);
    judge(&root, &second);
    let count = controls(&root, &second, scratch.power);
    println!("CONTROLS: {count}");
}

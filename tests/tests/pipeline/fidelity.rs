//! What docs/fidelity.md promises: a tree that is hard on every program, pushed for real, made ice, restored, and asked property by property.
//! Each line of the table is an assertion here, by its name.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::checker::Moment;
use pipeline_tests::checker::item::{Item, What};
use pipeline_tests::stock::below;
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Options, Outcome, settings};
use rustix::fs::{
    AtFlags, CWD, FileType, IFlags, Mode, OFlags, Timespec, Timestamps, XattrFlags, ioctl_getflags,
    ioctl_setflags, lgetxattr, lsetxattr, makedev, mkdirat, mknodat, openat, utimensat,
};

use crate::rig;

const HOST: &str = "web01";
const LARGE: u64 = (4 << 30) + 5;
/// Folders of the deep path; with names of 250 bytes it is longer than PATH_MAX and below the limit of a manifest.
const DEEP: usize = 40;
const MTIMES: [(&str, i64, i64); 4] = [
    ("before-1970", -86_400_000, 999_999_999),
    ("just-before-1970", -1, 1),
    ("after-2106", 4_300_000_000, 123_456_789),
    ("nanosecond", 1_700_000_000, 1),
];

/// What is looked at: the host's own tree, what came back, and what the manifest in the history says.
struct Case {
    own: PathBuf,
    back: PathBuf,
    manifest: Vec<Item>,
}

type Assertion = fn(&Case);

/// The lines of the table, by name.
const PROPERTIES: [(&str, Assertion); 20] = [
    ("content", content),
    ("owner_and_group_by_number", owner_and_group_by_number),
    ("owner_and_group_by_name", owner_and_group_by_name),
    ("mode_bits", mode_bits),
    ("mtime", mtime),
    ("folder_mtime", folder_mtime),
    ("symlink_target", symlink_target),
    ("symlink_owner_and_mtime", symlink_owner_and_mtime),
    ("hard_links", hard_links),
    ("sparse_files", sparse_files),
    ("large_files", large_files),
    ("devices", devices),
    ("fifos", fifos),
    ("sockets", sockets),
    ("extended_attributes", extended_attributes),
    ("file_capabilities", file_capabilities),
    ("posix_acls", posix_acls),
    ("empty_folders", empty_folders),
    ("odd_names_and_deep_paths", odd_names_and_deep_paths),
    ("inode_flags", inode_flags),
];

#[test]
fn each_line_of_the_table_has_an_assertion_of_its_name() {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/fidelity.md")).unwrap();
    let table = document.split("## Not kept").next().unwrap();
    let lines = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let named: Vec<&str> = lines.collect();
    let asserted: Vec<&str> = PROPERTIES.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, asserted);
    assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len(), "one line twice");
}

#[test]
fn everything_in_the_table_comes_back() {
    let test = "everything_in_the_table_comes_back";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["rsync", "setfacl", "setcap"]) {
        return;
    }
    let _turn = rig::turn();
    let mut scratch = rig::scratch(&Options::default());
    if File::open(&scratch.folder).and_then(|folder| Ok(ioctl_getflags(folder)?)).is_err() {
        return rig::skipped(test, "no inode flags on this file system");
    }
    let root = scratch.folder.join("hosts/disk/fidelity");
    let target = scratch.folder.join("drill/restored");
    let back = below(&target, &root);
    let _loose = Loose([root.join("fixed"), back.join("fixed")]);
    furnish(&root);
    let host = scratch.add_host(HOST, std::slice::from_ref(&root)).unwrap();
    let waits = settings::Push { verdict_wait_seconds: 600, ..settings::Push::default() };
    settings::write_push(&scratch, &host, &waits).unwrap();
    let (push, ingest) = scratch.push_and_ingest(&host, Hear::Kept).unwrap();
    ingest.expect("the push was never sealed").expect_code(&[0]).unwrap();
    push.expect_code(&[0]).unwrap();
    let found = rig::sound(&scratch, &host, Moment::Quiet);
    scratch.ice().unwrap().expect_code(&[0]).unwrap();
    scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    // 3, as a socket is not made.
    let restored = scratch.restore(HOST, &target).unwrap();
    let case = Case { back, own: root, manifest: found.snapshots.last().unwrap().items.clone() };
    restored.expect_code(&[3]).unwrap();
    PROPERTIES.iter().for_each(|(_, property)| property(&case));
    rsync_agrees(&case);
}

/// Whatever becomes of the test, the scratch folder can be removed.
struct Loose([PathBuf; 2]);

impl Drop for Loose {
    fn drop(&mut self) {
        for path in &self.0 {
            let Ok(file) = File::open(path) else { continue };
            let _ = ioctl_getflags(&file).and_then(|flags| ioctl_setflags(&file, flags - IFlags::IMMUTABLE));
        }
    }
}

fn attribute(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn touch(path: &Path, seconds: i64, nanos: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn run(program: &str, words: &[&str], path: &Path) {
    Outcome::of(Command::new(program).args(words).arg(path)).unwrap().expect_code(&[0]).unwrap();
}

fn odd_names() -> [Vec<u8>; 4] {
    let any = |length: usize| {
        (0..length).map(|n| if n % 256 == 47 || n % 256 == 0 { 1 } else { n as u8 }).collect()
    };
    [any(255), b"new\nline".to_vec(), b"\xff\xfe".to_vec(), b"-rf *".to_vec()]
}

fn furnish(root: &Path) {
    for folder in ["empty", "names", "times", "acl"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    rig::file(&root.join("file"), b"content\n");
    lchown(root.join("file"), Some(123_456), Some(4_294_967_294)).unwrap();
    for (name, mode) in [("setuid", 0o4755), ("setgid", 0o2711), ("none", 0o000)] {
        rig::file(&root.join(name), b"x");
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(0o1777)).unwrap();
    for length in [1, 300, 4_095] {
        symlink("t".repeat(length), root.join(format!("link-{length}"))).unwrap();
    }
    symlink(OsStr::from_bytes(b"\xff\n\x01"), root.join("link-odd")).unwrap();
    lchown(root.join("link-1"), Some(4711), Some(4712)).unwrap();
    touch(&root.join("link-1"), -5, 5);
    fs::hard_link(root.join("file"), root.join("names/second")).unwrap();
    fs::hard_link(root.join("link-1"), root.join("names/second-link")).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"island", 3 << 20).unwrap();
    sparse.set_len(8 << 20).unwrap();
    let large = File::create(root.join("large")).unwrap();
    large.write_all_at(b"end\n!", LARGE - 5).unwrap();
    mknodat(CWD, root.join("char"), FileType::CharacterDevice, Mode::from_raw_mode(0o640), makedev(1, 3))
        .unwrap();
    mknodat(CWD, root.join("block"), FileType::BlockDevice, Mode::from_raw_mode(0o600), makedev(259, 65_600))
        .unwrap();
    mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o622), 0).unwrap();
    drop(UnixListener::bind(root.join("socket")).unwrap());
    attribute(&root.join("file"), "user.binary", b"\0\xff");
    attribute(&root.join("empty"), "user.of-a-folder", b"");
    attribute(&root.join("link-odd"), "security.of-a-link", b"yes");
    rig::file(&root.join("capable"), b"x");
    run("setcap", &["cap_net_bind_service=ep"], &root.join("capable"));
    rig::file(&root.join("acl/file"), b"x");
    run("setfacl", &["-m", "u:4711:r-x,g:4712:rw-"], &root.join("acl/file"));
    run("setfacl", &["-m", "d:u:4711:rwx"], &root.join("acl"));
    for name in odd_names() {
        rig::file(&root.join("names").join(OsStr::from_bytes(&name)), &name);
    }
    dig(root);
    for (name, seconds, nanos) in MTIMES {
        rig::file(&root.join("times").join(name), b"x");
        touch(&root.join("times").join(name), seconds, nanos);
    }
    touch(&root.join("empty"), -4_000_000, 9);
    rig::file(&root.join("fixed"), b"x");
    flag(&root.join("fixed"), IFlags::IMMUTABLE | IFlags::NODUMP);
    flag(&root.join("empty"), IFlags::NOATIME);
}

fn flag(path: &Path, flags: IFlags) {
    let file = File::open(path).unwrap();
    ioctl_setflags(&file, ioctl_getflags(&file).unwrap() | flags).unwrap();
}

fn flags(path: &Path) -> IFlags {
    let kept = IFlags::IMMUTABLE | IFlags::NODUMP | IFlags::NOATIME;
    ioctl_getflags(File::open(path).unwrap()).unwrap() & kept
}

fn folder(at: impl std::os::fd::AsFd, name: &str) -> OwnedFd {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty()).unwrap()
}

/// A path that no system call takes.
fn dig(root: &Path) {
    let mut here = OwnedFd::from(File::open(root).unwrap());
    for _ in 0..DEEP {
        let name = "d".repeat(250);
        mkdirat(&here, &name, Mode::from_raw_mode(0o755)).unwrap();
        here = folder(&here, &name);
    }
    let file = openat(&here, "bottom", OFlags::WRONLY | OFlags::CREATE, Mode::from_raw_mode(0o644)).unwrap();
    File::from(file).write_all_at(b"deep", 0).unwrap();
}

impl Case {
    fn both<T: PartialEq + std::fmt::Debug>(&self, name: impl AsRef<Path>, ask: impl Fn(&Path) -> T) -> T {
        let (own, back) = (ask(&self.own.join(&name)), ask(&self.back.join(&name)));
        assert_eq!(own, back, "{}", name.as_ref().display());
        back
    }

    /// What the manifest says of a name below the root.
    fn manifest(&self, name: &str) -> &What {
        let path = self.own.join(name);
        &self.manifest.iter().find(|item| item.path == path.as_os_str().as_bytes()[1..]).unwrap().what
    }
}

fn stat(path: &Path) -> fs::Metadata {
    path.symlink_metadata().unwrap()
}

fn time(path: &Path) -> (i64, i64) {
    (stat(path).mtime(), stat(path).mtime_nsec())
}

fn value(path: &Path, name: &str) -> Vec<u8> {
    let mut value = vec![0; 65_536];
    let length = lgetxattr(path, name, value.as_mut_slice()).unwrap();
    value[..length].to_vec()
}

fn content(case: &Case) {
    assert_eq!(case.both("file", |path| fs::read(path).unwrap()), b"content\n");
}

fn owner_and_group_by_number(case: &Case) {
    assert_eq!(case.both("file", |path| (stat(path).uid(), stat(path).gid())), (123_456, 4_294_967_294));
}

fn owner_and_group_by_name(case: &Case) {
    let What::Node(node) = case.manifest("fixed") else { panic!("a link") };
    let name = |tag| node.attributes.get(&(tag, Vec::new())).map(Vec::as_slice);
    assert_eq!((name(1), name(2)), (Some(b"root".as_slice()), Some(b"root".as_slice())));
}

fn mode_bits(case: &Case) {
    for (name, mode) in [("setuid", 0o4755), ("setgid", 0o2711), ("none", 0), ("empty", 0o1777)] {
        assert_eq!(case.both(name, |path| stat(path).mode() & 0o7777), mode, "{name}");
    }
}

fn mtime(case: &Case) {
    for (name, seconds, nanos) in MTIMES {
        assert_eq!(case.both(format!("times/{name}"), time), (seconds, nanos));
    }
}

fn folder_mtime(case: &Case) {
    assert_eq!(case.both("empty", time), (-4_000_000, 9));
}

fn symlink_target(case: &Case) {
    for name in ["link-1", "link-300", "link-4095", "link-odd"] {
        case.both(name, |path| fs::read_link(path).unwrap());
    }
}

fn symlink_owner_and_mtime(case: &Case) {
    assert_eq!(case.both("link-1", |path| (stat(path).uid(), time(path))), (4711, (-5, 5)));
}

fn hard_links(case: &Case) {
    for (first, second) in [("file", "names/second"), ("link-1", "names/second-link")] {
        assert_eq!(case.both(first, |path| stat(path).nlink()), 2);
        assert_eq!(stat(&case.back.join(first)).ino(), stat(&case.back.join(second)).ino());
    }
}

fn sparse_files(case: &Case) {
    case.both("sparse", |path| fs::read(path).unwrap());
    assert!(stat(&case.back.join("sparse")).blocks() * 512 < 1 << 20, "its holes were filled");
}

fn large_files(case: &Case) {
    case.both("large", |path| {
        let mut end = [1; 10];
        File::open(path).unwrap().read_exact_at(&mut end, LARGE - 10).unwrap();
        assert_eq!(&end, b"\0\0\0\0\0end\n!");
        stat(path).len()
    });
}

fn devices(case: &Case) {
    assert_eq!(case.both("char", |path| stat(path).rdev()), makedev(1, 3));
    assert_eq!(case.both("block", |path| stat(path).rdev()), makedev(259, 65_600));
    assert!(case.both("block", |path| stat(path).file_type().is_block_device()));
}

fn fifos(case: &Case) {
    assert!(case.both("fifo", |path| stat(path).file_type().is_fifo()));
}

fn sockets(case: &Case) {
    assert!(matches!(case.manifest("socket"), What::Node(node) if format!("{:?}", node.kind) == "Socket"));
    assert!(case.back.join("socket").symlink_metadata().is_err(), "it is noted, and not made");
}

fn extended_attributes(case: &Case) {
    assert_eq!(case.both("file", |path| value(path, "user.binary")), b"\0\xff");
    case.both("empty", |path| value(path, "user.of-a-folder"));
    case.both("link-odd", |path| value(path, "security.of-a-link"));
}

fn file_capabilities(case: &Case) {
    assert!(!case.both("capable", |path| value(path, "security.capability")).is_empty());
}

fn posix_acls(case: &Case) {
    case.both("acl/file", |path| value(path, "system.posix_acl_access"));
    case.both("acl", |path| value(path, "system.posix_acl_default"));
}

fn empty_folders(case: &Case) {
    assert_eq!(case.both("empty", |path| fs::read_dir(path).unwrap().count()), 0);
}

fn odd_names_and_deep_paths(case: &Case) {
    for name in odd_names() {
        case.both(Path::new("names").join(OsStr::from_bytes(&name)), |path| fs::read(path).unwrap());
    }
    case.both("", |path| {
        let mut here = OwnedFd::from(File::open(path).unwrap());
        (0..DEEP).for_each(|_| here = folder(&here, &"d".repeat(250)));
        let bottom = openat(&here, "bottom", OFlags::RDONLY, Mode::empty()).unwrap();
        std::io::read_to_string(File::from(bottom)).unwrap()
    });
}

fn inode_flags(case: &Case) {
    assert_eq!(case.both("fixed", flags), IFlags::IMMUTABLE | IFlags::NODUMP);
    assert_eq!(case.both("empty", flags), IFlags::NOATIME);
}

/// A second judge, which shares no code with Firn. It knows no flags, and no path beyond PATH_MAX; sockets are not made.
fn rsync_agrees(case: &Case) {
    let mut command = Command::new("rsync");
    command.args(["-naHAXi", "--delete", "--checksum", "--numeric-ids", "--modify-window=-1"]);
    command.args(["--exclude=/socket", "--exclude=/dddddddd*"]);
    let outcome = Outcome::of(command.arg(case.own.join("")).arg(case.back.join(""))).unwrap();
    assert_eq!(outcome.expect_code(&[0]).unwrap().stdout, "");
}

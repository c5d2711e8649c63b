//! `restore`: what comes back, and what is said about the rest.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use formats::Kind;
use serde_json::Value;

use super::disk::{is_root, rsync_changes, set_attribute, touch, walk};
use super::every_kind::source;
use super::ices::{Machine, ice_of, ice_with, is_absent_or_empty, ran, seal, snapshots};
use super::images::{self, What};
use super::keys::key;
use super::tree::{Tree, extended, noise, small};

#[test]
fn rsync_finds_nothing_to_change_in_what_came_back() {
    let machine = Machine::new();
    let root = source(&machine);
    machine.lay(&ice_of(&walk(&root)));
    let ran = machine.restore().ends_with(0);
    assert_eq!(rsync_changes(&root.join("top"), &machine.out().join("top")), "");
    let sparse = machine.out().join("top/sparse").metadata().unwrap();
    assert!(sparse.blocks() * 512 < 1_000_000, "the hole is not one any more");
    assert_eq!(ran.report["counts"]["hard_links"], 2);
    machine.assert_nothing_left();
    machine.verify().ends_with(0);
}

#[test]
fn rsync_would_see_each_of_these_changes() {
    // The positive control of the comparator.
    let machine = Machine::new();
    let root = source(&machine);
    machine.lay(&ice_of(&walk(&root)));
    let top = machine.out().join("top");
    let spoil: [&dyn Fn(); 6] = [
        &|| set_attribute(&top.join("text"), "user.more", b"x"),
        &|| touch(&top.join("large"), 1, 0),
        &|| fs::set_permissions(top.join("text"), fs::Permissions::from_mode(0o600)).unwrap(),
        &|| fs::write(top.join("deep/er/est/leaf"), "lead").unwrap(),
        &|| {
            fs::remove_file(top.join("deep/second name")).unwrap();
            fs::copy(top.join("text"), top.join("deep/second name")).map(drop).unwrap();
        },
        &|| assert!(Command::new("setfacl").args(["-b"]).arg(top.join("large")).status().unwrap().success()),
    ];
    for change in spoil {
        let _ = fs::remove_dir_all(machine.out());
        machine.restore().ends_with(0);
        change();
        assert_ne!(rsync_changes(&root.join("top"), &top), "");
    }
}

#[test]
fn a_part_comes_back_in_its_place_and_alone() {
    let machine = Machine::new();
    let root = source(&machine);
    machine.lay(&ice_of(&walk(&root)));
    let out = machine.out();
    let to = ["--to", out.to_str().unwrap()];
    machine.open(&[&["restore", "web01/latest", "/top/deep/er/"], &to[..]].concat()).ends_with(0);
    assert_eq!(rsync_changes(&root.join("top/deep/er"), &out.join("top/deep/er")), "");
    assert_eq!(fs::read_dir(out.join("top/deep")).unwrap().count(), 1);
    let attributes = ["-naXAid", "--numeric-ids", "--exclude=*"];
    let folder = Command::new("rsync")
        .args(attributes)
        .arg(root.join("top/deep/"))
        .arg(out.join("top/deep/"))
        .output();
    assert_eq!(String::from_utf8(folder.unwrap().stdout).unwrap(), "", "the folder on the way is the host's");
}

#[test]
fn a_later_name_of_a_file_comes_back_without_its_first() {
    let machine = Machine::with(&ice_of(&small()));
    let out = machine.out();
    machine.open(&["restore", "web01/latest", "srv/data.link", "--to", out.to_str().unwrap()]).ends_with(0);
    assert_eq!(fs::read(out.join("srv/data.link")).unwrap(), noise(300_000));
    let stat = out.join("srv/data.link").metadata().unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.mtime_nsec(), stat.nlink()), (0o400, 123_456_789, 1));
    assert_eq!(fs::read_dir(out.join("srv")).unwrap().count(), 1);
}

#[test]
fn an_older_snapshot_of_an_image_comes_back_by_name() {
    let (first, mut second) = (small(), small());
    second.file("etc/hosts", "changed");
    second.remove("etc/empty");
    let snapshots = snapshots(&[first, second]);
    let image = images::write(&images::names(&snapshots));
    let machine = Machine::with(&seal(&snapshots, &image, 1 << 20, key()));
    let (newest, oldest) = (machine.path("newest"), machine.path("oldest"));
    machine.open(&["restore", "web01/latest", "--to", newest.to_str().unwrap()]).ends_with(0);
    let arguments =
        ["restore", "web01/latest", "--to", oldest.to_str().unwrap(), "--snapshot", &images::name(1)];
    machine.open(&arguments).ends_with(0);
    assert_eq!(fs::read(newest.join("etc/hosts")).unwrap(), b"changed");
    assert_eq!(fs::read(oldest.join("etc/hosts")).unwrap(), b"127.0.0.1 localhost\n");
    assert!(!newest.join("etc/empty").exists() && oldest.join("etc/empty").exists());
    let none = ["restore", "web01/latest", "--to", "/nonexistent", "--snapshot", &images::name(3)];
    machine.open(&none).ends_with(43).because("holds no snapshot");
}

#[test]
fn what_is_not_there_is_not_restored() {
    let machine = Machine::with(&ice_of(&small()));
    let out = machine.out();
    for absent in ["etc/passwd", "etc/hosts/x", "et", "srv/data"] {
        let ran = machine.open(&["restore", "web01/latest", absent, "--to", out.to_str().unwrap()]);
        ran.ends_with(43).because("not in snapshot");
        assert!(is_absent_or_empty(&out));
    }
    for bad in ["..", "etc/../..", "etc//hosts", ""] {
        machine.open(&["restore", "web01/latest", bad, "--to", out.to_str().unwrap()]).ends_with(2);
        assert!(is_absent_or_empty(&out));
    }
}

#[test]
fn sockets_are_named_and_left_out() {
    let machine = Machine::new();
    let root = machine.path("source");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("file"), "x").unwrap();
    let _listener = UnixListener::bind(root.join("socket")).unwrap();
    fs::hard_link(root.join("socket"), root.join("socket 2")).unwrap();
    machine.lay(&ice_of(&walk(&root)));
    let ran = machine.restore().ends_with(3);
    assert_eq!(ran.report["counts"]["left_out"], 2);
    assert_eq!(ran.report["left_out"][0]["path"], "socket");
    assert!(ran.stderr.contains("left out: socket"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(machine.out()).unwrap().count(), 1);
}

#[test]
fn whoever_is_not_root_gets_the_files_and_hears_what_is_missing() {
    if !is_root() {
        return println!("SKIPPED: restoring_as_an_ordinary_user: needs root to become somebody else");
    }
    let mut tree = small();
    tree.add("null", Kind::CharDevice { major: 1, minor: 3 }, 0o666);
    tree.file("setid", "x").mode = 0o4755;
    tree.file("tagged", "x").attributes = vec![extended("user.mine", b"1")];
    let machine = Machine::with(&ice_of(&tree));
    let somebody = 65_534;
    for path in ["", "quarantine", "out", "secret"] {
        let path = if path.is_empty() { machine.path("") } else { machine.path(path) };
        let _ = fs::create_dir(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        chown(&path, Some(somebody), Some(somebody)).unwrap();
    }
    for path in walk_all(&machine.vault()) {
        chown(path, Some(somebody), Some(somebody)).unwrap();
    }
    let secret = machine.path("secret/key");
    fs::copy(key().secret(), &secret).unwrap();
    chown(&secret, Some(somebody), Some(somebody)).unwrap();
    // A copy that somebody else may run.
    let program = machine.path("restore-drill");
    fs::copy(env!("CARGO_BIN_EXE_restore-drill"), &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .arg("--config")
        .arg(machine.path("drill.toml"))
        .args(["--json", "restore", "web01/latest", "--key"])
        .arg(&secret)
        .arg("--to")
        .arg(machine.out())
        .output();
    let ran = ran(output.unwrap()).ends_with(3);
    assert_eq!(fs::read(machine.out().join("srv/data.bin")).unwrap(), noise(300_000));
    assert_eq!(machine.out().join("setid").metadata().unwrap().mode() & 0o7777, 0o755);
    assert_eq!(machine.out().join("srv").metadata().unwrap().mode() & 0o7777, 0o750);
    let left: Vec<&Value> = ran.report["left_out"].as_array().unwrap().iter().collect();
    let why =
        |path: &str| left.iter().find(|one| one["path"] == path).map(|one| one["why"].as_str().unwrap());
    assert!(why("null").unwrap().contains("making a fifo or device"));
    assert!(why("setid").unwrap().contains("set-id bits"));
    assert!(why("srv").unwrap().contains("set-id bits"));
    let owners = left.iter().filter(|one| one["why"].as_str().unwrap().contains("owners")).count();
    assert_eq!((owners, left.len()), (1, 4), "owners are named once");
    machine.assert_nothing_left();
}

fn walk_all(root: &Path) -> Vec<std::path::PathBuf> {
    let output = Command::new("find").arg(root).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(Into::into).collect()
}

#[test]
fn nothing_is_restored_into_a_folder_that_is_not_empty() {
    let machine = Machine::with(&ice_of(&small()));
    fs::create_dir(machine.out()).unwrap();
    for names in [&["a"][..], &["a", "b", "c"]] {
        names.iter().for_each(|name| fs::write(machine.out().join(name), "mine").unwrap());
        machine.restore().ends_with(2).because("not empty");
    }
    assert_eq!(fs::read_dir(machine.out()).unwrap().count(), 3);
    fs::remove_dir_all(machine.out()).unwrap();
    fs::create_dir(machine.path("elsewhere")).unwrap();
    symlink(machine.path("elsewhere"), machine.out()).unwrap();
    machine.restore().ends_with(4);
    assert!(is_absent_or_empty(&machine.path("elsewhere")));
    fs::remove_file(machine.out()).unwrap();
    fs::create_dir(machine.out()).unwrap();
    machine.restore().ends_with(0);
}

#[test]
fn a_default_acl_changes_nothing_that_is_restored() {
    let machine = Machine::new();
    let root = source(&machine);
    machine.lay(&ice_of(&walk(&root)));
    let acl = |path: &Path| {
        let set = Command::new("setfacl").args(["-d", "-m", "u:777:rwx"]).arg(path).status();
        assert!(set.unwrap().success());
    };
    fs::create_dir(machine.out()).unwrap();
    acl(&machine.out());
    machine.restore().ends_with(2).because("default ACL");
    fs::remove_dir(machine.out()).unwrap();
    acl(&machine.path(""));
    machine.restore().ends_with(0);
    assert_eq!(rsync_changes(&root.join("top"), &machine.out().join("top")), "");
}

#[test]
fn what_a_symlink_points_to_is_never_touched() {
    let machine = Machine::new();
    let sentinel = machine.path("sentinel");
    fs::write(&sentinel, "outside").unwrap();
    fs::set_permissions(&sentinel, fs::Permissions::from_mode(0o642)).unwrap();
    set_attribute(&sentinel, "user.sentinel", b"1");
    touch(&sentinel, 77, 77);
    let facts = |path: &Path| {
        let stat = path.metadata().unwrap();
        (
            stat.mode(),
            stat.uid(),
            stat.gid(),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
            stat.nlink(),
        )
    };
    let before = facts(&sentinel);
    let mut tree = small();
    let meta = tree.symlink("pointer", sentinel.as_os_str().as_encoded_bytes());
    (meta.owner, meta.group, meta.mode) = (7, 8, 0o777);
    meta.mtime.seconds = 5;
    if is_root() {
        meta.attributes = vec![extended("trusted.pointer", b"x")];
    }
    tree.link("pointer 2", "pointer");
    machine.lay(&ice_of(&tree));
    machine.restore().ends_with(if is_root() { 0 } else { 3 });
    let pointer = machine.out().join("pointer").symlink_metadata().unwrap();
    assert_eq!(pointer.mtime(), 5);
    assert_eq!(pointer.nlink(), 2);
    assert_eq!(facts(&sentinel), before);
    assert_eq!(fs::read(&sentinel).unwrap(), b"outside");
}

#[test]
fn a_name_of_no_meaning_that_the_host_had_too_is_restored() {
    let mut tree = Tree::default();
    for number in 0..3 {
        tree.file(format!(".firn-restoring-{number}"), format!("mine {number}"));
    }
    tree.file("z", "z");
    let machine = Machine::with(&ice_of(&tree));
    machine.restore().ends_with(0);
    assert_eq!(fs::read(machine.out().join(".firn-restoring-1")).unwrap(), b"mine 1");
    assert_eq!(fs::read_dir(machine.out()).unwrap().count(), 4);
}

#[test]
fn a_deep_tree_comes_back() {
    let mut tree = Tree::default();
    let mut path = "d".repeat(200);
    for _ in 0..60 {
        tree.folder(&path);
        path.push_str(&format!("/{}", "d".repeat(200)));
    }
    tree.file(&path, "deep");
    let machine = Machine::with(&ice_of(&tree));
    machine.restore().ends_with(0);
    machine.verify().ends_with(0);
    let mut folder =
        rustix::fs::open(machine.out(), rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    for component in path.split('/') {
        folder = rustix::fs::openat(folder, component, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty())
            .unwrap();
    }
    assert_eq!(rustix::fs::fstat(folder).unwrap().st_size, 4);
}

#[test]
fn a_file_whose_content_is_another_gets_no_name() {
    for (what, spoil) in [
        ("another", &(|content: &mut Vec<u8>| content[150_000] ^= 1) as &dyn Fn(&mut Vec<u8>)),
        ("another kind, size", &|content| content.push(0)),
        ("another kind, size", &|content| content.clear()),
    ] {
        let ice = ice_with(&small(), |names| {
            for name in names.iter_mut().filter(|name| name.path.ends_with("srv/data.bin")) {
                let What::File(content) = &mut name.what else { panic!() };
                spoil(content);
            }
        });
        let machine = Machine::with(&ice);
        let ran = machine.restore().ends_with(41).because(what);
        assert_eq!(ran.report["left_out"][0]["path"], "srv/data.bin");
        assert!(!machine.out().join("srv/data.bin").exists());
        // What is whole is restored all the same, the later name of the same file too, as its own copy in the image is good.
        assert_eq!(fs::read(machine.out().join("srv/data.link")).unwrap(), noise(300_000));
        assert_eq!(fs::read(machine.out().join("etc/hosts")).unwrap(), b"127.0.0.1 localhost\n");
        assert_eq!(fs::read_dir(machine.out().join("srv")).unwrap().count(), 2);
    }
}

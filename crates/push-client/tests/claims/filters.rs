//! What rules, tag files and mounts take and leave.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use push_client::push::Count;
use push_client::walk::{Mounts, Selection, Walker};
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::host::Host;
use crate::selection::Seen;
use crate::server::Server;

const SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886e3e1d7a\n# a cache";

fn pushed(host: &Host) -> (Vec<String>, u64) {
    let mut server = Server::new();
    let (_, account) = host.push(&mut server);
    let judged = server.newest(&[]);
    assert_eq!((account.left_out_count, judged.left_out), (0, 0), "{:?}", account.left_out);
    let paths = judged.paths().into_iter().map(|path| path.trim_start_matches("data").to_owned()).collect();
    (paths, account.get(Count::Excluded))
}

#[test]
fn rules_take_and_leave_in_their_order() {
    let mut host = Host::new();
    for path in
        ["a.o", "a.c", "x/keep.o", "u/.cache/big", "u/.cache/keep/small", "v/.cache/big", "logs/a", "w/logs"]
    {
        host.write(path, b"x");
    }
    host.more =
        "rules = ['- logs/', '+ keep.o', '- *.o', '+ /data/*/.cache/keep', '- /data/*/.cache']".to_owned();
    let (paths, excluded) = pushed(&host);
    let expected = [
        "",
        "/a.c",
        "/u",
        "/u/.cache",
        "/u/.cache/keep",
        "/u/.cache/keep/small",
        "/v",
        "/v/.cache",
        "/w",
        "/w/logs",
        "/x",
        "/x/keep.o",
    ];
    assert_eq!(paths, expected);
    // a.o, logs, and what lies beside the kept folder of each .cache.
    assert_eq!(excluded, 4);
    // Without rules all is there, and nothing is counted.
    host.more = String::new();
    let (paths, excluded) = pushed(&host);
    assert_eq!((paths.len(), excluded), (17, 0));
}

#[test]
fn a_rule_can_name_bytes_that_are_no_text() {
    let mut host = Host::new();
    for name in [b"a\xff".as_slice(), b"b\xff", b"\xc3\xa4"] {
        fs::write(host.path("").join(OsStr::from_bytes(name)), b"x").unwrap();
    }
    host.more = r"rules = ['- a\xff', '- ?']".to_owned();
    let (paths, excluded) = pushed(&host);
    assert_eq!((paths, excluded), (vec![String::new(), "/b\\xff".to_owned()], 2));
}

#[test]
fn a_root_is_taken_whatever_a_rule_or_a_tag_says_of_it() {
    let mut host = Host::new();
    host.write("cache/root.o/CACHEDIR.TAG", SIGNATURE);
    host.write("cache/root.o/file", b"x");
    host.write("cache/other", b"x");
    host.roots = vec!["/data", "/data/cache/root.o"];
    host.more = "exclude_caches = true\nrules = ['- cache', '- *.o']".to_owned();
    let (paths, excluded) = pushed(&host);
    assert_eq!(paths, ["", "/cache", "/cache/root.o", "/cache/root.o/CACHEDIR.TAG", "/cache/root.o/file"]);
    assert_eq!(excluded, 0, "of a folder on the way to a root nothing else is looked at");
}

#[test]
fn a_tagged_cache_is_left_out_only_if_asked_for_and_keeps_its_tag() {
    let mut host = Host::new();
    host.write("cache/CACHEDIR.TAG", SIGNATURE);
    host.write("cache/deep/file", b"x");
    assert_eq!(pushed(&host).0.len(), 5);
    host.more = "exclude_caches = true".to_owned();
    assert_eq!(
        pushed(&host),
        (vec![String::new(), "/cache".to_owned(), "/cache/CACHEDIR.TAG".to_owned()], 1)
    );
}

/// What is no signed file must not make a backup smaller, nor keep it waiting.
#[test]
fn a_tag_that_is_none_leaves_nothing_out() {
    let mut host = Host::new();
    host.write("good", SIGNATURE);
    for (folder, tag) in [
        ("short", &SIGNATURE[..42]),
        ("wrong", b"Signature: 8a477f597d28d172789f06886e3e1d7b\n"),
        ("empty", b""),
    ] {
        host.write(&format!("{folder}/CACHEDIR.TAG"), tag);
        host.write(&format!("{folder}/file"), b"x");
    }
    for folder in ["linked", "fifo", "folder/CACHEDIR.TAG"] {
        host.write(&format!("{folder}/file"), b"x");
    }
    symlink(host.path("good"), host.path("linked/CACHEDIR.TAG")).unwrap();
    mkfifoat(CWD, host.path("fifo/CACHEDIR.TAG"), Mode::from_raw_mode(0o644)).unwrap();
    host.more = "exclude_caches = true".to_owned();
    let (paths, excluded) = pushed(&host);
    assert_eq!((paths.iter().filter(|path| path.ends_with("/file")).count(), excluded), (6, 0));
}

#[test]
fn a_marker_leaves_out_what_lies_beside_it() {
    let mut host = Host::new();
    host.write("a/.nobackup", b"");
    host.write("a/file", b"x");
    host.write("b/.nobackup2", b"");
    host.more = "exclude_if_present = ['.nobackup']".to_owned();
    let (paths, excluded) = pushed(&host);
    assert_eq!(
        (paths, excluded),
        (["", "/a", "/a/.nobackup", "/b", "/b/.nobackup2"].map(str::to_owned).to_vec(), 1)
    );
}

#[test]
fn mounts_are_gone_into_if_asked_for_but_not_what_the_kernel_makes_up() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let is_mounted = |at: &str| mounts.lines().any(|line| line.split(' ').nth(1) == Some(at));
    if !is_mounted("/dev/pts") || !is_mounted("/dev/shm") {
        eprintln!(
            "SKIPPED: mounts_are_gone_into_if_asked_for_but_not_what_the_kernel_makes_up: nothing is mounted on /dev/pts or /dev/shm"
        );
        return;
    }
    let file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    let path = file.path().to_str().unwrap().trim_start_matches('/');
    let mut selection = Selection::default();
    selection.take(&[b"dev".to_vec()]);
    let seen = |selection: &Selection| {
        let mut seen = Seen::default();
        Walker::new(selection).unwrap().walk(&mut seen).unwrap();
        seen.found
    };
    assert!(!seen(&selection).iter().any(|found| found == path));
    selection.mounts = Mounts::Cross;
    let found = seen(&selection);
    assert!(found.iter().any(|found| found == path), "{path}");
    assert!(found.contains(&"dev/pts".to_owned()) && !found.iter().any(|path| path.starts_with("dev/pts/")));
}

#[test]
fn the_example_of_the_document_is_good_settings() {
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/filters.md")).unwrap();
    let example = document.split("```toml").nth(1).unwrap().split("```").next().unwrap();
    let own = Host::new().settings();
    let own = own.lines().filter(|line| !line.starts_with("roots") && !line.starts_with("exclude"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("push.toml");
    fs::write(&path, format!("{example}{}", own.collect::<Vec<_>>().join("\n"))).unwrap();
    push_client::plan::Plan::load(&path).unwrap();
}

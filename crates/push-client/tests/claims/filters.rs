//! What rules, tag files and mounts take and leave.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

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

fn is_mounted(at: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(at))
}

#[test]
fn mounts_are_gone_into_if_asked_for_but_not_what_the_kernel_makes_up() {
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

#[test]
fn exclude_test_names_what_decides_for_each_path() {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().canonicalize().unwrap().to_str().unwrap().to_owned();
    for path in [
        "data/a.c",
        "data/a.o",
        "data/cache/CACHEDIR.TAG",
        "data/cache/x/y",
        "data/off/z",
        "data/m/.nobackup",
        "data/m/n",
        "e",
    ] {
        fs::create_dir_all(Path::new(&top).join(path).parent().unwrap()).unwrap();
        fs::write(Path::new(&top).join(path), SIGNATURE).unwrap();
    }
    symlink("cache", Path::new(&top).join("data/link")).unwrap();
    let settings = format!(
        "rules = ['+ keep.o', '- *.o']\nexclude_caches = true\nexclude_if_present = ['.nobackup']\n\
         exclude = ['{top}/data/off']\n{}",
        crate::commands::settings(folder.path(), 1).replace("\"/etc\"", &format!("\"{top}/data\", \"/dev\"")),
    );
    let config = crate::commands::written(folder.path(), &settings);
    let cases = [
        ("data", "pushed", "root"),
        ("data/a.c", "pushed", "root"),
        ("data/a.o", "excluded", "rule \"- *.o\" matches"),
        ("data/cache", "pushed", "what it holds is not"),
        ("data/cache/CACHEDIR.TAG", "pushed", "root"),
        ("data/cache/x/y", "excluded", "data/cache has a signed CACHEDIR.TAG"),
        ("data/off/z", "excluded", "`exclude` names"),
        ("data/m/n", "excluded", "data/m holds a name of"),
        ("data/link/x", "left out", "data/link is a symbolic link"),
        ("data/nope/x", "not there", "data holds no such name"),
        ("e", "no root", "nothing in the settings"),
        ("", "folder", "only the folder itself"),
    ];
    let paths: Vec<String> = cases.iter().map(|(path, ..)| format!("{top}/{path}")).collect();
    let mut arguments = vec!["exclude-test", "--json", "--config", &config];
    arguments.extend(paths.iter().map(String::as_str));
    let output = crate::commands::run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", crate::commands::text(&output.stderr));
    let out = crate::commands::text(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    for (index, (path, word, why)) in cases.iter().enumerate() {
        let told = &report["details"]["paths"][index];
        assert_eq!(told["word"], *word, "{path}: {told}");
        assert!(told["why"].as_str().unwrap().contains(why), "{path}: {told}");
        assert!(out.lines().nth(index).unwrap().starts_with(word), "{out}");
    }
    assert_eq!(report["details"]["paths"][2]["rule"], "- *.o");
    assert_eq!((&report["counts"]["pushed"], &report["counts"]["not_pushed"]), (&5.into(), &7.into()));
    if is_mounted("/dev/pts") {
        let mount = crate::commands::run(&["exclude-test", "--config", &config, "/dev/pts/ptmx"]);
        let mount = crate::commands::text(&mount.stdout);
        assert!(mount.contains("another file system is mounted at /dev/pts"), "{mount}");
    }
}

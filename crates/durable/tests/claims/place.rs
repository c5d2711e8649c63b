use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use durable::{Dir, Linked, Name};

use crate::again::{again, folder, strace_works};
use crate::scratch::{name, scratch};

#[test]
fn rename_new_never_replaces_and_rename_over_does() {
    let s = scratch();
    let a = s.dir.make_dir(name("a"), 0o700).unwrap();
    let b = s.dir.make_dir(name("b"), 0o700).unwrap();
    fs::write(s.at("a/new"), "new").unwrap();
    fs::write(s.at("b/old"), "old").unwrap();

    assert!(a.rename_new(name("new"), &b, name("old")).unwrap_err().is_exists());
    assert_eq!(fs::read(s.at("b/old")).unwrap(), b"old");
    assert_eq!(fs::read(s.at("a/new")).unwrap(), b"new");

    a.rename_over(name("new"), &b, name("old")).unwrap();
    assert_eq!(fs::read(s.at("b/old")).unwrap(), b"new");
    assert!(!s.at("a/new").exists());

    fs::write(s.at("a/newer"), "newer").unwrap();
    a.rename_over_later(name("newer"), &b, name("old")).unwrap();
    assert_eq!((fs::read(s.at("b/old")).unwrap(), s.at("a/newer").exists()), (b"newer".to_vec(), false));
    fs::write(s.at("b/old"), "new").unwrap();

    fs::write(s.at("a/newer"), "newer").unwrap();
    assert!(a.rename_new_later(name("newer"), &b, name("old")).unwrap_err().is_exists());
    a.rename_new_later(name("newer"), &b, name("other")).unwrap();
    assert_eq!((fs::read(s.at("b/other")).unwrap(), s.at("a/newer").exists()), (b"newer".to_vec(), false));

    b.rename_new(name("old"), &a, name("fresh")).unwrap();
    assert_eq!(fs::read(s.at("a/fresh")).unwrap(), b"new");
}

#[test]
fn a_file_with_all_the_links_it_can_have_says_so() {
    let s = scratch();
    fs::write(s.at("file"), "x").unwrap();
    let links = s.dir.make_dir(name("links"), 0o700).unwrap();
    for count in 1..70_000 {
        let next = format!("{count}");
        match s.dir.link(name("file"), &links, Name::new(next.as_bytes()).unwrap()).unwrap() {
            Linked::Made => {}
            Linked::Full => {
                assert_eq!(fs::metadata(s.at("file")).unwrap().nlink(), count);
                println!("full at {count} names");
                return;
            }
        }
    }
    println!(
        "SKIPPED: a_file_with_all_the_links_it_can_have_says_so: no limit below 70,000 on this file system"
    );
}

#[test]
fn a_link_to_a_missing_or_taken_name_is_an_error_and_a_symlink_is_linked_itself() {
    let s = scratch();
    fs::write(s.at("file"), "x").unwrap();
    symlink("file", s.at("soft")).unwrap();
    assert!(s.dir.link(name("none"), &s.dir, name("two")).unwrap_err().is_not_found());
    assert!(s.dir.link(name("file"), &s.dir, name("soft")).unwrap_err().is_exists());
    assert_eq!(s.dir.link(name("soft"), &s.dir, name("hard")).unwrap(), Linked::Made);
    assert!(fs::symlink_metadata(s.at("hard")).unwrap().is_symlink());
}

#[test]
fn a_symlink_stores_any_bytes_as_they_are() {
    let s = scratch();
    for (link, target) in
        [("a", &b"/etc/shadow"[..]), ("b", b"../../x"), ("c", b"\xff\n"), ("d", &[b't'; 4095])]
    {
        s.dir.symlink(target, name(link)).unwrap();
        assert_eq!(s.dir.read_link(name(link)).unwrap(), target);
    }
    assert!(s.dir.symlink(b"x", name("a")).unwrap_err().is_exists());
    for bad in [&b""[..], b"a\0b", &[b't'; 4096]] {
        assert!(s.dir.symlink(bad, name("bad")).is_err());
    }
}

#[test]
fn a_rename_brings_both_folders_to_the_disk_the_target_first() {
    const TEST: &str = "place::a_rename_brings_both_folders_to_the_disk_the_target_first";
    if let Some(folder) = folder() {
        let root = Dir::open_root(&folder).unwrap();
        let (a, b) = (root.open_dir(name("a")).unwrap(), root.open_dir(name("b")).unwrap());
        return a.rename_new(name("file"), &b, name("file")).unwrap();
    }
    if !strace_works() {
        println!("SKIPPED: {TEST}: no strace here");
        return;
    }
    let s = scratch();
    fs::create_dir(s.at("a")).unwrap();
    fs::create_dir(s.at("b")).unwrap();
    fs::write(s.at("a/file"), "x").unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let strace = ["strace", "-f", "-y", "-o", log.path().to_str().unwrap(), "-e", "trace=fsync,renameat2"];
    assert!(again(&strace, TEST, s.path()).output().unwrap().status.success());
    let trace = fs::read_to_string(log.path()).unwrap();
    let steps = ["renameat2(", "/b>)", "/a>)"];
    let seen: Vec<_> =
        trace.lines().filter_map(|line| steps.into_iter().find(|step| line.contains(step))).collect();
    assert_eq!(seen, steps, "{trace}");
}

#[test]
fn a_symbolic_link_takes_the_place_of_a_link_or_file_in_one_step_and_never_of_a_folder() {
    let s = scratch();
    fs::write(s.at("file"), "x").unwrap();
    fs::create_dir(s.at("folder")).unwrap();
    for taken in ["none", "file"] {
        for target in ["one", "two"] {
            s.dir.replace_symlink(target.as_bytes(), name(taken)).unwrap();
            assert_eq!(fs::read_link(s.at(taken)).unwrap().to_str(), Some(target));
        }
    }
    s.dir.replace_symlink(b"one", name("folder")).unwrap_err();
    assert!(s.at("folder").is_dir());
    assert_eq!(s.dir.names().unwrap(), [&b"file"[..], b"folder", b"none"], "nothing unfinished is left");
}

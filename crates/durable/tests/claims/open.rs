use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::Command;

use durable::{Dir, FileKind};

use crate::scratch::{name, scratch};

#[test]
fn a_symlink_swapped_in_as_a_folder_is_refused() {
    let s = scratch();
    fs::create_dir_all(s.at("inside/sub")).unwrap();
    fs::create_dir_all(s.at("outside/sub")).unwrap();
    fs::write(s.at("inside/sub/file"), "ours").unwrap();
    fs::write(s.at("outside/sub/file"), "theirs").unwrap();
    let inside = s.dir.open_dir(name("inside")).unwrap();
    assert!(inside.open_read_beneath(b"sub/file").is_ok());

    fs::remove_dir_all(s.at("inside/sub")).unwrap();
    symlink(s.at("outside/sub"), s.at("inside/sub")).unwrap();

    assert!(inside.open_beneath(b"sub").unwrap_err().is_escape());
    assert!(inside.open_read_beneath(b"sub/file").unwrap_err().is_escape());
    assert!(inside.open_dir(name("sub")).unwrap_err().is_escape());
    // Without the guard: a plain open walks out.
    assert_eq!(fs::read(s.at("inside/sub/file")).unwrap(), b"theirs");
}

#[test]
fn a_relative_symlink_that_stays_inside_is_refused_too() {
    let s = scratch();
    fs::create_dir_all(s.at("a/b")).unwrap();
    symlink("b", s.at("a/link")).unwrap();
    assert!(s.dir.open_beneath(b"a/link").unwrap_err().is_escape());
    assert!(s.at("a/link").is_dir(), "control: a plain walk follows it");
}

#[test]
fn dots_slashes_and_nul_never_reach_the_kernel() {
    let s = scratch();
    fs::create_dir_all(s.at("a/b")).unwrap();
    for bad in
        [&b""[..], b"/", b"/etc", b"a/", b"/a", b"a//b", b".", b"..", b"a/..", b"a/./b", b"a/../a", b"a\0"]
    {
        let error = s.dir.open_beneath(bad).unwrap_err();
        assert_eq!(error.step(), durable::Step::Name, "{}", bad.escape_ascii());
    }
    assert!(s.dir.open_beneath(b"a/b").is_ok(), "control");
}

#[test]
fn a_folder_deeper_than_the_longest_path_is_reached() {
    let s = scratch();
    let component = [b'x'; 200];
    let mut here = s.dir.try_clone().unwrap();
    for _ in 0..40 {
        here = here.make_dir(durable::Name::new(&component).unwrap(), 0o700).unwrap();
    }
    here.create_new(name("file"), 0o600).unwrap().write_all(b"deep").unwrap();
    let mut path = vec![&component[..]; 40].join(&b'/');
    assert!(path.len() > 4096);
    assert!(s.dir.open_beneath(&path).is_ok());
    path.extend_from_slice(b"/file");
    let mut read = String::new();
    s.dir.open_read_beneath(&path).unwrap().read_to_string(&mut read).unwrap();
    assert_eq!(read, "deep");
    s.dir.remove_tree(durable::Name::new(&component).unwrap()).unwrap();
}

#[test]
fn only_regular_files_are_opened_and_a_fifo_does_not_block() {
    let s = scratch();
    assert!(Command::new("mkfifo").arg(s.at("fifo")).status().unwrap().success());
    fs::create_dir(s.at("folder")).unwrap();
    fs::write(s.at("file"), "x").unwrap();
    symlink("file", s.at("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(s.at("socket")).unwrap();
    for other in ["fifo", "folder", "link", "socket"] {
        assert!(s.dir.open_read(name(other)).is_err(), "{other} was opened");
        assert!(s.dir.open_read_write(name(other)).is_err(), "{other} was opened for writing");
    }
    let dev = Dir::open_root("/dev".as_ref()).unwrap();
    assert!(dev.open_read(name("null")).is_err(), "a device was opened");
    assert!(s.dir.open_read(name("file")).is_ok());
    assert!(s.dir.open_read_write(name("file")).is_ok());
}

#[test]
fn create_new_never_writes_through_a_link_or_over_a_file() {
    let s = scratch();
    symlink("victim", s.at("trap")).unwrap();
    fs::write(s.at("file"), "old").unwrap();
    assert!(s.dir.create_new(name("trap"), 0o600).unwrap_err().is_exists());
    assert!(s.dir.create_new(name("file"), 0o600).unwrap_err().is_exists());
    assert!(!s.at("victim").exists());
    assert_eq!(fs::read(s.at("file")).unwrap(), b"old");
    // Without the guard: a plain create makes the link's target.
    fs::write(s.at("trap"), "x").unwrap();
    assert!(s.at("victim").exists());
}

#[test]
fn a_root_given_by_a_relative_path_or_a_link_is_refused() {
    let s = scratch();
    fs::create_dir(s.at("real")).unwrap();
    symlink("real", s.at("link")).unwrap();
    assert!(Dir::open_root("relative".as_ref()).is_err());
    assert!(Dir::open_root(&s.at("link")).is_err());
    assert!(Dir::open_root(&s.at("real")).is_ok());
}

#[test]
fn names_come_sorted_as_raw_bytes_and_bounded() {
    let s = scratch();
    for raw in [&b"b"[..], b"a", b"\xff\xfe", b".hidden", b"new\nline"] {
        s.dir.create_new(durable::Name::new(raw).unwrap(), 0o600).unwrap();
    }
    let all: [&[u8]; 5] = [b".hidden", b"a", b"b", b"new\nline", b"\xff\xfe"];
    assert_eq!(s.dir.names().unwrap(), all);
    assert_eq!(s.dir.names_at_most(5).unwrap(), all);
    assert_eq!(s.dir.names_at_most(4).unwrap_err().step(), durable::Step::List);
}

#[test]
fn facts_are_of_the_link_and_not_of_what_it_names() {
    let s = scratch();
    fs::write(s.at("file"), "12345").unwrap();
    symlink("file", s.at("link")).unwrap();
    let file = s.dir.stat(name("file")).unwrap();
    let link = s.dir.stat(name("link")).unwrap();
    assert_eq!((file.kind, file.size, file.links), (FileKind::File, 5, 1));
    assert_eq!((link.kind, link.size), (FileKind::Symlink, 4));
    assert!(!file.is_same_file(&link));
    assert_eq!(s.dir.read_link(name("link")).unwrap(), b"file");
    assert!(s.dir.stat(name("none")).unwrap_err().is_not_found());
    assert!(s.dir.free_bytes().unwrap() > 0);
}

#[test]
fn make_dir_or_open_makes_once_and_refuses_what_is_no_folder() {
    let s = scratch();
    s.dir.make_dir_or_open(name("d"), 0o750).unwrap().create_new(name("in"), 0o600).unwrap();
    assert_eq!(s.dir.make_dir_or_open(name("d"), 0o750).unwrap().names().unwrap(), [b"in"]);
    symlink("d", s.at("link")).unwrap();
    assert!(s.dir.make_dir_or_open(name("link"), 0o750).is_err());
    assert!(s.dir.make_dir(name("d"), 0o750).unwrap_err().is_exists());
    let d = s.dir.open_dir(name("d")).unwrap();
    d.set_mode(0o2750).unwrap();
    assert_eq!(s.dir.stat(name("d")).unwrap().mode, 0o2750);
}

//! All that a file system can hold, as literal trees.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use formats::{Attribute, Body, Kind, Mtime, Tag};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};

use crate::host::{Host, noise, root};
use crate::server::Server;

#[test]
fn every_kind_of_inode_is_kept_as_it_is() {
    let (host, mut server) = (Host::new(), Server::new());
    let file = host.write("file", b"hello");
    host.write("empty", b"");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4751)).unwrap();
    fs::create_dir(host.path("folder")).unwrap();
    fs::set_permissions(host.path("folder"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("/nowhere/at all", host.path("link")).unwrap();
    mknodat(CWD, host.path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(host.path("socket")).unwrap();
    if root() {
        mknodat(CWD, host.path("null"), FileType::CharacterDevice, Mode::RUSR, makedev(1, 3)).unwrap();
        mknodat(CWD, host.path("disk"), FileType::BlockDevice, Mode::RUSR, makedev(259, 70_000)).unwrap();
    } else {
        eprintln!("skipped: devices, which only root can make");
    }
    let (_, account) = host.push(&mut server);
    let judged = server.newest(&[]);
    assert_eq!(account.left_out, []);
    assert_eq!(judged.content("data/file"), b"hello");
    assert_eq!(judged.content("data/empty"), b"");
    let meta = &judged.node("data/file").meta;
    let now = fs::metadata(&file).unwrap();
    assert_eq!((meta.mode, meta.owner, meta.group, meta.links), (0o4751, now.uid(), now.gid(), 1));
    assert_eq!(meta.mtime, Mtime { seconds: now.mtime(), nanos: now.mtime_nsec() as u32 });
    assert_eq!(judged.node("data/folder").kind, Kind::Folder);
    assert_eq!(judged.node("data/folder").meta.mode, 0o1777);
    assert_eq!(judged.node("data/link").kind, Kind::Symlink { target: b"/nowhere/at all".to_vec() });
    assert_eq!(judged.node("data/fifo").kind, Kind::Fifo);
    assert_eq!(judged.node("data/socket").kind, Kind::Socket);
    if root() {
        assert_eq!(judged.node("data/null").kind, Kind::CharDevice { major: 1, minor: 3 });
        assert_eq!(judged.node("data/disk").kind, Kind::BlockDevice { major: 259, minor: 70_000 });
    }
    if root() {
        let owner = meta.attributes.iter().find(|a| a.tag == Tag::OwnerName).unwrap();
        assert_eq!(owner.value, b"root");
    }
}

#[test]
fn a_later_name_of_an_inode_is_a_link_to_its_first() {
    let (host, mut server) = (Host::new(), Server::new());
    let first = host.write("b/first", b"shared");
    fs::create_dir_all(host.path("c")).unwrap();
    fs::hard_link(&first, host.path("c/second")).unwrap();
    fs::hard_link(&first, host.path("third")).unwrap();
    let outside = host.write("outside", b"partner elsewhere");
    fs::hard_link(&outside, host.top().join("not-pushed")).unwrap();
    symlink("target", host.path("s1")).unwrap();
    rustix::fs::linkat(CWD, host.path("s1"), CWD, host.path("s2"), rustix::fs::AtFlags::empty()).unwrap();
    host.push(&mut server);
    let judged = server.newest(&[]);
    assert_eq!(judged.node("data/b/first").meta.links, 3);
    for later in ["data/c/second", "data/third"] {
        let Body::Link(to) = &judged.entry(later).unwrap().body else { panic!("{later} is no link") };
        assert_eq!(to.as_bytes(), b"data/b/first");
    }
    assert_eq!(judged.node("data/outside").meta.links, 2);
    let Body::Link(to) = &judged.entry("data/s2").unwrap().body else { panic!("s2 is no link") };
    assert_eq!(to.as_bytes(), b"data/s1");
    assert_eq!(judged.contents_count, 2);
}

#[test]
fn extended_attributes_and_acls_are_kept() {
    let (host, mut server) = (Host::new(), Server::new());
    let file = host.write("file", b"x");
    lsetxattr(&file, "user.note", b"\0binary\xff", XattrFlags::empty()).unwrap();
    lsetxattr(&file, "user.big", &noise(1, 3_000), XattrFlags::empty()).unwrap();
    lsetxattr(host.path(""), "user.on-folder", b"1", XattrFlags::empty()).unwrap();
    // Version 2; user::rw- user:7:r-- group::r-- mask::r-- other::---, as the kernel encodes it.
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, bits, id) in
        [(1u16, 6u16, u32::MAX), (2, 4, 7), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]
    {
        acl.extend_from_slice(&tag.to_le_bytes());
        acl.extend_from_slice(&bits.to_le_bytes());
        acl.extend_from_slice(&id.to_le_bytes());
    }
    lsetxattr(&file, "system.posix_acl_access", &acl, XattrFlags::empty()).unwrap();
    if root() {
        std::os::unix::fs::symlink("x", host.path("link")).unwrap();
        lsetxattr(host.path("link"), "security.firn-test", b"2", XattrFlags::empty()).unwrap();
    }
    let (_, account) = host.push(&mut server);
    assert_eq!(account.left_out, []);
    let judged = server.newest(&[]);
    let extended = |path: &str| -> Vec<(String, Vec<u8>)> {
        let attributes: &[Attribute] = &judged.node(path).meta.attributes;
        attributes
            .iter()
            .filter(|a| a.tag == Tag::Extended)
            .map(|a| (String::from_utf8(a.name.clone()).unwrap(), a.value.clone()))
            .collect()
    };
    assert_eq!(
        extended("data/file"),
        [
            ("system.posix_acl_access".to_owned(), acl),
            ("user.big".to_owned(), noise(1, 3_000)),
            ("user.note".to_owned(), b"\0binary\xff".to_vec()),
        ]
    );
    assert_eq!(extended("data"), [("user.on-folder".to_owned(), b"1".to_vec())]);
    if root() {
        assert_eq!(extended("data/link"), [("security.firn-test".to_owned(), b"2".to_vec())]);
    }
}

#[test]
fn the_walk_keeps_the_order_of_manifests_whatever_the_names_are() {
    let (host, mut server) = (Host::new(), Server::new());
    for name in ["a/z", "a!", "a-b", "a b", "a/b/c", "ab", "\u{1}", "a\n", "é", "z/\u{fffd}", "..."] {
        host.write(name, name.as_bytes());
    }
    let raw = std::ffi::OsStr::from_bytes(b"\xff\xfe not utf-8");
    fs::write(host.path("").join(raw), b"raw").unwrap();
    let longest = "n".repeat(255);
    host.write(&longest, b"long");
    let (_, account) = host.push(&mut server);
    // A manifest out of order would not have been written, and is judged again here.
    let judged = server.newest(&[]);
    assert_eq!(account.left_out, []);
    assert_eq!(judged.entries.len(), 1 + 11 + 3 + 2);
    assert!(judged.entries.windows(2).all(|pair| pair[0].path < pair[1].path));
}

#[test]
fn a_deep_tree_is_walked_to_its_end() {
    let (host, mut server) = (Host::new(), Server::new());
    let depth = 200;
    let below = vec!["d"; depth].join("/");
    host.write(&format!("{below}/leaf"), b"deep");
    let (_, account) = host.push(&mut server);
    assert_eq!(account.left_out, []);
    assert_eq!(server.newest(&[]).entries.len(), depth + 2);
}

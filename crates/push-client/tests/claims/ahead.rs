//! The walk goes ahead: what changes between its look and the reading.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;

use formats::{HostId, Kind};
use push_client::push::{Count, PushError};

use crate::host::{Host, noise};
use crate::server::Server;

#[test]
fn what_is_replaced_after_the_walks_look_is_pushed_as_what_it_is_by_then() {
    let (host, mut server) = (Host::new(), Server::new());
    for name in ["file", "file-then-folder", "gone", "still"] {
        host.write(name, name.as_bytes());
    }
    symlink("nowhere", host.path("link")).unwrap();
    let (_, account) = host.push_changed(&mut server, || {
        for name in ["file", "file-then-folder", "gone", "link"] {
            fs::remove_file(host.path(name)).unwrap();
        }
        symlink("elsewhere", host.path("file")).unwrap();
        host.write("link", b"a file by now");
        fs::create_dir(host.path("file-then-folder")).unwrap();
    });
    let judged = server.newest(&[]);
    assert_eq!(judged.paths(), ["data", "data/file", "data/link", "data/still"]);
    let target = b"elsewhere".to_vec();
    assert_eq!(judged.node("data/file").kind, Kind::Symlink { target });
    assert_eq!(judged.content("data/link"), b"a file by now");
    assert_eq!(account.get(Count::Vanished), 1);
    let [(path, why)] = &account.left_out[..] else { panic!("{:?}", account.left_out) };
    assert!(path.ends_with(b"file-then-folder") && why.contains("replaced by a folder"), "{path:?}: {why}");
}

#[test]
fn a_long_file_that_grew_after_the_walks_look_is_read_once() {
    let (host, mut server) = (Host::new(), Server::new());
    let long = host.write("long", &noise(1, 3_000_000));
    let more = noise(2, 1_000_000);
    let (_, account) = host.push_changed(&mut server, || {
        fs::OpenOptions::new().append(true).open(&long).unwrap().write_all(&more).unwrap();
    });
    assert_eq!(account.get(Count::ReadBytes), 4_000_000);
    assert_eq!(server.newest(&[]).content("data/long").len(), 4_000_000);
    assert!(account.left_out.is_empty(), "{:?}", account.left_out);
}

#[test]
fn a_push_that_ends_early_has_let_go_of_all_folders() {
    let (host, mut server) = (Host::new(), Server::new());
    for folder in 0..300 {
        fs::create_dir_all(host.path(&format!("{folder}/below"))).unwrap();
    }
    server.published.host = HostId::parse("another").unwrap();
    let (refused, _) = host.push_at(&mut server, 10);
    assert!(matches!(refused, Err(PushError::WrongHost { .. })), "{refused:?}");
    let fds = fs::read_dir("/proc/self/fd").unwrap();
    let mut held = fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let data = host.path("0").parent().unwrap().to_owned();
    assert_eq!(held.find(|path| path.starts_with(&data)), None);
}

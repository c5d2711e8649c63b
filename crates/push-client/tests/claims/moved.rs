//! What only got another name, or a second one, is named in the push and not sent.

use std::fs;

use formats::ContentHash;
use push_client::push::Count;

use crate::host::{Host, noise};
use crate::judge::Files;
use crate::server::Server;
use crate::unchanged::accepted;

/// More than is held in memory while it is hashed.
const LONG: usize = 3 << 20;

#[test]
fn a_renamed_folder_costs_its_entries_alone() {
    const FILES: u64 = 300;
    let (host, mut server) = (Host::new(), Server::new());
    for n in 0..FILES {
        host.write(&format!("old/folder/{n}"), &noise(n + 1, 10_000));
    }
    host.push_accepted(&mut server);
    let base = accepted(&host);
    fs::rename(host.path("old"), host.path("new")).unwrap();
    let (_, account) = host.push(&mut server);
    let judged = server.newest(&base);
    assert_eq!(judged.contents_count, 0);
    assert_eq!(judged.entries.len(), base.len());
    assert_eq!((account.get(Count::ReadFiles), account.get(Count::SentContents)), (FILES, 0));
    let bytes = account.get(Count::SentBytes) / FILES;
    println!("renamed: {bytes} bytes a file");
    assert!(bytes < 200, "{bytes} bytes a file");
}

#[test]
fn a_copy_is_not_sent_again() {
    let (host, mut server) = (Host::new(), Server::new());
    let path = host.write("file", &noise(1, 50_000));
    host.push_accepted(&mut server);
    let base = accepted(&host);
    fs::copy(path, host.path("copy")).unwrap();
    host.write("new", &noise(2, 50_000));
    host.push(&mut server);
    let judged = server.newest(&base);
    assert_eq!(judged.contents.keys().collect::<Vec<_>>(), [&ContentHash::of(&noise(2, 50_000))]);
}

#[test]
fn a_long_file_under_another_name_is_not_sent_again() {
    let (host, mut server) = (Host::new(), Server::new());
    host.write("log", &noise(1, LONG));
    host.push_accepted(&mut server);
    let base = accepted(&host);
    fs::rename(host.path("log"), host.path("log.1")).unwrap();
    // As logs are rotated: another file has the name now.
    host.write("log", &noise(2, LONG));
    host.push(&mut server);
    let judged = server.newest_with(&base, &Files::from([("data/log", noise(1, LONG))]));
    assert_eq!(judged.contents.keys().collect::<Vec<_>>(), [&ContentHash::of(&noise(2, LONG))]);
    assert_eq!(judged.content("data/log"), noise(2, LONG));
}

#[test]
fn a_long_file_that_was_renamed_and_changed_is_sent() {
    let (host, mut server) = (Host::new(), Server::new());
    host.write("a", &noise(1, LONG));
    host.push_accepted(&mut server);
    let base = accepted(&host);
    fs::rename(host.path("a"), host.path("b")).unwrap();
    host.write("b", &noise(2, LONG));
    host.push(&mut server);
    let files = Files::from([("data/a", noise(1, LONG))]);
    assert_eq!(server.newest_with(&base, &files).content("data/b"), noise(2, LONG));
}

#[test]
fn what_the_server_wants_again_is_sent_under_its_new_name_too() {
    for length in [50_000, LONG] {
        let (host, mut server) = (Host::new(), Server::new());
        host.write("a", &noise(1, length));
        host.push_accepted(&mut server);
        let base = accepted(&host);
        fs::rename(host.path("a"), host.path("b")).unwrap();
        server.want(ContentHash::of(&noise(1, length)));
        host.push(&mut server);
        assert_eq!(server.newest(&base).content("data/b"), noise(1, length));
    }
}

#[test]
fn a_long_log_that_was_rotated_twice_is_not_sent_again() {
    let (host, mut server) = (Host::new(), Server::new());
    for (name, seed) in [("log", 1), ("log.1", 2)] {
        host.write(name, &noise(seed, LONG));
    }
    host.push_accepted(&mut server);
    let base = accepted(&host);
    fs::rename(host.path("log.1"), host.path("log.2")).unwrap();
    fs::rename(host.path("log"), host.path("log.1")).unwrap();
    let (_, account) = host.push(&mut server);
    assert_eq!(server.newest(&base).contents_count, 0);
    assert!(account.get(Count::SentBytes) < 2_000);
}

//! Of a long file that changed, only what is new is sent.

use std::fs;
use std::os::unix::fs::FileExt;

use push_client::push::Count;

use crate::host::{Host, names, noise};
use crate::judge::Files;
use crate::server::Server;
use crate::unchanged::{accepted, kept};

const LENGTH: usize = 8 << 20;
const BLOCK: usize = 64 << 10;

/// A host whose `data/old` is accepted.
fn host(old: &[u8]) -> (Host, Server, Files) {
    let (host, mut server) = (Host::new(), Server::new());
    host.write("old", old);
    host.push_accepted(&mut server);
    (host, server, Files::from([("data/old", old.to_vec())]))
}

/// Pushes `new` under the name that `old` had, and tells how many bytes were sent.
fn pushed(old: &[u8], new: &[u8]) -> u64 {
    let (host, mut server, files) = host(old);
    let base = accepted(&host);
    host.write("old", new);
    let (_, account) = host.push(&mut server);
    assert!(server.newest_with(&base, &files).content("data/old") == new, "another content");
    account.get(Count::SentBytes)
}

#[test]
fn a_change_in_place_costs_its_blocks() {
    let old = noise(1, LENGTH);
    let mut new = old.clone();
    for place in [0, 3 * BLOCK + 5, LENGTH - 1] {
        new[place] ^= 1;
    }
    let bytes = pushed(&old, &new);
    println!("3 blocks changed: {bytes} bytes");
    assert!(bytes < 3 * BLOCK as u64 + 5_000, "{bytes}");
}

#[test]
fn what_is_inserted_or_taken_out_costs_the_chunks_around_it() {
    let old = noise(2, LENGTH);
    let inserted = [&noise(3, 1_024), old.as_slice()].concat();
    let within = [&old[..5_000_000], &noise(4, 100), &old[5_000_000..]].concat();
    let removed = [&old[..1_000_000], &old[1_000_001..]].concat();
    for (what, new) in [("in front", inserted), ("within", within), ("taken out", removed)] {
        let bytes = pushed(&old, &new);
        println!("{what}: {bytes} bytes");
        assert!(bytes < 400_000, "{what}: {bytes}");
    }
}

#[test]
fn a_longer_or_shorter_file_costs_its_end() {
    let old = noise(5, LENGTH);
    let bytes = pushed(&old, &[&old, &noise(6, 3_000)[..]].concat());
    assert!(bytes < 300_000, "longer: {bytes}");
    let bytes = pushed(&old, &old[..LENGTH - 3_000]);
    assert!(bytes < 300_000, "shorter: {bytes}");
}

#[test]
fn a_file_of_which_nothing_is_left_is_sent() {
    let bytes = pushed(&noise(7, LENGTH), &noise(8, LENGTH));
    assert!(bytes > LENGTH as u64);
    // And one that had long runs of the same: pieces that equal each other.
    let zeros = vec![0; LENGTH];
    assert!(pushed(&zeros, &noise(9, LENGTH)) > LENGTH as u64);
    assert!(pushed(&noise(9, LENGTH), &zeros) < 10_000);
    let ends = [&noise(10, 100_000), &zeros[..3_000_000], &noise(11, 100_000)].concat();
    assert!(pushed(&zeros, &ends) < 600_000);
}

/// 40 files, each changed in up to five places by what was there before, by noise and by zeros.
#[test]
fn whatever_was_changed_the_server_makes_the_same_bytes() {
    let mut random = noise(12, 40 * 5 * 32).into_iter();
    let mut number = |below: usize| {
        let bytes: Vec<u8> = random.by_ref().take(8).collect();
        (u64::from_le_bytes(bytes.try_into().unwrap()) % below as u64) as usize
    };
    for round in 0..40 {
        let old = noise(100 + round, 1_100_000 + number(900_000));
        let mut new = old.clone();
        for _ in 0..number(6) {
            let at = number(new.len());
            let end = (at + number(200_000)).min(new.len());
            let by = match number(4) {
                0 => Vec::new(),
                1 => noise(round + 7, number(100_000)),
                2 => vec![0; number(300_000)],
                _ => old[number(old.len())..].to_vec(),
            };
            new.splice(at..end, by);
        }
        // What is the same is not in the push.
        if new != old {
            pushed(&old, &new);
        }
    }
}

#[test]
fn a_file_that_was_renamed_and_changed_is_still_known() {
    let old = noise(13, LENGTH);
    let (host, mut server, files) = host(&old);
    let base = accepted(&host);
    fs::rename(host.path("old"), host.path("renamed")).unwrap();
    let file = fs::File::options().write(true).open(host.path("renamed")).unwrap();
    file.write_all_at(b"changed", 70_000).unwrap();
    let (_, account) = host.push(&mut server);
    let mut new = old;
    new[70_000..70_007].copy_from_slice(b"changed");
    assert!(server.newest_with(&base, &files).content("data/renamed") == new);
    assert!(account.get(Count::SentBytes) < BLOCK as u64 + 5_000);
}

#[test]
fn a_copy_of_a_long_file_costs_its_entry() {
    let (host, mut server, files) = host(&noise(14, LENGTH));
    let base = accepted(&host);
    fs::copy(host.path("old"), host.path("copy")).unwrap();
    let (_, account) = host.push(&mut server);
    assert_eq!(server.newest_with(&base, &files).contents_count, 0);
    assert!(account.get(Count::SentBytes) < 2_000);
}

/// Changes the byte at `place` of `old` and pushes it, as accepted. Tells how many bytes were sent.
fn changed_at(place: usize, host: &Host, server: &mut Server, files: &mut Files) -> u64 {
    let base = kept(host, server.published.base.unwrap());
    let mut new = fs::read(host.path("old")).unwrap();
    new[place] ^= 1;
    host.write("old", &new);
    let (_, account) = host.push_accepted_with(server, &base, files);
    files.insert("data/old", new);
    account.get(Count::SentBytes)
}

/// The lists are made anew by the next push, so it happens once.
#[test]
fn without_its_lists_a_changed_file_is_sent_whole_once() {
    for damage in ["lost", "torn"] {
        let old = noise(15, LENGTH);
        let (host, mut server, mut files) = host(&old);
        let lists = host.state_path().join("pieces");
        let [list] = names(&lists).try_into().unwrap();
        match damage {
            "lost" => fs::remove_file(lists.join(list)).unwrap(),
            _ => fs::write(lists.join(list), b"firn.pcs").unwrap(),
        }
        for (round, bytes_max) in [(0, u64::MAX), (1, BLOCK as u64 + 5_000)] {
            let bytes = changed_at(round, &host, &mut server, &mut files);
            assert!(bytes < bytes_max && (round > 0 || bytes > LENGTH as u64), "{damage} {round}: {bytes}");
        }
    }
}

/// Of lists of an earlier version the chunks are still known, so it costs those around the change; the new lists know the blocks.
#[test]
fn with_lists_of_version_1_a_changed_file_costs_chunks_once() {
    let (host, mut server, mut files) = host(&noise(18, LENGTH));
    let lists = host.state_path().join("pieces");
    let [list] = names(&lists).try_into().unwrap();
    let mut bytes = fs::read(lists.join(&list)).unwrap();
    assert_eq!(bytes[8], 2);
    bytes[8] = 1;
    let body = bytes.len() - 32;
    let check = blake3::hash(&bytes[..body]);
    bytes[body..].copy_from_slice(check.as_bytes());
    fs::write(lists.join(list), bytes).unwrap();
    for (round, bytes_max) in [(0, 300_000), (1, BLOCK as u64 + 5_000)] {
        let bytes = changed_at(round, &host, &mut server, &mut files);
        assert!(bytes < bytes_max, "{round}: {bytes}");
    }
}

#[test]
fn lists_of_contents_that_are_gone_are_not_kept() {
    let (host, mut server, _) = host(&noise(16, LENGTH));
    let lists = host.state_path().join("pieces");
    let first = names(&lists);
    assert_eq!(first.len(), 1);
    host.write("old", &noise(17, LENGTH));
    host.push_accepted(&mut server);
    // The base's are kept until the next push has one of its own.
    assert_eq!(names(&lists).len(), 2);
    host.write("small", b"small");
    host.push_accepted(&mut server);
    let now = names(&lists);
    assert!(now.len() == 1 && now != first, "{now:?}");
    fs::remove_file(host.path("old")).unwrap();
    host.push_accepted(&mut server);
    assert_eq!(names(&lists), [""; 0]);
}

//! What was not touched is not read; whatever was is.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use formats::{Change, ContentHash};
use push_client::push::{Count, Phase};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use crate::host::{Host, noise};
use crate::judge::{Files, content};
use crate::server::Server;

fn tree() -> Host {
    let host = Host::new();
    host.write("a", b"one");
    host.write("b/c", b"two");
    fs::hard_link(host.path("a"), host.path("b/a2")).unwrap();
    std::os::unix::fs::symlink("x", host.path("link")).unwrap();
    host
}

#[test]
fn an_untouched_tree_is_taken_over_without_a_look_inside() {
    let (host, mut server) = (tree(), Server::new());
    host.push_accepted(&mut server);
    let (outcome, account) = host.push(&mut server);
    assert!(!account.spent(Phase::Walk).is_zero(), "the time of the walk is counted");
    assert_eq!(outcome.base, Some(outcome.root));
    assert_eq!(account.get(Count::ReadFiles), 0);
    assert_eq!(account.get(Count::Changes), 0);
    // All but the second name of a hard link, which is written anew each time.
    assert_eq!(account.get(Count::Unchanged), account.get(Count::Entries) - 1);
}

#[test]
fn a_touch_within_the_clocks_grain_is_read_again() {
    let (host, mut server) = (tree(), Server::new());
    let (first, _) = host.push_at(&mut server, 0);
    let first = first.unwrap();
    server.judge(first.push, formats::published::Verdict::Accepted { root: first.root });
    // Everything was made less than two seconds before that push began.
    let (second, account) = host.push(&mut server);
    assert_eq!(account.get(Count::ReadFiles), 2);
    assert_eq!(second.root, first.root);
    server.judge(second.push, formats::published::Verdict::Accepted { root: second.root });
    // Now it is settled, in the stamps too.
    let (_, account) = host.push(&mut server);
    assert_eq!(account.get(Count::ReadFiles), 0);
}

#[test]
fn a_change_that_hides_its_time_and_size_is_found() {
    let (host, mut server) = (tree(), Server::new());
    host.push_accepted(&mut server);
    let base = accepted(&host);
    let before = fs::metadata(host.path("b/c")).unwrap();
    fs::write(host.path("b/c"), b"TWO").unwrap();
    reset_times(&host.path("b/c"), &before);
    let (_, account) = host.push(&mut server);
    let judged = server.newest(&base);
    assert_eq!(judged.content("data/b/c"), b"TWO");
    assert_eq!(account.get(Count::ReadFiles), 1);
    assert_eq!(account.get(Count::Changes), 1);
}

#[test]
fn a_change_of_mode_is_a_change_and_a_removal_too() {
    let (host, mut server) = (tree(), Server::new());
    host.push_accepted(&mut server);
    let base = accepted(&host);
    fs::set_permissions(host.path("b/c"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(host.path("link")).unwrap();
    let (_, account) = host.push(&mut server);
    let judged = server.newest(&base);
    assert_eq!(judged.node("data/b/c").meta.mode, 0o600);
    assert!(
        judged.changes.iter().any(|c| matches!(c, Change::Remove(path) if path.as_bytes() == b"data/link"))
    );
    // The folder's own time, the file's mode, the link.
    assert_eq!(account.get(Count::Changes), 3);
    assert_eq!(judged.contents_count, 0, "a content that the base has was sent again");
}

#[test]
fn a_content_that_the_base_has_is_not_sent_again_for_a_new_mode_or_time() {
    let (host, mut server) = (tree(), Server::new());
    let large = host.write("large", &noise(1, 2_000_000));
    host.push_accepted(&mut server);
    let base = accepted(&host);
    fs::set_permissions(&large, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(host.path("b/c"), b"two").unwrap();
    let (_, account) = host.push(&mut server);
    let judged = server.newest(&base);
    assert_eq!(judged.contents_count, 0);
    assert_eq!(account.get(Count::ReadBytes), 2_000_003);
    assert_eq!(judged.node("data/large").meta.mode, 0o640);
    server.sealed.clear();
    // A large file whose content changed under its old time is sent all the same.
    let meta = fs::metadata(&large).unwrap();
    fs::write(&large, noise(2, 2_000_000)).unwrap();
    reset_times(&large, &meta);
    host.push(&mut server);
    let judged = server.newest_with(&base, &Files::from([("data/large", noise(1, 2_000_000))]));
    assert_eq!(judged.contents_count, 1);
    assert_eq!(judged.content("data/large"), noise(2, 2_000_000));
}

fn reset_times(path: &Path, to: &fs::Metadata) {
    let at = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps {
        last_access: at(to.atime(), to.atime_nsec()),
        last_modification: at(to.mtime(), to.mtime_nsec()),
    };
    utimensat(CWD, path, &times, AtFlags::empty()).unwrap();
}

#[test]
fn the_first_name_of_a_hard_link_can_go_and_the_second_takes_its_place() {
    let (host, mut server) = (tree(), Server::new());
    host.push_accepted(&mut server);
    let base = accepted(&host);
    fs::remove_file(host.path("a")).unwrap();
    host.push(&mut server);
    let judged = server.newest(&base);
    assert_eq!(judged.node("data/b/a2").meta.links, 1);
    // The base has it under the name that is gone.
    assert_eq!(judged.entry("data/b/a2").and_then(content), Some(ContentHash::of(b"one")));
    assert_eq!(judged.contents_count, 0);
}

#[test]
fn a_content_that_the_server_wants_is_read_and_sent_again() {
    let (host, mut server) = (tree(), Server::new());
    host.push_accepted(&mut server);
    let base = accepted(&host);
    let wanted = base.iter().find(|entry| entry.path.as_bytes() == b"data/b/c").and_then(content).unwrap();
    server.want(wanted);
    let (_, account) = host.push(&mut server);
    let judged = server.newest(&base);
    assert_eq!(judged.contents[&wanted], b"two");
    assert_eq!(judged.contents_count, 1);
    assert_eq!(account.get(Count::ReadFiles), 1);
}

/// The entries of the state that the host remembers as accepted.
pub(crate) fn accepted(host: &Host) -> Vec<formats::Entry> {
    let path = fs::read_dir(host.state_path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "manifest"))
        .unwrap();
    entries(&path)
}

/// The entries that the host keeps under this root.
pub(crate) fn kept(host: &Host, root: formats::Root) -> Vec<formats::Entry> {
    entries(&host.state_path().join(format!("{root}.manifest")))
}

fn entries(manifest: &Path) -> Vec<formats::Entry> {
    let file = std::io::BufReader::new(fs::File::open(manifest).unwrap());
    formats::ManifestReader::new(file).unwrap().map(Result::unwrap).collect()
}

//! Untouched files are read again in their turn, and what changed without a trace is named.

use std::fs;

use push_client::push::Count;

use crate::host::{Host, noise};
use crate::server::Server;

/// A time so long ago that every file is due.
const LONG_AGO: Option<i64> = Some(1);

/// A host with an accepted state, of which one file has become another on the disk, with nothing but its bytes to tell. Who may not
/// write to the disk itself changes what is remembered of the file instead: it comes to the same.
fn rotten(server: &mut Server) -> Host {
    let host = Host::new();
    host.write("good", &noise(1, 400_000));
    host.write("small", b"small and good");
    host.write("rotten", b"what it was once");
    let (first, _) = host.push_accepted(server);
    let (now, then) =
        (formats::ContentHash::of(b"what it was once"), formats::ContentHash::of(b"what it Was once"));
    let file = |kind: &str| host.state_path().join(format!("{}.{kind}", first.root));
    let mut manifest = fs::read(file("manifest")).unwrap();
    let at = manifest.windows(32).position(|bytes| bytes == now.as_bytes()).unwrap();
    manifest[at..at + 32].copy_from_slice(then.as_bytes());
    let end = manifest.len() - 44;
    let mut hasher = blake3::Hasher::new();
    let root = hasher.update(b"firn manifest root 1\n").update(&manifest[12..end]).finalize();
    manifest[end + 12..].copy_from_slice(root.as_bytes());
    let mut stamps = fs::read(file("stamps")).unwrap();
    let end = stamps.len() - 64;
    stamps[end..end + 32].copy_from_slice(root.as_bytes());
    let check = blake3::hash(&stamps[..end + 32]);
    stamps[end + 32..].copy_from_slice(check.as_bytes());
    fs::remove_file(file("manifest")).unwrap();
    fs::remove_file(file("stamps")).unwrap();
    let root = formats::Root::from_bytes(*root.as_bytes());
    fs::write(host.state_path().join(format!("{root}.manifest")), manifest).unwrap();
    fs::write(host.state_path().join(format!("{root}.stamps")), stamps).unwrap();
    let state = format!("{{\"format\":\"firn.client/1.0\",\"accepted\":\"{root}\",\"pending\":[]}}\n");
    fs::write(host.state_path().join("state"), state).unwrap();
    server.published.base = Some(root);
    host
}

#[test]
fn a_silent_change_is_named_and_pushed_when_its_turn_comes() {
    let mut server = Server::new();
    let mut host = rotten(&mut server);
    // Not its turn: nothing tells.
    let (_, account) = host.push(&mut server);
    assert_eq!((account.get(Count::Reread), account.left_out_count), (0, 0));
    host.walked_before = LONG_AGO;
    let (outcome, account) = host.push(&mut server);
    assert_eq!((account.get(Count::Reread), account.get(Count::SilentChanges)), (3, 1));
    assert_eq!(account.left_out.len(), 1);
    let (path, why) = &account.left_out[0];
    assert_eq!(
        (path.as_slice(), why.starts_with("changed silently")),
        (b"data/rotten".as_slice(), true),
        "{why}"
    );
    assert_eq!((account.get(Count::Changes), account.get(Count::SentContents)), (1, 1));
    // Once it is in the state, it is as all others.
    server.judge(outcome.push, formats::published::Verdict::Accepted { root: outcome.root });
    let (_, account) = host.push(&mut server);
    assert_eq!((account.get(Count::Reread), account.get(Count::SilentChanges)), (3, 0));
    assert_eq!((account.get(Count::Changes), account.get(Count::SentContents)), (0, 0));
}

#[test]
fn nothing_is_read_again_where_the_settings_say_never() {
    let mut server = Server::new();
    let mut host = rotten(&mut server);
    host.walked_before = LONG_AGO;
    host.more = "rehash_days = 0".to_owned();
    let (_, account) = host.push(&mut server);
    assert_eq!((account.get(Count::Reread), account.get(Count::ReadBytes)), (0, 0));
}

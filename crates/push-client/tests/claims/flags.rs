//! Inode flags: kept as they are, and found also where an older version did not look for them.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use formats::published::Verdict;
use formats::{Body, Entry, Flags, ManifestReader, ManifestWriter, Root, Tag};
use push_client::push::Count;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::host::{Host, root};
use crate::server::Server;

const NODUMP: u32 = 0x40;

/// Sets flags beside those that a file has; false where the file system has none.
fn flag(path: &Path, bits: u32) -> bool {
    let file = File::open(path).unwrap();
    let set =
        ioctl_getflags(&file).and_then(|flags| ioctl_setflags(&file, flags | IFlags::from_bits_retain(bits)));
    set.is_ok()
}

fn unflag(path: &Path, bits: u32) {
    let file = File::open(path).unwrap();
    ioctl_setflags(&file, ioctl_getflags(&file).unwrap() - IFlags::from_bits_retain(bits)).unwrap();
}

fn flags(entry: &Entry) -> Option<u32> {
    entry.node().unwrap().meta.flags().map(Flags::bits)
}

#[test]
fn flags_that_somebody_set_are_kept() {
    let (host, mut server) = (Host::new(), Server::new());
    let plain = host.write("plain", b"x");
    let file = host.write("folder/file", b"y");
    let folder = host.path("folder");
    if !flag(&file, NODUMP) || !flag(&folder, 0x80) {
        eprintln!("SKIPPED: flags_that_somebody_set_are_kept: this file system has no inode flags");
        return;
    }
    // Only root may make a file immutable.
    let fixed = if root() && flag(&plain, 0x10) { 0x10 } else { 0 };
    let (_, account) = host.push_accepted(&mut server);
    let base = manifest(&host);
    if fixed != 0 {
        unflag(&plain, 0x10);
    }
    assert_eq!(account.left_out, []);
    let of = |path: &str| flags(base.iter().find(|entry| entry.path.as_bytes() == path.as_bytes()).unwrap());
    assert_eq!(of("data/plain"), (fixed != 0).then_some(fixed));
    assert_eq!((of("data/folder"), of("data/folder/file")), (Some(0x80), Some(NODUMP)));
    // A flag that is taken off is a change, and nothing else is.
    host.push_accepted(&mut server);
    unflag(&file, NODUMP);
    let (_, account) = host.push(&mut server);
    assert_eq!(account.get(Count::Changes), 1);
    assert_eq!(account.get(Count::SentContents), 0);
}

/// Manifests of version 1 had no flags, and what is untouched is not looked at again: it would stay without them for ever.
#[test]
fn flags_that_an_older_version_left_out_are_found_once() {
    let (host, mut server) = (Host::new(), Server::new());
    host.write("other", b"x");
    let file = host.write("file", b"y");
    if !flag(&file, NODUMP) {
        eprintln!(
            "SKIPPED: flags_that_an_older_version_left_out_are_found_once: this file system has no inode flags"
        );
        return;
    }
    let (first, _) = host.push_accepted(&mut server);
    let old = as_version_1(&host, first.root);
    server.published.base = Some(old);
    let (second, account) = host.push(&mut server);
    assert_eq!((second.base, second.root), (Some(old), first.root));
    assert_eq!((account.get(Count::Changes), account.get(Count::ReadFiles)), (1, 0));
    server.judge(second.push, Verdict::Accepted { root: second.root });
    let (third, account) = host.push(&mut server);
    assert_eq!((third.root, account.get(Count::Changes)), (first.root, 0));
}

/// One without flags is written anew all the same, or each run would look again.
#[test]
fn a_base_of_an_older_version_is_replaced_though_nothing_changed() {
    let (host, mut server) = (Host::new(), Server::new());
    host.write("file", b"y");
    let (first, _) = host.push_accepted(&mut server);
    assert_eq!(as_version_1(&host, first.root), first.root);
    let path = host.state_path().join(format!("{}.manifest", first.root));
    assert_eq!(fs::read(&path).unwrap()[8], 1);
    let (second, _) = host.push(&mut server);
    assert_eq!((second.base, second.root), (Some(first.root), first.root));
    assert_eq!(fs::read(&path).unwrap()[8], 2);
}

fn manifest(host: &Host) -> Vec<Entry> {
    let state = fs::read_dir(host.state_path()).unwrap();
    let path = state
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "manifest"));
    ManifestReader::new(BufReader::new(File::open(path.unwrap()).unwrap()))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Makes the remembered state `root` one that a version without flags has written; its root.
fn as_version_1(host: &Host, root: Root) -> Root {
    let mut writer = ManifestWriter::new(Vec::new()).unwrap();
    for mut entry in manifest(host) {
        if let Body::Node(node) = &mut entry.body {
            node.meta.attributes.retain(|attribute| attribute.tag != Tag::Flags);
        }
        writer.push(&entry).unwrap();
    }
    let (summary, mut bytes) = writer.finish().unwrap();
    bytes[8] = 1;
    let file = |root: Root, kind: &str| host.state_path().join(format!("{root}.{kind}"));
    let mut stamps = fs::read(file(root, "stamps")).unwrap();
    let end = stamps.len() - 64;
    stamps[end..end + 32].copy_from_slice(summary.root.as_bytes());
    let check = blake3::hash(&stamps[..end + 32]);
    stamps[end + 32..].copy_from_slice(check.as_bytes());
    for kind in ["manifest", "stamps"] {
        fs::remove_file(file(root, kind)).unwrap();
    }
    fs::write(file(summary.root, "manifest"), bytes).unwrap();
    fs::write(file(summary.root, "stamps"), stamps).unwrap();
    let state =
        format!("{{\"format\":\"firn.client/1.0\",\"accepted\":\"{}\",\"pending\":[]}}\n", summary.root);
    fs::write(host.state_path().join("state"), state).unwrap();
    summary.root
}

//! Finding hosts and snapshots, and reading their files without leaving their folders.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;

use formats::manifest::ManifestWriter;
use formats::{HostId, RelPath};
use history::Error;

use crate::scratch::{Scratch, host, ingest};

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn with_files() -> Scratch {
    let scratch = Scratch::new();
    scratch.append(ingest(1));
    let name = scratch.host().log().unwrap().latest().unwrap().name.clone();
    let web01 = scratch.dir.path().join("web01");
    let tree = web01.join(name.as_str()).join("tree");
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::create_dir_all(web01.join("manifests")).unwrap();
    fs::write(tree.join("a/b/file"), "content").unwrap();
    fs::write(scratch.dir.path().join("secret"), "another host's").unwrap();
    symlink("../../../../secret", tree.join("a/out")).unwrap();
    symlink("b", tree.join("a/folder")).unwrap();
    let bytes = ManifestWriter::new(Vec::new()).unwrap().finish().unwrap().1;
    fs::write(web01.join("manifests").join(format!("{name}.manifest")), bytes).unwrap();
    scratch
}

#[test]
fn only_folders_named_like_hosts_are_hosts() {
    let scratch = Scratch::new();
    for name in ["web01", "db1.example.org", "UPPER", ".hidden", "lost+found"] {
        fs::create_dir(scratch.dir.path().join(name)).unwrap();
    }
    fs::write(scratch.dir.path().join("file"), "").unwrap();
    let hosts: Vec<_> = scratch.history.hosts().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["db1.example.org", "web01"]);
    let nobody = HostId::parse("nobody").unwrap();
    assert!(matches!(scratch.history.host(&nobody), Err(Error::NoHost { .. })));
}

#[test]
fn files_of_a_snapshot_are_read_by_path_and_no_path_leads_out() {
    let scratch = with_files();
    let host = scratch.history.host(&host()).unwrap();
    let log = host.log().unwrap();
    let snapshot = log.latest().unwrap();
    let mut text = String::new();
    host.open_file(snapshot, &path("a/b/file")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "content");
    let tree = host.tree(snapshot).unwrap();
    assert_eq!(tree.read_link(&path("a/out")).unwrap(), b"../../../../secret");
    assert!(tree.has_file(&path("a/b/file")).unwrap());
    assert!(!tree.has_file(&path("a/b")).unwrap() && !tree.has_file(&path("a/zzz")).unwrap());
    for bad in ["a/out", "a/folder/file", "a/b", "a/b/file/x"] {
        assert!(tree.open_file(&path(bad)).is_err(), "{bad}");
    }
    assert!(tree.open_folder(&path("a/folder")).is_err());
}

#[test]
fn a_manifest_is_opened_by_its_snapshot() {
    let scratch = with_files();
    let host = scratch.host();
    let log = host.log().unwrap();
    let mut manifest = host.open_manifest(log.latest().unwrap()).unwrap();
    assert!(manifest.next().is_none());
    assert_eq!(manifest.summary().unwrap().entries, 0);
    let web01 = scratch.dir.path().join("web01/manifests");
    let file = fs::read_dir(web01).unwrap().next().unwrap().unwrap().path();
    fs::write(file, "no manifest").unwrap();
    assert!(host.open_manifest(log.latest().unwrap()).unwrap_err().is_damage());
}

//! Images as docs/formats/ice.md describes them, name by name, so that a test can make one of them wrong.

use std::io::Cursor;
use std::path::PathBuf;

use backhand::compression::Compressor;
use backhand::{FilesystemCompressor, FilesystemWriter, NodeHeader};
use formats::Kind;

use super::tree::Tree;

#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) path: String,
    pub(crate) header: NodeHeader,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Folder,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    CharDevice(u32),
    BlockDevice(u32),
}

/// One snapshot, as it goes into an image.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) tree: Tree,
}

pub(crate) fn name(sequence: u64) -> String {
    format!("20260102T0304{sequence:02}Z-{sequence:010}")
}

/// All names of an image of `snapshots`, oldest first.
pub(crate) fn names(snapshots: &[Snapshot]) -> Vec<Name> {
    let own = NodeHeader::new(0o755, 0, 0, 1_700_000_000);
    let name = |path: String, what| Name { path, header: own, what };
    let mut names =
        vec![name("manifests".to_owned(), What::Folder), name("snapshots".to_owned(), What::Folder)];
    for Snapshot { name: snapshot, tree } in snapshots {
        names.push(name(format!("manifests/{snapshot}.manifest"), What::File(tree.manifest().0)));
        names.push(name(format!("snapshots/{snapshot}"), What::Folder));
        for (entry, content) in tree.entries() {
            let node = tree.node(&entry.path);
            let Some(what) = what(&node.kind, content) else { continue };
            let mtime = u32::try_from(node.meta.mtime.seconds.max(0)).unwrap_or(u32::MAX);
            let header = NodeHeader::new(node.meta.mode as u16, node.meta.owner, node.meta.group, mtime);
            // Every byte stands for the character of the same number, until the image is written.
            let within: String = entry.path.as_bytes().iter().map(|byte| char::from(*byte)).collect();
            names.push(Name { path: format!("snapshots/{snapshot}/{within}"), header, what });
        }
    }
    names
}

fn what(kind: &Kind, content: &[u8]) -> Option<What> {
    let number = |major: u32, minor: u32| (minor & 0xff) | (major << 8) | ((minor >> 8) << 20);
    Some(match kind {
        Kind::File { .. } => What::File(content.to_vec()),
        Kind::Folder => What::Folder,
        Kind::Symlink { target } if target.len() > 255 => return None,
        Kind::Symlink { target } => What::Symlink(target.clone()),
        Kind::Fifo => What::Fifo,
        Kind::Socket => return None,
        Kind::CharDevice { major, minor } => What::CharDevice(number(*major, *minor)),
        Kind::BlockDevice { major, minor } => What::BlockDevice(number(*major, *minor)),
    })
}

/// The image with exactly these names.
pub(crate) fn write(names: &[Name]) -> Vec<u8> {
    use std::os::unix::ffi::OsStringExt;
    let native = |bytes: Vec<u8>| PathBuf::from(std::ffi::OsString::from_vec(bytes));
    let mut names: Vec<&Name> = names.iter().collect();
    names.sort_by_key(|name| name.path.split('/').map(str::to_owned).collect::<Vec<_>>());
    let mut writer = FilesystemWriter::default();
    writer.set_compressor(FilesystemCompressor::new(Compressor::Zstd, None).unwrap());
    for Name { path, header, what } in names {
        let path = native(path.chars().map(|c| c as u8).collect());
        match what.clone() {
            What::Folder => writer.push_dir(path, *header),
            What::File(content) => writer.push_file(Cursor::new(content), path, *header),
            What::Symlink(target) => writer.push_symlink(native(target), path, *header),
            What::Fifo => writer.push_fifo(path, *header),
            What::Socket => writer.push_socket(path, *header),
            What::CharDevice(number) => writer.push_char_device(number, path, *header),
            What::BlockDevice(number) => writer.push_block_device(number, path, *header),
        }
        .unwrap();
    }
    let mut image = Cursor::new(Vec::new());
    writer.write(&mut image).unwrap();
    image.into_inner()
}

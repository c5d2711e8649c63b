//! A walk as one writes it without care: it looks at a path, and then uses the path again.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use push_client::walk::read_flags;
use rustix::fs::getxattr;

use super::eyes::Eyes;

/// Below `folder`, which is `above` in the tree.
pub(super) fn walk(folder: &Path, above: &[u8], eyes: &mut Eyes<'_>) {
    let Ok(names) = fs::read_dir(folder) else { return };
    for name in names.flatten().map(|entry| entry.file_name()) {
        // Only the root of the tree.
        if above.is_empty() && name != "data" {
            continue;
        }
        let path = folder.join(&name);
        let within = match above {
            b"" => name.as_bytes().to_vec(),
            above => [above, b"/", name.as_bytes()].concat(),
        };
        let Ok(seen) = fs::symlink_metadata(&path) else {
            eyes.disturbed += 1;
            eyes.visited(&within);
            continue;
        };
        eyes.name(&within);
        eyes.inode(seen.ino());
        if seen.is_symlink() {
            if let Ok(target) = fs::read_link(&path) {
                eyes.target(target.as_os_str().as_bytes());
            }
        } else {
            ask(&path, seen.is_file(), eyes);
        }
        eyes.visited(&within);
        if seen.is_dir() {
            walk(&path, &within, eyes);
        }
    }
}

fn ask(path: &Path, is_file: bool, eyes: &mut Eyes<'_>) {
    if is_file && let Ok(bytes) = fs::read(path) {
        eyes.content(&bytes);
    }
    if let Ok(open) = File::open(path) {
        eyes.flags(read_flags(open).ok().flatten().map(|flags| flags.bits()));
    }
    let mut value = [0; 64];
    if let Ok(length) = getxattr(path, "user.mark", &mut value) {
        eyes.attribute(&value[..length]);
    }
}

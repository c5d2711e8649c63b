//! Changing some files of a folder, of every kind a day brings.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::trouble::{Result, Trouble};

/// What was done to a folder.
pub(crate) struct Changes {
    pub(crate) count: u32,
    /// A file that was edited, and its bytes before.
    pub(crate) edited: (PathBuf, Vec<u8>),
}

/// Edits, renames, removes, adds, links, and changes a mode.
pub(crate) fn change(root: &Path) -> Result<Changes> {
    let mut files = plain_files(root)?.into_iter();
    let edited = files.find_map(|file| {
        let before = fs::read(&file).ok()?;
        let mut out = OpenOptions::new().append(true).open(&file).ok()?;
        out.write_all(b"\n# edited by the demo\n").ok()?;
        Some((file, before))
    });
    let edited =
        edited.ok_or_else(|| Trouble::new(format!("{}: no file in it can be changed", root.display())))?;
    let mut count = 1;
    count +=
        u32::from(files.any(|file| fs::rename(&file, file.with_extension("renamed-by-the-demo")).is_ok()));
    count += u32::from(files.any(|file| fs::remove_file(file).is_ok()));
    count +=
        u32::from(files.any(|file| fs::set_permissions(file, fs::Permissions::from_mode(0o640)).is_ok()));
    let new = root.join("added-by-the-demo.txt");
    fs::write(&new, "snow falls, settles and turns to ice\n")?;
    fs::hard_link(&new, root.join("linked-by-the-demo.txt"))?;
    symlink("added-by-the-demo.txt", root.join("symlink-by-the-demo"))?;
    Ok(Changes { count: count + 3, edited })
}

/// Files with one name and some bytes, sorted.
fn plain_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        // What cannot be listed cannot be changed either.
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_dir() {
                folders.push(entry.path());
            } else if meta.is_file() && meta.nlink() == 1 && meta.len() > 0 {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

//! Walking the objects, one folder at a time.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Dir, FileType};

use super::OBJECTS;
use super::tree::{self, FOLDER};
use crate::{Names, ObjectFolder, ObjectName, Result, VaultError};

/// A walk under way: the open folders from the top down, each with its name (empty or ending with `/`).
struct Walk {
    open: Vec<(Dir, OwnedFd, String)>,
}

pub(super) fn list(root: &OwnedFd, folder: &ObjectFolder) -> Result<Names<'static>> {
    let top = format!("{OBJECTS}/{}", folder.name());
    let mut walk = Walk { open: Vec::new() };
    match tree::open(root, top.trim_end_matches('/'), FOLDER, 0) {
        Ok(found) => walk.enter(found, prefix_of(folder.name()))?,
        Err(error) if tree::is_absent(&error) => {}
        Err(error) => return Err(VaultError::failed("list", &top)(error)),
    }
    Ok(Box::new(walk))
}

fn prefix_of(folder: &str) -> String {
    if folder.is_empty() { String::new() } else { format!("{folder}/") }
}

impl Walk {
    fn enter(&mut self, folder: OwnedFd, prefix: String) -> Result<()> {
        let names = Dir::read_from(&folder).map_err(VaultError::failed("list", &prefix))?;
        self.open.push((names, folder, prefix));
        Ok(())
    }

    /// The next object; none at the end. What is no object by its name or kind was not put there by a vault, and is passed over.
    fn step(&mut self) -> Result<Option<ObjectName>> {
        while let Some((names, folder, prefix)) = self.open.last_mut() {
            let Some(entry) = names.next() else {
                self.open.pop();
                continue;
            };
            let failed = || VaultError::failed("list", prefix);
            let entry = entry.map_err(|errno| failed()(errno.into()))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let Ok(object) = format!("{prefix}{name}").parse::<ObjectName>() else { continue };
            match kind(folder, name, entry.file_type()).map_err(failed())? {
                FileType::RegularFile => return Ok(Some(object)),
                FileType::Directory => {
                    let below = tree::open(&*folder, name, FOLDER, 0).map_err(failed())?;
                    self.enter(below, format!("{object}/"))?;
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Some file systems do not tell the kind in a listing.
fn kind(folder: &OwnedFd, name: &str, told: FileType) -> io::Result<FileType> {
    if told != FileType::Unknown {
        return Ok(told);
    }
    let stat = rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

impl Iterator for Walk {
    type Item = Result<ObjectName>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.open.clear();
        }
        step.transpose()
    }
}

//! The names in a folder.

use std::io;

use rustix::fs::{Mode, ResolveFlags};

use crate::open::FOLDER;
use crate::{Dir, Error, Result, Step};

impl Dir {
    /// All names in this folder, sorted by bytes, without `.` and `..`. Memory grows with the folder: for a folder that
    /// somebody else fills, use [`Dir::names_at_most`].
    pub fn names(&self) -> Result<Vec<Vec<u8>>> {
        self.names_at_most(usize::MAX)
    }

    /// As [`Dir::names`], but fails once there are more than `names_max`, before taking memory for them.
    pub fn names_at_most(&self, names_max: usize) -> Result<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in self.stream()? {
            let entry = entry.map_err(Error::at(Step::List, b"."))?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if names.len() >= names_max {
                let why = io::Error::new(io::ErrorKind::InvalidData, format!("more than {names_max} names"));
                return Err(Error::new(Step::List, b".", why));
            }
            names.push(name.to_vec());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// A stream of its own, so that two readers of one handle do not disturb each other.
    pub(crate) fn stream(&self) -> Result<rustix::fs::Dir> {
        self.reopen().and_then(rustix::fs::Dir::new).map_err(Error::at(Step::List, b"."))
    }

    fn reopen(&self) -> rustix::io::Result<std::os::fd::OwnedFd> {
        self.open_at(b".", FOLDER, ResolveFlags::empty(), Mode::empty())
    }
}

//! Access lists (POSIX ACLs): who may besides owner and group, as bytes that the kernel keeps and checks (`acl(5)`, `posix_acl_xattr.h`).

use std::os::fd::AsFd;

use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

use crate::{Error, Result, Step};

/// Longest list: some hundreds of entries.
const BYTES_MAX: usize = 4_096;

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acl {
    /// Who may do what with the file or folder itself.
    Access,
    /// Of a folder: what is made in it begins with this list, whatever the umask.
    Inherited,
}

impl Acl {
    fn name(self) -> &'static str {
        match self {
            Acl::Access => "system.posix_acl_access",
            Acl::Inherited => "system.posix_acl_default",
        }
    }

    /// The list of an open file or folder; none if it has none, or can have none.
    pub fn read(self, file: impl AsFd) -> Result<Option<Vec<u8>>> {
        let mut bytes = [0; BYTES_MAX];
        match fgetxattr(file, self.name(), &mut bytes[..]) {
            Ok(length) => Ok(bytes.get(..length).map(<[u8]>::to_vec)),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(Error::new(Step::AccessList, self.name().as_bytes(), errno)),
        }
    }

    /// Gives an open file or folder this list, in place of the one it has.
    pub fn write(self, file: impl AsFd, bytes: &[u8]) -> Result<()> {
        fsetxattr(file, self.name(), bytes, XattrFlags::empty())
            .map_err(Error::at(Step::AccessList, self.name().as_bytes()))
    }

    /// Takes the list away: owner, group and mode decide again.
    pub fn remove(self, file: impl AsFd) -> Result<()> {
        match fremovexattr(file, self.name()) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            Err(errno) => Err(Error::new(Step::AccessList, self.name().as_bytes(), errno)),
        }
    }
}

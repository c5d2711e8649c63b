//! Inode flags that somebody set.

use std::os::fd::AsFd;

use formats::Flags;
use rustix::fs::ioctl_getflags;
use rustix::io::Errno;

/// Those of an open file or folder; none where the file system knows none.
pub fn read_flags(open: impl AsFd) -> Result<Option<Flags>, Errno> {
    match ioctl_getflags(open) {
        Ok(flags) => Ok(Flags::kept_of(flags.bits())),
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

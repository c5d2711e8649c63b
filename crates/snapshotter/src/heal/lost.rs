//! What a disk or a file system answers that has lost something. Anything else that goes wrong says nothing about a file.

use rustix::io::Errno;

/// Whether this error says so.
pub(crate) fn is_lost(error: &durable::Error) -> bool {
    error.raw_os_error().is_some_and(is_lost_by)
}

/// The same, by the number of an error.
pub(crate) fn is_lost_by(errno: i32) -> bool {
    is_corrupt_by(errno) || errno == Errno::IO.raw_os_error()
}

/// The file system has found that its own structures are wrong: that does not pass.
pub(crate) fn is_corrupt(error: &durable::Error) -> bool {
    error.raw_os_error().is_some_and(is_corrupt_by)
}

fn is_corrupt_by(errno: i32) -> bool {
    [Errno::UCLEAN, Errno::BADMSG].map(Errno::raw_os_error).contains(&errno)
}

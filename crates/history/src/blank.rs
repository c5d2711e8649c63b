//! What a redacted content leaves behind: a file of its length, with nothing but zeros.

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

const PIECE_BYTES: usize = 256 * 1024;

/// Whether the file has `size` bytes, all of them zero. Holes are not read. Leaves the file at its beginning.
pub fn is_blank(file: &File, size: u64) -> io::Result<bool> {
    if file.metadata()?.len() != size {
        return Ok(false);
    }
    let blank = has_no_data(file)?;
    seek(file, SeekFrom::Start(0))?;
    Ok(blank)
}

fn has_no_data(file: &File) -> io::Result<bool> {
    let mut piece = Vec::new();
    let mut at = 0;
    loop {
        match seek(file, SeekFrom::Data(at)) {
            Ok(data) => at = data,
            // No data from here on.
            Err(Errno::NXIO) => return Ok(true),
            // A file system that knows of no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                seek(file, SeekFrom::Start(at))?;
            }
            Err(errno) => return Err(errno.into()),
        }
        piece.resize(PIECE_BYTES, 0);
        let mut from = file;
        let read = match from.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            answer => answer?,
        };
        if read == 0 {
            return Ok(true);
        }
        if piece.get(..read).unwrap_or_default().iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn only_zeros_of_the_right_length_are_blank() {
        let file = tempfile::tempfile().unwrap();
        for size in [0, 1, 4_096, 3_000_000] {
            file.set_len(size).unwrap();
            assert!(is_blank(&file, size).unwrap(), "a hole of {size}");
            assert!(
                !is_blank(&file, size + 1).unwrap() && (size == 0 || !is_blank(&file, size - 1).unwrap())
            );
        }
        file.write_all_at(&vec![0; 3_000_000], 0).unwrap();
        assert!(is_blank(&file, 3_000_000).unwrap(), "zeros that are written are zeros, too");
        for place in [0, 1_234_567, 2_999_999] {
            file.write_all_at(b"x", place).unwrap();
            assert!(!is_blank(&file, 3_000_000).unwrap(), "{place}");
            file.write_all_at(b"\0", place).unwrap();
        }
    }
}

//! One file: written under a name of no meaning, hashed on the way, and renamed only if it is what the manifest says.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use cli::Task;
use durable::{Dir, Name, Stat};
use formats::{ContentHash, Node, RelPath};
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use crate::meta::Handle;
use crate::place::expect;
use crate::{Held, Place, Trouble};

const BUFFER_BYTES: usize = 1 << 20;
/// Runs of zeros become holes in units of this, the block size of most file systems.
const HOLE_BYTES: usize = 4_096;

impl Place<'_> {
    pub(crate) fn file(
        &mut self,
        path: &RelPath,
        node: &Node,
        (size, hash): (u64, &ContentHash),
        held: &mut dyn Held,
        task: &Task,
    ) -> Result<u64, Trouble> {
        expect(&node.kind, held)?;
        let folder = self.ground.folder_of(path)?;
        let (temporary, file) = create(&folder)?;
        let temporary = Name::new(&temporary)?;
        let outcome = fill(&file, size, hash, held, task)
            .and_then(|()| self.settle(path, &Handle::Open(file.as_fd()), node))
            .and_then(|()| give_name(&folder, temporary, path))
            .and_then(|()| has_name(&folder, path, &file));
        if outcome.is_err() {
            // The first error is the one to tell.
            let _ = folder.unlink(temporary);
        } else {
            self.counts.files += 1;
            self.counts.bytes += size;
        }
        outcome?;
        Ok(Stat::of(&file)?.inode)
    }
}

/// A file under a name that nobody can foresee: names come from a host, and a known one could be planted to stop every file of its folder.
fn create(folder: &Dir) -> Result<(Vec<u8>, File), Trouble> {
    let mut random = [0; 8];
    let drawn = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Trouble::of("drawing a name", errno))?;
    if drawn != random.len() {
        return Err(Trouble::LeftOut("the system gave no name at random".to_owned()));
    }
    let name = format!(".firn-restoring-{:016x}", u64::from_ne_bytes(random)).into_bytes();
    let file = folder.create_new(Name::new(&name)?, 0o600)?;
    Ok((name, file))
}

/// The content, with holes for zeros. Fails if it is not `size` bytes that hash to `expected`.
fn fill(
    file: &File,
    size: u64,
    expected: &ContentHash,
    held: &mut dyn Held,
    task: &Task,
) -> Result<(), Trouble> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0u64;
    if size > 0 {
        let mut content = held.content(expected)?.take(size.saturating_add(1));
        let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(size).unwrap_or(BUFFER_BYTES))];
        loop {
            let read = fill_buffer(&mut content, &mut buffer)
                .map_err(|_| Trouble::Differs("its content cannot be read"))?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            write_data(file, bytes, at).map_err(|error| Trouble::of("writing its content", error))?;
            at += read as u64;
            task.advance(read as u64);
        }
    }
    if at != size || hasher.finalize().as_bytes() != expected.as_bytes() {
        return Err(Trouble::Differs("its content is another"));
    }
    file.set_len(size).map_err(|error| Trouble::of("setting its length", error))
}

/// Reads until the buffer is full, so that every piece but the last begins at a whole block.
pub(crate) fn fill_buffer(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match from.read(room)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Writes all but the blocks of zeros, in as few calls as there are runs of data.
fn write_data(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    let mut run = 0..0;
    for (number, block) in bytes.chunks(HOLE_BYTES).enumerate() {
        let start = number * HOLE_BYTES;
        if block.iter().all(|byte| *byte == 0) {
            file.write_all_at(bytes.get(run.clone()).unwrap_or_default(), at + run.start as u64)?;
            run = start + block.len()..start + block.len();
        } else {
            run.end = start + block.len();
        }
    }
    file.write_all_at(bytes.get(run.clone()).unwrap_or_default(), at + run.start as u64)
}

/// The final name, which must not be there. NFS, many FUSE file systems and older ZFS cannot rename with that condition: there a link does it, which
/// replaces nothing either, and where there are no links, a look at the name first. The folder is this run's, so nobody else makes names in it.
fn give_name(folder: &Dir, temporary: Name<'_>, path: &RelPath) -> Result<(), Trouble> {
    let name = Name::new(path.file_name())?;
    let refused = |errno| matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP);
    let named = match rustix::fs::renameat_with(folder, temporary, folder, name, RenameFlags::NOREPLACE) {
        Err(errno) if refused(errno) => link_or_rename(folder, temporary, name),
        named => named,
    };
    named.map_err(|errno| Trouble::of("giving it its name", errno))
}

/// Whoever else writes to the folder could have exchanged the file before it got its name.
fn has_name(folder: &Dir, path: &RelPath, file: &File) -> Result<(), Trouble> {
    let named = folder.stat(Name::new(path.file_name())?)?;
    if named.is_same_file(&Stat::of(file)?) { Ok(()) } else { Err(Trouble::meddled()) }
}

fn link_or_rename(folder: &Dir, temporary: Name<'_>, name: Name<'_>) -> Result<(), Errno> {
    match rustix::fs::linkat(folder, temporary, folder, name, AtFlags::empty()) {
        Ok(()) => rustix::fs::unlinkat(folder, temporary, AtFlags::empty()),
        Err(Errno::EXIST) => Err(Errno::EXIST),
        Err(_) => match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => rustix::fs::renameat(folder, temporary, folder, name),
            Ok(_) => Err(Errno::EXIST),
            Err(errno) => Err(errno),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Seek;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn zeros_become_holes_and_all_else_is_written() {
        let block = HOLE_BYTES;
        let data = vec![7; block];
        let zeros = vec![0; block];
        for parts in [
            vec![&data, &zeros, &data],
            vec![&zeros, &zeros, &data],
            vec![&data, &zeros, &zeros],
            vec![&zeros, &data, &zeros],
        ] {
            let mut bytes: Vec<u8> = parts.into_iter().flatten().copied().collect();
            bytes.extend([0, 0, 1]);
            let mut file = tempfile::tempfile().unwrap();
            write_data(&file, &bytes, 0).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
            let mut back = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut back).unwrap();
            assert_eq!(back, bytes);
            assert!(file.metadata().unwrap().blocks() * 512 < bytes.len() as u64 + block as u64);
        }
    }
}

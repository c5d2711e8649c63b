//! Writing a snapshot as one archive: pax (POSIX.1-2001), which every tar of the last twenty years reads.
//!
//! Names, targets and attributes of any bytes and length, times to the nanosecond and large numbers stand in extended headers; attributes as GNU tar
//! writes them (`SCHILY.xattr.*`). Holes are sent as zeros: what tars have for holes, others unpack as something else and call it a success. Owners are numbers only: names would be looked up on the machine that unpacks.
//!
//! What went out cannot be taken back, so each content is read and hashed as a whole first: what is damaged is named, and not in the archive.

mod content;
mod header;

use std::io::{Read, Write};

use cli::{Failed, Run, Task};
use formats::{Attribute, Body, ContentHash, Entry, Kind, Node, RelPath, Tag};

use crate::place::expect;
use crate::trouble::STOPPED;
use crate::{Counts, Differences, Held, Leaders, Powers, Selection, Survey, Trouble};
use content::Content;
use header::{BLOCK_BYTES, Header, Type};

/// Archives end on such a border, as tapes had it.
const RECORD_BYTES: u64 = 10_240;

/// Writes one archive: every entry in the order of the manifest, then [`Tar::finish`]. Folders above what is asked for are not in it: whoever unpacks it
/// over a living system does not want them changed.
pub struct Tar<'a, W> {
    to: W,
    written: u64,
    leaders: Leaders,
    selection: Selection,
    powers: Powers,
    run: &'a mut Run,
    /// What was found not to be as the manifest says.
    pub differences: Differences,
    /// What is in the archive.
    pub counts: Counts,
}

impl<'a, W: Write> Tar<'a, W> {
    /// Nothing is written yet.
    pub fn new(run: &'a mut Run, to: W, survey: Survey, powers: Powers) -> Self {
        let Survey { selection, leaders, .. } = survey;
        let (differences, counts) = (Differences::default(), Counts::default());
        Tar { to, written: 0, leaders, selection, powers, run, differences, counts }
    }

    /// Writes one name, if it is asked for; what is wrong with it alone is named. An error is the end of all.
    pub fn entry(&mut self, entry: &Entry, held: &mut dyn Held, task: &Task) -> Result<(), Failed> {
        if !self.selection.asks_for(&entry.path) {
            return Ok(());
        }
        match self.one(entry, held, task) {
            Ok(()) => {}
            Err(Trouble::LeftOut(why)) => self.run.leave_out(entry.path.as_bytes(), &why),
            Err(Trouble::Differs(what)) => {
                self.differences.add(entry.path.as_bytes(), what);
                self.run.leave_out(entry.path.as_bytes(), what);
            }
            Err(Trouble::Fatal(failed)) => {
                self.run.leave_out(entry.path.as_bytes(), STOPPED);
                return Err(failed);
            }
        }
        Ok(())
    }

    /// Writes the end. Without it every tar says that the archive is cut short.
    pub fn finish(&mut self) -> Result<(), Failed> {
        let end = self.written + 2 * BLOCK_BYTES as u64;
        let whole = end.next_multiple_of(RECORD_BYTES);
        self.zeros(whole - self.written)?;
        self.to.flush().map_err(lost)
    }

    fn one(&mut self, entry: &Entry, held: &mut dyn Held, task: &Task) -> Result<(), Trouble> {
        let node = match &entry.body {
            Body::Node(node) => node.clone(),
            Body::Link(first) => match self.leaders.at(first).cloned() {
                Some((at, _)) => return self.link(&entry.path, &at),
                None => self.leaders.node(first).cloned().ok_or(Trouble::Differs("it links to nothing"))?,
            },
        };
        self.node(&entry.path, &node, held, task)?;
        if node.meta.links > 1 {
            // An archive has no inodes.
            self.leaders.placed(entry, 0);
        }
        Ok(())
    }

    fn link(&mut self, path: &RelPath, at: &RelPath) -> Result<(), Trouble> {
        let mut header = Header::new(Type::HardLink, path.as_bytes());
        header.link(at.as_bytes());
        self.counts.links += 1;
        self.header(&header)
    }

    fn node(&mut self, path: &RelPath, node: &Node, held: &mut dyn Held, task: &Task) -> Result<(), Trouble> {
        let kind = match &node.kind {
            Kind::File { size, content } => return self.file(path, node, (*size, content), held, task),
            Kind::Socket => {
                let why = "sockets are made by their programs, not restored";
                return Err(Trouble::LeftOut(why.to_owned()));
            }
            kind if !self.powers.make(kind) => {
                let why = "devices are left out, as powers were not asked for";
                return Err(Trouble::LeftOut(why.to_owned()));
            }
            Kind::Folder => Type::Folder,
            Kind::Symlink { .. } => Type::Symlink,
            Kind::Fifo => Type::Fifo,
            Kind::CharDevice { .. } => Type::CharDevice,
            Kind::BlockDevice { .. } => Type::BlockDevice,
        };
        let mut header = Header::new(kind, path.as_bytes());
        match &node.kind {
            Kind::Symlink { target } => header.link(target),
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                header.device(*major, *minor)?;
            }
            _ => {}
        }
        self.describe(path, &mut header, node);
        self.header(&header)?;
        match &node.kind {
            Kind::Folder => self.counts.folders += 1,
            Kind::Symlink { .. } => self.counts.symlinks += 1,
            _ => self.counts.specials += 1,
        }
        expect(&node.kind, held)
    }

    /// Reads it to its end, and only if it is whole writes it.
    fn file(
        &mut self,
        path: &RelPath,
        node: &Node,
        (size, hash): (u64, &ContentHash),
        held: &mut dyn Held,
        task: &Task,
    ) -> Result<(), Trouble> {
        expect(&node.kind, held)?;
        let content = Content::examine(size, hash, held, task)?;
        let mut header = Header::new(Type::File, path.as_bytes());
        self.describe(path, &mut header, node);
        header.size(size);
        self.header(&header)?;
        content.send(path, (size, hash), held, &mut |bytes| self.write(bytes))?;
        self.zeros(size.next_multiple_of(BLOCK_BYTES as u64) - size).map_err(Trouble::Fatal)?;
        self.counts.files += 1;
        self.counts.bytes += size;
        Ok(())
    }

    fn describe(&mut self, path: &RelPath, header: &mut Header, node: &Node) {
        let mut left = Vec::new();
        self.powers.withheld(&node.meta, &node.kind, &mut left);
        if let Some(flags) = node.meta.flags() {
            left.push(format!("an archive holds no inode flags: {}", flags.letters()));
        }
        for why in left {
            self.run.leave_out(path.as_bytes(), &why);
        }
        header.meta(&node.meta, self.powers.mode(&node.meta, &node.kind));
        let allowed = |attribute: &&Attribute| attribute.tag == Tag::Extended && self.powers.allow(attribute);
        node.meta.attributes.iter().filter(allowed).for_each(|attribute| header.attribute(attribute));
    }

    fn header(&mut self, header: &Header) -> Result<(), Trouble> {
        self.write(&header.encode())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.to.write_all(bytes).map_err(|error| Trouble::Fatal(lost(error)))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn zeros(&mut self, count: u64) -> Result<(), Failed> {
        std::io::copy(&mut std::io::repeat(0).take(count), &mut self.to).map_err(lost)?;
        self.written += count;
        Ok(())
    }
}

fn lost(error: std::io::Error) -> Failed {
    Failed::machine("writing the archive", error)
}

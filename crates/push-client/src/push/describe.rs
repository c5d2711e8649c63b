//! From what the walk found to an entry, for all that is not the content of a file.

use std::os::fd::{AsFd, BorrowedFd};

use formats::limits::ATTRIBUTES;
use formats::{Body, Entry, Flags, Kind, Meta, Node, Tag};
use rustix::io::Errno;

use cli::{Monitor, shown};

use super::account::{Account, Count};
use crate::state::{Base, Known};
use crate::walk::{Facts, FileKind, Found, Missed, Names, open_file, read_attributes, read_flags};

/// The base's entry can be taken over as it is: nothing was touched since, not even the names of its owners, which live elsewhere
/// and change without a trace on the inode.
pub(super) fn is_untouched(base: &Base, names: &Names, known: &Known, facts: &Facts) -> bool {
    let Body::Node(Node { meta, kind }) = &known.entry.body else { return false };
    let same = known.stamp == facts.stamp && meta.mtime == facts.mtime && base.is_settled(&known.stamp);
    let same_size = match kind {
        Kind::File { size, .. } => *size == facts.size,
        _ => true,
    };
    same && same_size
        && matches_kind(kind, facts.kind)
        && names.agree(&meta.attributes, facts.owner, facts.group)
}

/// What it is, if it is no file.
pub(super) fn kind_of(found: &Found<'_>) -> Result<Kind, Errno> {
    let (major, minor) = found.facts.node;
    Ok(match found.facts.kind {
        FileKind::Symlink => {
            let target = rustix::fs::readlinkat(found.folder, found.name, Vec::new())?;
            Kind::Symlink { target: target.into_bytes() }
        }
        FileKind::Fifo => Kind::Fifo,
        FileKind::Socket => Kind::Socket,
        FileKind::CharDevice => Kind::CharDevice { major, minor },
        FileKind::BlockDevice => Kind::BlockDevice { major, minor },
        FileKind::File | FileKind::Folder => Kind::Folder,
    })
}

/// Its entry, with the attributes that can be read; the others are named.
pub(super) fn describe(
    found: &Found<'_>,
    (facts, kind): (&Facts, Kind),
    open: Option<BorrowedFd<'_>>,
    names: &Names,
    account: &mut Account,
) -> Entry {
    let extended = read_attributes(open, found.folder.as_fd(), found.name);
    for (name, errno) in extended.missed {
        if errno != Errno::NOENT {
            let why = format!("extended attribute {}: {}", shown(&name), text(errno));
            account.leave_out(found.path.as_bytes(), why);
        }
    }
    let flags = flags_of(found, open).unwrap_or_else(|errno| {
        account.leave_out(found.path.as_bytes(), format!("inode flags: {}", text(errno)));
        None
    });
    let mut attributes = names.attributes(facts.owner, facts.group);
    attributes.extend(flags.map(Flags::attribute));
    attributes.extend(extended.read);
    let meta = Meta {
        mode: facts.mode,
        owner: facts.owner,
        group: facts.group,
        mtime: facts.mtime,
        links: facts.links,
        attributes,
    };
    Entry { path: found.path.clone(), body: Body::Node(Node { meta, kind }) }
}

/// An untouched entry with its flags, where the base's manifest is of a version that could not hold them; none if there are none.
pub(super) fn with_flags(base: &Base, known: &Known, found: &Found<'_>) -> Result<Option<Entry>, Errno> {
    if base.knows_flags() {
        return Ok(None);
    }
    let Some(flags) = flags_of(found, found.opened())? else { return Ok(None) };
    let mut entry = known.entry.clone();
    if let Body::Node(node) = &mut entry.body {
        let attributes = &mut node.meta.attributes;
        if attributes.len() >= ATTRIBUTES {
            return Err(Errno::TOOBIG);
        }
        let place = attributes.iter().take_while(|attribute| attribute.tag < Tag::Flags).count();
        attributes.insert(place, flags.attribute());
    }
    Ok(Some(entry))
}

/// Only files and folders have some, and of a folder that could not be opened nothing but its name is known.
fn flags_of(found: &Found<'_>, open: Option<BorrowedFd<'_>>) -> Result<Option<Flags>, Errno> {
    match (open, found.facts.kind) {
        (Some(open), FileKind::File | FileKind::Folder) => read_flags(open),
        (None, FileKind::File) => match open_file(found.folder, found.name, &found.facts) {
            Ok(file) => read_flags(file),
            // Gone meanwhile, as anything may be after it was looked at.
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        },
        _ => Ok(None),
    }
}

/// Takes down why the walk did not take a path.
pub(super) fn note_missed(account: &mut Account, monitor: &dyn Monitor, path: &[u8], why: Missed) {
    let reason = match why {
        Missed::Vanished => return account.add(Count::Vanished, 1),
        Missed::OtherFileSystem => {
            account.add(Count::OtherFileSystems, 1);
            return monitor.info(&format!("another file system, not entered: {}", shown(path)));
        }
        Missed::Excluded(by) => {
            account.add(Count::Excluded, 1);
            return monitor.detail(&format!("{by}: {}", shown(path)));
        }
        Missed::NoRoot => "named among the roots, and not there".to_owned(),
        Missed::LinkedRoot => {
            "a root that is, or lies behind, a symbolic link; name what it points to".to_owned()
        }
        Missed::Name => "path too long or too deep".to_owned(),
        Missed::Unsteady => "changed its kind at each look".to_owned(),
        Missed::Closed(errno) => text(errno),
        Missed::Unlisted(errno) => format!("{}: this folder is kept without what it holds", text(errno)),
    };
    account.leave_out(path, reason);
}

/// What the system says.
pub(super) fn text(errno: Errno) -> String {
    std::io::Error::from(errno).to_string()
}

fn matches_kind(kind: &Kind, now: FileKind) -> bool {
    matches!(
        (kind, now),
        (Kind::File { .. }, FileKind::File)
            | (Kind::Folder, FileKind::Folder)
            | (Kind::Symlink { .. }, FileKind::Symlink)
            | (Kind::Fifo, FileKind::Fifo)
            | (Kind::Socket, FileKind::Socket)
            | (Kind::CharDevice { .. }, FileKind::CharDevice)
            | (Kind::BlockDevice { .. }, FileKind::BlockDevice)
    )
}

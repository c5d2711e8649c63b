//! One line of a manifest: a path and what is there. Layout in docs/formats/manifest.md.

use crate::cursor::{Cursor, Malformed, malformed};
use crate::flags::Flags;
use crate::id::ContentHash;
use crate::limits::{
    ATTRIBUTE_NAME_BYTES, ATTRIBUTE_VALUE_BYTES, ATTRIBUTES, ENTRY_BYTES, FLAT_ENTRY_BYTES, TARGET_BYTES,
};
use crate::path::RelPath;

/// A path and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: RelPath,
    /// What.
    pub body: Body,
}

/// An inode of its own, or one more name of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The first name of an inode, with all that is known of it.
    Node(Node),
    /// A later member of a hard-link group: the path of the first.
    Link(RelPath),
}

/// An inode: its metadata and its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Owner, mode, times and so on.
    pub meta: Meta,
    /// What it is.
    pub kind: Kind,
}

/// What all kinds of inode have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky; at most 0o7777.
    pub mode: u32,
    /// Owner by number.
    pub owner: u32,
    /// Group by number.
    pub group: u32,
    /// Time of last change of the content.
    pub mtime: Mtime,
    /// Names this inode had on the host; 1 for folders.
    pub links: u32,
    /// Owner names and extended attributes, strictly ascending by tag and name.
    pub attributes: Vec<Attribute>,
}

/// A point in time to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mtime {
    /// Since 1970, may be negative.
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanos: u32,
}

/// What an inode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Bytes.
        size: u64,
        /// BLAKE3 of its bytes.
        content: ContentHash,
    },
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink {
        /// Raw bytes, never empty, no byte 0.
        target: Vec<u8>,
    },
    /// A named pipe.
    Fifo,
    /// A socket: kept by name only.
    Socket,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// What an attribute says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// The owner's name on the host.
    OwnerName,
    /// The group's name on the host.
    GroupName,
    /// Inode flags: [`Flags`].
    Flags,
    /// An extended attribute, POSIX ACLs among them.
    Extended,
}

/// A named value beside the fixed metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// What it says.
    pub tag: Tag,
    /// Name of an extended attribute; empty for all others.
    pub name: Vec<u8>,
    /// Its bytes.
    pub value: Vec<u8>,
}

impl Tag {
    const fn code(self) -> u8 {
        match self {
            Tag::OwnerName => 1,
            Tag::GroupName => 2,
            Tag::Flags => 3,
            Tag::Extended => 16,
        }
    }

    fn from_code(code: u8) -> Result<Self, Malformed> {
        match code {
            1 => Ok(Tag::OwnerName),
            2 => Ok(Tag::GroupName),
            3 => Ok(Tag::Flags),
            16 => Ok(Tag::Extended),
            _ => malformed("attribute tag"),
        }
    }
}

impl Entry {
    /// The inode, unless this is a later name of one.
    pub fn node(&self) -> Option<&Node> {
        match &self.body {
            Body::Node(node) => Some(node),
            Body::Link(_) => None,
        }
    }

    /// True for a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self.node(), Some(Node { kind: Kind::Folder, .. }))
    }

    /// By how much it holds more than every entry is charged with, if its line in a manifest has so many bytes: the line, the name in its folder and
    /// the target of a symbolic link, which lie in the tree once more.
    pub fn long_bytes(&self, line_bytes: u64) -> u64 {
        let target = match self.node() {
            Some(Node { kind: Kind::Symlink { target }, .. }) => target.len(),
            _ => 0,
        };
        let in_tree = self.path.file_name().len() + target;
        line_bytes.saturating_add(in_tree as u64).saturating_sub(FLAT_ENTRY_BYTES)
    }

    /// Appends the layout of docs/formats/manifest.md. What is over a limit is refused here, so that nothing unreadable is ever written.
    pub fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        let start = to.len();
        to.push(self.kind_code());
        put_short(to, self.path.as_bytes(), "path")?;
        match &self.body {
            Body::Link(first) => put_short(to, first.as_bytes(), "hard link")?,
            Body::Node(node) => node.encode(to)?,
        }
        if to.len() - start > ENTRY_BYTES { malformed("entry: too long") } else { Ok(()) }
    }

    /// Reads one entry that must fill `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > ENTRY_BYTES {
            return malformed("entry: too long");
        }
        let mut from = Cursor::new(bytes);
        let code = from.u8("kind")?;
        let path = take_path(&mut from, "path")?;
        let body = if code == LINK {
            Body::Link(take_path(&mut from, "hard link")?)
        } else {
            Body::Node(Node::decode(code, &mut from)?)
        };
        from.end("entry: bytes after its end")?;
        Ok(Entry { path, body })
    }

    fn kind_code(&self) -> u8 {
        match &self.body {
            Body::Link(_) => LINK,
            Body::Node(node) => match node.kind {
                Kind::File { .. } => 1,
                Kind::Folder => 2,
                Kind::Symlink { .. } => 3,
                Kind::Fifo => 5,
                Kind::Socket => 6,
                Kind::CharDevice { .. } => 7,
                Kind::BlockDevice { .. } => 8,
            },
        }
    }
}

const LINK: u8 = 4;

fn put_short(to: &mut Vec<u8>, bytes: &[u8], what: &'static str) -> Result<(), Malformed> {
    let length = u16::try_from(bytes.len()).or(malformed(what))?;
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(bytes);
    Ok(())
}

/// A path with its u16 length, as entries, links and removes write it.
pub(crate) fn take_path(from: &mut Cursor<'_>, what: &'static str) -> Result<RelPath, Malformed> {
    let length = from.u16(what)?;
    RelPath::new(from.bytes(usize::from(length), what)?).or(malformed(what))
}

impl Node {
    fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        let meta = &self.meta;
        meta.check(&self.kind)?;
        for number in [meta.mode, meta.owner, meta.group] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        to.extend_from_slice(&meta.mtime.seconds.to_le_bytes());
        to.extend_from_slice(&meta.mtime.nanos.to_le_bytes());
        to.extend_from_slice(&meta.links.to_le_bytes());
        self.kind.encode(to)?;
        meta.encode_attributes(to)
    }

    fn decode(code: u8, from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut meta = Meta {
            mode: from.u32("mode")?,
            owner: from.u32("owner")?,
            group: from.u32("group")?,
            mtime: Mtime { seconds: from.i64("mtime")?, nanos: from.u32("mtime")? },
            links: from.u32("links")?,
            attributes: Vec::new(),
        };
        let kind = Kind::decode(code, from)?;
        meta.decode_attributes(from)?;
        meta.check(&kind)?;
        Ok(Node { meta, kind })
    }
}

impl Kind {
    fn encode(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Kind::File { size, content } => {
                to.extend_from_slice(&size.to_le_bytes());
                to.extend_from_slice(content.as_bytes());
            }
            Kind::Symlink { target } => {
                check_target(target)?;
                put_short(to, target, "symlink target")?;
            }
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                to.extend_from_slice(&major.to_le_bytes());
                to.extend_from_slice(&minor.to_le_bytes());
            }
            Kind::Folder | Kind::Fifo | Kind::Socket => {}
        }
        Ok(())
    }

    fn decode(code: u8, from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(match code {
            1 => Kind::File {
                size: from.u64("size")?,
                content: ContentHash::from_bytes(from.array("content hash")?),
            },
            2 => Kind::Folder,
            3 => {
                let length = from.u16("symlink target")?;
                let target = from.bytes(usize::from(length), "symlink target")?;
                check_target(target)?;
                Kind::Symlink { target: target.to_vec() }
            }
            5 => Kind::Fifo,
            6 => Kind::Socket,
            7 => Kind::CharDevice { major: from.u32("device")?, minor: from.u32("device")? },
            8 => Kind::BlockDevice { major: from.u32("device")?, minor: from.u32("device")? },
            _ => return malformed("kind"),
        })
    }
}

fn check_target(target: &[u8]) -> Result<(), Malformed> {
    let fits = !target.is_empty() && target.len() <= TARGET_BYTES && !target.contains(&0);
    if fits { Ok(()) } else { malformed("symlink target") }
}

impl Meta {
    fn check(&self, kind: &Kind) -> Result<(), Malformed> {
        if self.mode > 0o7777 {
            return malformed("mode");
        }
        if self.mtime.nanos >= 1_000_000_000 {
            return malformed("mtime");
        }
        if self.links == 0 || (matches!(kind, Kind::Folder) && self.links != 1) {
            return malformed("links");
        }
        if self.flags().is_some() && !matches!(kind, Kind::File { .. } | Kind::Folder) {
            return malformed("flags");
        }
        Ok(())
    }

    /// The inode flags, if any is set.
    pub fn flags(&self) -> Option<Flags> {
        let attribute = self.attributes.iter().find(|attribute| attribute.tag == Tag::Flags)?;
        Flags::decode(&attribute.value)
    }

    fn encode_attributes(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.attributes.len() > ATTRIBUTES {
            return malformed("attributes: too many");
        }
        to.extend_from_slice(&(self.attributes.len() as u16).to_le_bytes());
        let mut previous: Option<&Attribute> = None;
        for attribute in &self.attributes {
            attribute.check(previous)?;
            to.push(attribute.tag.code());
            put_short(to, &attribute.name, "attribute name")?;
            let length = u32::try_from(attribute.value.len()).or(malformed("attribute value"))?;
            to.extend_from_slice(&length.to_le_bytes());
            to.extend_from_slice(&attribute.value);
            previous = Some(attribute);
        }
        Ok(())
    }

    fn decode_attributes(&mut self, from: &mut Cursor<'_>) -> Result<(), Malformed> {
        let count = usize::from(from.u16("attributes")?);
        if count > ATTRIBUTES {
            return malformed("attributes: too many");
        }
        for _ in 0..count {
            let tag = Tag::from_code(from.u8("attribute tag")?)?;
            let name_length = usize::from(from.u16("attribute name")?);
            let name = from.bytes(name_length, "attribute name")?;
            let value_length = from.u32("attribute value")? as usize;
            let value = from.bytes(value_length, "attribute value")?;
            if name.len() > ATTRIBUTE_NAME_BYTES || value.len() > ATTRIBUTE_VALUE_BYTES {
                return malformed("attribute: too long");
            }
            let attribute = Attribute { tag, name: name.to_vec(), value: value.to_vec() };
            attribute.check(self.attributes.last())?;
            self.attributes.push(attribute);
        }
        Ok(())
    }
}

impl Attribute {
    fn check(&self, previous: Option<&Attribute>) -> Result<(), Malformed> {
        let named = !self.name.is_empty() && !self.name.contains(&0);
        let fits = match self.tag {
            Tag::Extended => named,
            Tag::Flags => self.name.is_empty() && Flags::decode(&self.value).is_some(),
            Tag::OwnerName | Tag::GroupName => self.name.is_empty(),
        };
        if !fits || self.name.len() > ATTRIBUTE_NAME_BYTES || self.value.len() > ATTRIBUTE_VALUE_BYTES {
            return malformed("attribute");
        }
        match previous {
            Some(p) if (p.tag, &p.name) >= (self.tag, &self.name) => malformed("attributes: not ascending"),
            _ => Ok(()),
        }
    }
}

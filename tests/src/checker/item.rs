//! A manifest in the checker's own words, and a parser of its own for it. Written from `docs/formats/manifest.md`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

/// One name of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Raw bytes, relative to `/`.
    pub path: Vec<u8>,
    /// What is there.
    pub what: What,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A later name of the inode that this path is the first name of.
    Link(Vec<u8>),
    /// An inode.
    Node(Node),
}

/// An inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Permission bits.
    pub mode: u32,
    /// Owner and group by number.
    pub owner: (u32, u32),
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Names it had on the host.
    pub links: u32,
    /// Its kind.
    pub kind: Kind,
    /// By tag and name.
    pub attributes: Attributes,
}

/// Values by tag and name.
pub type Attributes = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// The kind of an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Size and BLAKE3 of its bytes.
    File(u64, [u8; 32]),
    /// A folder.
    Folder,
    /// Its target.
    Symlink(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Major and minor number.
    CharDevice(u32, u32),
    /// Major and minor number.
    BlockDevice(u32, u32),
}

/// A whole manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its names, in order.
    pub items: Vec<Item>,
    /// The root, computed here.
    pub root: [u8; 32],
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The order of manifests: component by component.
#[must_use]
pub fn order(a: &[u8], b: &[u8]) -> Ordering {
    let parts = |path: &'_ [u8]| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
    parts(a).cmp(&parts(b))
}

/// Reads a manifest file whole and holds it to every rule of its document.
///
/// # Errors
/// The first rule that is broken.
pub fn parse(bytes: &[u8]) -> Result<Manifest, String> {
    let mut from = Bytes(bytes);
    if from.take(8)? != b"firn.man" {
        return Err("not a manifest".to_owned());
    }
    let (major, _minor) = (from.u16()?, from.u16()?);
    if !(1..=2).contains(&major) {
        return Err(format!("major version {major}"));
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"firn manifest root 1\n");
    let mut items: Vec<Item> = Vec::new();
    loop {
        let length = from.u32()?;
        if length == 0 {
            break;
        }
        let entry = from.take(length as usize)?;
        hasher.update(&length.to_le_bytes());
        hasher.update(entry);
        items.push(item(entry).map_err(|rule| format!("entry {}: {rule}", items.len() + 1))?);
    }
    let root = *hasher.finalize().as_bytes();
    if from.u64()? != items.len() as u64 {
        return Err("number of entries".to_owned());
    }
    if from.take(32)? != root {
        return Err("root".to_owned());
    }
    from.end("manifest")?;
    between(&items)?;
    Ok(Manifest { items, root })
}

/// The rules between entries.
fn between(items: &[Item]) -> Result<(), String> {
    let mut before: HashMap<&[u8], &What> = HashMap::new();
    let mut last: Option<&[u8]> = None;
    for item in items {
        let broken = |rule: &str| Err(format!("{}: {rule}", item.path.escape_ascii()));
        if last.is_some_and(|last| order(last, &item.path) != Ordering::Less) {
            return broken("does not ascend");
        }
        last = Some(&item.path);
        if let Some(slash) = item.path.iter().rposition(|byte| *byte == b'/') {
            let parent = item.path.get(..slash).and_then(|parent| before.get(parent));
            if !matches!(parent, Some(What::Node(Node { kind: Kind::Folder, .. }))) {
                return broken("its folder is not there");
            }
        }
        match &item.what {
            What::Link(first) => match before.get(first.as_slice()) {
                Some(What::Node(node)) if node.kind != Kind::Folder && node.links > 1 => {}
                _ => return broken("links to no first member"),
            },
            What::Node(node) if node.kind == Kind::Folder && node.links != 1 => {
                return broken("links of a folder");
            }
            What::Node(_) => {}
        }
        before.insert(&item.path, &item.what);
    }
    Ok(())
}

fn item(entry: &[u8]) -> Result<Item, String> {
    let mut from = Bytes(entry);
    let kind = from.u8()?;
    let path = path(&mut from)?;
    if kind == 4 {
        let first = self::path(&mut from)?;
        from.end("hard link")?;
        return Ok(Item { path, what: What::Link(first) });
    }
    let mode = from.u32()?;
    let owner = (from.u32()?, from.u32()?);
    let mtime = (from.i64()?, from.u32()?);
    let links = from.u32()?;
    if mode > 0o7777 || mtime.1 >= 1_000_000_000 || links == 0 {
        return Err("mode, mtime or links".to_owned());
    }
    let kind = match kind {
        1 => Kind::File(from.u64()?, from.hash()?),
        2 => Kind::Folder,
        3 => Kind::Symlink(target(&mut from)?),
        5 => Kind::Fifo,
        6 => Kind::Socket,
        7 => Kind::CharDevice(from.u32()?, from.u32()?),
        8 => Kind::BlockDevice(from.u32()?, from.u32()?),
        other => return Err(format!("kind {other}")),
    };
    let attributes = attributes(&mut from)?;
    from.end("entry")?;
    Ok(Item { path, what: What::Node(Node { mode, owner, mtime, links, kind, attributes }) })
}

fn path(from: &mut Bytes<'_>) -> Result<Vec<u8>, String> {
    let length = from.u16()?;
    let path = from.take(usize::from(length))?;
    let mut depth = 0;
    for part in path.split(|byte| *byte == b'/') {
        depth += 1;
        if part.is_empty() || part == b"." || part == b".." || part.len() > 255 || part.contains(&0) {
            return Err(format!("path {}", path.escape_ascii()));
        }
    }
    if depth > 4096 || path.len() > 32_767 { Err("path too long".to_owned()) } else { Ok(path.to_vec()) }
}

fn target(from: &mut Bytes<'_>) -> Result<Vec<u8>, String> {
    let length = usize::from(from.u16()?);
    let target = from.take(length)?;
    let fits = (1..=4095).contains(&length) && !target.contains(&0);
    if fits { Ok(target.to_vec()) } else { Err("symlink target".to_owned()) }
}

fn attributes(from: &mut Bytes<'_>) -> Result<Attributes, String> {
    let mut all = BTreeMap::new();
    for _ in 0..from.u16()? {
        let tag = from.u8()?;
        let name_length = usize::from(from.u16()?);
        let name = from.take(name_length)?.to_vec();
        let value_length = from.u32()? as usize;
        let value = from.take(value_length)?.to_vec();
        let fits = matches!((tag, name.len()), (1..=3, 0) | (16, 1..=255)) && value.len() <= 65_536;
        let key = (tag, name);
        if !fits || all.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err("attribute".to_owned());
        }
        all.insert(key, value);
    }
    Ok(all)
}

/// What is not read yet.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self.0.split_at_checked(count).ok_or("cut short")?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "cut short".to_owned())
    }

    fn u8(&mut self) -> Result<u8, String> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, String> {
        self.array().map(i64::from_le_bytes)
    }

    fn hash(&mut self) -> Result<[u8; 32], String> {
        self.array()
    }

    fn end(&self, of: &str) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("bytes after the end of the {of}")) }
    }
}

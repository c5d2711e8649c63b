//! Entries and changes as bytes, without any rule.

/// One entry; nothing here is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the kind.
    pub kind: u8,
    /// Any bytes.
    pub path: Vec<u8>,
    /// Mode, owner, group.
    pub numbers: [u32; 3],
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Number of names.
    pub links: u32,
    /// What the kind adds: size and hash, target with its length, device numbers; the first name of a hard link with its length.
    pub body: Vec<u8>,
    /// Tag, name, value.
    pub attributes: Vec<(u8, Vec<u8>, Vec<u8>)>,
    /// A number of attributes other than the true one.
    pub attribute_count: Option<u16>,
    /// Bytes after the end.
    pub tail: Vec<u8>,
}

fn short(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_le_bytes(), bytes].concat()
}

impl Entry {
    /// An entry of some kind with ordinary metadata.
    #[must_use]
    pub fn of(kind: u8, path: impl Into<Vec<u8>>, body: Vec<u8>) -> Entry {
        Entry {
            kind,
            path: path.into(),
            numbers: [0o644, 1000, 1000],
            mtime: (1_700_000_000, 123_456_789),
            links: 1,
            body,
            attributes: Vec::new(),
            attribute_count: None,
            tail: Vec::new(),
        }
    }

    /// A file with this content.
    #[must_use]
    pub fn file(path: impl Into<Vec<u8>>, content: &[u8]) -> Entry {
        Entry::claim(path, content.len() as u64, *blake3::hash(content).as_bytes())
    }

    /// A file that claims this size and hash.
    #[must_use]
    pub fn claim(path: impl Into<Vec<u8>>, size: u64, hash: [u8; 32]) -> Entry {
        Entry::of(1, path, [size.to_le_bytes().as_slice(), &hash].concat())
    }

    /// A folder.
    #[must_use]
    pub fn folder(path: impl Into<Vec<u8>>) -> Entry {
        Entry { numbers: [0o755, 0, 0], ..Entry::of(2, path, Vec::new()) }
    }

    /// A symlink.
    #[must_use]
    pub fn symlink(path: impl Into<Vec<u8>>, target: &[u8]) -> Entry {
        Entry { numbers: [0o777, 0, 0], ..Entry::of(3, path, short(target)) }
    }

    /// A later name of `first`.
    #[must_use]
    pub fn link(path: impl Into<Vec<u8>>, first: &[u8]) -> Entry {
        Entry::of(4, path, short(first))
    }

    /// A device.
    #[must_use]
    pub fn device(kind: u8, path: impl Into<Vec<u8>>, major: u32, minor: u32) -> Entry {
        Entry::of(kind, path, [major.to_le_bytes(), minor.to_le_bytes()].concat())
    }

    /// With this many names.
    #[must_use]
    pub fn links(self, links: u32) -> Entry {
        Entry { links, ..self }
    }

    /// With this mode.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Entry {
        self.numbers[0] = mode;
        self
    }

    /// With one more attribute.
    #[must_use]
    pub fn attribute(mut self, tag: u8, name: &[u8], value: &[u8]) -> Entry {
        self.attributes.push((tag, name.to_vec(), value.to_vec()));
        self
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = vec![self.kind];
        to.extend(short(&self.path));
        if self.kind == 4 {
            to.extend(&self.body);
            to.extend(&self.tail);
            return to;
        }
        self.numbers.iter().for_each(|number| to.extend(number.to_le_bytes()));
        to.extend(self.mtime.0.to_le_bytes());
        to.extend(self.mtime.1.to_le_bytes());
        to.extend(self.links.to_le_bytes());
        to.extend(&self.body);
        let true_count = u16::try_from(self.attributes.len()).unwrap_or(u16::MAX);
        to.extend(self.attribute_count.unwrap_or(true_count).to_le_bytes());
        for (tag, name, value) in &self.attributes {
            to.push(*tag);
            to.extend(short(name));
            to.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
            to.extend(value);
        }
        to.extend(&self.tail);
        to
    }
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), bytes].concat()
}

/// The change that puts an entry.
#[must_use]
pub fn put(entry: &Entry) -> Vec<u8> {
    [[1u8].as_slice(), &with_length(&entry.encode())].concat()
}

/// The change that removes a path.
#[must_use]
pub fn remove(path: &[u8]) -> Vec<u8> {
    [[2u8].as_slice(), &short(path)].concat()
}

/// The root of these entries, whatever they are.
#[must_use]
pub fn root_of(entries: &[Entry]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"firn manifest root 1\n");
    for entry in entries {
        hasher.update(&with_length(&entry.encode()));
    }
    *hasher.finalize().as_bytes()
}

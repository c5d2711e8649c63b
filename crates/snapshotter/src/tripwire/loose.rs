//! What git does to its own files: objects lie in files of their own until `git gc` packs thousands of them into one. Then they are gone, and
//! nothing is lost. So loose objects that went do not count if a new pack came in the same store.

/// The first digits of an object's name, which are its folder, and the rest, of SHA-1 and of SHA-256.
const FOLDER_HEX: usize = 2;
const NAME_HEX: [usize; 2] = [38, 62];

/// Loose objects that are gone, in the order of manifests: those of one store come before its packs, and nothing else between.
#[derive(Debug, Clone, Default)]
pub(super) struct Loose {
    store: Vec<u8>,
    waiting: u64,
    lost: u64,
}

impl Loose {
    /// A file that is gone; tells if it is one of these.
    pub(super) fn gone(&mut self, path: &[u8]) -> bool {
        let Some(store) = store_of_object(path) else { return false };
        if store != self.store {
            self.flush();
            store.clone_into(&mut self.store);
        }
        self.waiting = self.waiting.saturating_add(1);
        true
    }

    /// A file that is new.
    pub(super) fn came(&mut self, path: &[u8]) {
        if store_of_pack(path).is_some_and(|store| store == self.store) {
            self.waiting = 0;
        }
    }

    /// How many went without a pack.
    pub(super) fn lost(&self) -> u64 {
        self.lost.saturating_add(self.waiting)
    }

    fn flush(&mut self) {
        self.lost = self.lost();
        self.waiting = 0;
    }
}

/// `.../objects` of `.../objects/ab/cdef...`.
fn store_of_object(path: &[u8]) -> Option<&[u8]> {
    let (folder, name) = split(path)?;
    let (store, first) = split(folder)?;
    let is_hex = |part: &[u8]| part.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let fits = first.len() == FOLDER_HEX && NAME_HEX.contains(&name.len()) && is_hex(first) && is_hex(name);
    (fits && is_store(store)).then_some(store)
}

/// `.../objects` of `.../objects/pack/....pack`.
fn store_of_pack(path: &[u8]) -> Option<&[u8]> {
    let (folder, name) = split(path)?;
    let store = folder.strip_suffix(b"/pack")?;
    (name.ends_with(b".pack") && is_store(store)).then_some(store)
}

fn is_store(path: &[u8]) -> bool {
    path == b"objects" || path.ends_with(b"/objects")
}

fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = path.iter().rposition(|b| *b == b'/')?;
    Some((path.get(..slash)?, path.get(slash + 1..)?))
}

//! Which states of this host the server has, as far as is known.

use durable::{Dir, Name};
use formats::{PushId, Root};
use serde::{Deserialize, Serialize};

use super::StateError;

const FILE: Name<'static> = Name::literal("state");
const FORMAT: &str = "firn.client/1.2";
const FORMAT_MAJOR: &str = "firn.client/1.";
/// Longest file, in bytes.
const BYTES_MAX: u64 = 64 * 1024;
/// Most pushes whose verdict is waited for; of older ones the files are given up.
const PENDING_MAX: usize = 4;

/// The file `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    format: String,
    /// Root of the newest state that is known to be accepted.
    pub accepted: Option<Root>,
    /// Pushes that were sent, or nearly, and have no verdict yet; oldest first.
    pub pending: Vec<Pending>,
    /// A push was rejected for what it counted on, and none was accepted since: the next one brings all that has no base, and offers nothing.
    #[serde(default)]
    pub whole: bool,
}

/// A push without a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Which push.
    pub push: PushId,
    /// The state it brings.
    pub root: Root,
    /// Paths that the walk had to leave out.
    #[serde(default)]
    pub left_out: u64,
    /// It went into a file: that the server does not have it yet means nothing.
    #[serde(default)]
    pub by_file: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self { format: FORMAT.to_owned(), accepted: None, pending: Vec::new(), whole: false }
    }
}

/// The file as it was found.
pub(super) enum Found {
    None,
    Unreadable,
    Some(Memory),
}

impl Memory {
    pub(super) fn load(dir: &Dir) -> Result<Found, StateError> {
        let Some(bytes) = super::folder::read_small(dir, FILE, BYTES_MAX)? else { return Ok(Found::None) };
        let read = serde_json::from_slice::<Self>(&bytes).ok();
        let fits =
            |memory: &Self| memory.format.starts_with(FORMAT_MAJOR) && memory.pending.len() <= PENDING_MAX;
        Ok(read.filter(fits).map_or(Found::Unreadable, Found::Some))
    }

    /// Writes it, durably.
    pub(super) fn save(&self, dir: &Dir) -> Result<(), StateError> {
        // One that was read under an older label has, from now on, what only this one tells of.
        let labelled = Self { format: FORMAT.to_owned(), ..self.clone() };
        let mut line = serde_json::to_vec(&labelled)
            .map_err(|error| StateError::File { name: "state".to_owned(), source: error.into() })?;
        line.push(b'\n');
        Ok(dir.write_whole(FILE, &line, 0o600)?)
    }

    /// Adds a push; the oldest is forgotten when there are too many.
    pub fn add(&mut self, pending: Pending) {
        self.pending.retain(|old| old.push != pending.push);
        let surplus = (self.pending.len() + 1).saturating_sub(PENDING_MAX);
        self.pending.drain(..surplus);
        self.pending.push(pending);
    }

    /// The root is accepted. Pushes that end in it, and those sent before them, wait no longer.
    pub fn accept(&mut self, root: Root) {
        if let Some(last) = self.pending.iter().rposition(|pending| pending.root == root) {
            self.pending.drain(..=last);
        }
        self.accepted = Some(root);
    }

    /// A push has been judged or was lost.
    pub fn forget(&mut self, push: PushId) {
        self.pending.retain(|pending| pending.push != push);
    }

    /// Roots whose files are still of use.
    pub fn roots(&self) -> impl Iterator<Item = Root> {
        self.accepted.into_iter().chain(self.pending.iter().map(|pending| pending.root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(push: u8, root: u8) -> Pending {
        let (push, root) = (PushId::from_bytes([push; 16]), Root::from_bytes([root; 32]));
        Pending { push, root, left_out: 0, by_file: false }
    }

    #[test]
    fn the_oldest_of_five_waiting_pushes_is_forgotten() {
        let mut memory = Memory::default();
        (1..=5).for_each(|n| memory.add(pending(n, n)));
        assert_eq!(memory.pending, [pending(2, 2), pending(3, 3), pending(4, 4), pending(5, 5)]);
    }

    #[test]
    fn an_accepted_push_takes_those_before_it_along() {
        let mut memory = Memory::default();
        (1..=3).for_each(|n| memory.add(pending(n, n)));
        memory.accept(Root::from_bytes([2; 32]));
        assert_eq!(memory.pending, [pending(3, 3)]);
        assert_eq!(memory.roots().count(), 2);
    }

    #[test]
    fn a_file_of_an_older_version_is_written_as_one_of_this() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_root(folder.path()).unwrap();
        let older = format!(r#"{{"format":"{FORMAT_MAJOR}1","accepted":null,"pending":[]}}"#);
        std::fs::write(folder.path().join("state"), older).unwrap();
        let Found::Some(memory) = Memory::load(&dir).unwrap() else { panic!("not read") };
        Memory { whole: true, ..memory }.save(&dir).unwrap();
        let written = std::fs::read_to_string(folder.path().join("state")).unwrap();
        assert!(written.contains(FORMAT) && written.contains(r#""whole":true"#), "{written}");
    }
}

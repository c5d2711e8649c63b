//! Who this installation is, and how many pushes it has begun.

use durable::{Dir, Name};
use formats::{InstallationId, PushId};
use serde::{Deserialize, Serialize};

use super::StateError;

const FILE: Name<'static> = Name::literal("installation");
const FORMAT: &str = "firn.installation/1.0";
const FORMAT_MAJOR: &str = "firn.installation/1.";
/// Longest file, in bytes.
const BYTES_MAX: u64 = 4_096;

/// The file `installation`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Installation {
    format: String,
    installation: InstallationId,
    counter: u64,
}

impl Installation {
    /// The one in the folder, if there is a readable one.
    pub fn load(dir: &Dir) -> Result<Option<Self>, StateError> {
        let Some(bytes) = super::folder::read_small(dir, FILE, BYTES_MAX)? else { return Ok(None) };
        let read = serde_json::from_slice::<Self>(&bytes).ok();
        Ok(read.filter(|installation| installation.format.starts_with(FORMAT_MAJOR)))
    }

    /// A new one, made at random.
    pub fn random() -> Result<Self, StateError> {
        let installation = InstallationId::from_bytes(random()?);
        Ok(Self { format: FORMAT.to_owned(), installation, counter: 0 })
    }

    /// Begins a push: counts it, durably, before anything is sent.
    pub fn begin_push(&mut self, dir: &Dir) -> Result<PushId, StateError> {
        let push = PushId::from_bytes(random()?);
        self.counter = self.counter.saturating_add(1);
        let mut line = serde_json::to_vec(self)
            .map_err(|error| StateError::File { name: "installation".to_owned(), source: error.into() })?;
        line.push(b'\n');
        dir.write_whole(FILE, &line, 0o600)?;
        Ok(push)
    }

    /// Its id.
    pub fn id(&self) -> InstallationId {
        self.installation
    }

    /// Pushes begun.
    pub fn counter(&self) -> u64 {
        self.counter
    }
}

fn random<const N: usize>() -> Result<[u8; N], StateError> {
    let mut bytes = [0u8; N];
    let mut filled = 0;
    while filled < N {
        let rest = bytes.get_mut(filled..).unwrap_or_default();
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut *rest, flags))
            .map_err(|errno| StateError::Random(errno.into()))?;
    }
    Ok(bytes)
}

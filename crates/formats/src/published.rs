//! What a jail tells its host, and what its receiver has to know: the base, verdicts, wanted contents, limits, admission. Layout in docs/formats/session.md.

use crate::admission::Admission;
use crate::cursor::{Cursor, Malformed, malformed};
use crate::id::{ContentHash, HostId, PushId, Root};
use crate::limits::{PUBLISHED_BYTES, VERDICTS, WANTED};
use crate::push::{put_host, put_root, take_host, take_root};
use crate::session::Code;
use crate::version::{Version, VersionError};

/// First bytes of the file.
pub const MAGIC: &[u8; 8] = b"firn.pub";

/// Why the published state cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishedError {
    /// Of another version.
    #[error("published state")]
    Version(#[from] VersionError),
    /// Not a published state.
    #[error("published state")]
    Malformed(#[from] Malformed),
}

/// The published state of a jail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Whose jail it is.
    pub host: HostId,
    /// Root of the newest accepted snapshot.
    pub base: Option<Root>,
    /// Verdicts on earlier pushes, newest last.
    pub verdicts: Vec<Judged>,
    /// Contents the server wants again, ascending.
    pub wanted: Vec<ContentHash>,
    /// What this host may send.
    pub limits: Limits,
    /// When it may, and what it may have in all. Not told to the host: its receiver acts on it.
    pub admission: Admission,
}

/// A push and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Which push.
    pub push: PushId,
    /// What became of it.
    pub verdict: Verdict,
}

/// Version 2.0 of the file: 1.0 with the admission behind it. Written only where the admission is not the default, so that a receiver
/// of before it goes on as it was where nothing was asked of it.
const TWO: Version = Version { major: 2, minor: 0 };

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not looked at yet: no success.
    Pending,
    /// A snapshot in the history: safe.
    Accepted {
        /// Its root.
        root: Root,
    },
    /// Refused, with the reason.
    Rejected {
        /// The reason.
        code: Code,
    },
}

/// What one host may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest push file.
    pub push_bytes: u64,
    /// Largest sum of contents, expanded.
    pub expanded_bytes: u64,
    /// Most entries in a manifest.
    pub entries: u64,
    /// Below this much free space nothing is received.
    pub free_bytes: u64,
    /// Most sealed files waiting.
    pub queued_pushes: u32,
    /// Deadline of one session.
    pub session_seconds: u32,
    /// Longest silence.
    pub idle_seconds: u32,
    /// What the receiver must confine itself with.
    pub sandbox: Sandbox,
}

/// What the receiver must confine itself with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// Landlock and seccomp, or it refuses to start.
    Required,
    /// The chroot alone will do where the kernel has no Landlock.
    ChrootAccepted,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            push_bytes: 1 << 40,
            expanded_bytes: 1 << 42,
            entries: 50_000_000,
            free_bytes: 1 << 30,
            queued_pushes: 8,
            session_seconds: 12 * 3600,
            idle_seconds: 300,
            sandbox: Sandbox::Required,
        }
    }
}

impl Verdict {
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        let (kind, code, root) = match self {
            Verdict::Pending => (0u8, 0u16, [0; 32]),
            Verdict::Accepted { root } => (1, 0, *root.as_bytes()),
            Verdict::Rejected { code } => (2, code.number(), [0; 32]),
        };
        to.push(kind);
        to.extend_from_slice(&code.to_le_bytes());
        to.extend_from_slice(&root);
    }

    pub(crate) fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let (kind, code, root) = (from.u8("verdict")?, from.u16("verdict")?, from.array::<32>("verdict")?);
        match (kind, code, root == [0; 32]) {
            (0, 0, true) => Ok(Verdict::Pending),
            (1, 0, _) => Ok(Verdict::Accepted { root: Root::from_bytes(root) }),
            (2, code, true) => Ok(Verdict::Rejected { code: Code::from_number(code)? }),
            _ => malformed("verdict"),
        }
    }
}

impl Published {
    /// A host that has pushed nothing yet.
    pub fn new(host: HostId, limits: Limits) -> Self {
        Self {
            host,
            base: None,
            verdicts: Vec::new(),
            wanted: Vec::new(),
            limits,
            admission: Admission::default(),
        }
    }

    /// The verdict on a push, if it is still remembered.
    pub fn verdict(&self, push: PushId) -> Option<Verdict> {
        self.verdicts.iter().rev().find(|judged| judged.push == push).map(|judged| judged.verdict)
    }

    /// Adds a verdict; the oldest is forgotten when there are too many.
    pub fn judge(&mut self, push: PushId, verdict: Verdict) {
        self.verdicts.retain(|judged| judged.push != push);
        let surplus = (self.verdicts.len() + 1).saturating_sub(VERDICTS);
        self.verdicts.drain(..surplus);
        self.verdicts.push(Judged { push, verdict });
    }

    /// The bytes of the file `state/base`.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut to = MAGIC.to_vec();
        let is_plain = self.admission == Admission::default();
        if is_plain { Version::ONE } else { TWO }.encode(&mut to);
        self.encode_body(&mut to)?;
        if !is_plain {
            self.admission.encode(&mut to)?;
        }
        Ok(to)
    }

    /// Reads the bytes of the file `state/base`.
    pub fn decode(bytes: &[u8]) -> Result<Self, PublishedError> {
        if bytes.len() > PUBLISHED_BYTES {
            return Err(Malformed { what: "published state: too long" }.into());
        }
        let mut from = Cursor::new(bytes);
        if from.bytes(8, "magic")? != MAGIC {
            return Err(Malformed { what: "magic" }.into());
        }
        let version = Version::decode(&mut from)?;
        if version.major != Version::ONE.major {
            TWO.check("published state", version)?;
        }
        let mut published = Self::decode_body(&mut from)?;
        if version.major == TWO.major {
            published.admission = Admission::decode(&mut from)?;
            if published.admission == Admission::default() {
                return Err(Malformed { what: "published state: nothing that needs this version" }.into());
            }
        }
        from.end("published state: bytes after its end")?;
        Ok(published)
    }

    pub(crate) fn encode_body(&self, to: &mut Vec<u8>) -> Result<(), Malformed> {
        if self.verdicts.len() > VERDICTS || self.wanted.len() > WANTED {
            return malformed("published state: too many verdicts or wanted contents");
        }
        put_host(to, &self.host);
        put_root(to, self.base);
        to.extend_from_slice(&(self.verdicts.len() as u16).to_le_bytes());
        for judged in &self.verdicts {
            to.extend_from_slice(judged.push.as_bytes());
            judged.verdict.encode(to);
        }
        to.extend_from_slice(&(self.wanted.len() as u32).to_le_bytes());
        for hash in &self.wanted {
            to.extend_from_slice(hash.as_bytes());
        }
        self.limits.encode(to);
        Ok(())
    }

    pub(crate) fn decode_body(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let host = take_host(from)?;
        let base = take_root(from)?;
        let count = usize::from(from.u16("verdicts")?);
        if count > VERDICTS {
            return malformed("verdicts: too many");
        }
        let mut verdicts = Vec::with_capacity(count);
        for _ in 0..count {
            let push = PushId::from_bytes(from.array("verdict")?);
            verdicts.push(Judged { push, verdict: Verdict::decode(from)? });
        }
        let count = from.u32("wanted contents")? as usize;
        if count > WANTED {
            return malformed("wanted contents: too many");
        }
        let mut wanted: Vec<ContentHash> = Vec::with_capacity(count);
        for _ in 0..count {
            let hash = ContentHash::from_bytes(from.array("wanted content")?);
            if wanted.last().is_some_and(|last| *last >= hash) {
                return malformed("wanted contents: not ascending");
            }
            wanted.push(hash);
        }
        let limits = Limits::decode(from)?;
        Ok(Self { host, base, verdicts, wanted, limits, admission: Admission::default() })
    }
}

impl Limits {
    /// The most that the blocks of a push may expand to: contents and changes, each within the limit, and what records cost besides
    /// their data.
    pub fn blocks_bytes(&self) -> u64 {
        self.expanded_bytes.saturating_mul(2).saturating_add(self.heads_bytes())
    }

    /// The most of it that is not data.
    pub fn heads_bytes(&self) -> u64 {
        self.entries.saturating_mul(128).max(64 << 20)
    }

    fn encode(&self, to: &mut Vec<u8>) {
        for number in [self.push_bytes, self.expanded_bytes, self.entries, self.free_bytes] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.queued_pushes, self.session_seconds, self.idle_seconds] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        to.push(match self.sandbox {
            Sandbox::Required => 1,
            Sandbox::ChrootAccepted => 2,
        });
    }

    fn decode(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            push_bytes: from.u64("limits")?,
            expanded_bytes: from.u64("limits")?,
            entries: from.u64("limits")?,
            free_bytes: from.u64("limits")?,
            queued_pushes: from.u32("limits")?,
            session_seconds: from.u32("limits")?,
            idle_seconds: from.u32("limits")?,
            sandbox: match from.u8("limits")? {
                1 => Sandbox::Required,
                2 => Sandbox::ChrootAccepted,
                _ => return malformed("limits"),
            },
        })
    }
}

//! Ices: how a person names one, and what of its record may be believed.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::str::FromStr;

use cli::{Exit, Failure};
use formats::records::ice::{ICE_RECORD_BYTES, IceError, IceRecord};
use formats::records::ice_id::{IceId, IceIdError};
use formats::records::{Record, RecordError};
use formats::{ContentHash, HostId};

use crate::shelf::exit_while_reading;

/// Sealing a segment adds less than this: packet heads, one key packet for each recipient.
const SEALING_BYTES_MAX: u64 = 1 << 20;

/// The word for the newest ice of a host.
const LATEST: &str = "latest";

/// Which ice is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// This one.
    Exactly(IceId),
    /// The newest of a host.
    Latest(HostId),
}

impl FromStr for Which {
    type Err = IceIdError;
    fn from_str(text: &str) -> Result<Self, IceIdError> {
        match text.split_once('/') {
            Some((host, LATEST)) => HostId::parse(host).map(Which::Latest).or(Err(IceIdError::Ice)),
            _ => text.parse().map(Which::Exactly),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Exactly(id) => id.fmt(f),
            Which::Latest(host) => write!(f, "{host}/{LATEST}"),
        }
    }
}

/// Why a record cannot be believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordFault {
    #[error("the record of {ice} could not be read")]
    Read { ice: IceId, source: std::io::Error },
    #[error("the record of {ice} is damaged")]
    Record { ice: IceId, source: RecordError },
    #[error("the record of {ice} is not the one that was stored")]
    Other { ice: IceId },
    #[error("the record of {ice} contradicts itself")]
    Contradicts { ice: IceId, source: IceError },
    #[error("the record of {ice} breaks a rule: {rule}")]
    Rule { ice: IceId, rule: &'static str },
}

impl Failure for RecordFault {
    fn exit(&self) -> Exit {
        match self {
            RecordFault::Read { source, .. } => exit_while_reading(source),
            _ => Exit::DAMAGED,
        }
    }
}

/// A record, and the bytes it was read from.
pub(crate) struct StoredRecord {
    /// What they say.
    pub(crate) record: IceRecord,
    /// What the catalogue must hold, to the byte.
    pub(crate) line: Vec<u8>,
}

/// Reads the record of `ice`. What is given back is bounded and free of contradictions: all its objects are segments of this host, its
/// segments are exactly its image, and its snapshots have names that are safe as names of files. `stored` is what the vault says of it, if it
/// says anything: nothing else tells of damage to fields like the log's head.
pub(crate) fn read_record(
    ice: &IceId,
    from: impl Read,
    stored: Option<ContentHash>,
) -> Result<StoredRecord, RecordFault> {
    let mut line = Vec::new();
    from.take(ICE_RECORD_BYTES as u64 + 1)
        .read_to_end(&mut line)
        .map_err(|source| RecordFault::Read { ice: ice.clone(), source })?;
    let record =
        IceRecord::from_line(&line).map_err(|source| RecordFault::Record { ice: ice.clone(), source })?;
    if stored.is_some_and(|hash| hash != ContentHash::of(&line)) {
        return Err(RecordFault::Other { ice: ice.clone() });
    }
    record.check().map_err(|source| RecordFault::Contradicts { ice: ice.clone(), source })?;
    match rules(ice, &record) {
        Ok(()) => Ok(StoredRecord { record, line }),
        Err(rule) => Err(RecordFault::Rule { ice: ice.clone(), rule }),
    }
}

/// What this program needs beyond [`IceRecord::check`].
fn rules(ice: &IceId, record: &IceRecord) -> Result<(), &'static str> {
    if record.ice != *ice {
        return Err("it is the record of another ice");
    }
    let mut names = HashSet::new();
    for snapshot in &record.snapshots {
        if IceId::new(record.host.clone(), &snapshot.name).is_err() {
            return Err("a snapshot's name is not one");
        }
        if !names.insert(&snapshot.name) {
            return Err("two snapshots have the same name");
        }
    }
    let fits = |plain: u64, sealed: u64| {
        let most = plain.saturating_add(plain / 8).saturating_add(SEALING_BYTES_MAX);
        (plain..=most).contains(&sealed)
    };
    if record.segments.iter().all(|segment| fits(segment.plain_bytes, segment.bytes)) {
        Ok(())
    } else {
        Err("the length of a sealed segment does not fit its content")
    }
}

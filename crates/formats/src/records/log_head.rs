//! Up to where a snapshot log is as the server wrote it: the text that the server's key signs. Document: docs/formats/log-head.md.

use serde::{Deserialize, Serialize};

use super::record::{Record, RecordVersion};
use crate::id::{ContentHash, HostId};

/// The newest line of a log at some time. As each line names the one before, it stands for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// `firn.log-head/1.0`.
    pub format: RecordVersion,
    /// Whose log.
    pub host: HostId,
    /// Number of the line.
    pub line: u64,
    /// Length of the log up to and with this line.
    pub bytes: u64,
    /// Length of the line itself, newline included.
    pub line_bytes: u64,
    /// Hash of the line, newline included.
    pub hash: ContentHash,
    /// When it was signed, by the server's clock, UTC.
    pub time: String,
}

impl Record for LogHead {
    const NAME: &'static str = "firn.log-head";
    const LONGEST_BYTES: usize = 4096;
}

//! What a push costs, and whom.

use serde::Serialize;

use super::plan::Load;

/// Measured on one machine. Server side unless said otherwise; microseconds of one core, or of one process that judges.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Costs {
    /// Connection, keys, login, receiver, and the end of all that; without the data.
    pub(crate) session_us: u64,
    /// sshd and receiver, for a megabyte on the wire.
    pub(crate) receive_us_per_mb: u64,
    /// Judging a push of a small host in which nothing changed.
    pub(crate) judge_us: u64,
    /// The same, for a thousand entries of the host more.
    pub(crate) judge_us_per_1000: u64,
    /// Judging a whole push, for a thousand entries.
    pub(crate) judge_whole_us_per_1000: u64,
    /// On the host: walking a thousand entries that are in its page cache.
    pub(crate) walk_us_per_1000: u64,
}

impl Costs {
    /// As docs/scaling.md has them, and says how they were measured.
    pub(crate) const DOCUMENTED: Costs = Costs {
        session_us: 27_000,
        receive_us_per_mb: 3_300,
        judge_us: 8_000,
        judge_us_per_1000: 15_400,
        judge_whole_us_per_1000: 85_000,
        walk_us_per_1000: 4_700,
    };
}

/// A host's own disk, read anew, against its page cache. Assumed.
const COLD_FACTOR: u64 = 10;
/// A file in a whole push, on the wire: the benchmark's 8 KiB, half of it compressible.
const WHOLE_BYTES_PER_ENTRY: u64 = 5_000;
/// A common push: of a thousand entries one changed.
const COMMON_BYTES_PER_ENTRY: u64 = WHOLE_BYTES_PER_ENTRY / 1000;
/// What every push sends beside contents.
const BYTES_MIN: u64 = 4_000;

/// What one push of one host asks of the stations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    /// Core time of login and the rest of a session.
    pub(crate) session_us: u64,
    /// Time in which only the host works, and the session waits.
    pub(crate) walk_us: u64,
    /// Bytes on the wire.
    pub(crate) bytes: u64,
    /// Core time of receiving them.
    pub(crate) receive_us: u64,
    /// Time of one process that judges.
    pub(crate) judge_us: u64,
}

impl Costs {
    /// A push of a host with `entries` entries.
    pub(crate) fn work(&self, entries: u64, load: Load) -> Work {
        let (per_entry, judge_per_1000) = match load {
            Load::Common => (COMMON_BYTES_PER_ENTRY, self.judge_us_per_1000),
            Load::Whole => (WHOLE_BYTES_PER_ENTRY, self.judge_whole_us_per_1000),
        };
        let bytes = BYTES_MIN + entries * per_entry;
        Work {
            session_us: self.session_us,
            walk_us: entries * self.walk_us_per_1000 * COLD_FACTOR / 1000,
            bytes,
            receive_us: bytes * self.receive_us_per_mb / 1_000_000,
            judge_us: self.judge_us + entries * judge_per_1000 / 1000,
        }
    }
}

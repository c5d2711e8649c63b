//! The command line of `redact`.

use std::ffi::OsString;

use formats::{ContentHash, HostId};

use crate::hold::Reason;
use crate::when::When;

const EXAMPLES: &str = "Examples:
  snapshotter redact request web01 home/ada/cv.pdf --reason 'court order 12 O 345/26' --dry-run
  snapshotter redact request web01 home/ada/cv.pdf --reason 'court order 12 O 345/26'
  snapshotter redact request web01 home/ada/cv.pdf --when latest --when 2026-01-31 --reason 'only these versions'
  snapshotter redact list
  snapshotter redact approve web01 2026-11-22T09:30:00Z
  snapshotter redact withdraw web01

Root's work, and off unless [redact] of the settings says `enabled = true`. For what the law demands to be erased, and for nothing else: it cannot be
undone. One person asks for the contents that PATH has (in all snapshots, or in those of --when), or by hash; another approves. Then these contents are gone
from ALL snapshots of the host, under every path: what is there is one content, however many names it has. `request` and `approve` print what that is,
also the names under other paths, and which ice has it until when: no lock of ice can be shortened. Names, sizes and hashes stay. What was asked
for 7 days ago is forgotten.

Files are overwritten by zeros in place, and a signed line of the log says so. `verify` accepts zeros for these contents and nothing else, `restore` leaves them out and ends
with 3. Delete it on the host first: what the host still has, its next push brings again, as something new. Killed half-way, `approve` it again.
docs/history.md tells all of it.";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum RedactVerb {
    /// Ask that contents are erased from the history of a host
    #[command(after_help = EXAMPLES)]
    Request {
        /// Whose history
        host: HostId,
        /// The file or folder, as it was on the host
        #[arg(required_unless_present = "content", conflicts_with = "content")]
        path: Option<OsString>,
        /// A content, by its hash, as `find --json` tells it; may be given more than once
        #[arg(long, value_name = "HASH")]
        content: Vec<ContentHash>,
        /// Only what PATH has in this snapshot: its name, `latest`, or a time; may be given more than once
        #[arg(long, value_name = "WHEN", conflicts_with = "content")]
        when: Vec<When>,
        /// Why, in one line: it stays in the log
        #[arg(long)]
        reason: Reason,
        /// Only print what would be asked for
        #[arg(long)]
        dry_run: bool,
    },
    /// Erase what another person has asked for
    #[command(after_help = EXAMPLES)]
    Approve {
        /// The host
        host: HostId,
        /// When it was asked for, as `list` prints it: so what is approved is what was seen there
        #[arg(value_name = "TIME")]
        asked: String,
        /// Check all that can be checked, and erase nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take back what was asked for
    #[command(after_help = EXAMPLES)]
    Withdraw {
        /// The host
        host: HostId,
    },
    /// List what was asked for, and what was redacted
    #[command(after_help = EXAMPLES)]
    List,
}

impl RedactVerb {
    /// The verb as typed, for the report.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            RedactVerb::Request { .. } => "redact request",
            RedactVerb::Approve { .. } => "redact approve",
            RedactVerb::Withdraw { .. } => "redact withdraw",
            RedactVerb::List => "redact list",
        }
    }
}

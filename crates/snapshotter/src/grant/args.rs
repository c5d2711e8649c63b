//! The command line of `grant`.

use std::ffi::OsString;

use formats::HostId;
use formats::records::grant::GRANT_HOURS;

use crate::hold::Reason;
use crate::when::When;

const EXAMPLES: &str = "Examples:
  snapshotter grant request web01 latest srv/www --hours 24 --reason 'ticket 4711: www was emptied'
  snapshotter grant list
  snapshotter grant approve web01 2026-11-22T09:30:00Z
  snapshotter grant withdraw web01

Root's work, and off unless [grants] of the settings says `enabled = true`. One person asks, another approves (who, is told by the login that they came
by; with `two_persons = false` it may be the same). Then an archive of PATH lies in the host's outbox, an account of its own which reads no history, and
the host fetches it with the key that it pushes with, once, until the hours are over:
  ssh -T -i /etc/firn/push_ed25519 firnout-web01@backup.example.org > files.tar

PATH keeps what `restore --tar` keeps. Each grant and its end are lines of the host's log, and `snapshotter audit` names those that are open. A host has one at
a time. `snapshotter grant expire` removes what is fetched or over; firn-grants.timer runs it. docs/restore.md tells all of it.";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum GrantVerb {
    /// Ask that a host may fetch something
    #[command(after_help = EXAMPLES)]
    Request {
        /// Whose history, and who may fetch
        host: HostId,
        /// Name of a snapshot, `latest`, or a time
        #[arg(value_name = "WHEN")]
        when: When,
        /// The file or folder, as it was on the host
        path: OsString,
        /// How long it may be fetched, from the approval on
        #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=i64::from(GRANT_HOURS)))]
        hours: u32,
        /// Why, in one line
        #[arg(long)]
        reason: Reason,
    },
    /// Make the copy that was asked for, and let the host fetch it
    #[command(after_help = EXAMPLES)]
    Approve {
        /// The host
        host: HostId,
        /// When it was asked for, as `list` prints it: so what is approved is what was seen there
        #[arg(value_name = "TIME")]
        asked: String,
    },
    /// Take back what was asked for or granted
    #[command(after_help = EXAMPLES)]
    Withdraw {
        /// The host
        host: HostId,
    },
    /// List what was asked for and what is granted
    #[command(after_help = EXAMPLES)]
    List,
    /// Remove what was fetched, and what is over
    #[command(after_help = EXAMPLES)]
    Expire,
}

impl GrantVerb {
    /// The verb as typed, for the report.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            GrantVerb::Request { .. } => "grant request",
            GrantVerb::Approve { .. } => "grant approve",
            GrantVerb::Withdraw { .. } => "grant withdraw",
            GrantVerb::List => "grant list",
            GrantVerb::Expire => "grant expire",
        }
    }
}

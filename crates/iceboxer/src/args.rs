//! What can be typed.

use clap::{Parser, Subcommand};
use cli::{Common, Manual};
use formats::HostId;

/// Seals history as encrypted images in locked vaults
#[derive(Debug, Parser)]
#[command(name = "iceboxer", version, about, long_about = None, after_help = EXAMPLES)]
pub struct Args {
    /// Options of all programs.
    #[command(flatten)]
    pub common: Common,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Seal each host's newest snapshot and store it in every vault
    #[command(after_help = RUN_EXAMPLES)]
    Run {
        /// Only these hosts; all if none is named
        #[arg(value_name = "HOST")]
        hosts: Vec<HostId>,
        /// Seal snapshots once more that are off-site already
        #[arg(long)]
        again: bool,
    },
    /// Show the ledger: which ice lies in which vault, and until when it is locked
    List,
    /// For packagers.
    #[command(flatten)]
    Manual(Manual),
}

const EXAMPLES: &str = "\
Examples:
  iceboxer run                     every host, every vault
  iceboxer run web01               one host
  iceboxer list --json             the ledger, for machines

The settings are in /etc/firn/ice.toml. Exit codes: 0 done, 2 settings, 28 and 29 the history or an image is not
sound, 30 to 32 a vault or a lock, 33 a certificate, 34 no room to stage.";

const RUN_EXAMPLES: &str = "\
Examples:
  iceboxer run -v
  iceboxer run web01 db1.example.org
  iceboxer run --again web01       a second, independent ice of the same snapshot

A run that was cut short goes on where it stopped: just start it again.";

impl Verb {
    /// Its name in the report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Run { .. } => "run",
            Verb::List => "list",
            Verb::Manual(_) => "manual",
        }
    }
}

//! What can be typed.

use clap::{Parser, Subcommand};
use cli::{Common, Manual};
use formats::HostId;

use crate::setup::Setup;

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
        /// Put even what brings the month above the budget
        #[arg(long)]
        over_budget: bool,
    },
    /// Try to break the locks of the vaults, with this server's own credentials
    #[command(after_help = PROVE_EXAMPLES)]
    ProveLock {
        /// Only these vaults, by their names in the settings; all if none is named
        #[arg(value_name = "VAULT")]
        vaults: Vec<String>,
    },
    /// Name what is wrong with certificates, folders, vaults and credentials before anything is put, each with the fix
    #[command(after_help = PREFLIGHT_EXAMPLES)]
    Preflight {
        /// Only these vaults; all if none is named
        #[arg(value_name = "VAULT")]
        vaults: Vec<String>,
    },
    /// Tell how long what is off-site stays locked and what is proved, host by host; warn of what ends soon
    #[command(after_help = STATUS_EXAMPLES)]
    Status,
    /// Show the ledger: which ice lies in which vault, and until when it is locked
    List,
    /// Forecast what the vaults cost, and what a restore would
    #[command(after_help = COST_EXAMPLES)]
    Cost {
        /// How many months to forecast
        #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=120))]
        months: u32,
    },
    /// Print how to set up a vault, as Terraform and policies to apply elsewhere
    #[command(after_help = SETUP_EXAMPLES)]
    Setup(Setup),
    /// For packagers.
    #[command(flatten)]
    Manual(Manual),
}

const EXAMPLES: &str = "\
Examples:
  iceboxer preflight               what is wrong, before the first run
  iceboxer run                     every host, every vault
  iceboxer run web01               one host
  iceboxer status                  how long everything stays locked, and what is proved
  iceboxer list --json             the ledger, for machines
  iceboxer prove-lock              can this server break a lock?
  iceboxer cost                    what the vaults will cost
  iceboxer setup aws --bucket B    how to make the vault, as Terraform

The settings are in /etc/firn/ice.toml. Exit codes: 0 done, 2 settings, 28 and 29 the history or an image is not
sound, 30 to 32 a vault or a lock, 33 a certificate, 34 no room to stage, 38 above the budget.";

const RUN_EXAMPLES: &str = "\
Examples:
  iceboxer run -v
  iceboxer run web01 db1.example.org
  iceboxer run --again web01       a second, independent ice of the same snapshot

A run that was cut short goes on where it stopped: just start it again. Before anything else it locks for longer what
is proved, and what is newest and near the end of its lock; whatever fails after that.";

const PROVE_EXAMPLES: &str = "\
Examples:
  iceboxer prove-lock              every vault
  iceboxer prove-lock off-site --json

What is tried, is tried on a small object in the folder canary/ of the vault, one a month. On the bucket nothing is tried
that would do harm if it were permitted. Exit codes: 0 all refused, 32 something is not, 30 a vault did not answer and
nothing is proved. A run does the same before its first put and after its last.";

const PREFLIGHT_EXAMPLES: &str = "\
Examples:
  iceboxer preflight               everything the settings name
  iceboxer preflight off-site      one vault, and this machine
  iceboxer preflight --json        findings for machines, each with its code

Nothing is changed, here or in a vault. Exit codes: 0 nothing or only advice, 3 warnings, else that of the first
failure. docs/preflight.md lists all that can be found.";

const STATUS_EXAMPLES: &str = "\
Examples:
  iceboxer status
  iceboxer status --json           for a monitor: exit 3 and `warnings` when a person should look

No vault is asked: it reads the ledger, and the drill records that the settings name. Warned of are locks that end
within 45 days, hosts without new ice for 35 days, hosts without any ice in a vault, hosts of which no drill has proved
anything or one has found damage, and drill records that count for nothing.";

const COST_EXAMPLES: &str = "\
Examples:
  iceboxer cost                    the bills of the next 12 months, and what a full restore costs
  iceboxer cost --months 36 --json

No provider is asked. Prices are dated, from [prices.<name>] in the settings or built in: verify them before use.";

const SETUP_EXAMPLES: &str = "\
Examples:
  iceboxer setup aws --bucket example-ice --region eu-central-1 > ice.tf
  iceboxer setup gcs --bucket example-ice --retention-days 180 --json

Nothing is applied. Read it, and apply it from a machine that is not the backup server.";

impl Verb {
    /// Its name in the report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Run { .. } => "run",
            Verb::ProveLock { .. } => "prove-lock",
            Verb::Preflight { .. } => "preflight",
            Verb::Status => "status",
            Verb::List => "list",
            Verb::Cost { .. } => "cost",
            Verb::Setup(_) => "setup",
            Verb::Manual(_) => "manual",
        }
    }
}

//! The command line of `host`.

use std::path::PathBuf;

use formats::HostId;

use super::network::Network;
use super::record::{known_as, readers};
use crate::hours::Hours;
use crate::limits::LimitChange;

const ADD_EXAMPLES: &str = "Examples:
  snapshotter host add web01 --key web01.pub --from 192.0.2.11
  snapshotter host add web01 --key web01.pub --hours 3,15 --known-as web01.example.org
  snapshotter host add web01 --key web01.pub --limit history_bytes=500000000000
  snapshotter host add web01 --key web01.pub --readers web-admins
  snapshotter host add web01 --key web01.pub --dry-run
  snapshotter host add web01 --key web01.pub --user-mode
  snapshotter host add fw1 --key fw1.pub --from 192.0.2.1 --hours 2 --appliance

As root it makes the host's account, its jail, its key file and its history. Running it again changes only what is not as it should be;
another key replaces the old one. The account is the prefix of the settings and the host id, '.' written as '_'; above 32 bytes it is cut
and ends in 8 digits of the id's hash.

--readers lets the members of a group of this machine read the whole history of this host, as root of the host could, and no other host's:
docs/views.md. What is there already is gone through once, which takes its time; meanwhile this host's pushes wait.

--appliance is for what cannot run push-client, a firewall or a switch: its account may do nothing but write files into the folder `drop` of its jail, by
SFTP or `scp -s`. `snapshotter take` makes snapshots of them. A host stays what it was added as. docs/appliances.md.

--from, --hours, --known-as, --readers and --limit are kept in the host's record in the folder `hosts` of the settings; one that is not given stays as
the record has it. The limits are those of `limits` in the settings; push_hours are UTC, and those in which a push may begin. A host known as another machine, and a retired host, are refused with code 2, and nothing is changed; so is --known-as for a host that
was added without it and has another key. An account whose home or shell was changed is put right; one that is root's, in another group or
locked is refused.";

const LIST_EXAMPLES: &str = "Examples:
  snapshotter host list
  snapshotter --json host list

A host is complete if every step of `host add` is done (of `host retire`, if it is retired); the report names what is not. The receiver in a
jail is compared by length and dates, not byte by byte. Ends with 3 if a host's record or key file cannot be read; the others are listed all
the same.";

const RETIRE_EXAMPLES: &str = "Examples:
  snapshotter host retire web01 --dry-run
  snapshotter host retire web01

The key file goes, the account is locked, and its sessions are ended. The account stays, so that neither its name nor its number is used
again; so do the history and what is sealed, which the next ingest judges. A retired id is never added again. Killed half-way, run it again.";

const SSHD_EXAMPLES: &str = "Examples:
  snapshotter host sshd-config >> /etc/ssh/sshd_config
  snapshotter host sshd-config --dedicated > /etc/firn/sshd_config

Neither names a host, so that what is printed serves all of them. --dedicated is for an sshd that does nothing but take pushes: port 2222,
host key ssh_host_ed25519_key beside the settings file. What it reads first, sshd_config.d/*.conf beside the settings file, wins over it.";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum HostVerb {
    /// Make the account, jail, record and history of a host
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// List the hosts
    #[command(after_help = LIST_EXAMPLES)]
    List,
    /// Let a host push no more, and keep all it has pushed
    #[command(after_help = RETIRE_EXAMPLES)]
    Retire {
        /// The host id
        host: HostId,
        /// Only print what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Print what sshd needs to know
    #[command(after_help = SSHD_EXAMPLES)]
    SshdConfig {
        /// The whole configuration of an sshd of its own, not a block for another's
        #[arg(long)]
        dedicated: bool,
    },
}

/// What may be said about a host.
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// The host id
    pub(super) host: HostId,
    /// A file with the host's public key: one line, ssh-ed25519; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
    /// Only from these addresses or networks may the key be used
    #[arg(long, value_name = "ADDR[,ADDR]", value_delimiter = ',')]
    pub(super) from: Option<Vec<Network>>,
    /// The hours at which the host is due, in its own zone
    #[arg(long, value_name = "HOURS")]
    pub(super) hours: Option<Hours>,
    /// What the deployment calls the machine
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) known_as: Option<String>,
    /// The group of this machine that may read all of this host's history; `--readers=` takes it out again
    #[arg(long, value_name = "GROUP", value_parser = group)]
    pub(super) readers: Option<String>,
    /// A limit of this host alone; `KEY=` takes it out again
    #[arg(long = "limit", value_name = "KEY=VALUE")]
    pub(super) limits: Vec<LimitChange>,
    /// It cannot run push-client: let it drop files by SFTP
    #[arg(long, conflicts_with = "user_mode")]
    pub(super) appliance: bool,
    /// Make no accounts: print the key line with a forced command instead
    #[arg(long)]
    pub(super) user_mode: bool,
    /// Only print what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
}

fn name(text: &str) -> Result<String, String> {
    known_as(text).map(|()| text.to_owned())
}

fn group(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { readers(text).map(|()| text.to_owned()) }
}

impl HostVerb {
    /// The verb as typed, for the report.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            HostVerb::Add(_) => "host add",
            HostVerb::List => "host list",
            HostVerb::Retire { .. } => "host retire",
            HostVerb::SshdConfig { .. } => "host sshd-config",
        }
    }
}

//! The command line as it is typed.

use std::ffi::OsString;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use cli::{Common, Manual};
use formats::Root;

use crate::commands::AsUser;
use crate::rendezvous::PORT;
use crate::transport::{Attempt, PushFile};

/// The program's name in reports.
pub const PROGRAM: &str = "push-client";

const EXAMPLES: &str = "\
Examples:
  push-client check                     say what is wrong before it matters
  push-client run                       push what changed, and wait for the verdict
  push-client run --dry-run             list what would go; connect nowhere, write nothing
  push-client run --json                push, with a report as the last line
  push-client run --emergency           push at an hour that is not this host's, as often as the server lets it
  push-client exclude-test /etc/passwd  whether it would be pushed, and what decides it
  push-client audit                     try what the server must refuse this host
  push-client run --to-file /media/web01.push   write the push to a file, for other means than a network
  push-client schedule --hostname web01 the minute at which web01 pushes: 40

Exit codes: 0 accepted; 3 accepted, but something was left out; 18 sealed, verdict pending;
2 settings; 4 this machine; 7 a command of the settings failed; 6 a requirement of the audit fails; 10 busy (here or there); 11-17 refused; 19 no connection; 20-27 rejected.";

/// Sends a host's files to its jail on the backup server.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, about, after_help = EXAMPLES, subcommand_required = true)]
pub struct Args {
    /// What all programs share.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Push what changed, and wait for the server's verdict
    ///
    /// Kept of each file: content, owner and group by number and name, mode, mtime, which names share an inode, POSIX ACLs,
    /// file capabilities and other extended attributes, and the inode flags that chattr sets. Not kept: atime and ctime, which
    /// zeros of a file were holes, and, unless the settings ask for them, `trusted.*` attributes. docs/fidelity.md lists all.
    ///
    /// Where the settings name commands (docs/commands.md), they run before, for and after the push. Told to end, it runs those after first.
    ///
    /// With --to-file nobody is called: the push is written to a new file, as it would lie on the server, against the last state that is known to be
    /// accepted. The file holds contents in the clear, and nothing tells who made it: carry it as you would carry the disk. On the server
    /// `snapshotter ingest HOST --from FILE` judges it; then, and not before, is it accepted. Ends with 18. A host that never
    /// reaches the server is told by --accepted, and then its next file holds only what changed since.
    Run {
        /// Send and write nothing; list what would go: `+` new, `M` changed, `-` removed
        #[arg(long)]
        dry_run: bool,
        /// Also outside the hours and before the interval that the server has for this host; it counts those, and names them
        #[arg(long, conflicts_with = "dry_run")]
        emergency: bool,
        /// Write the push to this new file instead
        #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "emergency"])]
        to_file: Option<PathBuf>,
        /// The server has accepted the push with this root, which went into a file: `snapshotter show HOST latest` tells it there
        #[arg(long, value_name = "ROOT", requires = "to_file")]
        accepted: Option<Root>,
    },
    /// Say what is wrong with settings, key, host key, connection or jail
    Check,
    /// Print the minute at which this host pushes; with -v, its line for cron
    Schedule {
        /// Of this host instead of our own
        #[arg(long, value_name = "NAME")]
        hostname: Option<String>,
    },
    /// Say of each path whether it would be pushed, and what decides it
    ///
    /// The answer comes from the walk of a push, done for these paths only: a root, a rule, a name of `exclude`, a tag file, a mount.
    /// The settings are described in docs/filters.md.
    ExcludeTest {
        /// Paths on this host
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Show what is remembered of earlier pushes
    Status,
    /// Try what the server must refuse this host, and look for what would let the server in
    ///
    /// The host's half of the audit; `snapshotter audit` is the server's. One line a requirement: pass, fail or unknown. Nothing is pushed or changed.
    /// Ends with 6 if a requirement fails, with 3 if none fails and one is unknown.
    Audit,
    /// Print what a host needs that may call nobody: the server then comes to it, and pushes go out through a port of this host
    ///
    /// The server's key can open one port of this host's loopback, and nothing else: docs/rendezvous.md.
    Rendezvous {
        /// Which part
        #[command(subcommand)]
        verb: RendezvousVerb,
    },
    /// One attempt of the audit: started by `audit`, of no use by hand
    #[command(hide = true)]
    Attempt {
        /// What is tried
        what: Attempt,
    },
    /// Carry a push to the server: started by `run`, of no use by hand
    #[command(hide = true)]
    Transport,
    /// Become the system's ssh, with less power: started by `run`, of no use by hand
    #[command(hide = true)]
    BecomeSsh {
        /// What it may read, and run programs from
        #[arg(long = "path", value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// End instead, where the kernel has no Landlock
        #[arg(long)]
        confined: bool,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Run the commands of the settings for a push: started by `run`, of no use by hand
    #[command(hide = true)]
    RunCommands,
    /// Become an account of this machine, and then a program: started by `run-commands`, of no use by hand
    #[command(hide = true)]
    BecomeUser(AsUser),
    /// Write down a push: started by `run --to-file`, of no use by hand
    #[command(hide = true)]
    WritePushFile(PushFile),
    /// What packagers call.
    #[command(flatten)]
    Manual(Manual),
}

/// A part of what such a host needs.
#[derive(Debug, Subcommand)]
pub enum RendezvousVerb {
    /// The line of the server's key, for /etc/firn/rendezvous_keys
    Key {
        /// The server's public key
        file: PathBuf,
        /// The port that it opens on loopback, to which pushes go
        #[arg(long, default_value_t = port())]
        port: NonZeroU16,
        /// The only address that the key may be used from
        #[arg(long, value_name = "ADDRESS")]
        from: Option<IpAddr>,
    },
    /// The block for this host's sshd, for a file in /etc/ssh/sshd_config.d
    SshdConfig {
        /// The port that the server opens on loopback
        #[arg(long, default_value_t = port())]
        port: NonZeroU16,
    },
}

fn port() -> NonZeroU16 {
    NonZeroU16::new(PORT).unwrap_or(NonZeroU16::MIN)
}

impl Verb {
    /// The verb as typed.
    pub fn word(&self) -> &'static str {
        match self {
            Verb::Run { .. } => "run",
            Verb::Check => "check",
            Verb::Schedule { .. } => "schedule",
            Verb::ExcludeTest { .. } => "exclude-test",
            Verb::Status => "status",
            Verb::Audit => "audit",
            Verb::Attempt { .. } => "attempt",
            Verb::Rendezvous { verb: RendezvousVerb::Key { .. } } => "rendezvous key",
            Verb::Rendezvous { verb: RendezvousVerb::SshdConfig { .. } } => "rendezvous sshd-config",
            Verb::Transport => "transport",
            Verb::BecomeSsh { .. } => "become-ssh",
            Verb::WritePushFile(_) => "write-push-file",
            Verb::RunCommands => "run-commands",
            Verb::BecomeUser(_) => "become-user",
            Verb::Manual(_) => "manual",
        }
    }
}

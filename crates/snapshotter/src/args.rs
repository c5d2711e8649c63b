//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use cli::{Common, Manual};
use formats::HostId;

use crate::grant::args::GrantVerb;
use crate::hold::{Reason, Target};
use crate::host::args::HostVerb;
use crate::prune::Step;
use crate::redact::args::RedactVerb;
use crate::when::When;
use crate::{diff, explain, find, import, restore, take, verify};

/// The program's name, in reports.
pub(crate) const PROGRAM: &str = "snapshotter";

/// Turns sealed push files into hardlinked history
#[derive(Debug, clap::Parser)]
#[command(name = PROGRAM, version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXAMPLES: &str = "Examples:
  snapshotter host add web01 --key web01.pub --from 192.0.2.11
  snapshotter ingest
  snapshotter list web01
  snapshotter show web01 latest --entries
  snapshotter find '*.conf' --host web01
  snapshotter diff web01 2026-01-31 latest etc
  snapshotter restore web01 latest etc/nginx --to /root/nginx
  snapshotter verify
  snapshotter status

Started as root, every verb but `host`, `grant`, `redact`, `audit` and `restore` into a folder goes on as the account `owner` of the settings.";

const INGEST_EXAMPLES: &str = "Examples:
  snapshotter ingest
  snapshotter ingest web01 db1.example.org
  snapshotter ingest --watch
  snapshotter ingest web01 --from /media/web01.push

Ends with 0 when every sealed push has its verdict, also when that is a rejection: the host is told. A push that could not be judged stays
sealed, and the code says why: 11 no room, 4 this machine, 28 or 29 the history.

With --from it judges a file that `push-client run --to-file` made, as if it had been pushed, and leaves it where it is. Nothing in the file proves who made it: you
vouch for its way here. It ends with the code of the rejection, if it is one; that is noted without the push's id, so a good copy can still follow. Bring
a file before the host's next push over the network is judged: a later one is taken for a clone's.

With --watch it stays until it is ended (SIGTERM; it finishes the push at work and ends with 0). A host that is added meanwhile is watched too. A push that
could not be judged is said on standard error and tried again, after a minute and then after longer and longer, up to a quarter of an hour. A host gets at most
100 processes a minute, and one a minute while what it seals is no push.";

const PRUNE_EXAMPLES: &str = "Examples:
  snapshotter prune --plan
  snapshotter prune --plan web01
  snapshotter prune --execute
  snapshotter prune --execute --plan

A plan names the snapshots that no rule of [retain] keeps. Once it has waited (`wait_hours`), --execute removes them, if every guard agrees anew: not the newest,
not the newest that was verified, not below `keep_min`, nothing on hold, nothing that a push may build on, no more than `cap` in one run; where `require_ice` is set,
nothing that is newer than the newest that every vault has ice of. Nothing at all goes while the clock or the list of snapshots is odd, or the last verify is older
than `verify_days`: then it ends with 3, or with 28 if the history is not what it was, and what was planned is void. By hand: --plan, and --execute --plan after
`wait_hours`, no more than two days later. Where the log or the list is not what the last plan knew, or no plan was made for 30 days, somebody has to look, and say so:
`hold`, then `release`. docs/history.md tells all of it.";

const HOLD_EXAMPLES: &str = "Examples:
  snapshotter hold web01 --reason 'case 4711: keep everything'
  snapshotter hold web01/20260102T030405Z-0000000017 --reason 'before the migration'
  snapshotter release web01 --reason 'case 4711 is closed'

A hold on a host keeps all of its history, a hold on a snapshot that one. `snapshotter list` names them, and `snapshotter explain` says why there is one
that nobody asked for.";

const VIEWS_EXAMPLES: &str = "Examples:
  snapshotter views
  snapshotter views web01

Where `views` in the settings names a folder, it holds a folder of symbolic links for each host: `latest`, and the first snapshot of each day, week
and month as `daily.N`, `weekly.N` and `monthly.N`, UTC, 0 being the newest. Every ingest and prune keeps its host's current; this makes all of them anew,
and removes those that there is no snapshot for. Other names in these folders are left alone.";

const IMPORT_EXAMPLES: &str = "Examples:
  snapshotter import rsnapshot /var/cache/rsnapshot --host web01 --dry-run
  snapshotter import rsnapshot /var/cache/rsnapshot --host web01 --point web01

Root's work: each folder like daily.0 becomes a snapshot of the host, oldest first, with the time of the folder. push-client reads it (package
firn-client) as if it were the host's own disk, and the push file is judged as any other: what rsnapshot linked is read once and stored once. The
folder is only read. The host was added and has not pushed yet. Killed half-way, run it again with the same words: it goes on. rsnapshot must
not run meanwhile.";

const STATUS_EXAMPLES: &str = "Examples:
  snapshotter status
  snapshotter status web01
  snapshotter status --json

The worst come first. A push is late two hours after the host was due: at its own minute of the hours in its record or in the settings, by the clock of its
zone. A verify is late after `verify_days` of [prune]. Ice and drills are known from what iceboxer publishes. Ends with 0 if nothing is late, with 5 if something is, with 28 if a log is damaged.";

const AUDIT_EXAMPLES: &str = "Examples:
  snapshotter audit
  snapshotter audit --all --json
  snapshotter audit --with-salt reports-of-minions.json
  snapshotter audit --with web01=report-of-web01 --with db1=report-of-db1

Root's work: it tries, as the account of each host, what must be refused, and changes nothing. One line a requirement: pass, fail or unknown,
with what was tried; -v lists all of it. Ends with 6 if a requirement fails, with 3 if none fails and one is unknown. The half of a host is
`push-client audit --json`; its reports are taken in: what one host printed under --with, with its name, and what `salt --out=json` wrote of all
minions under --with-salt. Of a file without a name, only complaints are taken.";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Judge every sealed push, and make a snapshot of each good one
    #[command(after_help = INGEST_EXAMPLES)]
    Ingest {
        /// Only these hosts
        hosts: Vec<HostId>,
        /// Judge this push file, which came by other means, for the one host that is named
        #[arg(long, value_name = "FILE", conflicts_with = "watch")]
        from: Option<PathBuf>,
        /// The file of --from is open on standard input; root opened it
        #[arg(long, hide = true, requires = "from")]
        opened: bool,
        /// Stay, and judge each push soon after it is sealed
        #[arg(long)]
        watch: bool,
        /// Seconds between two looks at all jails, whatever the kernel tells
        #[arg(long, hide = true, requires = "watch", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
        sweep_seconds: u64,
    },
    /// List the snapshots of all hosts, or of one
    List {
        /// Only this host
        host: Option<HostId>,
    },
    /// Show one snapshot
    Show {
        /// Whose
        host: HostId,
        /// Its name, `latest`, or a time
        #[arg(value_name = "WHEN")]
        snapshot: When,
        /// List its entries too
        #[arg(long)]
        entries: bool,
    },
    /// Find names in all snapshots, and tell which versions of them there are
    #[command(after_help = find::EXAMPLES)]
    Find {
        /// A name, or a path, with `*`, `?`, `[...]` and `**`
        pattern: find::Pattern,
        /// Only in the snapshots of this host
        #[arg(long, value_name = "HOST")]
        host: Option<HostId>,
    },
    /// Tell what differs between two snapshots of a host
    #[command(after_help = diff::EXAMPLES)]
    Diff {
        /// Whose
        host: HostId,
        /// The first: its name, `latest`, or a time
        #[arg(value_name = "A")]
        first: When,
        /// The second
        #[arg(value_name = "B")]
        second: When,
        /// Only this file or folder, as it was on the host
        path: Option<OsString>,
    },
    /// Restore a snapshot, or a part of it
    #[command(after_help = restore::args::EXAMPLES)]
    Restore(restore::args::Asked),
    /// Read everything again, and name every defect
    #[command(after_help = verify::args::EXAMPLES)]
    Verify(verify::args::Typed),
    /// Remove snapshots that no rule keeps, after a plan has waited
    #[command(after_help = PRUNE_EXAMPLES)]
    Prune {
        /// Only these hosts
        hosts: Vec<HostId>,
        /// Write down what may go; with --execute, after that
        #[arg(long, required_unless_present = "execute")]
        plan: bool,
        /// Carry out the plans that have waited
        #[arg(long)]
        execute: bool,
    },
    /// Keep all of a history, or one snapshot, until it is released
    #[command(after_help = HOLD_EXAMPLES)]
    Hold {
        /// HOST, or HOST/SNAPSHOT
        target: Target,
        /// Why, in one line
        #[arg(long)]
        reason: Reason,
    },
    /// End a hold
    #[command(after_help = HOLD_EXAMPLES)]
    Release {
        /// HOST, or HOST/SNAPSHOT
        target: Target,
        /// Why, in one line
        #[arg(long)]
        reason: Reason,
    },
    /// Say why a host is on hold: what was seen, what was there before, and what to do
    #[command(after_help = explain::EXAMPLES)]
    Explain {
        /// HOST, or HOST/SNAPSHOT
        target: Target,
    },
    /// Make the links anew by which snapshots are found: `latest`, `daily.0`, `weekly.3`, `monthly.11`
    #[command(after_help = VIEWS_EXAMPLES)]
    Views {
        /// Only this host
        host: Option<HostId>,
    },
    /// Take over the history that another program has made of a host
    Import {
        #[command(subcommand)]
        of: ImportOf,
    },
    /// Take what appliances have dropped, and make a snapshot of each
    #[command(after_help = take::EXAMPLES)]
    Take(take::Asked),
    /// Add, list and retire hosts
    Host {
        #[command(subcommand)]
        verb: HostVerb,
    },
    /// Let a host fetch one path of one snapshot of its own, once, until a time
    Grant {
        #[command(subcommand)]
        verb: GrantVerb,
    },
    /// Erase contents that the law demands to be gone, from all snapshots of a host
    Redact {
        #[command(subcommand)]
        verb: RedactVerb,
    },
    /// Tell how each host stands, and what is late or missing
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        /// Only these hosts; their sizes are told too
        hosts: Vec<HostId>,
    },
    /// Try the twelve requirements, and say of each whether it holds
    #[command(after_help = AUDIT_EXAMPLES)]
    Audit {
        /// Try every host, not a sample of 16 that changes every day
        #[arg(long)]
        all: bool,
        /// What `push-client audit --json` printed on one host
        #[arg(long, value_name = "[HOST=]FILE")]
        with: Vec<PathBuf>,
        /// The same of many minions, as `salt --out=json` wrote it on the master
        #[arg(long, value_name = "FILE")]
        with_salt: Vec<PathBuf>,
    },
    /// Tries what it is told as an account without rights; started by `audit`
    #[command(hide = true)]
    AuditAttempts,
    /// Reads the histories for the audit; started by `audit`
    #[command(hide = true)]
    AuditHistory,
    /// One push of one host, confined; started by `ingest`
    #[command(hide = true)]
    IngestHost {
        /// Which host
        host: HostId,
        /// Judge the push file on standard input instead of one of the jail
        #[arg(long)]
        from_input: bool,
        /// The snapshot was made then, by another program; seconds since 1970
        #[arg(long, requires = "from_input", allow_negative_numbers = true)]
        imported_at: Option<i64>,
    },
    /// One step with what an appliance has dropped, confined; started by `take`
    #[command(hide = true)]
    TakeHost {
        /// Whose
        host: HostId,
        /// What to do
        step: take::Step,
        /// Where to
        scratch: PathBuf,
    },
    /// One history, confined; started by `prune`
    #[command(hide = true)]
    PruneHost {
        /// Whose
        host: HostId,
        /// What to do
        step: Step,
    },
    /// Notes in a log that a grant began or ended; started by `grant`
    #[command(hide = true)]
    NoteGrant {
        /// Whose
        host: HostId,
    },
    /// One history, confined; started by `redact`
    #[command(hide = true)]
    RedactHost {
        /// Whose
        host: HostId,
    },
    /// Notes in logs what was read; started by `verify` and `restore`
    #[command(hide = true)]
    Note,
    /// Signs logs and plans with the server's key; started by all that writes logs
    #[command(hide = true)]
    Sign,
    /// Starts one process a host that mends; started by `verify --repair`
    #[command(hide = true)]
    HealHosts,
    /// One history, confined; started by `heal-hosts`
    #[command(hide = true)]
    HealHost {
        /// Whose
        host: HostId,
    },
    /// The child that expands a push file; started by `ingest-host`
    #[command(hide = true)]
    Decode(Budget),
    #[command(flatten)]
    Manual(Manual),
}

/// Whose history is taken over.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ImportOf {
    /// The history that rsnapshot has made
    #[command(after_help = IMPORT_EXAMPLES)]
    Rsnapshot(import::Asked),
}

/// What a decoder may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub(crate) struct Budget {
    /// Memory
    #[arg(long)]
    pub(crate) memory_bytes: u64,
    /// Processor time
    #[arg(long)]
    pub(crate) cpu_seconds: u64,
    /// Sum of all blocks, expanded
    #[arg(long)]
    pub(crate) expanded_bytes: u64,
    /// Go on where the kernel has no Landlock
    #[arg(long)]
    pub(crate) without_landlock: bool,
}

impl Verb {
    /// The verb as typed, for the report.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Verb::Ingest { .. } => "ingest",
            Verb::List { .. } => "list",
            Verb::Show { .. } => "show",
            Verb::Find { .. } => "find",
            Verb::Diff { .. } => "diff",
            Verb::Restore(_) => "restore",
            Verb::Verify(_) => "verify",
            Verb::Prune { .. } => "prune",
            Verb::Hold { .. } => "hold",
            Verb::Release { .. } => "release",
            Verb::Explain { .. } => "explain",
            Verb::PruneHost { .. } => "prune-host",
            Verb::Note => "note",
            Verb::Sign => "sign",
            Verb::HealHosts => "heal-hosts",
            Verb::HealHost { .. } => "heal-host",
            Verb::Views { .. } => "views",
            Verb::Import { .. } => "import rsnapshot",
            Verb::Take(_) => "take",
            Verb::TakeHost { .. } => "take-host",
            Verb::Host { verb } => verb.word(),
            Verb::Grant { verb } => verb.word(),
            Verb::NoteGrant { .. } => "note-grant",
            Verb::Redact { verb } => verb.word(),
            Verb::RedactHost { .. } => "redact-host",
            Verb::Status { .. } => "status",
            Verb::Audit { .. } => "audit",
            Verb::AuditAttempts => "audit-attempts",
            Verb::AuditHistory => "audit-history",
            Verb::IngestHost { .. } => "ingest-host",
            Verb::Decode(_) => "decode",
            Verb::Manual(_) => "manual",
        }
    }
}

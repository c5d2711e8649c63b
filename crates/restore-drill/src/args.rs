//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use cli::{Common, Manual};
use formats::HostId;

use crate::ice::Which;

/// The program's name, in reports and records.
pub(crate) const PROGRAM: &str = "restore-drill";

/// Lists, verifies and restores ice, and records the proof
#[derive(Debug, clap::Parser)]
#[command(name = PROGRAM, version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXAMPLES: &str = "Examples:
  restore-drill list
  restore-drill verify web01/latest
  restore-drill restore web01/latest --to /tmp/web01
  restore-drill restore web01/latest etc/nginx --to /tmp/nginx
  restore-drill thaw web01/latest

Without Firn: gpg --decrypt each segment, in order, into one file; unsquashfs that file.";

const VERIFY_EXAMPLES: &str = "Examples:
  restore-drill verify web01/latest
  restore-drill verify web01/20260102T030405Z-0000000001 --key /media/usb/secret.asc
  restore-drill verify web01/latest --keep-image /srv/web01.squashfs

Ends with 0 if everything was read and is what its manifest says, and writes a record, also if the ice is damaged or gone. If a vault or this
machine fails, what was fetched stays in the quarantine for a week, and the same command goes on there.";

const THAW_EXAMPLES: &str = "Examples:
  restore-drill thaw web01/latest
  restore-drill thaw web01/latest --tier standard --days 3

Ends with 0 if the ice can be read now, and with 35 if it cannot yet: run it again to see how far it is. Asking again costs nothing.";

const RESTORE_EXAMPLES: &str = "Examples:
  restore-drill restore web01/latest --to /tmp/web01
  restore-drill restore web01/latest etc/nginx --to /tmp/nginx
  restore-drill restore web01/latest --snapshot 20260102T030405Z-0000000001 --to /tmp/web01

Paths keep their place: etc/nginx comes back as DIR/etc/nginx. Owners, devices and some attributes need root. Ends with 3 if something
could not be restored, and names it. If a vault or this machine fails, what was fetched stays in the quarantine for a week, and the same
command goes on there.";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// List the ices in the vaults
    List {
        /// Only ices of this host
        host: Option<HostId>,
        /// Only this vault of the settings
        #[arg(long, value_name = "NAME")]
        vault: Option<String>,
    },
    /// Fetch, decrypt and read a whole ice, and compare every entry with its manifest
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify {
        #[command(flatten)]
        source: Source,
    },
    /// Restore a snapshot, or a part of it, into a new or empty folder
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore {
        #[command(flatten)]
        source: Source,
        /// Only this file or folder, as it was on the host
        path: Option<OsString>,
        /// Restore into this folder, which is new or empty
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// Restore this snapshot; without it, the newest in the ice
        #[arg(long, value_name = "NAME")]
        snapshot: Option<String>,
    },
    /// Ask for an archived ice to be made readable, and tell how long that takes
    #[command(after_help = THAW_EXAMPLES)]
    Thaw {
        /// HOST/SNAPSHOT as `list` prints it, or HOST/latest
        ice: Which,
        /// Take it from this vault of the settings
        #[arg(long, value_name = "NAME")]
        vault: Option<String>,
        /// How fast: what each costs and takes is the provider's
        #[arg(long, value_enum, default_value_t = TierArg::Bulk)]
        tier: TierArg,
        /// For how many days it stays readable
        #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=365))]
        days: u32,
    },
    /// Print what the latest drills proved
    Report {
        /// Only drills of this host
        host: Option<HostId>,
    },
    /// The child that reads an image; started by the program itself
    #[command(hide = true)]
    ReadImage {
        /// Most memory it may take
        #[arg(long)]
        memory_bytes: u64,
        /// Names to tell about, with all beneath them
        wanted: Vec<OsString>,
    },
    #[command(flatten)]
    Manual(Manual),
}

/// How fast an archived ice is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TierArg {
    /// Cheapest: 12 hours from GLACIER, 48 from DEEP_ARCHIVE
    Bulk,
    /// 5 hours from GLACIER, 12 from DEEP_ARCHIVE
    Standard,
    /// Minutes, dearest, and from GLACIER only
    Expedited,
}

/// Which ice, and how it is opened.
#[derive(Debug, clap::Args)]
pub(crate) struct Source {
    /// HOST/SNAPSHOT as `list` prints it, or HOST/latest
    #[arg(value_name = "ICE")]
    pub(crate) ice: Which,
    /// Take it from this vault of the settings
    #[arg(long, value_name = "NAME")]
    pub(crate) vault: Option<String>,
    /// A file with the secret key; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Vec<PathBuf>,
    /// A file whose first line is the passphrase; without it, it is asked for on the terminal
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Keep the decrypted image as FILE, which must not exist
    #[arg(long, value_name = "FILE")]
    pub(crate) keep_image: Option<PathBuf>,
    /// Fetch all of it, and remove what runs that broke off have left in the quarantine
    #[arg(long)]
    pub(crate) anew: bool,
}

impl Verb {
    /// The verb as typed, for the report.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Verb::List { .. } => "list",
            Verb::Verify { .. } => "verify",
            Verb::Restore { .. } => "restore",
            Verb::Thaw { .. } => "thaw",
            Verb::Report { .. } => "report",
            Verb::ReadImage { .. } => "read-image",
            Verb::Manual(_) => "manual",
        }
    }
}

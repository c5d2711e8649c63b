//! What a restore is asked to do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cli::shown;
use formats::HostId;
use formats::records::log::RestoreWay;
use history::SnapshotName;
use restore::Powers;

use super::noted::who;
use crate::scribe::Restoring;
use crate::when::When;

pub(crate) const EXAMPLES: &str = "Examples:
  snapshotter restore web01 latest --to /root/web01
  snapshotter restore web01 latest etc/nginx --to /root/nginx
  snapshotter restore web01 2026-01-31 etc/nginx --to /root/nginx
  snapshotter restore web01 latest srv/www --tar | ssh root@web01 \"tar -xp --xattrs --xattrs-include='*' -C /\"
  snapshotter restore web01 latest srv/www --metadata-onto /root/www

Paths keep their place: etc/nginx comes back as DIR/etc/nginx. A time means the last snapshot that was accepted at or before it, UTC. Owners and
devices need root. In an archive owners are numbers, holes are zeros, and inode flags are not there; folders above PATH are not in it.
For attributes and ACLs, GNU tar wants --xattrs --xattrs-include='*' when it unpacks.

--metadata-onto is for what `cp` has brought out of a history: DIR is the copy of the folder PATH, or holds the copy of the file PATH. Owner, mode, times,
attributes and flags are set where the content is right; nothing is made and no content changed. What lends power is not set: it comes back with --to.

Ends with 3 if something was left out, and names it; with 28 if the manifest is damaged or another than the log says, and
restores nothing; with 29 if contents of the history are damaged, and names them: the rest is restored; with 43 if PATH is not in the snapshot.";

/// As typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// Whose
    pub(crate) host: HostId,
    /// Name of a snapshot, `latest`, or a time
    #[arg(value_name = "WHEN")]
    pub(crate) when: When,
    /// Only this file or folder, as it was on the host
    pub(crate) path: Option<OsString>,
    #[command(flatten)]
    target: Target,
    /// Bring back what lends power too: set-id bits of files, devices, security.* and trusted.* attributes
    #[arg(long, conflicts_with = "metadata_onto")]
    with_powers: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// Restore into this folder, which is new or empty
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Write an archive for `tar` to standard output
    #[arg(long)]
    tar: bool,
    /// Set the metadata of this copy, which was made by hand
    #[arg(long, value_name = "DIR")]
    metadata_onto: Option<PathBuf>,
}

/// Where it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way<'a> {
    /// Into a folder.
    To(&'a Path),
    /// To standard output.
    Tar,
    /// Metadata alone, onto what is there.
    Onto(&'a Path),
}

impl Asked {
    /// The one that was chosen.
    pub(crate) fn way(&self) -> Way<'_> {
        match (&self.target.to, &self.target.metadata_onto) {
            (Some(path), _) => Way::To(path),
            (None, Some(path)) => Way::Onto(path),
            (None, None) => Way::Tar,
        }
    }

    /// What the log will tell of it.
    pub(super) fn noted(&self, snapshot: &SnapshotName) -> Restoring {
        Restoring {
            host: self.host.clone(),
            snapshot: snapshot.to_string(),
            path: self.path.as_ref().map(|path| shown(path.as_encoded_bytes())),
            way: match self.way() {
                Way::To(_) => RestoreWay::Folder,
                Way::Tar => RestoreWay::Archive,
                Way::Onto(_) => RestoreWay::Metadata,
            },
            who: who(),
        }
    }

    pub(crate) fn powers(&self) -> Powers {
        if self.with_powers { Powers::Restored } else { Powers::Withheld }
    }
}

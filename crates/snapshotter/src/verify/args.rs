//! What a verify is asked to do.

use std::path::PathBuf;

use formats::{ContentHash, HostId};

pub(crate) const EXAMPLES: &str = "Examples:
  snapshotter verify
  snapshotter verify web01
  snapshotter verify --rolling
  snapshotter verify --rolling --repair
  snapshotter verify web01 --repair
  snapshotter verify --log
  snapshotter verify --log web01 --certificate /media/signing-key.asc

Reads the log, every manifest and every file again, and changes nothing. A file with many names is read once, and every snapshot and path that has it is named if it
has rotted. Where all of a history is well, that is noted in its log: `prune` wants to see it; ends with 3 if it could not be noted, or a snapshot is locked by
somebody else, and the others are read. Ends with 28 if a log or a manifest is damaged, with 29 if a snapshot's files differ from its manifest, also where that is mended.

With --rolling it reads the logs and manifests, and of the files and folders a share: all of them within `cycle_days` (30), a day that was missed along with the next.
When a cycle is over and was well, that is noted in the log. `bytes_per_second` keeps it slow.

With --repair what has rotted is noted in the log and taken out of all snapshots, into the folder .rot of the history. Where another file of the same history has the
content, every name gets that at once; else the host is asked for it, and its next push brings it back to every name. docs/history.md tells all of it.

With --log only the logs are read: each line against the one before, what lies there against the log, and the log against its newest line that the server's key has
signed. A log that was shortened or written anew since is damage, 28; one that is not signed ends with 3. --certificate takes a copy that was kept elsewhere, as
whoever broke in here has the key, too; --head takes the hash that an ice record names as `log_head`. docs/history.md tells more.";

/// As typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Typed {
    /// Only this host
    pub(crate) host: Option<HostId>,
    /// Read what is due today of a cycle of `cycle_days`
    #[arg(long)]
    pub(crate) rolling: bool,
    /// Take what has rotted out of the snapshots, ask the host for it, and mend what can be mended at once
    #[arg(long)]
    pub(crate) repair: bool,
    /// Only the logs, and what the server's key has signed of them
    #[arg(long, conflicts_with_all = ["rolling", "repair"])]
    pub(crate) log: bool,
    /// Believe signatures by this certificate, not by the one beside the key
    #[arg(long, value_name = "FILE", requires = "log")]
    pub(crate) certificate: Option<PathBuf>,
    /// This hash, from an ice or a note elsewhere, must be one of the host's log
    #[arg(long, value_name = "HASH", requires_all = ["log", "host"])]
    pub(crate) head: Option<ContentHash>,
}

//! Why a verb of this program stopped, and the code it ends with.

use cli::{Exit, Failure};
use formats::HostId;

/// Something about one host, or about the server, that a verb cannot go on with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A file or folder refused.
    #[error("{doing}")]
    Folder {
        /// What was being done.
        doing: String,
        /// The refusal.
        source: durable::Error,
    },
    /// Reading or writing failed half-way.
    #[error("{doing}")]
    Stream {
        /// What was being done.
        doing: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The history is not what it should be, or cannot be reached.
    #[error("history of {host}")]
    History {
        /// Whose.
        host: HostId,
        /// What is wrong.
        source: history::Error,
    },
    /// The folder of all histories cannot be used.
    #[error("the folder of histories")]
    Histories(#[source] history::Error),
    /// The history holds what its log does not know.
    #[error("history of {host}: {what} is not in the snapshot log, and no ingest was making it")]
    Stranger {
        /// Whose.
        host: HostId,
        /// The name of the folder or manifest.
        what: String,
    },
    /// Another ingest works on this host.
    #[error("host {host} is being worked on by another process")]
    Busy {
        /// Which host.
        host: HostId,
    },
    /// Another process adds or retires a host.
    #[error("another process adds or retires a host, and did not end within {waited_seconds} seconds")]
    Locked {
        /// How long it was waited for.
        waited_seconds: u64,
    },
    /// The reserve of free space would be used up.
    #[error("host {host}: less than {reserve_bytes} bytes would stay free; the push waits")]
    NoRoom {
        /// Whose push.
        host: HostId,
        /// The reserve.
        reserve_bytes: u64,
    },
    /// The reserve of inodes would be used up.
    #[error("host {host}: less than {reserve_inodes} inodes would stay free; the push waits")]
    NoInodes {
        /// Whose push.
        host: HostId,
        /// The reserve.
        reserve_inodes: u64,
    },
    /// A history is not what it should be; each defect is named already.
    #[error("{count} defects found")]
    Defects {
        /// How many.
        count: u64,
        /// The code for the worst of them.
        exit: Exit,
    },
    /// There is no jail of that name.
    #[error("there is no host {host}")]
    NoHost {
        /// The id.
        host: String,
    },
    /// What the deployment says about a host cannot be used.
    #[error("record of host {host}")]
    Record {
        /// Whose.
        host: HostId,
        /// What is wrong with it.
        source: cli::settings::SettingsError,
    },
    /// A plan of a prune cannot be used.
    #[error("plan {name} of the history of {host}: {why}")]
    Plan {
        /// Whose.
        host: HostId,
        /// Its file.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A log is not what the server's key has signed, or what was signed cannot be believed.
    #[error("signed head of the log of {host}: {why}")]
    Head {
        /// Whose log.
        host: HostId,
        /// What is wrong.
        why: String,
    },
    /// This process cannot be confined.
    #[error("confining the process")]
    Sandbox(#[from] sandbox::SandboxError),
    /// Something of the system that this program needs does not do its work.
    #[error("{what}")]
    Machine {
        /// What.
        what: String,
    },
    /// The manifest of a snapshot is sound, and not the one that the log names.
    #[error("the manifest of {snapshot} is another one than the log says")]
    OtherManifest {
        /// Of which snapshot.
        snapshot: String,
    },
    /// Contents of a snapshot are not what its manifest says; the rest was restored.
    #[error("snapshot {snapshot} differs from its manifest in {total} places, first {path}: {what}")]
    Differs {
        /// How many.
        total: u64,
        /// Of which snapshot.
        snapshot: String,
        /// The first of them.
        path: String,
        /// How it differs.
        what: String,
    },
    /// The snapshot does not hold what is asked for.
    #[error("{path}: not in snapshot {snapshot}")]
    Absent {
        /// What was asked for.
        path: String,
        /// Of which snapshot.
        snapshot: String,
    },
    /// A process that was started for it did not do it, and has said why.
    #[error("{what}")]
    Child {
        /// What was not done.
        what: String,
        /// How it ended.
        exit: Exit,
    },
    /// What was asked for cannot be done.
    #[error("{what}")]
    Usage {
        /// Why.
        what: String,
        /// What to do.
        advice: Option<String>,
    },
}

impl Trouble {
    /// Closure for `map_err`.
    pub(crate) fn folder(doing: impl Into<String>) -> impl FnOnce(durable::Error) -> Trouble {
        move |source| Trouble::Folder { doing: doing.into(), source }
    }

    /// Closure for `map_err`.
    pub(crate) fn stream(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Trouble {
        move |source| Trouble::Stream { doing: doing.into(), source }
    }

    /// Closure for `map_err`.
    pub(crate) fn history(host: &HostId) -> impl FnOnce(history::Error) -> Trouble {
        let host = host.clone();
        move |source| Trouble::History { host, source }
    }
}

impl Failure for Trouble {
    fn exit(&self) -> Exit {
        match self {
            Trouble::Folder { source, .. } if source.is_no_space() => Exit::NO_ROOM,
            Trouble::History { source: history::Error::Folder(error), .. } if error.is_no_space() => {
                Exit::NO_ROOM
            }
            Trouble::Stream { source, .. } if is_no_space(source) => Exit::NO_ROOM,
            Trouble::History { source, .. } if source.is_damage() => Exit::DAMAGED,
            Trouble::History {
                source:
                    history::Error::NoHost { .. }
                    | history::Error::NoSnapshot { .. }
                    | history::Error::Pruned { .. },
                ..
            } => Exit::USAGE,
            Trouble::History { source: history::Error::Locked { .. }, .. } => Exit::BUSY,
            Trouble::Folder { .. }
            | Trouble::Stream { .. }
            | Trouble::History { .. }
            | Trouble::Histories(_) => Exit::MACHINE,
            Trouble::Machine { .. } | Trouble::Sandbox(_) => Exit::MACHINE,
            Trouble::Stranger { .. }
            | Trouble::Plan { .. }
            | Trouble::Head { .. }
            | Trouble::OtherManifest { .. } => Exit::DAMAGED,
            Trouble::Differs { .. } => Exit::SNAPSHOT_DIFFERS,
            Trouble::Absent { .. } => Exit::NOTHING,
            Trouble::Defects { exit, .. } | Trouble::Child { exit, .. } => *exit,
            Trouble::Busy { .. } | Trouble::Locked { .. } => Exit::BUSY,
            Trouble::NoRoom { .. } | Trouble::NoInodes { .. } => Exit::NO_ROOM,
            Trouble::NoHost { .. } | Trouble::Usage { .. } | Trouble::Record { .. } => Exit::USAGE,
        }
    }

    fn advice(&self) -> Option<String> {
        let text = match self {
            Trouble::Stranger { .. } => {
                "the log may have lost lines; nothing was removed. Compare with the newest ice's log head, then move the stranger away"
            }
            Trouble::OtherManifest { .. } => {
                "nothing was changed. Look at it with `snapshotter verify`; ice and their ledger hold the log's head"
            }
            Trouble::History { source, .. } if source.is_damage() => {
                "nothing was changed. Look at it with `snapshotter verify`; ice and their ledger hold the log's head"
            }
            Trouble::Defects { .. } => {
                "remove nothing. `snapshotter verify --repair` has the next push bring what the host still has; ice of these snapshots has the rest"
            }
            Trouble::Head { .. } => {
                "nothing was signed. `snapshotter verify --log` tells more; ice and their ledger hold the log's head of their time"
            }
            Trouble::Plan { .. } => {
                "nothing is removed while it lies there; take it away if nobody needs it: a new plan waits anew"
            }
            Trouble::Differs { .. } => {
                "the rest is restored. Another snapshot or the ice of this one may have what is damaged; `snapshotter verify` names all that is"
            }
            Trouble::Absent { .. } => "`snapshotter find` tells which snapshots have a name",
            Trouble::NoRoom { .. } => "free some space, or lower limits.free_bytes; nothing sealed is lost",
            Trouble::NoInodes { .. } => {
                "remove files, or make the file system with more inodes, or lower limits.free_inodes; nothing sealed is lost"
            }
            Trouble::Locked { .. } => "nothing was changed; run it again when the other one has ended",
            Trouble::NoHost { .. } => "add it with `snapshotter host add`, or see `snapshotter host list`",
            Trouble::Record { .. } => {
                "docs/formats/host-record.md tells what may stand in it; nothing was changed"
            }
            Trouble::Usage { advice, .. } => return advice.clone(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn is_no_space(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

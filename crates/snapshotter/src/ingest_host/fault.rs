//! Why a push does not become a snapshot.

use std::io;

use formats::HostId;
use formats::cursor::Malformed;
use formats::manifest::ManifestError;
use formats::session::Code;

use crate::limits::Allowed;
use crate::trouble::Trouble;

/// Three very different reasons.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The push is not what it should be. It gets this verdict and is removed.
    Push(Code),
    /// The snapshot it builds on is not what the log says. The base is reset, and the push gets [`Code::UnknownBase`].
    Base(String),
    /// This side cannot do it now. The push stays sealed, and no verdict is given.
    Here(Here),
}

/// What is missing on this side.
#[derive(Debug)]
pub(crate) enum Here {
    /// A call on a held folder was refused.
    Folder(durable::Error),
    /// A stream failed.
    Stream(&'static str, io::Error),
    /// The history cannot be read or added to.
    History(history::Error),
    /// The reserve of free space would be used up.
    NoRoom,
    /// The reserve of inodes would be used up.
    NoInodes,
    /// The decoder was ended by somebody, or could not start its work.
    Decoder,
    /// A worker has failed, and says itself how.
    Stopped,
}

impl Fault {
    /// Of two that happened at once, the one that counts: nobody is blamed while something is wrong here, and a push not for its base.
    pub(crate) fn before(self, other: Fault) -> Fault {
        match (&self, &other) {
            (Fault::Push(_), Fault::Base(_) | Fault::Here(_)) | (Fault::Base(_), Fault::Here(_)) => other,
            _ => self,
        }
    }

    /// Closure for `map_err`.
    pub(crate) fn stream(doing: &'static str) -> impl FnOnce(io::Error) -> Fault {
        move |source| Fault::Here(Here::Stream(doing, source))
    }

    /// An error of the manifest that is being written: its rules are the push's to keep.
    pub(crate) fn new_manifest(error: ManifestError) -> Fault {
        match error {
            ManifestError::Io(source) => Fault::Here(Here::Stream("writing the manifest", source)),
            _ => Fault::Push(Code::MalformedPush),
        }
    }

    /// An error of the base's manifest: whatever is wrong with it, the push is not to blame.
    pub(crate) fn base_manifest(error: ManifestError) -> Fault {
        match error {
            ManifestError::Io(source) => Fault::Here(Here::Stream("reading the base's manifest", source)),
            _ => Fault::Base("the base's manifest is damaged".to_owned()),
        }
    }
}

impl Here {
    /// As the error of a verb.
    pub(crate) fn trouble(self, host: &HostId, allowed: &Allowed) -> Trouble {
        match self {
            Here::Folder(source) => Trouble::folder(format!("judging a push of {host}"))(source),
            Here::Stream(doing, source) => Trouble::stream(format!("{doing} of {host}"))(source),
            Here::History(source) => Trouble::history(host)(source),
            Here::NoRoom => Trouble::NoRoom { host: host.clone(), reserve_bytes: allowed.limits.free_bytes },
            Here::NoInodes => Trouble::NoInodes { host: host.clone(), reserve_inodes: allowed.free_inodes },
            Here::Decoder => Trouble::Machine {
                what: format!("the decoder of host {host} could not do its work; the push waits"),
            },
            Here::Stopped => Trouble::Machine { what: format!("the ingest of host {host} was stopped") },
        }
    }
}

impl From<durable::Error> for Fault {
    fn from(error: durable::Error) -> Self {
        Fault::Here(Here::Folder(error))
    }
}

impl From<history::Error> for Fault {
    fn from(error: history::Error) -> Self {
        Fault::Here(Here::History(error))
    }
}

impl From<Malformed> for Fault {
    fn from(_: Malformed) -> Self {
        Fault::Push(Code::MalformedPush)
    }
}

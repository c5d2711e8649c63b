//! What is pushed, and against whom it is held.

use super::runner::{Archiver, Cipher, Floor, Runner, Transport, Until, Versus};

/// What a row is about. The order is the order of measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Small files, none of them on the server.
    FirstSmall,
    /// The same, all of them on the server.
    Unchanged,
    /// One file that does not shrink.
    FirstBig,
    /// A million files, all of them on the server.
    UnchangedMany,
}

const RSYNC: (Runner, &str) = (Runner::Rsync(Cipher::Default), "rsync -aHAX");
const RSYNC_GCM: (Runner, &str) = (Runner::Rsync(Cipher::Gcm), "rsync -aHAX, aes128-gcm");
const RSYNC_LINKED: (Runner, &str) = (Runner::Rsync(Cipher::Default), "rsync, cp -al");
const RESTIC: (Runner, &str) = (Runner::Archiver(Archiver::Restic), "restic, sftp");
const BORG: (Runner, &str) = (Runner::Archiver(Archiver::Borg), "borg, ssh");
const BUPSTASH: (Runner, &str) = (Runner::Archiver(Archiver::Bupstash), "bupstash, ssh");
const TAR: (Runner, &str) = (Runner::Floor(Floor::Null), "tar | ssh cat >/dev/null");
const CAT: (Runner, &str) = (Runner::Floor(Floor::Null), "cat | ssh cat >/dev/null");
const CAT_SYNC: (Runner, &str) = (Runner::Floor(Floor::CatSync), "cat | ssh 'cat >f && sync f'");
const FIND_SSH2: (Runner, &str) = (Runner::Floor(Floor::FindSsh2), "find + push-client check");
const FIND_SSH: (Runner, &str) = (Runner::Floor(Floor::FindSsh), "find + ssh true");

/// At most one and a half times as long.
const AT_MOST_HALF_MORE: f64 = 1.0 / 1.5;

const fn sealed(
    id: &'static str,
    ours: Transport,
    peer: (Runner, &'static str),
    goal: Option<f64>,
) -> Versus {
    Versus { id, ours, peer, until: Until::Sealed, goal }
}

const fn snapshot(
    id: &'static str,
    ours: Transport,
    peer: (Runner, &'static str),
    goal: Option<f64>,
) -> Versus {
    Versus { id, ours, peer, until: Until::Snapshot, goal }
}

const FIRST_SMALL: &[Versus] = &[
    sealed("push.first.small", Transport::Ssh, RSYNC, Some(2.0)),
    sealed("push.first.small.gcm", Transport::Ssh, RSYNC_GCM, Some(2.0)),
    sealed("push.first.small.ssh2", Transport::Ssh2, RSYNC, Some(2.0)),
    sealed("push.first.small.ssh2.gcm", Transport::Ssh2, RSYNC_GCM, Some(2.0)),
    sealed("push.first.small.bupstash", Transport::Ssh, BUPSTASH, Some(1.5)),
    sealed("push.first.small.restic", Transport::Ssh, RESTIC, Some(5.0)),
    sealed("push.first.small.borg", Transport::Ssh, BORG, Some(10.0)),
    snapshot("push.first.small.snap", Transport::Ssh, RSYNC_LINKED, Some(1.2)),
    snapshot("push.first.small.snap.ssh2", Transport::Ssh2, RSYNC_LINKED, Some(1.2)),
    sealed("floor.first.small.tar", Transport::Ssh, TAR, None),
];

const UNCHANGED: &[Versus] = &[
    sealed("push.unchanged.60k", Transport::Ssh, RSYNC, Some(3.0)),
    sealed("push.unchanged.60k.gcm", Transport::Ssh, RSYNC_GCM, Some(3.0)),
    sealed("push.unchanged.60k.ssh2", Transport::Ssh2, RSYNC, Some(3.0)),
    sealed("push.unchanged.60k.bupstash", Transport::Ssh, BUPSTASH, Some(1.5)),
    sealed("push.unchanged.60k.find", Transport::Ssh, FIND_SSH, Some(AT_MOST_HALF_MORE)),
    sealed("push.unchanged.60k.find.ssh2", Transport::Ssh2, FIND_SSH2, Some(AT_MOST_HALF_MORE)),
    snapshot("push.unchanged.60k.snap", Transport::Ssh, RSYNC_LINKED, None),
];

const UNCHANGED_MANY: &[Versus] = &[
    sealed("push.unchanged.1m", Transport::Ssh, RSYNC, Some(5.0)),
    sealed("push.unchanged.1m.ssh2", Transport::Ssh2, RSYNC, Some(5.0)),
    sealed("push.unchanged.1m.bupstash", Transport::Ssh, BUPSTASH, Some(1.5)),
    sealed("push.unchanged.1m.find", Transport::Ssh, FIND_SSH, Some(AT_MOST_HALF_MORE)),
    sealed("push.unchanged.1m.find.ssh2", Transport::Ssh2, FIND_SSH2, Some(AT_MOST_HALF_MORE)),
];

const FIRST_BIG: &[Versus] = &[
    sealed("push.first.big", Transport::Ssh, RSYNC, Some(1.2)),
    sealed("push.first.big.gcm", Transport::Ssh, RSYNC_GCM, Some(1.2)),
    sealed("push.first.big.cat", Transport::Ssh, CAT_SYNC, Some(0.95)),
    sealed("push.first.big.ssh2", Transport::Ssh2, RSYNC, Some(1.2)),
    sealed("push.first.big.ssh2.gcm", Transport::Ssh2, RSYNC_GCM, Some(1.2)),
    snapshot("push.first.big.snap", Transport::Ssh, RSYNC_LINKED, None),
    sealed("floor.first.big.null", Transport::Ssh, CAT, None),
];

/// Memory, in the pushes of the million files.
pub(crate) const MEMORY_IDS: [&str; 2] = ["push.rss.client", "push.rss.receiver"];

impl Subject {
    pub(crate) const ALL: [Subject; 4] =
        [Subject::FirstSmall, Subject::Unchanged, Subject::FirstBig, Subject::UnchangedMany];

    /// All rows, the one that counts first.
    pub(crate) fn versus(self) -> &'static [Versus] {
        match self {
            Subject::FirstSmall => FIRST_SMALL,
            Subject::Unchanged => UNCHANGED,
            Subject::FirstBig => FIRST_BIG,
            Subject::UnchangedMany => UNCHANGED_MANY,
        }
    }

    /// The ids of its rows.
    pub(crate) fn ids(self) -> impl Iterator<Item = &'static str> {
        let memory: &[&'static str] = if self == Subject::UnchangedMany { &MEMORY_IDS } else { &[] };
        self.versus().iter().map(|versus| versus.id).chain(memory.iter().copied())
    }

    /// What its hosts are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Subject::FirstSmall => "small",
            Subject::Unchanged => "unchanged",
            Subject::FirstBig => "big",
            Subject::UnchangedMany => "many",
        }
    }

    /// Whether the server has all of it already.
    pub(crate) fn is_unchanged(self) -> bool {
        matches!(self, Subject::Unchanged | Subject::UnchangedMany)
    }
}

//! Who runs in a round, and what each of them took.

use std::collections::BTreeMap;
use std::time::Duration;

use super::row::Row;

/// How ours comes to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    /// The built-in one, which is the default.
    Ssh2,
    /// The system's ssh.
    Ssh,
}

/// How the peer's ssh encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cipher {
    /// As ssh and sshd agree by themselves.
    Default,
    /// The fastest where the processor helps with AES.
    Gcm,
}

/// A program that keeps a repository of its own kind on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Archiver {
    /// restic over sftp.
    Restic,
    /// borg over ssh.
    Borg,
    /// bupstash over ssh.
    Bupstash,
}

/// The least that anything which does this work has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Floor {
    /// The bytes through ssh, and away.
    Null,
    /// The bytes through ssh, into a file, and the file to the disk.
    CatSync,
    /// All names and times, and a connection of the system's ssh in which nothing is done.
    FindSsh,
    /// The same, with a connection of ours.
    FindSsh2,
}

/// Everyone there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Runner {
    Ours(Transport),
    Rsync(Cipher),
    Archiver(Archiver),
    Floor(Floor),
}

/// What a figure ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Sealed and on the server's disk; of a peer, the end of its run.
    Sealed,
    /// The snapshot stands; of rsync, `cp -al` of what it brought.
    Snapshot,
}

/// One row: who against whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Versus {
    pub(crate) id: &'static str,
    pub(crate) ours: Transport,
    pub(crate) peer: (Runner, &'static str),
    pub(crate) until: Until,
    pub(crate) goal: Option<f64>,
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    pub(crate) sealed: Duration,
    pub(crate) snapshot: Option<Duration>,
}

impl Took {
    /// A run after which nothing follows.
    pub(crate) fn only(sealed: Duration) -> Took {
        Took { sealed, snapshot: None }
    }
}

/// What all took in all rounds.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    taken: BTreeMap<Runner, Vec<Took>>,
}

impl Figures {
    pub(crate) fn add(&mut self, runner: Runner, took: Took) {
        self.taken.entry(runner).or_default().push(took);
    }

    fn seconds(&self, runner: Runner, until: Until) -> Vec<f64> {
        let of = |took: &Took| match until {
            Until::Sealed => Some(took.sealed),
            Until::Snapshot => took.snapshot,
        };
        let taken = self.taken.get(&runner).map(Vec::as_slice).unwrap_or_default();
        taken.iter().filter_map(of).map(|took| took.as_secs_f64()).collect()
    }

    /// The row of a comparison.
    pub(crate) fn row(&self, versus: &Versus) -> Row {
        let ours = self.seconds(Runner::Ours(versus.ours), versus.until);
        let (peer, name) = versus.peer;
        Row::against(versus.id, name, &ours, &self.seconds(peer, versus.until), versus.goal)
    }
}

/// Everyone who is in one of these comparisons, each once.
pub(crate) fn runners(all: &[Versus]) -> Vec<Runner> {
    let mut runners: Vec<_> =
        all.iter().flat_map(|versus| [Runner::Ours(versus.ours), versus.peer.0]).collect();
    runners.sort_unstable();
    runners.dedup();
    runners
}

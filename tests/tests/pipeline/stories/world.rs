//! A server, a host and its files.

use std::fs;
use std::path::PathBuf;

use pipeline_tests::checker::history::{Found, Snapshot};
use pipeline_tests::checker::item::Item;
use pipeline_tests::checker::live::{compare, scan};
use pipeline_tests::checker::{Moment, told};
use pipeline_tests::settings::{self, Push};
use pipeline_tests::{Host, Options, Outcome, Scratch};

use crate::rig;

/// The codes that the stories are about.
pub(super) const ACCEPTED: i32 = 0;
pub(super) const LEFT_OUT: i32 = 3;
pub(super) const BUSY: i32 = 10;
pub(super) const NO_ROOM: i32 = 11;
pub(super) const PENDING: i32 = 18;
pub(super) const NO_CONNECTION: i32 = 19;

/// A server, one host, and the folder that the host backs up.
pub(super) struct World {
    pub(super) scratch: Scratch,
    pub(super) host: Host,
    pub(super) source: PathBuf,
}

impl World {
    /// With a few files, two of them one inode, and a symlink.
    pub(super) fn new() -> World {
        World::with(&Options::default())
    }

    pub(super) fn with(options: &Options) -> World {
        let mut scratch = rig::scratch(options);
        let source = scratch.folder.join("hosts/web01/files");
        rig::file(&source.join("etc/hosts"), b"127.0.0.1 localhost\n");
        rig::file(&source.join("etc/motd"), b"welcome\n");
        rig::file(&source.join("var/data"), &noise(1, 300_000));
        fs::hard_link(source.join("etc/motd"), source.join("var/motd")).unwrap();
        std::os::unix::fs::symlink("../etc/hosts", source.join("var/hosts")).unwrap();
        let host = scratch.add_host("web01", std::slice::from_ref(&source)).unwrap();
        World { scratch, host, source }
    }

    /// Writes a file of the host.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        rig::file(&self.source.join(path), bytes);
    }

    /// Changes a file of the host, so that the next push is a snapshot, whatever others do to the folders above.
    pub(super) fn change(&self, what: &str) {
        self.write("etc/changed", what.as_bytes());
    }

    /// What the host has now.
    pub(super) fn now(&self) -> Vec<Item> {
        self.own(scan(&[&self.source]).unwrap())
    }

    /// Without the folders above the source, which others change too.
    fn own(&self, items: Vec<Item>) -> Vec<Item> {
        let source = self.source.to_str().unwrap().as_bytes()[1..].to_vec();
        items.into_iter().filter(|item| item.path.starts_with(&source)).collect()
    }

    /// Pushes without waiting for a verdict.
    pub(super) fn push(&self) -> Outcome {
        self.scratch.push(&self.host).unwrap()
    }

    /// Pushes, which must be sealed.
    pub(super) fn sealed(&self) -> Outcome {
        expect(self.push(), PENDING)
    }

    /// Ingests, which must end with this code.
    pub(super) fn ingest(&self, code: i32) -> Outcome {
        expect(self.scratch.ingest().unwrap(), code)
    }

    /// Pushes and ingests, as a server does that watches.
    pub(super) fn push_and_ingest(&self) -> Outcome {
        let push = Push { verdict_wait_seconds: 60, ..Push::default() };
        settings::write_push(&self.scratch, &self.host, &push).unwrap();
        let (push, _) = self.scratch.push_and_ingest(&self.host, pipeline_tests::verbs::Hear::Kept).unwrap();
        settings::write_push(&self.scratch, &self.host, &Push::default()).unwrap();
        push
    }

    /// The history, which must be sound, with nothing left lying about.
    pub(super) fn sound(&self) -> Found {
        rig::sound(&self.scratch, &self.host, Moment::Quiet)
    }

    /// A snapshot is what the host had.
    pub(super) fn is(&self, snapshot: &Snapshot, expected: &[Item]) {
        let differences = compare(expected, &self.own(snapshot.items.clone()));
        assert!(differences.is_empty(), "{}:\n{}", snapshot.name, told(&differences));
    }

    /// The newest snapshot is what the host has now, and there are so many.
    pub(super) fn newest_is_now(&self, count: usize) -> Found {
        let found = self.sound();
        assert_eq!(found.snapshots.len(), count, "{:?}", found.events);
        self.is(found.snapshots.last().unwrap(), &self.now());
        found
    }
}

/// An outcome with that code, or the story ends here.
pub(super) fn expect(outcome: Outcome, code: i32) -> Outcome {
    assert_eq!(outcome.code, code, "{}: {}", outcome.command, outcome.said());
    outcome
}

/// Bytes that do not shrink.
pub(super) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut numbers = pipeline_tests::data::Numbers::new(seed);
    std::iter::repeat_with(|| numbers.draw().to_le_bytes()).flatten().take(bytes).collect()
}

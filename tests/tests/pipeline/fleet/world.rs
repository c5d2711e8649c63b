//! A backup server and its hosts, each a machine of its own, and how their states are read from outside, with stock tools.

use std::fs;
use std::path::PathBuf;

use pipeline_tests::checker::history::{Found, check};
use pipeline_tests::checker::prints::Prints;
use pipeline_tests::checker::{Moment, told};
use pipeline_tests::{Fleet, Outcome};
use tempfile::TempDir;

/// The backup server.
pub(super) const BACKUP: &str = "backup";

/// A fleet, deployed.
pub(super) struct World {
    pub(super) fleet: Fleet,
    /// The hosts that are backed up. Each one's host id is its name.
    pub(super) hosts: Vec<&'static str>,
    /// What the Salt master serves, if there is one.
    pub(super) srv: Option<TempDir>,
}

impl World {
    /// `line` of shell on a machine.
    pub(super) fn sh(&self, machine: &str, line: &str) -> Outcome {
        self.fleet.sh(machine, line).unwrap()
    }

    /// What `line` says; it must end well.
    #[track_caller]
    pub(super) fn said(&self, machine: &str, line: &str) -> String {
        let outcome = self.sh(machine, line);
        assert_eq!(outcome.code, 0, "{machine}: {line}\n{}", outcome.said());
        outcome.stdout.trim_end().to_owned()
    }

    /// A push as its unit makes it, and its end waited for. The code is push-client's own.
    pub(super) fn push(&self, host: &str) -> Outcome {
        let line = "systemctl start firn-push.service; said=$?
            journalctl -u firn-push.service --no-pager -o cat -n 30
            code=$(systemctl show -P ExecMainStatus firn-push.service)
            [ $said = 0 ] || [ $code != 0 ] || code=200
            # Ends that are no failure are one to systemctl, which may have forgotten the unit by now.
            [ $said != 0 ] || code=$(python3 -c 'import json; print(json.load(open(\"/var/lib/firn/push/runs\"))[\"last\"][\"exit\"])')
            # A unit that would try again by itself in ten minutes does not.
            systemctl stop firn-push.service; systemctl reset-failed firn-push.service 2>/dev/null
            exit $code";
        self.sh(host, line)
    }

    /// Path and sum of every file below `/data` of a host.
    pub(super) fn data(&self, host: &str) -> String {
        self.sums(host, "/data")
    }

    /// Path and sum of every file below a folder of a machine.
    pub(super) fn sums(&self, machine: &str, folder: &str) -> String {
        let line = "find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum";
        self.said(machine, &format!("cd '{folder}' && {line}"))
    }

    /// Path and sum of every file below `/data` in the newest snapshot of a host.
    pub(super) fn newest(&self, host: &str) -> String {
        let found = self.sound(host);
        let name = &found.snapshots.last().expect("no snapshot").name;
        self.sums(BACKUP, &format!("/srv/firn/history/{host}/{name}/tree/data"))
    }

    /// The history of a host, as this machine reaches it.
    pub(super) fn history(&self, host: &str) -> PathBuf {
        self.fleet.root(BACKUP).unwrap().join("srv/firn/history").join(host)
    }

    /// The history of a host, which must keep every promise.
    #[track_caller]
    pub(super) fn sound(&self, host: &str) -> Found {
        let found = check(&self.history(host), host, Moment::Any);
        assert!(found.breaches.is_empty(), "{host}:\n{}", told(&found.breaches));
        found
    }

    /// How many snapshots a host has.
    #[track_caller]
    pub(super) fn count(&self, host: &str) -> usize {
        self.sound(host).snapshots.len()
    }

    /// The history of a host down to inodes and times, and apart from that its log, which grows.
    pub(super) fn past(&self, host: &str) -> (Prints, Vec<u8>) {
        let folder = self.history(host);
        let log = fs::read(folder.join("log")).unwrap();
        (Prints::take(&folder, &|path| path == b"log").unwrap(), log)
    }

    /// The histories of these hosts, down to inodes and times.
    pub(super) fn prints(&self, hosts: &[&str]) -> Vec<Prints> {
        hosts.iter().map(|host| Prints::take(&self.history(host), &|_| false).unwrap()).collect()
    }
}

/// The account of a host on the server.
pub(super) fn account(host: &str) -> String {
    format!("firn-{}", host.replace('.', "_"))
}

//! The same cuts where a sync was left out: what must be found then is found. Without that, no cut would prove anything.

use super::disk::{Cut, Disk, Kind};
use super::{Ground, Work, broken_without, disks, is_ready_or_skipped};
use crate::rig;

/// A sync that is left out: of what, in which work, and where it must be found.
struct Control {
    of: &'static str,
    work: Work,
    calls: &'static str,
    /// Below the server's folder; all if there is none.
    paths: &'static [&'static str],
    found_on: &'static [Kind],
}

const EVERYWHERE: &[Kind] = &[Kind::Ext4, Kind::Xfs, Kind::Btrfs];

const CONTROLS: [Control; 6] = [
    Control {
        of: "file fsync of a push",
        work: Work::Receive,
        calls: "fsync",
        paths: &["jails/web01/spool/incoming/current"],
        found_on: EVERYWHERE,
    },
    Control {
        of: "folder fsync of the sealed pushes",
        work: Work::Receive,
        calls: "fsync",
        paths: &["jails/web01/spool/sealed", "jails/web01/spool/incoming"],
        found_on: EVERYWHERE,
    },
    Control {
        of: "file sync of a snapshot",
        work: Work::Ingest,
        calls: "syncfs",
        paths: &[],
        found_on: EVERYWHERE,
    },
    Control {
        of: "file fsync of the log",
        work: Work::Ingest,
        calls: "fsync",
        paths: &["history/web01/log"],
        found_on: EVERYWHERE,
    },
    Control {
        of: "folder fsync of snapshots and manifests",
        work: Work::Ingest,
        calls: "fsync",
        paths: &["history/web01", "history/web01/manifests", "history/web01/.building"],
        // In a journal, names come to the disk with the next line of the log.
        found_on: &[Kind::Btrfs],
    },
    // The folders of a prune have no control: without their fsync the line is there, and the next run removes again what came back.
    Control {
        of: "file fsync of the log, by a prune",
        work: Work::Prune,
        calls: "fsync",
        paths: &["history/web01/log"],
        found_on: EVERYWHERE,
    },
];

#[test]
fn a_power_cut_finds_each_sync_that_is_left_out() {
    const TEST: &str = "a_power_cut_finds_each_sync_that_is_left_out";
    if !is_ready_or_skipped(TEST) || !rig::is_apart(module_path!(), TEST) {
        return;
    }
    let ground = Ground::new();
    for disk in &mut disks(&ground) {
        for control in &CONTROLS {
            let name = disk.kind.name();
            let broken = without(&ground, disk, control);
            let first = broken.as_deref().and_then(|told| told.lines().next()).unwrap_or("nothing is broken");
            println!("CONTROL: {name} without the {}: {first}", control.of);
            let must = control.found_on.contains(&disk.kind);
            assert!(broken.is_some() || !must, "{name}: nothing shows that the {} is left out", control.of);
        }
        for work in [Work::Receive, Work::Ingest, Work::Prune] {
            for how in [Cut::Alone, Cut::AfterAStranger] {
                assert_eq!(broken_without(&ground, disk, work, how, &[]), None, "with all syncs");
            }
        }
    }
}

fn without(ground: &Ground, disk: &mut Disk, control: &Control) -> Option<String> {
    let folder = &ground.server.scratch.folder;
    let paths: Vec<String> =
        control.paths.iter().map(|path| folder.join(path).to_str().unwrap().to_owned()).collect();
    let (seen, how) = (format!("trace={}", control.calls), format!("inject={}:retval=0", control.calls));
    let mut words: Vec<&str> = paths.iter().flat_map(|path| ["-P", path.as_str()]).collect();
    words.extend(["-e", &seen, "-e", &how]);
    let mut cuts = [Cut::Alone, Cut::AfterAStranger].into_iter();
    cuts.find_map(|how| broken_without(ground, disk, control.work, how, &words))
}

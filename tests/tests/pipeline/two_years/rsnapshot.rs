//! The real rsnapshot, which cron starts: the larger rotations first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{DateTime, Datelike, Utc, Weekday};
use pipeline_tests::{Outcome, clock};

use super::world::{GOOD, words};

/// How many there are to be of each rotation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retain {
    pub(super) daily: u32,
    pub(super) weekly: u32,
    pub(super) monthly: u32,
}

/// One configuration, and what it keeps.
pub(super) struct Rsnapshot {
    conf: PathBuf,
    kept: PathBuf,
    top: PathBuf,
    pub(super) retain: Retain,
    /// So many days after the first garbage the last good version was gone, and every good one.
    pub(super) lost_day: Option<i64>,
    pub(super) empty_day: Option<i64>,
}

impl Rsnapshot {
    /// Keeps what `source` holds, below `folder`.
    pub(super) fn new(folder: &Path, source: &Path, retain: Retain) -> Rsnapshot {
        fs::create_dir_all(folder).unwrap();
        let (conf, kept) = (folder.join("rsnapshot.conf"), folder.join("kept"));
        let Retain { daily, weekly, monthly } = retain;
        let lines = [
            "config_version\t1.2".to_owned(),
            format!("snapshot_root\t{}/", kept.display()),
            "cmd_cp\t/bin/cp".to_owned(),
            "cmd_rm\t/bin/rm".to_owned(),
            "cmd_rsync\t/usr/bin/rsync".to_owned(),
            format!("lockfile\t{}/lock", folder.display()),
            format!("retain\tdaily\t{daily}"),
            format!("retain\tweekly\t{weekly}"),
            format!("retain\tmonthly\t{monthly}"),
            "rsync_long_args\t--delete --numeric-ids --relative --delete-excluded --hard-links".to_owned(),
            format!("backup\t{}/\thost/", source.display()),
        ];
        fs::write(&conf, lines.join("\n") + "\n").unwrap();
        let top = Path::new("host").join(source.strip_prefix("/").unwrap());
        Rsnapshot { conf, kept, top, retain, lost_day: None, empty_day: None }
    }

    /// What cron starts on this day: on the first of a month, on Mondays, every day.
    pub(super) fn day(&self, now: DateTime<Utc>) {
        if now.day() == 1 {
            self.run("monthly", now);
        }
        if now.weekday() == Weekday::Mon {
            self.run("weekly", now);
        }
        self.run("daily", now);
    }

    /// The same of a day on which the host is in other hands. Once nothing good is left, no rotation brings it back.
    pub(super) fn bad_day(&mut self, now: DateTime<Utc>, day: i64) {
        if self.empty_day.is_some() {
            return;
        }
        self.day(now);
        let left = self.good_ones();
        if !left.contains(&GOOD) {
            self.lost_day.get_or_insert(day);
        }
        if left.is_empty() {
            self.empty_day = Some(day);
        }
    }

    fn run(&self, level: &str, now: DateTime<Utc>) {
        let mut plain = Command::new("rsnapshot");
        plain.arg("-c").arg(&self.conf).arg(level);
        let time = now.format("@%Y-%m-%d %H:%M:%S").to_string();
        // 2: it warns, as of a rotation for which there is nothing yet.
        Outcome::of(&mut clock::at(&plain, &time)).unwrap().expect_code(&[0, 2]).unwrap();
    }

    /// The good versions that are in any of its folders.
    pub(super) fn good_ones(&self) -> Vec<u64> {
        let folders = fs::read_dir(&self.kept).unwrap().map(|entry| entry.unwrap().path());
        let files: Vec<Vec<u8>> =
            folders.filter_map(|folder| fs::read(folder.join(&self.top).join("version")).ok()).collect();
        (1..=GOOD).filter(|version| files.contains(&words(*version))).collect()
    }
}

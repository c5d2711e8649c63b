//! A history that the real rsnapshot has made, taken over.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use pipeline_tests::checker::Moment;
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Scratch, settings};

use crate::rig;

/// The age of each folder that rsnapshot leaves, in days, newest first.
const AGES: [(&str, u64); 5] =
    [("daily.0", 1), ("daily.1", 2), ("daily.2", 3), ("weekly.0", 8), ("weekly.1", 15)];

struct World {
    scratch: Scratch,
    host: Host,
    folder: tempfile::TempDir,
}

impl World {
    /// A server with a host that has not pushed, and what rsnapshot has kept of it.
    fn new() -> World {
        let folder = tempfile::tempdir_in("/var/lib").unwrap();
        let files = folder.path().join("files");
        rig::file(&files.join("etc/same"), &vec![7; 200_000]);
        let mut scratch = rig::scratch(&Options::default());
        let host = scratch.add_host("web01", &[files]).unwrap();
        let world = World { scratch, host, folder };
        world.rsnapshot();
        world
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    /// Lets rsnapshot work for as many days as there are folders.
    fn rsnapshot(&self) {
        let files = self.folder.path().join("files");
        let conf = self.folder.path().join("rsnapshot.conf");
        let lines = [
            "config_version\t1.2".to_owned(),
            format!("snapshot_root\t{}/", self.kept().display()),
            "cmd_cp\t/bin/cp".to_owned(),
            "cmd_rm\t/bin/rm".to_owned(),
            "cmd_rsync\t/usr/bin/rsync".to_owned(),
            format!("lockfile\t{}/lock", self.folder.path().display()),
            "retain\tdaily\t3".to_owned(),
            "retain\tweekly\t2".to_owned(),
            "rsync_long_args\t--delete --numeric-ids --relative --delete-excluded --hard-links".to_owned(),
            format!("backup\t{}/\tweb01/", files.display()),
        ];
        fs::write(&conf, lines.join("\n") + "\n").unwrap();
        let run = |level: &str| {
            Outcome::of(Command::new("rsnapshot").arg("-c").arg(&conf).arg(level))
                .unwrap()
                .expect_code(&[0])
                .unwrap();
        };
        let day = |day: u32| {
            // Another length each day: within a second rsync sees nothing else.
            rig::file(&files.join("etc/changes"), "day".repeat(day as usize).as_bytes());
            rig::file(&files.join(format!("etc/day {day}")), b"only added");
            chown(files.join("etc/changes"), Some(1234), Some(4321)).unwrap();
            fs::set_permissions(files.join("etc/changes"), fs::Permissions::from_mode(0o4711)).unwrap();
            run("daily");
        };
        (1..=3).for_each(day);
        run("weekly");
        day(4);
        run("weekly");
        (5..=7).for_each(day);
        for (name, days) in AGES {
            let then = SystemTime::now() - Duration::from_secs(days * 86_400);
            fs::File::open(self.kept().join(name)).unwrap().set_modified(then).unwrap();
        }
    }

    fn import(&self, words: &[&str]) -> Outcome {
        self.import_by(&self.folder.path().join("scratch"), words)
    }

    fn import_by(&self, scratch: &Path, words: &[&str]) -> Outcome {
        let kept = self.kept();
        let first = ["import", "rsnapshot", kept.to_str().unwrap(), "--host", "web01"];
        let last = ["--scratch", scratch.to_str().unwrap()];
        Outcome::of(&mut self.scratch.snapshotter_as_admin(&[&first[..], &last, words].concat())).unwrap()
    }

    /// The trees of the host's snapshots, oldest first.
    fn trees(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.scratch.history("web01")).map_or(Vec::new(), |entries| {
            entries.map(|entry| entry.unwrap().path().join("tree")).filter(|tree| tree.is_dir()).collect()
        });
        let mut names = names;
        names.sort();
        names
    }

    fn push(&self) {
        let push = settings::Push { verdict_wait_seconds: 60, ..settings::Push::default() };
        settings::write_push(&self.scratch, &self.host, &push).unwrap();
        let (push, ingest) = self.scratch.push_and_ingest(&self.host, Hear::Kept).unwrap();
        assert_eq!((push.code, ingest.unwrap().code), (0, 0), "{}", push.said());
    }
}

/// Everything in a folder, and when it was last changed.
fn picture(folder: &Path) -> Vec<String> {
    let told = Command::new("find")
        .arg(folder)
        .args(["-printf", "%p %i %n %m %U %G %T@ %C@ %l\n"])
        .output()
        .unwrap();
    let mut lines: Vec<_> = String::from_utf8(told.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn can(test: &str) -> bool {
    rig::is_root_or_skipped(test) && rig::has_or_skipped(test, &["rsnapshot"])
}

#[test]
fn each_folder_of_rsnapshot_becomes_a_snapshot_of_its_time_and_what_it_linked_is_stored_once() {
    let test = "each_folder_of_rsnapshot_becomes_a_snapshot_of_its_time_and_what_it_linked_is_stored_once";
    if !can(test) {
        return;
    }
    let world = World::new();
    let before = picture(&world.kept());
    let listed = world.import(&["--dry-run"]).expect_code(&[0]).unwrap();
    assert_eq!(listed.stdout.matches("to import").count(), 5, "{}", listed.stdout);
    assert!(world.trees().is_empty());
    let done = world.import(&[]).expect_code(&[0]).unwrap();
    assert_eq!(picture(&world.kept()), before, "{}", done.said());
    let trees = world.trees();
    assert_eq!(trees.len(), 5);
    let mut same = Vec::new();
    for (tree, (name, days)) in trees.iter().zip(AGES.iter().rev()) {
        let kept = world.kept().join(name).join("web01");
        let differs =
            Outcome::of(Command::new("diff").args(["-r", "--no-dereference"]).arg(&kept).arg(tree)).unwrap();
        assert_eq!(differs.code, 0, "{name}: {}", differs.said());
        let then = SystemTime::now() - Duration::from_secs(days * 86_400);
        let day: chrono::DateTime<chrono::Utc> = then.into();
        let snapshot = tree.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let (at, hour) = (
            day.format("%Y%m%d").to_string(),
            (day - chrono::Duration::hours(1)).format("%Y%m%d").to_string(),
        );
        assert!(snapshot.starts_with(&at) || snapshot.starts_with(&hour), "{name}: {snapshot}");
        let files = world.folder.path().strip_prefix("/").unwrap().join("files/etc/same");
        same.push(fs::metadata(tree.join(files)).unwrap().ino());
    }
    same.dedup();
    assert_eq!(same.len(), 1, "the content that never changed is one inode");
    let shown =
        Outcome::of(&mut world.scratch.snapshotter(&["show", "web01", "latest", "--entries"])).unwrap();
    let line = shown.stdout.lines().find(|line| line.contains("etc/changes")).unwrap();
    assert!(line.starts_with("-4711  1234:4321"), "{line}");
    assert_eq!(Outcome::of(&mut world.scratch.snapshotter(&["verify"])).unwrap().code, 0);
    rig::sound(&world.scratch, &world.host, Moment::Quiet);
    assert!(!world.folder.path().join("scratch/web01").exists());
    let again = world.import(&[]).expect_code(&[0]).unwrap();
    assert!(again.stdout.contains("all of it was imported before"), "{}", again.said());
    // The host's own pushes follow, without an alarm; then nothing older comes any more.
    world.push();
    assert_eq!(world.trees().len(), 6);
    let log = fs::read_to_string(world.scratch.history("web01").join("log")).unwrap();
    assert!(!log.contains("alarm") && log.matches("\"imported\":true").count() == 5, "{log}");
    let refused = world.import(&[]);
    assert_eq!(refused.code, 2, "{}", refused.said());
    assert!(refused.said().contains("has snapshots of its own"), "{}", refused.said());
    assert_eq!(world.trees().len(), 6);
}

#[test]
fn an_import_that_was_cut_goes_on_where_it_ended() {
    let test = "an_import_that_was_cut_goes_on_where_it_ended";
    if !can(test) {
        return;
    }
    let world = World::new();
    // A push-client that fails at the third folder.
    let real = world.scratch.folder.join("bin/push-client");
    let (count, broken) = (world.folder.path().join("count"), world.folder.path().join("broken"));
    let script = format!(
        "#!/bin/sh\necho >> {0}\n[ $(wc -l < {0}) -ge 3 ] && exit 4\nexec {1} \"$@\"\n",
        count.display(),
        real.display()
    );
    fs::write(&broken, script).unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    let cut = world.import(&["--push-client", broken.to_str().unwrap()]);
    assert_eq!(cut.code, 4, "{}", cut.said());
    assert_eq!(world.trees().len(), 2);
    let elsewhere = world.import_by(&world.folder.path().join("other"), &[]);
    assert_eq!(elsewhere.code, 2, "{}", elsewhere.said());
    assert!(elsewhere.said().contains("another scratch folder"), "{}", elsewhere.said());
    let done = world.import(&[]).expect_code(&[0]).unwrap();
    assert_eq!(done.stdout.matches("imported already").count(), 2, "{}", done.stdout);
    let trees = world.trees();
    assert_eq!(trees.len(), 5);
    let same = world.folder.path().strip_prefix("/").unwrap().join("files/etc/same");
    let inode = |tree: &PathBuf| fs::metadata(tree.join(&same)).unwrap().ino();
    assert!(trees.iter().all(|tree| inode(tree) == inode(&trees[0])));
}

//! A group that may read the history of one host, with real accounts: what its members reach, and what nobody else does.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pipeline_tests::verbs::Hear;
use pipeline_tests::{Host, Options, Outcome, Scratch, settings};

use crate::rig;

struct World {
    scratch: Scratch,
    web01: Host,
    db1: Host,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir_in("/var/lib").unwrap();
        let mut scratch = rig::scratch(&Options::default());
        let config = scratch.folder.join("etc/server.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("views = {:?}\n{text}", scratch.folder.join("views"))).unwrap();
        let [web01, db1] = ["web01", "db1"].map(|name| {
            let files = folder.path().join(name);
            rig::file(&files.join("secret"), name.as_bytes());
            rig::file(&files.join("deep/er/file"), b"deep");
            scratch.add_host(name, &[files]).unwrap()
        });
        let world = World { scratch, web01, db1, _folder: folder };
        world.push();
        world
    }

    fn push(&self) {
        for host in [&self.web01, &self.db1] {
            let push = settings::Push { verdict_wait_seconds: 60, ..settings::Push::default() };
            settings::write_push(&self.scratch, host, &push).unwrap();
            let (push, ingest) = self.scratch.push_and_ingest(host, Hear::Kept).unwrap();
            assert_eq!((push.code, ingest.unwrap().code), (0, 0), "{}", push.said());
        }
    }

    /// `host add` again, with these words.
    fn add(&self, host: &Host, words: &[&str]) -> Outcome {
        let key = host.key.public_path();
        let first = ["host", "add", &host.name, "--key", key.to_str().unwrap()];
        Outcome::of(&mut self.scratch.snapshotter_as_admin(&[&first[..], words].concat())).unwrap()
    }

    /// An account of this server's, which ends with it.
    fn account(&self, name: &str) -> String {
        let name = format!("{}-{name}", self.scratch.names.owner);
        self.scratch.add_account(&name, "/usr/sbin/nologin").unwrap();
        name
    }

    /// `word` of `path`, as this account: whether it worked.
    fn may(&self, account: &str, word: &str, path: &Path) -> bool {
        let tried = Command::new("runuser").args(["-u", account, "--", word]).arg(path).output().unwrap();
        tried.status.success()
    }

    /// The file of a host in its newest snapshot, the one in its folder of views, and one deep down.
    fn files(&self, host: &Host) -> [PathBuf; 3] {
        let root = host.roots[0].strip_prefix("/").unwrap();
        let view = self.scratch.folder.join("views").join(&host.name).join("latest");
        let tree = view.canonicalize().unwrap();
        [tree.join(root).join("secret"), view.join(root).join("secret"), tree.join(root).join("deep/er/file")]
    }
}

#[test]
fn a_group_reads_the_history_of_its_host_the_old_and_the_new_and_no_others() {
    let test = "a_group_reads_the_history_of_its_host_the_old_and_the_new_and_no_others";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["setfacl"]) {
        return;
    }
    let world = World::new();
    let (reader, stranger) = (world.account("reader"), world.account("stranger"));
    for file in world.files(&world.web01) {
        assert!(!world.may(&reader, "cat", &file), "control: {} before", file.display());
    }
    let old = world.files(&world.web01);
    world.add(&world.web01, &["--readers", &reader]).expect_code(&[0]).unwrap();
    rig::file(&world.web01.roots[0].join("secret"), b"changed");
    rig::file(&world.web01.roots[0].join("deep/new"), b"new");
    world.push();
    let mut files = world.files(&world.web01).to_vec();
    files.extend(old);
    files.push(files[2].parent().unwrap().parent().unwrap().join("new"));
    for file in &files {
        assert!(world.may(&reader, "cat", file), "{}", file.display());
        assert!(!world.may(&stranger, "cat", file), "{}", file.display());
        let mode = fs::metadata(file).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o640, "{}", file.display());
    }
    let web01 = world.scratch.history("web01");
    assert!(world.may(&reader, "ls", &web01) && !world.may(&reader, "touch", &web01.join("new")));
    assert!(!world.may(&reader, "cat", &web01.join(".lock")), "the writer's lock");
    for file in world.files(&world.db1) {
        assert!(!world.may(&reader, "cat", &file), "{}", file.display());
    }
    assert!(!world.may(&reader, "ls", &world.scratch.history("db1")));
    assert!(!world.may(&reader, "ls", &world.scratch.folder.join("history")));
    // Those who may read all still do, and the server still works.
    assert!(world.may(&world.scratch.names.ice, "cat", &files[0]));
    let listed = Outcome::of(&mut world.scratch.snapshotter(&["host", "list"])).unwrap();
    assert!(listed.stdout.contains(&format!("readable by group {reader}")), "{}", listed.stdout);
    assert!(!listed.stdout.contains("missing\n"), "{}", listed.stdout);
    assert_eq!(Outcome::of(&mut world.scratch.snapshotter(&["verify"])).unwrap().code, 0);
    checked(&world, &reader, &files[1]);
    // Taken away, it is closed at once.
    world.add(&world.web01, &["--readers", ""]).expect_code(&[0]).unwrap();
    rig::file(&world.web01.roots[0].join("secret"), b"changed again");
    world.push();
    for file in files.iter().chain(&world.files(&world.web01)) {
        assert!(!world.may(&reader, "cat", file), "{} after", file.display());
    }
}

/// The independent checker calls the lists of the readers no power, and anybody else's and every other right one.
fn checked(world: &World, reader: &str, file: &Path) {
    let check = |readers: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_invariant-check"));
        let said = command.args(readers).arg(world.scratch.history("web01")).arg("web01").output().unwrap();
        (said.status.code(), String::from_utf8(said.stdout).unwrap())
    };
    let group = Command::new("id").args(["-g", reader]).output().unwrap().stdout;
    let group = String::from_utf8(group).unwrap().trim().to_owned();
    let (code, said) = check(&["--readers", &group]);
    assert_eq!(code, Some(0), "{said}");
    for (what, readers) in [("nobody", &[][..]), ("another group", &["--readers", "1"])] {
        let (code, said) = check(readers);
        assert!(code == Some(1) && said.contains("BROKEN I15"), "control, {what}: {said}");
    }
    let set = |rights: &str| {
        let list = format!("g:{group}:{rights}");
        assert!(Command::new("setfacl").args(["-n", "-m", &list]).arg(file).status().unwrap().success());
    };
    set("rw");
    let (code, said) = check(&["--readers", &group]);
    assert!(code == Some(1) && said.contains("BROKEN I15"), "a group that may write: {said}");
    set("r");
    assert_eq!(check(&["--readers", &group]).0, Some(0));
}

/// Locks alone what can be opened, names it, and keeps it until its input ends.
const LOCK_ALL: &str = r#"
while read -r path; do
    if { exec {open}<"$path"; } 2>/dev/null && flock -n -x $open; then echo "$path"; fi
done < <(find "$0" -maxdepth 2)
echo end
read -r _
"#;

/// Everything that `account` can lock of this history, locked until the child is waited for.
fn lock_all(account: &str, history: &Path) -> (Child, Vec<PathBuf>) {
    let mut child = Command::new("runuser");
    child.args(["-u", account, "--", "bash", "-c", LOCK_ALL]).arg(history);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let locked = lines.take_while(|line| line != "end").map(PathBuf::from).collect();
    (child, locked)
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[test]
fn a_member_of_the_readers_who_locks_all_that_it_can_open_holds_up_no_push() {
    let test = "a_member_of_the_readers_who_locks_all_that_it_can_open_holds_up_no_push";
    if !rig::is_root_or_skipped(test) {
        return;
    }
    let world = World::new();
    let reader = world.account("reader");
    world.add(&world.web01, &["--readers", &reader]).expect_code(&[0]).unwrap();
    assert_eq!(Outcome::of(&mut world.scratch.snapshotter(&["verify"])).unwrap().code, 0);
    assert_eq!(Outcome::of(&mut world.scratch.snapshotter(&["prune", "--plan"])).unwrap().code, 0);
    let web01 = world.scratch.history("web01");
    let lock = web01.join(".lock");
    for account in [&world.scratch.names.ice, &reader] {
        let (child, locked) = lock_all(account, &web01);
        let is_tree = |path: &&PathBuf| path.ends_with("tree");
        let snapshot = locked.iter().find(is_tree).and_then(|tree| tree.parent()).unwrap();
        assert!(locked.iter().any(|path| path == snapshot), "control: snapshots can be locked: {locked:?}");
        assert!(!locked.iter().any(|path| path.ends_with(".lock")), "{locked:?}");
        rig::file(&world.web01.roots[0].join("secret"), account.as_bytes());
        world.push();
        assert_eq!(Outcome::of(&mut world.scratch.snapshotter(&["prune", "--plan"])).unwrap().code, 0);
        end(child);
    }
    // The control: a lock that can be opened is taken, and the next who writes closes it.
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o640)).unwrap();
    let (child, locked) = lock_all(&world.scratch.names.ice, &web01);
    assert!(locked.contains(&lock), "{locked:?}");
    end(child);
    rig::file(&world.web01.roots[0].join("secret"), b"again");
    world.push();
    assert_eq!(fs::metadata(&lock).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_group_that_is_not_there_or_could_lead_a_host_to_its_history_is_refused_and_changes_nothing() {
    let test = "a_group_that_is_not_there_or_could_lead_a_host_to_its_history_is_refused_and_changes_nothing";
    if !rig::is_root_or_skipped(test) {
        return;
    }
    let world = World::new();
    let names = &world.scratch.names;
    let mixed = world.account("mixed");
    let joined = Command::new("gpasswd").args(["--add", &world.web01.account, &mixed]).output().unwrap();
    assert!(joined.status.success(), "{joined:?}");
    let record = world.scratch.folder.join("etc/hosts/web01.toml");
    for (group, says) in [
        ("no-such-group-here", "there is no group"),
        ("root", "number 0"),
        (&names.readers, "the server's own"),
        (&names.owner, "the server's own"),
        (&world.db1.account, "which is a host's"),
        (&mixed, "which is a host's"),
    ] {
        let refused = world.add(&world.web01, &["--readers", group]);
        assert_eq!(refused.code, 2, "{group}: {}", refused.said());
        assert!(refused.said().contains(says), "{group}: {}", refused.said());
        assert!(!fs::read_to_string(&record).unwrap_or_default().contains("readers"), "{group}");
    }
    for bad in ["a\"b", "a:b", "-x", "a\\b"] {
        assert_eq!(world.add(&world.web01, &[&format!("--readers={bad}")]).code, 2, "{bad}");
    }
}

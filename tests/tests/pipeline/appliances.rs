//! Appliances that drop files by SFTP: by a real sshd with the settings that are printed for it, and with OpenSSH's own sftp and scp.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_tests::keys::SshKey;
use pipeline_tests::machine::workspace;
use pipeline_tests::{Options, Outcome, Scratch};

use crate::rig;

const NAMES: [&str; 2] = ["fw1", "sw1"];
/// Longer than `quiet_seconds` of the records, which count whole seconds.
const QUIET: Duration = Duration::from_millis(2_200);

struct World {
    scratch: Scratch,
    folder: tempfile::TempDir,
}

impl World {
    /// A server with two appliances and the sshd of its own.
    fn new() -> World {
        let folder = tempfile::tempdir_in("/var/lib").unwrap();
        let world = World { scratch: rig::scratch(&Options::default()), folder };
        for name in NAMES {
            SshKey::make(&world.path(name)).unwrap();
            let key = world.path(&format!("{name}.pub"));
            world.add(&[name, "--key", key.to_str().unwrap(), "--appliance"]).expect_code(&[0]).unwrap();
            world.record(name, "quiet_seconds = 1\n");
        }
        let mut world = world;
        world.scratch.dedicate_sshd().unwrap();
        let known = format!(
            "[127.0.0.1]:{} {}\n",
            world.scratch.sshd.port,
            world.scratch.sshd.host_key.public().unwrap()
        );
        fs::write(world.path("known_hosts"), known).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add(&self, words: &[&str]) -> Outcome {
        let words = [&["host", "add"], words].concat();
        let run = || Outcome::of(&mut self.scratch.snapshotter_as_admin(&words));
        self.scratch.adopted(run).unwrap()
    }

    /// Adds lines to what the record says of the appliance.
    fn record(&self, name: &str, lines: &str) {
        let path = self.scratch.folder.join(format!("etc/hosts/{name}.toml"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\n[appliance]\n"), "{text}");
        fs::write(&path, text.replace("\n[appliance]\n", &format!("\n[appliance]\n{lines}"))).unwrap();
    }

    fn account(&self, name: &str) -> String {
        format!("{}{name}", self.scratch.names.host_prefix)
    }

    fn jail(&self, name: &str) -> PathBuf {
        self.scratch.folder.join("jails").join(name)
    }

    fn options(&self, name: &str) -> Vec<String> {
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        let key = self.path(name).display().to_string();
        let fixed = ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", known.as_str()];
        let mut words = vec!["-F".to_owned(), "none".to_owned(), "-i".to_owned(), key];
        words.extend(fixed.iter().flat_map(|option| ["-o".to_owned(), (*option).to_owned()]));
        words
    }

    /// OpenSSH's client `program`, as this appliance.
    fn client(&self, program: &str, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        let port = if program == "ssh" { "-p" } else { "-P" };
        command.args(self.options(name)).arg(port).arg(self.scratch.sshd.port.to_string()).args(words);
        command.current_dir(self.folder.path());
        command
    }

    /// One line of an sftp batch.
    fn sftp(&self, name: &str, batch: &str) -> Outcome {
        fs::write(self.path("batch"), format!("{batch}\n")).unwrap();
        let login = format!("{}@127.0.0.1", self.account(name));
        Outcome::of(&mut self.client("sftp", name, &["-b", "batch", &login])).unwrap()
    }

    /// Uploads these bytes under this name.
    fn put(&self, name: &str, file: &str, bytes: &[u8]) {
        fs::write(self.path("local"), bytes).unwrap();
        // As firewalls have it; the client asks for the same mode there.
        fs::set_permissions(self.path("local"), fs::Permissions::from_mode(0o600)).unwrap();
        self.sftp(name, &format!("put local {file}")).expect_code(&[0]).unwrap();
    }

    fn take(&self) -> Outcome {
        let staging = self.path("staging");
        let words = ["take", "--staging", staging.to_str().unwrap()];
        Outcome::of(&mut self.scratch.snapshotter_as_admin(&words)).unwrap()
    }

    /// The same, once everything is quiet and the sessions have ended.
    fn take_quiet(&self) -> Outcome {
        std::thread::sleep(QUIET);
        self.take()
    }

    /// The trees of an appliance's snapshots, oldest first.
    fn trees(&self, name: &str) -> Vec<PathBuf> {
        let mut trees: Vec<_> = fs::read_dir(self.scratch.history(name))
            .unwrap()
            .map(|entry| entry.unwrap().path().join("tree"))
            .filter(|tree| tree.is_dir())
            .collect();
        trees.sort();
        trees
    }

    fn newest(&self, name: &str) -> PathBuf {
        self.trees(name).pop().unwrap()
    }

    fn dropped(&self, name: &str) -> PathBuf {
        self.jail(name).join("drop")
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn can(test: &str) -> bool {
    rig::is_root_or_skipped(test) && rig::has_or_skipped(test, &["sftp", "scp", "ssh"])
}

#[test]
fn what_appliances_drop_becomes_their_snapshots_and_what_is_overwritten_stays_in_older_ones() {
    let test = "what_appliances_drop_becomes_their_snapshots_and_what_is_overwritten_stays_in_older_ones";
    if !can(test) {
        return;
    }
    let world = World::new();
    let late = Outcome::of(&mut world.scratch.snapshotter(&["status", "fw1"])).unwrap();
    assert!(late.stdout.contains("fw1") && !late.stdout.contains("is well"), "{}", late.stdout);
    world.put("fw1", "config.xml", b"first");
    fs::write(world.path("vlan.cfg"), b"switch").unwrap();
    let login = format!("{}@127.0.0.1:", world.account("sw1"));
    Outcome::of(&mut world.client("scp", "sw1", &["-s", "vlan.cfg", &login]))
        .unwrap()
        .expect_code(&[0])
        .unwrap();
    let taken = world.take_quiet().expect_code(&[0]).unwrap();
    assert_eq!((taken.count("taken"), taken.count("accepted")), (2, 2), "{}", taken.said());
    assert_eq!(fs::read(world.newest("fw1").join("config.xml")).unwrap(), b"first");
    assert_eq!(
        (names(&world.newest("fw1")), names(&world.newest("sw1"))),
        (vec!["config.xml".into()], vec!["vlan.cfg".into()])
    );
    assert!(names(&world.dropped("fw1")).is_empty() && names(&world.jail("fw1").join("leaving")).is_empty());

    let idle = world.take_quiet().expect_code(&[0]).unwrap();
    assert_eq!(world.trees("fw1").len(), 1, "nothing new, no snapshot: {}", idle.said());
    world.put("fw1", "config.xml", b"second");
    world.put("fw1", "/drop/backup-2026-11-22.cfg", b"dated");
    let taken = world.take_quiet().expect_code(&[0]).unwrap();
    assert_eq!((taken.count("taken"), taken.count("accepted")), (2, 1), "{}", taken.said());
    assert_eq!(names(&world.newest("fw1")), ["backup-2026-11-22.cfg", "config.xml"]);
    let contents: Vec<_> =
        world.trees("fw1").iter().map(|tree| fs::read(tree.join("config.xml")).unwrap()).collect();
    assert_eq!(contents, [b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(world.trees("sw1").len(), 1, "sw1 dropped nothing");

    let target = world.path("restored");
    let words = ["restore", "fw1", "latest", "config.xml", "--to", target.to_str().unwrap()];
    Outcome::of(&mut world.scratch.snapshotter_as_admin(&words)).unwrap().expect_code(&[0]).unwrap();
    let found =
        Command::new("find").arg(&target).args(["-name", "config.xml", "-exec", "cat", "{}", ";"]).output();
    assert_eq!(found.unwrap().stdout, b"second");
    assert_eq!(Outcome::of(&mut world.scratch.snapshotter(&["verify"])).unwrap().code, 0);
    let log = fs::read_to_string(world.scratch.history("fw1").join("log")).unwrap();
    assert!(!log.contains("alarm"), "{log}");
    let well = Outcome::of(&mut world.scratch.snapshotter(&["status", "fw1", "sw1"])).unwrap();
    let hosts = well.report().unwrap()["details"]["hosts"].clone();
    println!("{hosts}");
    assert!(!well.stdout.contains("late"), "{}", well.stdout);
}

/// An upload that stands still half-way.
struct Upload(Child);

impl Upload {
    fn begin(world: &World, bytes: &[u8], file: &str) -> Upload {
        fs::write(world.path("large"), bytes).unwrap();
        fs::write(world.path("batch"), format!("put large {file}\n")).unwrap();
        let login = format!("{}@127.0.0.1", world.account("fw1"));
        // 800 kbit/s.
        let mut command = world.client("sftp", "fw1", &["-l", "800", "-b", "batch", &login]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let upload = Upload(child);
        let until = Instant::now() + Duration::from_secs(20);
        let path = world.dropped("fw1").join(file);
        while fs::metadata(&path).map_or(0, |meta| meta.len()) == 0 {
            assert!(Instant::now() < until, "nothing arrives");
            std::thread::sleep(Duration::from_millis(20));
        }
        upload.signal("-STOP");
        upload
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap().success());
    }

    fn finish(mut self) {
        self.signal("-CONT");
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn a_half_written_upload_is_not_taken_until_it_is_whole() {
    let test = "a_half_written_upload_is_not_taken_until_it_is_whole";
    if !can(test) {
        return;
    }
    let world = World::new();
    let bytes: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).take(500_000).collect();
    let upload = Upload::begin(&world, &bytes, "config.bin");
    let half = world.take_quiet().expect_code(&[0]).unwrap();
    let size = fs::metadata(world.dropped("fw1").join("config.bin")).unwrap().len();
    assert!(size < bytes.len() as u64, "control: it is half, and quiet: {size}");
    assert!(world.trees("fw1").is_empty(), "{}", half.said());
    assert!(half.stdout.contains("a session lasts"), "{}", half.stdout);
    upload.finish();
    world.take_quiet().expect_code(&[0]).unwrap();
    assert!(fs::read(world.newest("fw1").join("config.bin")).unwrap() == bytes);

    // What is not whole by its name waits for its rename.
    world.put("fw1", "next.cfg.part", b"whole");
    let waits = world.take_quiet().expect_code(&[0]).unwrap();
    assert_eq!((waits.count("waiting"), waits.count("taken")), (1, 0), "{}", waits.said());
    world.sftp("fw1", "rename next.cfg.part next.cfg").expect_code(&[0]).unwrap();
    let young = world.take();
    assert_eq!((young.code, young.count("taken")), (0, 0), "just renamed: {}", young.said());
    world.take_quiet().expect_code(&[0]).unwrap();
    assert_eq!(fs::read(world.newest("fw1").join("next.cfg")).unwrap(), b"whole");
}

#[test]
fn an_appliance_can_write_into_its_drop_and_do_nothing_else() {
    let test = "an_appliance_can_write_into_its_drop_and_do_nothing_else";
    if !can(test) {
        return;
    }
    let world = World::new();
    world.put("fw1", "mine", b"secret of fw1");
    world.put("sw1", "theirs", b"secret of sw1");
    for batch in [
        "get mine stolen",
        "get /state/base stolen",
        "get /etc/passwd stolen",
        "reget mine stolen",
        "ls",
        "ls /",
        "ls /drop",
        "ls /spool/sealed",
        "ls ../../sw1/drop",
        "rm mine",
        "mkdir folder",
        "rmdir /leaving",
        "chmod 4755 mine",
        "chown 0 mine",
        "ln mine other",
        "symlink /etc/passwd link",
        "put mine /at-the-top",
        "put batch /at-the-top",
        "put batch /spool/sealed/push",
        "put batch /spool/incoming/push",
        "put batch /leaving/x",
        "put batch /state/base",
        "put batch ../../sw1/drop/x",
        "rename mine /spool/sealed/push",
        "rename mine ../leaving/x",
    ] {
        let tried = world.sftp("fw1", batch);
        // Of `ls` in a batch sftp says that it failed, and ends with 0.
        let is_refused = tried.code != 0 || batch.starts_with("ls") && tried.stderr.contains("denied");
        assert!(is_refused, "{batch}: {}", tried.said());
    }
    assert!(!world.path("stolen").exists() || fs::read(world.path("stolen")).unwrap().is_empty());
    let login = format!("{}@127.0.0.1", world.account("fw1"));
    for words in [
        &[login.as_str()][..],
        &[&login, "cat /drop/mine"],
        &["-tt", &login],
        &["-W", "127.0.0.1:22", &login],
    ] {
        let tried = Outcome::of(&mut world.client("ssh", "fw1", words)).unwrap();
        assert_ne!(tried.code, 0, "{words:?}: {}", tried.said());
        assert!(!tried.stdout.contains("secret"), "{words:?}");
    }
    let legacy =
        Outcome::of(&mut world.client("scp", "fw1", &["-O", "batch", &format!("{login}:")])).unwrap();
    assert_ne!(legacy.code, 0, "{}", legacy.said());
    let other = format!("{}@127.0.0.1", world.account("sw1"));
    let tried = Outcome::of(&mut world.client("sftp", "fw1", &["-b", "batch", &other])).unwrap();
    assert_ne!(tried.code, 0, "the key of fw1 let it in as sw1");
    // Without the list of requests the file system refuses what matters: as the account itself.
    for (program, path) in [
        ("ls", world.dropped("fw1")),
        ("ls", world.jail("fw1").join("leaving")),
        ("ls", world.dropped("sw1")),
        ("cat", world.dropped("sw1").join("theirs")),
    ] {
        let tried = Command::new("runuser")
            .args(["-u", &world.account("fw1"), "--", program])
            .arg(&path)
            .output()
            .unwrap();
        assert!(!tried.status.success(), "{program} {}", path.display());
    }
    assert_eq!(names(&world.dropped("fw1")), ["mine"]);
    // Control: to write, and to write over, is let.
    world.put("fw1", "mine", b"again");
    world.take_quiet().expect_code(&[0]).unwrap();
    assert_eq!(fs::read(world.newest("fw1").join("mine")).unwrap(), b"again");
}

#[test]
fn whatever_a_hostile_account_lays_into_its_drop_is_named_and_only_plain_files_are_taken() {
    let test = "whatever_a_hostile_account_lays_into_its_drop_is_named_and_only_plain_files_are_taken";
    if !can(test) {
        return;
    }
    let world = World::new();
    let dropped = world.dropped("fw1");
    // As one could who got past sshd's list of requests: by its own account, outside of SFTP.
    let script = "
        cd \"$1\"; umask 077
        ln -s /etc/passwd link; ln -s ../../sw1/drop to-another; mkfifo fifo; mkdir -p deep/er/and/deeper; echo x > deep/er/file
        echo twice > twice; ln twice again; truncate -s 2T giant; echo mine > .unfinished-1-0
        printf odd > \"$(printf 'line\\nbreak \\033[31m \\377')\"; echo closed > closed; chmod 0 closed
        echo good > good";
    let account = world.account("fw1");
    let mut lay = Command::new("runuser");
    lay.args(["-u", &account, "--", "sh", "-c", script, "sh"]).arg(&dropped);
    Outcome::of(&mut lay).unwrap().expect_code(&[0]).unwrap();
    fs::write(dropped.join("foreign"), "root's").unwrap();
    let shadow = dropped.join("shadow");
    fs::hard_link(world.scratch.folder.join("etc/server.toml"), &shadow).unwrap();
    let taken = world.take_quiet().expect_code(&[3]).unwrap();
    let left_out = taken.report().unwrap()["left_out"].to_string();
    for name in [
        "link",
        "to-another",
        "fifo",
        "deep",
        "twice",
        "again",
        "giant",
        ".unfinished-1-0",
        "foreign",
        "shadow",
    ] {
        assert!(left_out.contains(&format!("fw1/{name}\"")), "{name}: {left_out}");
    }
    let found = Command::new("ls").arg("-b").arg(world.newest("fw1")).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found, "closed\ngood\nline\\nbreak\\ \\033[31m\\ \\377\n", "{}", taken.said());
    assert!(shadow.exists() && dropped.join("link").is_symlink() && dropped.join("giant").exists());

    // A flood: nothing is taken until somebody has looked, and no other waits for it.
    for number in 0..10_001 {
        fs::write(dropped.join(format!("flood-{number}")), "").unwrap();
    }
    world.put("sw1", "vlan.cfg", b"switch");
    let flood = world.take_quiet().expect_code(&[3]).unwrap();
    assert!(flood.said().contains("more than 10000 names"), "{}", flood.said());
    assert_eq!((world.trees("fw1").len(), world.trees("sw1").len()), (1, 1));
    assert_eq!(Outcome::of(&mut world.scratch.snapshotter(&["verify"])).unwrap().code, 0);
}

#[test]
fn a_name_that_becomes_a_link_while_it_is_taken_leads_nowhere() {
    let test = "a_name_that_becomes_a_link_while_it_is_taken_leads_nowhere";
    if !can(test) {
        return;
    }
    let world = World::new();
    // What was moved as a file and is a link when it is opened: laid there as if the account had been faster.
    symlink("/etc/passwd", world.jail("fw1").join("leaving/config.xml")).unwrap();
    symlink(world.jail("sw1").join("drop"), world.jail("fw1").join("leaving/folder")).unwrap();
    world.put("fw1", "good", b"good");
    let taken = world.take_quiet().expect_code(&[3]).unwrap();
    assert_eq!(names(&world.newest("fw1")), ["good"], "{}", taken.said());
    assert!(taken.said().contains("fw1/config.xml"), "{}", taken.said());
}

#[test]
fn a_host_stays_what_it_was_added_as_and_a_retired_appliance_is_let_in_no_more() {
    let test = "a_host_stays_what_it_was_added_as_and_a_retired_appliance_is_let_in_no_more";
    if !can(test) {
        return;
    }
    let world = World::new();
    let key = world.path("fw1.pub");
    let key = key.to_str().unwrap();
    let again = world.add(&["fw1", "--key", key]).expect_code(&[0]).unwrap();
    assert!(!again.stdout.contains("made "), "{}", again.stdout);
    world.add(&["web01", "--key", key]).expect_code(&[0]).unwrap();
    let turned = world.add(&["web01", "--key", key, "--appliance"]).expect_code(&[2]).unwrap();
    assert!(turned.said().contains("is one that pushes"), "{}", turned.said());
    world.add(&["drop", "--key", key]).expect_code(&[2]).unwrap();
    let listed = Outcome::of(&mut world.scratch.snapshotter_as_admin(&["host", "list"])).unwrap();
    let hosts = listed.report().unwrap()["details"]["hosts"].clone();
    let fw1 = hosts.as_array().unwrap().iter().find(|host| host["host"] == "fw1").unwrap().clone();
    assert_eq!((&fw1["complete"], &fw1["appliance"]), (&true.into(), &true.into()), "{fw1}");
    // No more often than its record says.
    world.put("sw1", "a", b"a");
    assert_eq!(world.take_quiet().count("accepted"), 1);
    let key = world.path("sw1.pub");
    let words = ["sw1", "--key", key.to_str().unwrap(), "--limit", "interval_seconds=3600"];
    world.add(&words).expect_code(&[0]).unwrap();
    world.put("sw1", "a", b"b");
    let waits = world.take_quiet().expect_code(&[0]).unwrap();
    assert!(waits.stdout.contains("interval_seconds") && waits.count("taken") == 0, "{}", waits.said());
    world.put("fw1", "a", b"a");
    Outcome::of(&mut world.scratch.snapshotter_as_admin(&["host", "retire", "fw1"]))
        .unwrap()
        .expect_code(&[0])
        .unwrap();
    assert_ne!(world.sftp("fw1", "put batch b").code, 0);
    assert_eq!(world.take_quiet().code, 0);
    assert!(world.trees("fw1").is_empty());
}

#[test]
fn the_audit_knows_appliances_and_fails_when_one_may_do_more() {
    let test = "the_audit_knows_appliances_and_fails_when_one_may_do_more";
    if !can(test) {
        return;
    }
    let world = World::new();
    let config = world.scratch.folder.join("etc/server.toml");
    let text = fs::read_to_string(&config).unwrap();
    let sshd = world.scratch.folder.join("sshd/sshd_config");
    fs::write(&config, format!("{text}\n[audit]\nsshd_config = {sshd:?}\n")).unwrap();
    let lines = |id: &str| {
        let said = Outcome::of(&mut world.scratch.snapshotter_as_admin(&["audit", "--all"])).unwrap();
        let findings = said.report().unwrap()["details"]["audit"]["findings"].clone();
        findings.as_array().unwrap().iter().find(|found| found["requirement"] == id).unwrap().to_string()
    };
    for id in ["R1", "R4"] {
        let line = lines(id);
        assert!(line.contains("\"verdict\":\"pass\"") && !line.contains("\"verdict\":\"fail\""), "{line}");
    }
    // Its account could list, and somebody took the group away that holds it to SFTP.
    let dropped = world.dropped("fw1");
    fs::set_permissions(&dropped, fs::Permissions::from_mode(0o770)).unwrap();
    assert!(lines("R1").contains("drop has mode 0770") && lines("R4").contains("can list /drop"));
    fs::set_permissions(&dropped, fs::Permissions::from_mode(0o730)).unwrap();
    let group = format!("{}drop", world.scratch.names.host_prefix);
    Outcome::of(Command::new("gpasswd").args(["--delete", &world.account("fw1"), &group]))
        .unwrap()
        .expect_code(&[0])
        .unwrap();
    assert!(lines("R1").contains("forcecommand is receive"));
}

/// The blocks marked `sh`, in order.
fn blocks(text: &str) -> String {
    let parts = text.split("\n```sh\n").skip(1);
    parts.map(|part| part.split("\n```").next().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_commands_of_the_document_do_what_they_say() {
    let test = "the_commands_of_the_document_do_what_they_say";
    if !can(test) {
        return;
    }
    let world = World::new();
    let document = fs::read_to_string(workspace().join("docs/appliances.md")).unwrap();
    let script = blocks(&document);
    assert!(
        script.contains("host add fw1") && script.contains("sftp ") && script.contains("scp -s"),
        "{script}"
    );
    let script =
        script.replace("firn-fw1@backup.example.org", &format!("{}@127.0.0.1", world.account("fw1")));
    let options = world.options("fw1").join(" ");
    let port = world.scratch.sshd.port;
    let snapshotter = world.scratch.snapshotter_as_admin(&[]);
    let config = world.scratch.folder.join("etc/server.toml");
    let prelude = format!(
        "set -eu
snapshotter() {{ case $1 in take) shift; sleep 2.2; set -- take --staging {staging} \"$@\";; esac; {program} --config {config} \"$@\"; }}
sftp() {{ command sftp {options} -P {port} \"$@\"; }}
scp() {{ command scp {options} -P {port} \"$@\"; }}
systemctl() {{ :; }}
",
        staging = world.path("staging").display(),
        program = snapshotter.get_program().to_str().unwrap(),
        config = config.display(),
    );
    fs::write(world.path("config.xml"), b"config").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{prelude}\n{script}")]).current_dir(world.folder.path());
    let ended = world.scratch.adopted(|| Outcome::of(&mut command)).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.said());
    let restored = Command::new("find").arg(world.path("restored")).output().unwrap();
    assert!(String::from_utf8_lossy(&restored.stdout).contains("config.xml"), "{}", ended.said());
}

//! Appliances that drop files by SFTP: by a real sshd with the settings that are printed for it, and with OpenSSH's own sftp and scp.

mod hostile;
mod world;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_tests::Outcome;
use pipeline_tests::machine::workspace;

use world::{World, can, names};

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
    assert_eq!(well.report().unwrap()["counts"]["late"], 0, "{}", well.said());
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
    world.take_quiet().expect_code(&[0]).unwrap();
    assert_eq!(fs::read(world.newest("fw1").join("next.cfg")).unwrap(), b"whole");
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

/// Whose files were taken, in this order.
fn order(taken: &Outcome) -> Vec<&str> {
    let lines = taken.stdout.lines().filter(|line| line.contains(" files taken, "));
    lines.map(|line| line.split(':').next().unwrap()).collect()
}

#[test]
fn whoever_waited_longest_is_served_first_and_each_log_is_signed() {
    let test = "whoever_waited_longest_is_served_first_and_each_log_is_signed";
    if !can(test) {
        return;
    }
    let world = World::new();
    world.put("fw1", "a", b"1");
    world.put("sw1", "a", b"1");
    assert_eq!(order(&world.take_quiet().expect_code(&[0]).unwrap()), ["fw1", "sw1"]);
    world.put("fw1", "a", b"2");
    assert_eq!(order(&world.take_quiet().expect_code(&[0]).unwrap()), ["fw1"]);
    world.put("fw1", "a", b"3");
    world.put("sw1", "a", b"3");
    assert_eq!(order(&world.take_quiet().expect_code(&[0]).unwrap()), ["sw1", "fw1"]);
    let verify = |code| {
        let mut verify = world.scratch.snapshotter(&["verify", "--log"]);
        Outcome::of(&mut verify).unwrap().expect_code(&[code]).unwrap();
    };
    verify(0);
    fs::remove_file(world.scratch.folder.join("signing/heads/sw1.asc")).unwrap();
    verify(3);
}

#[test]
fn a_push_file_without_room_waits_and_nothing_has_to_be_dropped_again() {
    let test = "a_push_file_without_room_waits_and_nothing_has_to_be_dropped_again";
    if !can(test) {
        return;
    }
    let world = World::new();
    world.put("fw1", "config.xml", b"first");
    let settings = world.scratch.folder.join("etc/server.toml");
    let text = fs::read_to_string(&settings).unwrap();
    assert!(text.contains("\n[limits]\n") && !text.contains("free_bytes"), "{text}");
    let reserve = |bytes: u64| {
        let limits = format!("\n[limits]\nfree_bytes = {bytes}\n");
        fs::write(&settings, text.replace("\n[limits]\n", &limits)).unwrap();
    };
    // Copied, and no push is made of it.
    std::thread::sleep(Duration::from_millis(2_200));
    let failed = world.take_with(&["--push-client", "/bin/false"]);
    assert!(failed.code != 0 && failed.count("taken") == 1, "{}", failed.said());
    reserve(1 << 50);
    let waits = world.take().expect_code(&[3]).unwrap();
    assert!(waits.said().contains("beside its push file less than limits.free_bytes"), "{}", waits.said());
    assert!(world.trees("fw1").is_empty());
    reserve(4_096);
    assert_eq!(world.take().expect_code(&[0]).unwrap().count("accepted"), 1);
    assert_eq!(fs::read(world.newest("fw1").join("config.xml")).unwrap(), b"first");
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

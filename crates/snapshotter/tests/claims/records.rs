//! What the deployment says about hosts, as far as it goes without touching the accounts of this machine.

mod alone;
mod keys;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;

use crate::world::{Ended, World, give_away};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+";
const RECORD: &str =
    "from = [\"10.77.0.11\", \"fd00::/8\"]\nhours = [3, 15]\nknown_as = \"web01.example.org\"\n";

struct Server {
    world: World,
    key: String,
}

impl Server {
    fn new() -> Self {
        let world = World::quick();
        let key = world.path("db1.pub");
        fs::write(&key, format!("{KEY}\n")).unwrap();
        give_away(&key);
        Self { key: key.to_str().unwrap().to_owned(), world }
    }

    /// `host add db1` of a server without accounts.
    fn add(&self, words: &[&str]) -> Ended {
        let first = ["--json", "host", "add", "db1", "--key", &self.key, "--user-mode"];
        self.world.run(&[&first[..], words].concat())
    }

    fn added(&self, words: &[&str]) -> String {
        let ended = self.add(words);
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.report()["details"]["authorized_keys"].as_str().unwrap().to_owned()
    }

    fn record(&self) -> String {
        fs::read_to_string(self.world.path("records/db1.toml")).unwrap()
    }

    fn put_record(&self, host: &str, bytes: &[u8]) {
        let path = self.world.path(&format!("records/{host}.toml"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        give_away(path.parent().unwrap());
        give_away(&path);
    }

    fn listed(&self, host: &str, code: i32) -> serde_json::Value {
        let ended = self.world.run(&["--json", "host", "list"]);
        assert_eq!(ended.code, code, "{ended:?}");
        let report = ended.report();
        let hosts = report["details"]["hosts"].as_array().unwrap();
        hosts.iter().find(|found| found["host"] == host).unwrap().clone()
    }
}

#[test]
fn what_is_said_about_a_host_stays_until_something_else_is_said() {
    let server = Server::new();
    let said = ["--from", "fd00::/8,10.77.0.11", "--hours", "15,3", "--known-as", "web01.example.org"];
    let line = server.added(&said);
    assert!(line.starts_with("restrict,from=\"10.77.0.11,fd00::/8\",command=\""), "{line}");
    assert_eq!(server.record(), RECORD);
    let path = server.world.path("records/db1.toml");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
    let before = fs::metadata(&path).unwrap().ino();
    for again in [&said[..], &[]] {
        assert_eq!(server.added(again), line);
        assert_eq!(fs::metadata(&path).unwrap().ino(), before, "written again");
    }
    server.added(&["--hours", "4"]);
    assert_eq!(server.record(), RECORD.replace("[3, 15]", "[4]"));
    let line = server.added(&["--from", "10.0.0.0/8", "--from", "10.77.0.12"]);
    assert!(line.starts_with("restrict,from=\"10.0.0.0/8,10.77.0.12\",command"), "{line}");
    let listed = server.listed("db1", 0);
    assert_eq!(listed["from"], serde_json::json!(["10.0.0.0/8", "10.77.0.12"]));
    assert_eq!(listed["hours"], serde_json::json!([4]));
    assert_eq!(listed["known_as"], "web01.example.org");
    assert_eq!(listed["complete"], true, "{listed}");
}

#[test]
fn a_host_of_which_nothing_is_said_has_no_record_and_is_complete() {
    let server = Server::new();
    let line = server.added(&[]);
    assert!(line.starts_with("restrict,command=\""), "{line}");
    assert!(!server.world.path("records").exists());
    let listed = server.listed("db1", 0);
    assert_eq!(listed["complete"], true, "{listed}");
    assert!(["from", "hours", "known_as", "retired"].iter().all(|field| listed[field].is_null()), "{listed}");
}

#[test]
fn a_machine_cannot_take_the_id_of_another() {
    let server = Server::new();
    server.added(&["--known-as", "web01.example.org"]);
    let before = server.world.picture("");
    let ended = server.add(&["--known-as", "evil.example.org", "--from", "10.66.0.1"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("web01.example.org") && ended.err.contains("evil.example.org"), "{ended:?}");
    assert_eq!(server.world.picture(""), before);
}

#[test]
fn a_key_can_come_from_standard_input() {
    let server = Server::new();
    for (text, code) in [(format!("{KEY} root@db1\n"), 0), (format!("{KEY}\n{KEY}\n"), 2), (String::new(), 2)]
    {
        let mut command =
            server.world.command(&["--json", "host", "add", "db1", "--key", "-", "--user-mode"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{text:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).contains(KEY), code == 0);
    }
}

#[test]
fn no_word_of_a_command_line_gets_past_its_grammar() {
    let server = Server::new();
    server.added(&["--known-as", "db1"]);
    let before = server.world.picture("");
    let many: Vec<String> = (1..=17).map(|last| format!("10.0.0.{last}")).collect();
    let (many, long) = (many.join(","), "a".repeat(254));
    let bad = [
        ("--from", ""),
        ("--from", ","),
        ("--from", "10.0.0.1,"),
        ("--from", "*"),
        ("--from", "!10.0.0.1"),
        ("--from", "10.0.0.*"),
        ("--from", "web01"),
        ("--from", "010.0.0.1"),
        ("--from", "10.0.0.1 "),
        ("--from", "10.0.0.1\" ssh-rsa AAAA"),
        ("--from", "10.0.0.1\n10.0.0.2"),
        ("--from", "10.0.0.1/24"),
        ("--from", "10.0.0.0/33"),
        ("--from", "0.0.0.0/0"),
        ("--from", "::/0"),
        ("--from", "::ffff:10.0.0.1"),
        ("--from", "fe80::1%eth0"),
        ("--from", "10.0.0.1,10.0.0.1"),
        ("--from", &many),
        ("--hours", ""),
        ("--hours", "24"),
        ("--hours", "-1"),
        ("--hours", "2,2"),
        ("--hours", "2, 10"),
        ("--hours", "*/8"),
        ("--hours", "999999999999999999999"),
        ("--known-as", ""),
        ("--known-as", "a b"),
        ("--known-as", "a\"b"),
        ("--known-as", "a'b"),
        ("--known-as", "a`b"),
        ("--known-as", "a\\b"),
        ("--known-as", "a\nretired = \"2026-11-21T10:00:00Z\""),
        ("--known-as", "a\u{1b}[2J"),
        ("--known-as", "b\u{fc}ro"),
        ("--known-as", &long),
    ];
    for (option, value) in bad {
        let ended = server.add(&[&format!("{option}={value}")]);
        assert_eq!(ended.code, 2, "{option} {value:?}: {ended:?}");
        assert!(!ended.err.contains('\u{1b}'), "{ended:?}");
        assert_eq!(server.world.picture(""), before, "{option} {value:?}");
    }
}

#[test]
fn a_record_that_is_not_what_it_should_be_stops_what_needs_it_and_nothing_else() {
    let server = Server::new();
    server.added(&[]);
    let long = format!("# {}\n", "a".repeat(16 * 1024));
    let networks: Vec<String> = (1..=17).map(|last| format!("\"10.0.0.{last}\"")).collect();
    let many = format!("from = [{}]", networks.join(","));
    let bad: [&[u8]; 28] = [
        b"form = []",
        b"from = []",
        b"from = \"10.0.0.1\"",
        b"from = [1]",
        b"from = [\"\"]",
        b"from = [\"*\"]",
        b"from = [\"10.0.0.1/24\"]",
        b"from = [\"0.0.0.0/0\"]",
        b"from = [\"FD00::1\"]",
        b"from = [\"10.0.0.1\\\" ssh-rsa AAAA\"]",
        b"from = [\"10.0.0.1\", \"10.0.0.1\"]",
        b"from = [\"10.0.0.1\"]\nfrom = [\"10.0.0.2\"]",
        many.as_bytes(),
        b"hours = []",
        b"hours = [24]",
        b"hours = [-1]",
        b"hours = [2, 2]",
        b"hours = \"2\"",
        b"known_as = \"\"",
        b"known_as = \"a b\"",
        b"known_as = \"a\\u001b\"",
        b"retired = 2026-11-21T10:00:00Z",
        b"retired = \"2026-11-21\"",
        b"retired = \"2026-11-21T10:00:00+01:00\"",
        b"retired = true",
        b"[host]\nfrom = [\"10.0.0.1\"]",
        b"known_as = \"\xff\"",
        long.as_bytes(),
    ];
    for bytes in bad {
        server.put_record("db1", bytes);
        let before = server.world.picture("");
        let shown = String::from_utf8_lossy(bytes);
        for ended in [server.add(&[]), server.world.run(&["host", "retire", "db1"])] {
            assert_eq!(ended.code, 2, "{shown}: {ended:?}");
            assert!(ended.err.contains("db1.toml"), "{shown}: {ended:?}");
        }
        assert_eq!(server.listed("db1", 3)["complete"], false, "{shown}");
        assert_eq!(server.world.picture(""), before, "{shown}");
    }
    // Another host's listing does not suffer.
    assert!(server.listed("web01", 3)["retired"].is_null());
}

#[test]
fn a_record_is_a_file_of_its_own_that_not_everybody_may_write() {
    let server = Server::new();
    server.added(&[]);
    let path = server.world.path("records/db1.toml");
    server.put_record("db1", RECORD.as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(server.add(&[]).code, 2);
    fs::rename(&path, server.world.path("records/real")).unwrap();
    symlink("real", &path).unwrap();
    assert_eq!(server.add(&[]).code, 4);
    fs::remove_file(&path).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(fifo.success());
    assert_eq!(server.add(&[]).code, 4);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(server.add(&[]).code, 4);
}

#[test]
fn a_retired_host_keeps_what_it_has_and_is_never_added_again() {
    let server = Server::new();
    server.added(&["--known-as", "db1", "--from", "10.77.0.11"]);
    let kept = [server.world.picture("jails"), server.world.picture("history")];
    let before = server.world.picture("");
    let dry = server.world.run(&["host", "retire", "db1", "--dry-run"]);
    assert_eq!((dry.code, server.world.picture("")), (0, before), "{dry:?}");
    let mut records = Vec::new();
    for _ in 0..2 {
        let ended = server.world.run(&["host", "retire", "db1"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        records.push(server.record());
    }
    assert!(records[0].contains("known_as = \"db1\"\nretired = \"2"), "{records:?}");
    assert_eq!(records[0], records[1], "the date is that of the first time");
    let retired = server.world.picture("");
    for words in [&[][..], &["--dry-run"], &["--known-as", "db1"]] {
        let ended = server.add(words);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("retired") && ended.err.contains("another one"), "{ended:?}");
    }
    assert_eq!(server.world.picture(""), retired);
    assert_eq!([server.world.picture("jails"), server.world.picture("history")], kept);
    let listed = server.listed("db1", 0);
    assert!(listed["retired"].is_string() && listed["complete"] == true, "{listed}");
    // Without the record it could be added: it is the record that refuses.
    fs::remove_file(server.world.path("records/db1.toml")).unwrap();
    server.added(&[]);
}

#[test]
fn a_host_that_is_not_there_cannot_be_retired() {
    let server = Server::new();
    let before = server.world.picture("");
    let ended = server.world.run(&["host", "retire", "nosuch"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("there is no host nosuch"), "{ended:?}");
    assert_eq!(server.world.picture(""), before);
}

#[test]
fn what_a_host_lacks_is_named_in_the_list() {
    let server = Server::new();
    server.added(&["--hours", "4"]);
    fs::remove_dir(server.world.path("jails/db1/spool/incoming")).unwrap();
    let listed = server.listed("db1", 0);
    assert_eq!(listed["complete"], false);
    assert!(listed["missing"][0].as_str().unwrap().contains("jails/db1/spool/incoming"), "{listed}");
    // Only a record is left.
    fs::remove_dir_all(server.world.path("jails")).unwrap();
    assert_eq!(server.listed("db1", 0)["complete"], false);
}

#[test]
fn a_server_without_hosts_has_an_empty_list() {
    let server = Server::new();
    for folder in ["jails", "history", "keys"] {
        fs::remove_dir_all(server.world.path(folder)).unwrap();
    }
    let ended = server.world.run(&["--json", "host", "list"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.report()["details"]["hosts"], serde_json::json!([]));
}

#[test]
fn settings_of_hours_are_checked_as_records_are() {
    let server = Server::new();
    let config = fs::read_to_string(&server.world.config).unwrap();
    for bad in
        ["hours = []", "hours = [24]", "hours = [2, 2]", "hosts = \"hosts\"", "ice_standing = \"s.json\""]
    {
        let text = config.replace("hosts =", "# hosts =");
        fs::write(&server.world.config, format!("{bad}\n{text}")).unwrap();
        assert_eq!(server.world.run(&["host", "sshd-config"]).code, 2, "{bad}");
    }
}

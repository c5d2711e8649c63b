//! The program as it is called.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::host::{HOST_KEY, Host};

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_push-client")).args(arguments).env_remove("TZ").output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Settings with a good key, at a port where nobody listens unless the test does.
pub(crate) fn settings(folder: &Path, port: u16) -> String {
    let key = folder.join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    format!(
        "host = \"web01\"\nroots = [\"/etc\"]\nstate = {:?}\n[server]\naddress = \"127.0.0.1\"\nport = {port}\n\
         account = \"firn-web01\"\nkey = {key:?}\nhost_key = \"{HOST_KEY}\"\nconnect_seconds = 2\n",
        folder.join("state"),
    )
}

pub(crate) fn written(folder: &Path, settings: &str) -> String {
    let path = folder.join("push.toml");
    fs::write(&path, settings).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_golden_hosts_have_their_minutes() {
    for (host, minute) in [("web01", "40\n"), ("db1.example.org", "56\n")] {
        let output = run(&["schedule", "--hostname", host]);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), minute));
    }
    let output = run(&["schedule", "--hostname", "web01", "--json"]);
    let report = text(&output.stdout).lines().last().unwrap().to_owned();
    assert!(report.contains("\"cron\":\"40 2,10,18 * * *\"") && report.contains("\"minute\":40"), "{report}");
}

#[test]
fn wrong_settings_are_named_by_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let good = settings(folder.path(), 1);
    let cases = [
        (good.replace("roots", "rots"), "push.toml:2:1: unknown key `rots`"),
        (format!("{good}prot = 1\n"), ": unknown key `prot`"),
        (good.replace("port = 1", "port = \"ssh\""), "push.toml:6:8: invalid type"),
        (good.replace("\"/etc\"", "\"etc\""), "`roots` must be absolute paths"),
        (good.replace("\"/etc\"", "\"/etc/../root\""), "`roots` holds"),
        (good.replace("[\"/etc\"]", "[]"), "`roots` names nothing"),
        (good.replace("ssh-ed25519", "ssh-rsa"), "`server.host_key` is of type \"ssh-rsa\""),
        (good.replace("web01", "Web 01"), "`host` is no host id"),
        (format!("compression_level = 99\n{good}"), "`compression_level` must be"),
        (format!("rules = ['- a', '*.o']\n{good}"), "`rules` holds \"*.o\": a rule begins with"),
        (format!("rules = ['- [a']\n{good}"), "a `[` without its `]`"),
        (format!("exclude_if_present = ['a/b']\n{good}"), "`exclude_if_present` must be names"),
        (format!("{good}ciphers = [\"a b\"]\n"), "`server.ciphers` must be"),
        (good.replace("connect_seconds = 2", "connect_seconds = 0"), "`server.connect_seconds` must be"),
        (format!("{good}keepalive_seconds = 1\n"), "`server.keepalive_seconds` must be"),
        (format!("{good}bandwidth_limit = \"2 MB/s\"\n"), "`server.bandwidth_limit` must be as"),
        (format!("nice = 20\n{good}"), "`nice` must be"),
    ];
    for (settings, expected) in cases {
        let path = written(folder.path(), &settings);
        for verb in ["run", "check", "status"] {
            let output = run(&[verb, "--config", &path]);
            assert_eq!(output.status.code(), Some(2), "{expected}");
            assert!(text(&output.stderr).contains(expected), "{expected}: {}", text(&output.stderr));
        }
    }
    let output = run(&["run", "--config", "/nowhere/push.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("host_key = "), "{}", text(&output.stderr));
}

#[test]
fn check_says_which_thing_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = written(folder.path(), &settings(folder.path(), port));
    let key = folder.path().join("key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(&["check", "--config", &path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("help: chmod 600"), "{}", text(&output.stderr));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    // Somebody listens who is no sshd.
    let talking = std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n");
    });
    let output = run(&["check", "--config", &path]);
    talking.join().unwrap();
    assert_eq!(output.status.code(), Some(19), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("is it sshd that listens there?"), "{}", text(&output.stderr));
    // Nobody listens.
    let output = run(&["check", "--config", &path, "--json"]);
    assert_eq!(output.status.code(), Some(19));
    assert!(text(&output.stderr).contains("is sshd running"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).lines().last().unwrap().contains("\"exit\":19"));
    fs::remove_file(&key).unwrap();
    let output = run(&["check", "--config", &path]);
    assert!(text(&output.stderr).contains("ssh-keygen -t ed25519"), "{}", text(&output.stderr));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = written(folder.path(), &settings(folder.path(), listener.local_addr().unwrap().port()));
    let started = std::time::Instant::now();
    let output = run(&["run", "--config", &path]);
    assert_eq!(output.status.code(), Some(19), "{}", text(&output.stderr));
    assert!(started.elapsed().as_secs() < 15);
}

#[test]
fn status_tells_what_is_remembered_and_nothing_before_the_first_push() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &settings(folder.path(), 1));
    let output = run(&["status", "--config", &path]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("nothing was pushed yet"));
    let (host, mut server) = (Host::new(), crate::server::Server::new());
    host.write("file", b"x");
    let (outcome, _) = host.push(&mut server);
    let path = written(folder.path(), &host.settings());
    let output = run(&["status", "--config", &path, "--json"]);
    assert!(text(&output.stdout).contains(&outcome.push.to_string()), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("\"pushes_begun\":1"));
}

#[test]
fn status_tells_how_the_last_run_went_also_if_it_failed() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let path = written(folder.path(), &settings(folder.path(), port));
    let report = |output: &Output| -> serde_json::Value {
        serde_json::from_str(text(&output.stdout).lines().last().unwrap()).unwrap()
    };
    let output = run(&["run", "--config", &path, "--json"]);
    assert_eq!(output.status.code(), Some(19));
    let seconds = &report(&output)["details"]["seconds"];
    assert!(
        ["connect", "walk", "seal", "verdict"].iter().all(|phase| seconds[phase].is_number()),
        "{seconds}"
    );
    let output = run(&["status", "--config", &path, "--json"]);
    assert!(
        text(&output.stdout).contains("ended with 19 (no connection): 0 entries"),
        "{}",
        text(&output.stdout)
    );
    let details = &report(&output)["details"];
    assert_eq!(details["last_run"]["exit"], 19);
    assert!(chrono::DateTime::parse_from_rfc3339(details["last_run"]["started"].as_str().unwrap()).is_ok());
    assert_eq!(details["last_accepted_run"], serde_json::Value::Null);
    // A later accepted run stays known when one fails after it.
    let file = folder.path().join("state/runs");
    let accepted = fs::read_to_string(&file)
        .unwrap()
        .replace("\"exit\":19", "\"exit\":3")
        .replace("null", "{\"started\":86400,\"seconds\":2.5,\"exit\":0,\"counts\":{\"entries\":7}}");
    fs::write(&file, accepted).unwrap();
    run(&["run", "--config", &path]);
    let output = text(&run(&["status", "--config", &path]).stdout);
    assert!(
        output
            .contains("last accepted 1970-01-02T00:00:00Z took 2.5 seconds, ended with 0 (whole): 7 entries"),
        "{output}"
    );
    // What cannot be read is not known, and keeps nothing from running.
    fs::write(&file, "{").unwrap();
    assert_eq!(run(&["status", "--config", &path]).status.code(), Some(0));
    assert_eq!(run(&["run", "--config", &path]).status.code(), Some(19));
    assert!(text(&run(&["status", "--config", &path]).stdout).contains("ended with 19"));
}

#[test]
fn the_hidden_verb_does_nothing_without_its_parent() {
    let output = run(&["transport"]);
    assert!(!output.status.success());
    assert!(!text(&run(&["--help"]).stdout).contains("transport"));
    assert!(text(&run(&["--help"]).stdout).contains("Examples:"));
    assert!(run(&["--version"]).status.success());
}

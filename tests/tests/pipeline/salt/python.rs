//! The formula's own tests, and its numbers beside those of the programs.

use std::io::Write;
use std::process::{Command, Stdio};

use pipeline_tests::Outcome;
use pipeline_tests::machine::workspace;

use crate::rig;

/// Debian's: what else is called so in the path may be another's.
pub(super) const PYTHON: &str = "/usr/bin/python3";
const HOSTILE_MIN: u32 = 30;
const CUTS_MIN: u32 = 30;

#[test]
fn hostile_mines_and_pillars_are_refused_and_change_nothing() {
    let mut command = Command::new(PYTHON);
    command.args(["-B", "-m", "unittest", "discover", "-s", "salt/tests"]).current_dir(workspace());
    let outcome = Outcome::of(&mut command).unwrap().expect_code(&[0]).unwrap();
    let count = |what: &str| -> u32 {
        let line = outcome.stdout.lines().find(|line| line.contains(what)).expect(what);
        line.split(' ').next().unwrap().parse().unwrap()
    };
    let (mines, pillars) =
        (count("hostile Mines refused, nothing changed"), count("hostile pillars refused"));
    println!("{mines} hostile Mines and {pillars} hostile pillars refused");
    assert!(mines >= HOSTILE_MIN && pillars >= HOSTILE_MIN);
    // Python ends well without these, too: where they should run, they must have.
    let cuts = "hostile_mines_and_pillars_are_refused_and_change_nothing";
    if !rig::is_root_or_skipped(cuts) || !rig::has_or_skipped(cuts, &["ssh-keygen"]) {
        return;
    }
    let (hosts, servers) =
        (count("cuts of a change of a host's key"), count("cuts of a change of the server's key"));
    println!("{hosts} cuts of a change of a host's key and {servers} of the server's come to a good end");
    assert!(hosts >= CUTS_MIN && servers >= CUTS_MIN);
}

/// 120 names of every shape, the golden ones first.
fn names() -> Vec<String> {
    let mut names = vec!["web01".to_owned(), "db1.example.org".to_owned(), "a".to_owned(), "z".repeat(63)];
    for number in 0..29 {
        names.push(format!("web{number:02}"));
        names.push(format!("db-{number}.rack{}.example.org", number % 7));
        names.push(format!("{number}.{}", "x".repeat(number + 1)));
        names.push(format!("long-{}-{number}.example.org", "n".repeat(number)));
    }
    names
}

/// What the formula's Python says of each name, a line each.
fn told(names: &[String], call: &str) -> Vec<String> {
    let code = format!(
        "import sys\nsys.path[:0] = ['salt/_modules', 'salt/pillar']\nimport backup_minute, firn\nfor name in sys.stdin.read().split():\n    print({call})"
    );
    let mut child = Command::new(PYTHON)
        .args(["-B", "-c", &code])
        .current_dir(workspace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(names.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn salt_and_push_client_have_the_same_minute_for_every_name() {
    let names = names();
    assert!(names.len() >= 100, "{}", names.len());
    let minutes = told(&names, "firn.minute(name), backup_minute.minute(name)");
    for (name, salt) in names.iter().zip(&minutes) {
        let mut schedule = Command::new(rig::programs().path("push-client"));
        schedule.args(["schedule", "--hostname", name]);
        let minute = Outcome::of(&mut schedule).unwrap().expect_code(&[0]).unwrap();
        let minute = minute.stdout.trim_end();
        assert_eq!(*salt, format!("{minute} {minute}"), "{name}");
    }
    assert_eq!((minutes[0].as_str(), minutes[1].as_str()), ("40 40", "56 56"));
    println!("{} names have the same minute in both", names.len());
}

/// Settings of a host need not name its account, which the server makes: both cut long names in the same way.
#[test]
fn push_client_and_snapshotter_have_the_same_account_for_every_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let settings =
        ["jails", "history", "keys", "hosts", "receiver"].map(|key| format!("{key} = {:?}\n", path(key)));
    rig::file(&path("server.toml"), settings.concat().as_bytes());
    rig::file(&path("receiver"), b"");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+";
    rig::file(&path("key.pub"), format!("{key}\n").as_bytes());
    for name in names() {
        let text = format!(
            "host = {name:?}\nroots = [\"/etc\"]\nstate = {:?}\n[server]\naddress = \"127.0.0.1\"\nkey = {:?}\nhost_key = {key:?}\n",
            path("state"),
            path("no-such-key")
        );
        rig::file(&path("push.toml"), text.as_bytes());
        let mut check = Command::new(rig::programs().path("push-client"));
        check.args(["check", "--json", "--config"]).arg(path("push.toml"));
        // It ends at the key, after it has told who it is.
        let report = Outcome::of(&mut check).unwrap().report().unwrap();
        let account = report["details"]["account"].as_str().unwrap().to_owned();
        let mut add = Command::new(rig::programs().path("snapshotter"));
        add.arg("--config").arg(path("server.toml"));
        add.args(["host", "add", &name, "--dry-run", "--key"]).arg(path("key.pub"));
        let outcome = Outcome::of(&mut add).unwrap().expect_code(&[0]).unwrap();
        let wanted = format!("the account {account} with the jail");
        assert!(
            account.starts_with("firn-") && outcome.stdout.contains(&wanted),
            "{name}: {wanted}\n{}",
            outcome.stdout
        );
    }
}

/// The version whose rules the formula keeps.
const LINT: &str = "salt-lint==0.9.2";

#[test]
#[ignore = "long: makes an environment for Python"]
fn salt_lint_finds_nothing() {
    let folder = pipeline_tests::machine::target_folder().join("salt-lint");
    let lint = folder.join("bin/salt-lint");
    if !lint.is_file() {
        Outcome::of(Command::new(PYTHON).args(["-m", "venv"]).arg(&folder))
            .unwrap()
            .expect_code(&[0])
            .unwrap();
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", LINT]);
        Outcome::of(&mut pip).unwrap().expect_code(&[0]).unwrap();
    }
    let mut states = Vec::new();
    for place in ["salt/firn", "salt/firn/orch"] {
        let entries = std::fs::read_dir(workspace().join(place)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        states.extend(paths.filter(|path| path.extension().is_some_and(|word| word == "sls")));
    }
    assert!(states.len() >= 8, "{states:?}");
    Outcome::of(Command::new(&lint).args(&states)).unwrap().expect_code(&[0]).unwrap();
    // It does find what it looks for.
    let bad = tempfile::tempdir().unwrap();
    rig::file(&bad.path().join("bad.sls"), b"/x:\n  file.managed:\n    - mode: 644\n");
    let found = Outcome::of(Command::new(&lint).arg(bad.path().join("bad.sls"))).unwrap();
    assert_eq!(found.code, 2, "{}", found.said());
}

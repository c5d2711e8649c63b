//! Several vaults: one that does not answer, or not now, is no reason not to use the others.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ices::{Ice, Machine, ice_of};
use super::tree::small;

/// A bucket at an address where nobody listens.
fn dead(machine: &Machine) -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let credentials = machine.path("credentials.toml");
    fs::write(&credentials, "access_key_id = \"a\"\nsecret_access_key = \"b\"\n").unwrap();
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600)).unwrap();
    format!(
        "name = \"dead\"\nurl = \"s3:ice\"\nendpoint = \"http://127.0.0.1:{port}\"\npath_style = true\ncredentials_file = {credentials:?}\n"
    )
}

fn folder(name: &str, path: &Path) -> String {
    format!("name = {name:?}\nurl = \"file:{}\"\n", path.display())
}

/// Settings with these vaults, in this order.
fn point(machine: &Machine, vaults: &[String]) {
    fs::rename(settings(machine, "quarantine", vaults), machine.path("drill.toml")).unwrap();
}

/// The vault of `machine`, and another with the same ice.
fn two(machine: &Machine, ice: &Ice) -> (PathBuf, PathBuf) {
    let second = machine.path("second");
    machine.lay(ice);
    fs::rename(machine.vault(), &second).unwrap();
    machine.lay(ice);
    point(machine, &[folder("first", &machine.vault()), folder("second", &second)]);
    (machine.vault(), second)
}

/// Something that is there and cannot be read: to the vault, a fault of its own.
fn spoil(object: &Path) {
    fs::remove_file(object).unwrap();
    super::disk::fifo(object);
}

#[test]
fn a_vault_that_nobody_answers_for_is_said_and_the_others_are_used() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let (dead, local) = (dead(&machine), folder("local", &machine.vault()));
    let out = machine.out();
    let id = ice.id();
    let none = "web01/20200101T000000Z-0000000009";
    // What no other vault holds may be there.
    let runs: [(&[&str], i32); 8] = [
        (&["list"], 3),
        (&["list", "--vault", "dead"], 30),
        (&["thaw", "web01/latest"], 0),
        (&["verify", "web01/latest"], 0),
        (&["verify", id], 0),
        (&["verify", "web02/latest"], 30),
        (&["verify", none], 30),
        (&["restore", id, "--to", out.to_str().unwrap()], 0),
    ];
    // Each waits for the dead one: all at once, in quarantines of their own.
    std::thread::scope(|scope| {
        for (number, (words, code)) in runs.iter().enumerate() {
            let (machine, vaults) = (&machine, [dead.clone(), local.clone()]);
            let vaults = if number % 2 == 0 { vaults } else { [local.clone(), dead.clone()] };
            scope.spawn(move || {
                let settings = settings(machine, &format!("q{number}"), &vaults);
                let ran = super::ices::ran(command(&settings, words).output().unwrap()).ends_with(*code);
                if *code != 30 {
                    assert!(format!("{}{}", ran.stderr, ran.stdout).contains("vault dead"), "{ran:?}");
                }
                if words[0] == "list" && *code == 3 {
                    assert_eq!(ran.report["counts"]["ices"], 1);
                    assert_eq!(ran.report["left_out"][0]["path"], "dead");
                }
                if words[0] == "verify" && *code == 0 {
                    assert_eq!(ran.report["details"]["vault"], "local");
                }
            });
        }
    });
    assert_eq!(fs::read(out.join("etc/hosts")).unwrap(), b"127.0.0.1 localhost\n");
    let records = machine.records();
    assert!(records.len() == 2 && records.iter().all(|record| record["result"] == "proved"), "{records:?}");
}

/// A file of settings with a quarantine of its own.
fn settings(machine: &Machine, quarantine: &str, vaults: &[String]) -> PathBuf {
    let file = machine.path(&format!("{quarantine}.toml"));
    let text = fs::read_to_string(machine.path("drill.toml")).unwrap();
    let (top, _) = text.split_once("[[vaults]]").unwrap();
    let own = machine.path(quarantine);
    let top = top.replace(machine.path("quarantine").to_str().unwrap(), own.to_str().unwrap());
    let vaults: String = vaults.iter().map(|vault| format!("[[vaults]]\n{vault}")).collect();
    fs::write(&file, format!("{top}{vaults}")).unwrap();
    file
}

fn command(settings: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_restore-drill"));
    command.arg("--config").arg(settings).arg("--json").args(words);
    if ["verify", "restore"].contains(&words[0]) {
        command.arg("--key").arg(super::keys::key().secret());
    }
    command
}

#[test]
fn a_vault_that_breaks_off_is_left_for_the_next_that_holds_the_ice() {
    let ice = ice_of(&small());
    for object in ["ice.json", "catalogue.pgp", "0000.pgp", "0001.pgp"] {
        let machine = Machine::new();
        let (first, _) = two(&machine, &ice);
        spoil(&first.join(format!("objects/ice/{}/{object}", ice.id())));
        let ran = machine.open(&["verify", ice.id()]).ends_with(0);
        assert_eq!(ran.report["details"]["vault"], "second", "{object}");
        assert!(ran.stderr.contains("vault first"), "{}", ran.stderr);
        let records = machine.records();
        assert_eq!((records.len(), &records[0]["vault"]), (1, &"second".into()), "{object}");
        let out = machine.out();
        machine.open(&["restore", ice.id(), "--to", out.to_str().unwrap()]).ends_with(0);
        machine.assert_nothing_left();
        let only = ["verify", ice.id(), "--vault", "first"];
        machine.open(&only).ends_with(30);
    }
}

#[test]
fn an_ice_that_is_damaged_in_one_vault_failed_its_drill_there_whatever_others_hold() {
    let ice = ice_of(&small());
    // In its segments: that is the outcome, and the other vault is named.
    let machine = Machine::new();
    let (first, _) = two(&machine, &ice);
    fs::remove_file(first.join(format!("objects/ice/{}/0001.pgp", ice.id()))).unwrap();
    let ran = machine.verify().ends_with(31);
    assert!(ran.stderr.contains("--vault second"), "{}", ran.stderr);
    assert_eq!(machine.records()[0]["failure"]["code"], 31);
    machine.open(&["verify", "web01/latest", "--vault", "second"]).ends_with(0);
    // In its record: that copy is recorded as failed, and the other is proved.
    let machine = Machine::new();
    let (first, _) = two(&machine, &ice);
    let record = first.join(format!("objects/ice/{}/ice.json", ice.id()));
    fs::remove_file(&record).unwrap();
    fs::write(&record, "{}\n").unwrap();
    let ran = machine.verify().ends_with(3);
    assert_eq!(ran.report["left_out"][0]["path"], "first");
    let told: Vec<_> = machine
        .records()
        .iter()
        .map(|record| (record["vault"].clone(), record["failure"]["code"].clone()))
        .collect();
    assert_eq!(told, [("first".into(), 28.into()), ("second".into(), serde_json::Value::Null)]);
    machine.restore().ends_with(0);
}

#[test]
fn what_a_drill_finds_damaged_or_gone_before_it_begins_is_recorded() {
    let ice = ice_of(&small());
    let failure =
        |machine: &Machine| machine.records().last().map(|record| record["failure"]["code"].clone());
    for which in ["web01/latest", ice.id()] {
        let machine = Machine::with(&ice);
        machine.lay_record(ice.id(), b"{}\n");
        machine.open(&["verify", which]).ends_with(28);
        assert_eq!(failure(&machine), Some(28.into()), "{which}");
    }
    let machine = Machine::with(&ice);
    fs::remove_file(machine.object(&ice, "ice.json")).unwrap();
    machine.open(&["verify", ice.id()]).ends_with(43);
    assert_eq!(failure(&machine), Some(43.into()));
    // Nobody knows which ice is meant.
    let machine = Machine::new();
    machine.verify().ends_with(43);
    assert_eq!(failure(&machine), None);
    // A restore proves nothing either way.
    machine.restore().ends_with(43);
    assert_eq!(failure(&machine), None);
}

#[test]
fn what_says_nothing_about_the_ice_is_not_recorded() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let other = super::keys::other_key().secret();
    machine.run(&["verify", "web01/latest", "--key", other.to_str().unwrap()]).ends_with(40);
    spoil(&machine.object(&ice, "0001.pgp"));
    machine.verify().ends_with(30);
    assert!(machine.records().is_empty(), "{:?}", machine.records());
}

#[test]
fn drills_of_the_same_second_in_vaults_of_like_names_are_all_kept() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let vaults = ["a/b", "a_b", "a b"].map(|name| folder(name, &machine.vault()));
    point(&machine, &vaults);
    machine.lay_record(ice.id(), b"{}\n");
    machine.verify().ends_with(28);
    let told: Vec<_> = machine.records().iter().map(|record| record["vault"].clone()).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    machine.run(&["report"]).ends_with(0);
    point(&machine, &[vaults[0].clone(), vaults[0].clone()]);
    machine.run(&["list"]).ends_with(2).because("two vaults the same name");
}

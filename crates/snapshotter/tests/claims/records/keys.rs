//! Key files that cannot be read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use super::{KEY, Server};
use crate::world::is_root;

type Spoil = fn(&Path);

#[test]
fn a_key_file_that_cannot_be_read_is_named_and_the_other_hosts_are_listed() {
    let server = Server::new();
    server.added(&["--hours", "4"]);
    let file = server.world.path("keys/firn-db1");
    let spoils: [(&str, Spoil); 4] = [
        ("a folder", |file| fs::create_dir(file).unwrap()),
        ("a fifo", |file| assert!(Command::new("mkfifo").arg(file).status().unwrap().success())),
        ("a link", |file| symlink("/etc/hostname", file).unwrap()),
        ("nobody's to read", |file| {
            fs::write(file, format!("restrict {KEY}\n")).unwrap();
            fs::set_permissions(file, fs::Permissions::from_mode(0o000)).unwrap();
        }),
    ];
    for (what, spoil) in spoils {
        spoil(&file);
        let bad = server.listed("db1", 3);
        assert_eq!(bad["complete"], false, "{what}");
        assert!(bad["missing"][0].as_str().unwrap().contains("keys/firn-db1"), "{what}: {bad}");
        assert!(bad["hours"] == serde_json::json!([4]) && bad["key"].is_null(), "{what}: {bad}");
        assert!(server.listed("web01", 3)["missing"].is_array(), "{what}");
        let said = server.world.run(&["host", "list"]);
        assert!(said.err.contains("keys/firn-db1") && said.out.contains("web01: "), "{what}: {said:?}");
        if fs::remove_file(&file).is_err() {
            fs::remove_dir(&file).unwrap();
        }
    }
    assert_eq!(server.listed("db1", 0)["complete"], true);
    // One that can be read and holds no key is the host's own trouble.
    if is_root() {
        fs::write(&file, "no key\n").unwrap();
        assert_eq!(server.listed("db1", 0)["key"]["fingerprint"], serde_json::Value::Null);
    }
}

#[test]
fn a_name_takes_over_a_host_that_a_person_added_only_with_the_key_that_it_has() {
    let server = Server::new();
    let file = server.world.path("keys/firn-db1");
    // With accounts, and only said: nothing is asked of this machine but its list of accounts.
    let claim = ["host", "add", "db1", "--key", &server.key, "--known-as", "minion1", "--dry-run"];
    let refused = |why: &str| {
        let ended = server.world.run(&claim);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains("was added by hand") && ended.err.contains(why), "{why}: {ended:?}");
    };
    assert_eq!(server.world.run(&claim).code, 0, "a new host");
    let other = KEY.replace("wY2ca", "wY2cb");
    fs::write(&file, format!("restrict,from=\"10.0.0.1\" {other}\n")).unwrap();
    refused("SHA256:");
    fs::write(&file, format!("restrict {KEY}\nrestrict {other}\n")).unwrap();
    refused("no key");
    fs::write(&file, format!("restrict,from=\"10.0.0.1\" {KEY}\n")).unwrap();
    assert_eq!(server.world.run(&claim).code, 0, "the same machine");
    fs::remove_file(&file).unwrap();
    fs::create_dir(server.world.path("jails/db1")).unwrap();
    refused("no key any more");
    server.put_record("db1", b"known_as = \"minion1\"\n");
    assert_eq!(server.world.run(&claim).code, 0, "what a run that was killed had begun");
}

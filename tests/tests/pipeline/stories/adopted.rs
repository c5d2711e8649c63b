//! A host that is there already: what a deployment may take over, and what is put right.

use std::fs;
use std::process::Command;

use pipeline_tests::Outcome;

use super::retired::passwd;
use super::world::{ACCEPTED, World, expect};
use crate::rig;

const USAGE: i32 = 2;
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+\n";

fn usermod(words: &[&str]) {
    Outcome::of(Command::new("usermod").args(words)).unwrap().expect_code(&[0]).unwrap();
}

#[test]
fn a_deployment_cannot_replace_the_key_that_a_person_gave_a_host() {
    if !rig::is_root_or_skipped("a_deployment_cannot_replace_the_key_that_a_person_gave_a_host") {
        return;
    }
    let world = World::new();
    let given = fs::read(world.key_file()).unwrap();
    let other = world.scratch.folder.join("other.pub");
    fs::write(&other, OTHER).unwrap();
    let claim = ["host", "add", "web01", "--key", other.to_str().unwrap(), "--known-as", "minion1"];
    for words in [&claim[..], &[&claim[..], &["--dry-run"]].concat()] {
        let refused = world.admin(words, USAGE);
        let (has, brings) = (refused.stderr.matches("SHA256:").count(), "was added by hand");
        assert!(has == 2 && refused.stderr.contains(brings), "{}", refused.said());
        assert_eq!(fs::read(world.key_file()).unwrap(), given);
        assert!(world.listed()["known_as"].is_null());
    }
    // A key that was taken away by hand does not come back by itself either.
    fs::remove_file(world.key_file()).unwrap();
    world.add(&["--known-as", "minion1"], USAGE);
    assert!(!world.key_file().exists());
    fs::write(world.key_file(), &given).unwrap();
    // With the key that is there it is the same machine.
    world.add(&["--known-as", "minion1"], 0);
    assert_eq!(world.listed()["known_as"], "minion1");
    assert_eq!(fs::read(world.key_file()).unwrap(), given);
    // From then on it is the deployment's, which may renew the key.
    world.admin(&claim, 0);
    assert_ne!(fs::read(world.key_file()).unwrap(), given);
}

#[test]
fn an_account_that_somebody_changed_is_named_and_put_right() {
    if !rig::is_root_or_skipped("an_account_that_somebody_changed_is_named_and_put_right") {
        return;
    }
    let world = World::new();
    let account = world.host.account.as_str();
    let made = passwd(account);
    assert_eq!(world.listed()["complete"], true);
    for (option, value) in [("--home", "/nonexistent"), ("--home", "/"), ("--shell", "/bin/sh")] {
        usermod(&[option, value, account]);
        let listed = world.listed();
        assert_eq!(listed["complete"], false, "{option} {value}: {listed}");
        let missing = listed["missing"][0].as_str().unwrap();
        assert!(missing.contains(&format!("the account {account} with")), "{missing}");
        world.add(&[], 0);
        assert_eq!((passwd(account), world.listed()["complete"].clone()), (made.clone(), true.into()));
    }
    usermod(&["--gid", "nogroup", account]);
    let listed = world.listed();
    assert_eq!(listed["complete"], false, "{listed}");
    let refused = world.add(&[], USAGE);
    assert!(refused.stderr.contains(&format!("is not in the group {account}")), "{}", refused.said());
    usermod(&["--gid", account, account]);
    assert_eq!(passwd(account), made);
    expect(world.push_and_ingest(), ACCEPTED);
}

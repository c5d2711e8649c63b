//! Adding hosts, as far as it goes without touching the accounts of this machine.

use std::fs;

use crate::world::{World, give_away};

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+ root@db1\n";

fn with_key(text: &str) -> (World, String) {
    let world = World::new();
    let key = world.path("db1.pub");
    fs::write(&key, text).unwrap();
    give_away(&key);
    (world, key.to_str().unwrap().to_owned())
}

#[test]
fn a_host_added_without_accounts_is_ready_to_receive() {
    let (world, key) = with_key(KEY);
    for _ in 0..2 {
        let ended = world.run(&["--json", "host", "add", "db1", "--key", &key, "--user-mode"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        let line = ended.report()["details"]["authorized_keys"].as_str().unwrap().to_owned();
        let jail = world.path("jails/db1");
        assert!(line.starts_with("restrict,command=\""), "{line}");
        assert!(line.contains(&format!("--jail {}\" ssh-ed25519 AAAA", jail.display())), "{line}");
        assert!(!line.contains("root@db1") && !line.contains('\n'), "{line}");
        assert!(jail.join("state/base").exists());
    }
    let listed = world.run(&["--json", "host", "list"]).report();
    assert_eq!(listed["details"]["hosts"].as_array().unwrap().len(), 2);
}

#[test]
fn a_key_that_is_not_one_ed25519_key_adds_nothing() {
    for bad in ["", "ssh-rsa AAAA\n", &format!("{KEY}{KEY}"), &format!("command=\"sh\" {KEY}")] {
        let (world, key) = with_key(bad);
        let ended = world.run(&["host", "add", "db1", "--key", &key, "--user-mode"]);
        assert_eq!(ended.code, 2, "{bad:?}: {ended:?}");
        assert!(!world.path("jails/db1").exists());
    }
}

#[test]
fn names_that_are_no_host_ids_are_refused_at_once() {
    let (world, key) = with_key(KEY);
    for bad in ["", ".", "..", "a/b", "../x", "A", "a_b", "-a", "a..b", "a\nb"] {
        let ended = world.run(&["host", "add", "--key", &key, "--user-mode", "--", bad]);
        assert_eq!(ended.code, 2, "{bad:?}: {ended:?}");
    }
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let (world, key) = with_key(KEY);
    let config = fs::read_to_string(&world.config).unwrap();
    let named = "account_prefix = \"firntest-\"\nreaders = \"firntest-read\"\n";
    fs::write(&world.config, format!("{named}{config}")).unwrap();
    let before = world.picture("");
    let long = "a-rather-long-name.of-a-host.example.org";
    for (host, account) in
        [("db1.example.org", "firntest-db1_example_org"), (long, "firntest-a-rather-long--")]
    {
        let ended = world.run(&["host", "add", host, "--key", &key, "--dry-run"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.contains(&format!("would make the account {account}")), "{ended:?}");
        assert!(ended.out.ends_with("nothing was changed\n"), "{ended:?}");
        let name = ended.out.split(" with the jail").next().unwrap().rsplit(' ').next().unwrap();
        assert!(name.len() <= 32, "{name}");
    }
    let taken = world.run(&["host", "add", "read", "--key", &key, "--dry-run"]);
    assert_eq!(taken.code, 2, "{taken:?}");
    assert_eq!(world.picture(""), before);
}

#[test]
fn the_block_for_sshd_names_keys_and_chroot() {
    let world = World::new();
    let block = world.run(&["host", "sshd-config"]).out;
    for line in ["Match User firn-*", "ChrootDirectory %h", "DisableForwarding yes", "PermitTTY no"] {
        assert!(block.contains(line), "{block}");
    }
    assert!(block.contains(&format!("AuthorizedKeysFile {}/%u", world.path("keys").display())));
}

#[test]
fn an_appliance_gets_a_drop_and_no_receiver_and_is_held_to_sftp_without_reading() {
    let (world, key) = with_key(KEY);
    let config = fs::read_to_string(&world.config).unwrap();
    let named = "account_prefix = \"firntest-\"\nreaders = \"firntest-read\"\n";
    fs::write(&world.config, format!("{named}{config}")).unwrap();
    let would = world.run(&["host", "add", "fw1", "--key", &key, "--appliance", "--dry-run"]);
    assert_eq!(would.code, 0, "{would:?}");
    assert!(would.out.contains("a member of the group firntest-drop"), "{would:?}");
    assert!(would.out.contains("fw1/drop of root:firntest-fw1, mode 0730"), "{would:?}");
    assert!(!would.out.contains("jails/fw1/bin"), "{would:?}");
    let usual = world.run(&["host", "add", "fw1", "--key", &key, "--dry-run"]);
    assert!(usual.out.contains("jails/fw1/bin") && !usual.out.contains("drop"), "control: {usual:?}");
    assert_eq!(world.run(&["host", "add", "fw1", "--key", &key, "--appliance", "--user-mode"]).code, 2);
    assert_eq!(world.run(&["host", "add", "drop", "--key", &key, "--dry-run"]).code, 2);
    for words in [&["host", "sshd-config"][..], &["host", "sshd-config", "--dedicated"]] {
        let text = world.run(words).out;
        let (_, block) = text.split_once("Match User firntest-* Group firntest-drop\n").unwrap();
        let forced = block.lines().find(|line| line.contains("ForceCommand")).unwrap();
        let (_, allowed) = forced.split_once(" -p ").unwrap();
        let allowed: Vec<&str> = allowed.split(',').collect();
        assert!(allowed.contains(&"write") && !allowed.contains(&"read"), "{forced}");
        for no in ["opendir", "readdir", "remove", "mkdir", "symlink", "hardlink", "setstat", "copy-data"] {
            assert!(!allowed.contains(&no), "{no}: {forced}");
        }
    }
    // The first value counts: the appliances' block comes before that of all.
    let text = world.run(&["host", "sshd-config"]).out;
    assert!(text.find("Group firntest-drop") < text.find("Match User firntest-*\n"), "{text}");
}

#[test]
fn settings_it_does_not_know_are_refused_by_name() {
    let world = World::new();
    let config = fs::read_to_string(&world.config).unwrap();
    for (bad, says) in [
        (format!("jial = 1\n{config}"), "unknown key `jial`"),
        (config.replace("jails =", "jails = \"jails\"\n#"), "`jails` must be an absolute path"),
        (
            config.replace("[limits]", "[limits]\nqueued_pushes = 0"),
            "`limits.queued_pushes` must be from 1 to",
        ),
        (config.replace("owner =", "owner = \"a b\"\n#"), "`owner` must begin with a letter"),
        (format!("sandbox = \"off\"\n{config}"), "unknown variant `off`"),
    ] {
        fs::write(&world.config, bad).unwrap();
        let ended = world.run(&["ingest"]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.err.contains(says), "{ended:?}");
    }
}

#[test]
fn an_sshd_of_its_own_is_told_everything_and_nothing_else_can_be_written_into_it() {
    let world = World::new();
    let text = world.run(&["host", "sshd-config", "--dedicated"]).out;
    let first = text.lines().find(|line| !line.is_empty() && !line.starts_with('#')).unwrap();
    let folder = world.dir.path().display();
    assert_eq!(first, format!("Include {folder}/sshd_config.d/*.conf"));
    for line in ["Port 2222", "AllowUsers firn-*", "DenyUsers root nobody firn-read firn-ice", "PermitTTY no"]
    {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let config = fs::read_to_string(&world.config).unwrap();
    let keys = world.path("keys").display().to_string();
    for bad in ["/k eys", "/keys\\nPermitRootLogin yes", "/keys%u", "/keys\\u001b", "/\\\"keys"] {
        fs::write(&world.config, config.replace(&keys, bad)).unwrap();
        assert_eq!(world.run(&["host", "sshd-config", "--dedicated"]).code, 2, "{bad}");
    }
}

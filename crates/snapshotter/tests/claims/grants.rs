//! Grants, as far as they go without accounts: they are off, and what turns them on is refused where it cannot be meant. The rest is a story of the
//! pipeline, through a real sshd.

use std::fs;

use crate::world::World;

fn with(grants: &str) -> World {
    let world = World::new();
    let config = fs::read_to_string(&world.config).unwrap();
    fs::write(&world.config, format!("{config}\n[grants]\n{grants}\n")).unwrap();
    world
}

#[test]
fn grants_are_off_unless_somebody_turns_them_on() {
    let world = World::new();
    let request =
        ["grant", "request", "web01", "latest", "etc", "--hours", "1", "--reason", "case 4711: try it"];
    assert_eq!(world.run(&request).code, 2);
    for words in [&["host", "sshd-config"][..], &["host", "sshd-config", "--dedicated"]] {
        assert!(!world.run(words).out.contains("firnout"), "{words:?}");
        assert!(!with("two_persons = false").run(words).out.contains("firnout"), "{words:?}");
    }
    let on = with("enabled = true");
    let block = on.run(&["host", "sshd-config"]).out;
    assert!(block.contains("Match User firn-*,firnout-*\n"), "{block}");
    let whole = on.run(&["host", "sshd-config", "--dedicated"]).out;
    assert!(whole.contains("AllowUsers firn-* firnout-*\n"), "{whole}");
}

#[test]
fn settings_of_grants_that_cannot_be_meant_are_refused_by_name() {
    for (bad, says) in [
        ("enable = true", "unknown key `enable`"),
        ("outboxes = \"outboxes\"", "`grants.outboxes` must be an absolute path"),
        ("records = \"/\"", "`grants.records` must lie outside of `jails`"),
        ("account_prefix = \"Out\"", "`grants.account_prefix` must begin with a letter"),
        ("account_prefix = \"firn-out-\"", "`grants.account_prefix` must not begin as `account_prefix` does"),
        ("account_prefix = \"firn\"", "`grants.account_prefix` must not begin as `account_prefix` does"),
        ("program = \"outbox\"", "`grants.program` must be an absolute path"),
    ] {
        let ended = with(bad).run(&["list"]);
        assert_eq!(ended.code, 2, "{bad}: {ended:?}");
        assert!(ended.err.contains(says), "{bad}: {ended:?}");
    }
}

#[test]
fn a_grant_of_no_time_or_without_a_reason_is_not_asked_for() {
    let world = with("enabled = true");
    for bad in [
        &["--hours", "0", "--reason", "x"][..],
        &["--hours", "169", "--reason", "x"],
        &["--hours", "1"],
        &["--reason", "x"],
    ] {
        let words = [&["grant", "request", "web01", "latest", "etc"], bad].concat();
        assert_eq!(world.run(&words).code, 2, "{bad:?}");
    }
}

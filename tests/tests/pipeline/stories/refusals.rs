//! Servers that are not who they should be, and settings that cannot be meant.

use std::fs;

use pipeline_tests::keys::SshKey;
use pipeline_tests::settings::{self, Push};

use super::world::{ACCEPTED, NO_CONNECTION, World, expect};

/// Lines of sshd's log that are about an account: there is none before the client has begun to log in.
fn about_accounts(log: &str, account: &str) -> Vec<String> {
    let words = [account, "userauth", "publickey", "authenticating"];
    let about = |line: &&str| words.iter().any(|word| line.contains(word));
    log.lines().filter(about).map(str::to_owned).collect()
}

#[test]
fn a_server_with_another_host_key_learns_nothing() {
    let world = World::new();
    let other = SshKey::make(&world.host.folder.join("other")).unwrap();
    let push = Push { host_key: Some(other.public().unwrap()), ..Push::default() };
    settings::write_push(&world.scratch, &world.host, &push).unwrap();
    let log = || fs::read_to_string(world.scratch.sshd.log()).unwrap();
    let before = log().len();
    let refused = expect(world.push(), NO_CONNECTION);
    assert!(refused.stderr.contains("host key"), "{}", refused.said());
    std::thread::sleep(std::time::Duration::from_millis(300));
    let new = log()[before..].to_owned();
    assert!(new.contains("Connection"), "sshd saw nobody: {new}");
    assert_eq!(about_accounts(&new, &world.host.account), Vec::<String>::new());
    assert!(!world.host.jail.join("spool/incoming/current").exists());
    // With the right key the same log names the account: the test would have seen it.
    let before = log().len();
    expect(world.push_and_ingest(), ACCEPTED);
    assert!(!about_accounts(&log()[before..], &world.host.account).is_empty());
    world.newest_is_now(1);
}

#[test]
fn a_server_whose_key_changed_is_refused_until_a_person_has_looked() {
    let mut world = World::new();
    expect(world.push_and_ingest(), ACCEPTED);
    let old = fs::read_to_string(&world.host.settings).unwrap();
    for path in [world.scratch.sshd.host_key.path.clone(), world.scratch.sshd.host_key.public_path()] {
        fs::remove_file(path).unwrap();
    }
    world.scratch.sshd.host_key = SshKey::make(&world.scratch.sshd.host_key.path).unwrap();
    let logins = world.scratch.logins();
    world.scratch.sshd.start(&logins).unwrap();
    let port = format!("port = {}\n", world.scratch.sshd.port);
    let pinned: String = old
        .lines()
        .map(|line| if line.starts_with("port = ") { port.clone() } else { format!("{line}\n") })
        .collect();
    fs::write(&world.host.settings, pinned).unwrap();
    expect(world.push(), NO_CONNECTION);
    settings::write_push(&world.scratch, &world.host, &Push::default()).unwrap();
    world.change("since");
    expect(world.push_and_ingest(), ACCEPTED);
    world.newest_is_now(2);
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let mut world = World::new();
    world.scratch.sshd.stop();
    let refused = expect(world.push(), NO_CONNECTION);
    assert!(refused.stderr.contains("127.0.0.1"), "{}", refused.said());
}

#[test]
fn the_key_of_one_host_opens_no_other_jail() {
    let mut world = World::new();
    if !crate::rig::is_root_or_skipped("the_key_of_one_host_opens_no_other_jail") {
        return;
    }
    let roots = [world.source.clone()];
    let other = world.scratch.add_host("db01", &roots).unwrap();
    let thief = pipeline_tests::Host { key: world.host.key.clone(), ..other.clone() };
    settings::write_push(&world.scratch, &thief, &Push::default()).unwrap();
    expect(world.scratch.push(&thief).unwrap(), NO_CONNECTION);
    assert!(other.queued().unwrap().is_empty());
    // And under its own key, no other name.
    let liar = pipeline_tests::Host { name: "db01".to_owned(), ..world.host.clone() };
    settings::write_push(&world.scratch, &liar, &Push::default()).unwrap();
    let refused = world.scratch.push(&liar).unwrap();
    assert_eq!(refused.code, 17, "{}", refused.said());
    assert!(other.queued().unwrap().is_empty() && world.host.queued().unwrap().is_empty());
}

#[test]
fn a_settings_key_that_nobody_knows_is_named_with_its_place() {
    let world = World::new();
    let text = fs::read_to_string(&world.host.settings).unwrap();
    let lines = text.lines().count();
    fs::write(&world.host.settings, format!("{text}\ncolour = \"blue\"\n")).unwrap();
    let refused = expect(world.push(), 2);
    for word in ["push-web01.toml", "colour"] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.said());
    }
    assert!((lines..lines + 3).any(|line| refused.stderr.contains(&line.to_string())), "{}", refused.said());
}

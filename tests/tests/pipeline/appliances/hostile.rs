//! What an appliance may not, and what a hostile one gets by trying.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use pipeline_tests::Outcome;

use super::world::{World, can, names};

/// What an appliance may not, one batch of sftp each.
const REFUSED: [&str; 25] = [
    "get mine stolen",
    "get /state/base stolen",
    "get /etc/passwd stolen",
    "reget mine stolen",
    "ls",
    "ls /",
    "ls /drop",
    "ls /spool/sealed",
    "ls ../../sw1/drop",
    "rm mine",
    "mkdir folder",
    "rmdir /leaving",
    "chmod 4755 mine",
    "chown 0 mine",
    "ln mine other",
    "symlink /etc/passwd link",
    "put mine /at-the-top",
    "put batch /at-the-top",
    "put batch /spool/sealed/push",
    "put batch /spool/incoming/push",
    "put batch /leaving/x",
    "put batch /state/base",
    "put batch ../../sw1/drop/x",
    "rename mine /spool/sealed/push",
    "rename mine ../leaving/x",
];

#[test]
fn an_appliance_can_write_into_its_drop_and_do_nothing_else() {
    let test = "an_appliance_can_write_into_its_drop_and_do_nothing_else";
    if !can(test) {
        return;
    }
    let world = World::new();
    world.put("fw1", "mine", b"secret of fw1");
    world.put("sw1", "theirs", b"secret of sw1");
    for batch in REFUSED {
        let tried = world.sftp("fw1", batch);
        // Of `ls` in a batch sftp says that it failed, and ends with 0.
        let is_refused = tried.code != 0 || batch.starts_with("ls") && tried.stderr.contains("denied");
        assert!(is_refused, "{batch}: {}", tried.said());
    }
    assert!(!world.path("stolen").exists() || fs::read(world.path("stolen")).unwrap().is_empty());
    let login = format!("{}@127.0.0.1", world.account("fw1"));
    for words in [
        &[login.as_str()][..],
        &[&login, "cat /drop/mine"],
        &["-tt", &login],
        &["-W", "127.0.0.1:22", &login],
    ] {
        let tried = Outcome::of(&mut world.client("ssh", "fw1", words)).unwrap();
        assert_ne!(tried.code, 0, "{words:?}: {}", tried.said());
        assert!(!tried.stdout.contains("secret"), "{words:?}");
    }
    let legacy =
        Outcome::of(&mut world.client("scp", "fw1", &["-O", "batch", &format!("{login}:")])).unwrap();
    assert_ne!(legacy.code, 0, "{}", legacy.said());
    let other = format!("{}@127.0.0.1", world.account("sw1"));
    let tried = Outcome::of(&mut world.client("sftp", "fw1", &["-b", "batch", &other])).unwrap();
    assert_ne!(tried.code, 0, "the key of fw1 let it in as sw1");
    // Without the list of requests the file system refuses what matters: as the account itself.
    for (program, path) in [
        ("ls", world.dropped("fw1")),
        ("ls", world.jail("fw1").join("leaving")),
        ("ls", world.dropped("sw1")),
        ("cat", world.dropped("sw1").join("theirs")),
    ] {
        let tried = Command::new("runuser")
            .args(["-u", &world.account("fw1"), "--", program])
            .arg(&path)
            .output()
            .unwrap();
        assert!(!tried.status.success(), "{program} {}", path.display());
    }
    assert_eq!(names(&world.dropped("fw1")), ["mine"]);
    // Control: to write, and to write over, is let.
    world.put("fw1", "mine", b"again");
    world.take_quiet().expect_code(&[0]).unwrap();
    assert_eq!(fs::read(world.newest("fw1").join("mine")).unwrap(), b"again");
}

#[test]
fn whatever_a_hostile_account_lays_into_its_drop_is_named_and_only_plain_files_are_taken() {
    let test = "whatever_a_hostile_account_lays_into_its_drop_is_named_and_only_plain_files_are_taken";
    if !can(test) {
        return;
    }
    let world = World::new();
    let dropped = world.dropped("fw1");
    // As one could who got past sshd's list of requests: by its own account, outside of SFTP.
    let script = "
        cd \"$1\"; umask 077
        ln -s /etc/passwd link; ln -s ../../sw1/drop to-another; mkfifo fifo; mkdir -p deep/er/and/deeper; echo x > deep/er/file
        echo twice > twice; ln twice again; truncate -s 2T giant; echo mine > .unfinished-1-0
        printf odd > \"$(printf 'line\\nbreak \\033[31m \\377')\"; echo closed > closed; chmod 0 closed
        echo good > good";
    let account = world.account("fw1");
    let mut lay = Command::new("runuser");
    lay.args(["-u", &account, "--", "sh", "-c", script, "sh"]).arg(&dropped);
    Outcome::of(&mut lay).unwrap().expect_code(&[0]).unwrap();
    fs::write(dropped.join("foreign"), "root's").unwrap();
    let shadow = dropped.join("shadow");
    fs::hard_link(world.scratch.folder.join("etc/server.toml"), &shadow).unwrap();
    let taken = world.take_quiet().expect_code(&[3]).unwrap();
    let left_out = taken.report().unwrap()["left_out"].to_string();
    for name in [
        "link",
        "to-another",
        "fifo",
        "deep",
        "twice",
        "again",
        "giant",
        ".unfinished-1-0",
        "foreign",
        "shadow",
    ] {
        assert!(left_out.contains(&format!("fw1/{name}\"")), "{name}: {left_out}");
    }
    let found = Command::new("ls").arg("-b").arg(world.newest("fw1")).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert_eq!(found, "closed\ngood\nline\\nbreak\\ \\033[31m\\ \\377\n", "{}", taken.said());
    assert!(shadow.exists() && dropped.join("link").is_symlink() && dropped.join("giant").exists());

    // A flood: nothing is taken until somebody has looked, and no other waits for it.
    for number in 0..10_001 {
        fs::write(dropped.join(format!("flood-{number}")), "").unwrap();
    }
    world.put("sw1", "vlan.cfg", b"switch");
    let flood = world.take_quiet().expect_code(&[3]).unwrap();
    assert!(flood.said().contains("more than 10000 names"), "{}", flood.said());
    assert_eq!((world.trees("fw1").len(), world.trees("sw1").len()), (1, 1));
    assert_eq!(Outcome::of(&mut world.scratch.snapshotter(&["verify"])).unwrap().code, 0);
}

#[test]
fn a_name_that_becomes_a_link_while_it_is_taken_leads_nowhere() {
    let test = "a_name_that_becomes_a_link_while_it_is_taken_leads_nowhere";
    if !can(test) {
        return;
    }
    let world = World::new();
    // What was moved as a file and is a link when it is opened: laid there as if the account had been faster.
    symlink("/etc/passwd", world.jail("fw1").join("leaving/config.xml")).unwrap();
    symlink(world.jail("sw1").join("drop"), world.jail("fw1").join("leaving/folder")).unwrap();
    world.put("fw1", "good", b"good");
    let taken = world.take_quiet().expect_code(&[3]).unwrap();
    assert_eq!(names(&world.newest("fw1")), ["good"], "{}", taken.said());
    assert!(taken.said().contains("fw1/config.xml"), "{}", taken.said());
}

#[test]
fn the_audit_knows_appliances_and_fails_when_one_may_do_more() {
    let test = "the_audit_knows_appliances_and_fails_when_one_may_do_more";
    if !can(test) {
        return;
    }
    let world = World::new();
    let config = world.scratch.folder.join("etc/server.toml");
    let text = fs::read_to_string(&config).unwrap();
    let sshd = world.scratch.folder.join("sshd/sshd_config");
    fs::write(&config, format!("{text}\n[audit]\nsshd_config = {sshd:?}\n")).unwrap();
    let lines = |id: &str| {
        let said = Outcome::of(&mut world.scratch.snapshotter_as_admin(&["audit", "--all"])).unwrap();
        let findings = said.report().unwrap()["details"]["audit"]["findings"].clone();
        findings.as_array().unwrap().iter().find(|found| found["requirement"] == id).unwrap().to_string()
    };
    for id in ["R1", "R4"] {
        let line = lines(id);
        assert!(line.contains("\"verdict\":\"pass\"") && !line.contains("\"verdict\":\"fail\""), "{line}");
    }
    // Its account could list, and somebody took the group away that holds it to SFTP.
    let dropped = world.dropped("fw1");
    fs::set_permissions(&dropped, fs::Permissions::from_mode(0o770)).unwrap();
    assert!(lines("R1").contains("drop has mode 0770") && lines("R4").contains("can list /drop"));
    fs::set_permissions(&dropped, fs::Permissions::from_mode(0o730)).unwrap();
    let group = format!("{}drop", world.scratch.names.host_prefix);
    Outcome::of(Command::new("gpasswd").args(["--delete", &world.account("fw1"), &group]))
        .unwrap()
        .expect_code(&[0])
        .unwrap();
    assert!(lines("R1").contains("forcecommand is receive"));
}

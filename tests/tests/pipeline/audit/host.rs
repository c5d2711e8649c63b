//! `push-client audit` against a real sshd: an account that may only push gets nothing else, and one that may more is found.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use pipeline_tests::{Host, Options, Outcome, Scratch, settings};

use crate::rig;

fn audited(scratch: &Scratch, host: &Host) -> Outcome {
    Outcome::of(&mut scratch.push_client(host, &["audit"])).unwrap()
}

/// The verdict of a requirement, and the evidence that has it.
fn finding(outcome: &Outcome, id: &str) -> (String, Vec<String>) {
    let report = outcome.report().unwrap();
    let findings = report["details"]["audit"]["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["requirement"] == id).unwrap();
    let evidence = found["evidence"].as_array().unwrap().iter();
    let evidence = evidence.filter(|evidence| evidence["verdict"] == found["verdict"]);
    let texts = evidence.map(|evidence| evidence["text"].as_str().unwrap().to_owned()).collect();
    (found["verdict"].as_str().unwrap().to_owned(), texts)
}

/// A host whose account is an ordinary one, of an sshd that forwards.
fn ordinary(scratch: &mut Scratch, host: &Host, shell: &str, push: &settings::Push) -> Host {
    let account = format!("{}x", scratch.names.owner);
    scratch.add_account(&account, shell).unwrap();
    let key = host.key.public().unwrap();
    fs::write(scratch.folder.join("keys").join(&account), format!("{key}\n")).unwrap();
    let open = format!("Match User {account}\n    DisableForwarding no\n    PermitTTY yes\n");
    scratch.sshd.hosts_block.push_str(&open);
    scratch.sshd.start(&[host.account.clone(), account.clone()]).unwrap();
    let mut other = host.clone();
    other.account.clone_from(&account);
    other.settings = scratch.folder.join("etc/push-other.toml");
    settings::write_push(scratch, &other, push).unwrap();
    other
}

#[test]
fn a_server_that_answers_byte_by_byte_does_not_keep_the_audit_of_a_host() {
    let test = "a_server_that_answers_byte_by_byte_does_not_keep_the_audit_of_a_host";
    if !rig::is_root_or_skipped(test) {
        return;
    }
    let _turn = rig::turn();
    let folder = tempfile::tempdir().unwrap();
    let mut scratch = rig::scratch(&Options::default());
    let host = scratch.add_host("web01", &[folder.path().to_owned()]).unwrap();
    let shell = scratch.folder.join("bin/trickle");
    fs::write(&shell, "#!/bin/sh\nwhile printf x; do sleep 0.2; done\n").unwrap();
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    let push = settings::Push { server: "connect_seconds = 1\n".to_owned(), ..settings::Push::default() };
    let other = ordinary(&mut scratch, &host, shell.to_str().unwrap(), &push);
    let begun = Instant::now();
    let outcome = audited(&scratch, &other);
    println!("TOOK: {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let (verdict, evidence) = finding(&outcome, "R4");
    assert_eq!(verdict, "unknown", "{}", outcome.said());
    assert!(
        evidence.iter().any(|text| text.contains("did not come to an end within 5 seconds")),
        "{evidence:?}"
    );
}

#[test]
fn a_host_gets_nothing_but_its_receiver_and_an_account_that_gets_more_is_found() {
    let test = "a_host_gets_nothing_but_its_receiver_and_an_account_that_gets_more_is_found";
    if !rig::is_root_or_skipped(test) {
        return;
    }
    let _turn = rig::turn();
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    rig::file(&files.join("one"), b"1");
    let mut scratch = rig::scratch(&Options::default());
    let host = scratch.add_host("web01", &[files]).unwrap();
    let outcome = audited(&scratch, &host);
    println!("HELD: {}", outcome.stdout);
    for (id, attempts) in [("R1", 5), ("R4", 4)] {
        let (verdict, evidence) = finding(&outcome, id);
        assert_eq!((verdict.as_str(), evidence.len()), ("pass", attempts), "{}", outcome.said());
    }
    assert_eq!(finding(&outcome, "R2").0, "pass", "{}", outcome.said());
    // The jail is as it was: nothing was sent.
    assert_eq!(host.queued().unwrap().len(), 0);

    // The control: an ordinary account, and an sshd that forwards.
    let other = ordinary(&mut scratch, &host, "/bin/sh", &settings::Push::default());
    let outcome = audited(&scratch, &other);
    assert_eq!(outcome.code, 6, "{}", outcome.said());
    let (verdict, evidence) = finding(&outcome, "R4");
    assert_eq!(verdict, "fail");
    assert!(
        ["run a command", "get a shell"].iter().all(|what| evidence.iter().any(|text| text.contains(what))),
        "{evidence:?}"
    );
    let (verdict, evidence) = finding(&outcome, "R1");
    assert_eq!(verdict, "fail");
    assert!(
        ["terminal", "forwarded", "listen"]
            .iter()
            .all(|what| evidence.iter().any(|text| text.contains(what))),
        "{evidence:?}"
    );
}

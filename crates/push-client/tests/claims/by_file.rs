//! A push into a file.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use formats::published::Verdict;

use crate::commands::{run, text, written};
use crate::host::{Host, names};
use crate::server::{Server, header, seal};
use crate::{host, judge};

/// A host whose `/` is the machine's, so that the program itself can push it.
fn settings(host: &Host) -> String {
    let settings = host.settings().replace("\"/data\"", &format!("{:?}", host.path("")));
    written(host.top().parent().unwrap(), &settings)
}

fn to_file(host: &Host, file: &Path) -> Output {
    run(&["run", "--config", &settings(host), "--to-file", file.to_str().unwrap()])
}

#[test]
fn a_push_into_a_file_is_a_push_and_needs_no_server() {
    let host = Host::new();
    host.write("sub/file", b"content");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web01.push");
    let done = to_file(&host, &file);
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let bytes = fs::read(&file).unwrap();
    let judged = judge::judge(&bytes, &[], &HashMap::new());
    let top = host.path("").to_str().unwrap().trim_matches('/').to_owned();
    assert_eq!(judged.content(&format!("{top}/sub/file")), b"content");
    assert_eq!(names(folder.path()), ["web01.push"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    // It is remembered as under way.
    let status = run(&["status", "--config", &settings(&host)]);
    assert!(text(&status.stdout).contains(&header(&bytes).push.to_string()), "{}", text(&status.stdout));
    // One that is there is not written over.
    let done = to_file(&host, &file);
    assert_eq!(done.status.code(), Some(4), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("there is such a file already"), "{}", text(&done.stderr));
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn the_file_is_no_part_of_what_it_holds() {
    let host = Host::new();
    host.write("file", b"content");
    let file = host.path("here.push");
    fs::write(host.path("here.push.unsealed"), b"of a run that was killed").unwrap();
    let done = to_file(&host, &file);
    assert_eq!(done.status.code(), Some(18), "{}", text(&done.stderr));
    let judged = judge::judge(&fs::read(&file).unwrap(), &[], &HashMap::new());
    let paths: Vec<_> = judged
        .entries
        .iter()
        .map(|entry| String::from_utf8_lossy(entry.path.as_bytes()).into_owned())
        .collect();
    assert!(
        paths.iter().any(|path| path.ends_with("/file")) && !paths.iter().any(|path| path.contains("here")),
        "{paths:?}"
    );
    assert!(!names(&host.path("")).contains(&"here.push.unsealed".to_owned()));
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing() {
    let host = Host::new();
    host.write("large", &host::noise(5, 3_000_000));
    let done = to_file(&host, Path::new("/nowhere/web01.push"));
    assert_eq!(done.status.code(), Some(4), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("cannot be written"), "{}", text(&done.stderr));
    // Full in the middle.
    let folder = tempfile::tempdir().unwrap();
    let limited = std::process::Command::new("bash")
        .args(["-c", "ulimit -f 1000; trap '' XFSZ; exec \"$0\" run --config \"$1\" --to-file \"$2\""])
        .arg(env!("CARGO_BIN_EXE_push-client"))
        .args([settings(&host).as_str(), folder.path().join("web01.push").to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(limited.status.code(), Some(4), "{}", text(&limited.stderr));
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_push_that_is_under_way_by_file_is_waited_for_and_becomes_the_base() {
    let host = Host::new();
    host.write("file", b"content");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web01.push");
    assert_eq!(to_file(&host, &file).status.code(), Some(18));
    let bytes = fs::read(&file).unwrap();
    let (push, root) = (header(&bytes).push, seal(&bytes).root);
    // A server that has never heard of it: the push over the network is whole, and the other is not given up.
    let mut server = Server::new();
    server.cut_after = Some(20);
    assert!(host.push_at(&mut server, 10).0.is_err());
    // Then the file arrives.
    let mut server = Server::new();
    server.judge(push, Verdict::Accepted { root });
    let (outcome, _) = host.push(&mut server);
    assert_eq!(outcome.base, Some(root));
}

#[test]
fn a_host_that_never_reaches_the_server_is_told_what_was_accepted_and_then_sends_only_what_changed() {
    let host = Host::new();
    host.write("large", &host::noise(5, 300_000));
    let folder = tempfile::tempdir().unwrap();
    let config = settings(&host);
    let to_file = |name: &str, more: &[&str]| {
        let file = folder.path().join(name);
        let words = ["--json", "run", "--config", &config, "--to-file", file.to_str().unwrap()];
        let done = run(&[&words[..], more].concat());
        (done, file)
    };
    let root = |done: &Output| {
        let report: serde_json::Value =
            serde_json::from_str(text(&done.stdout).lines().last().unwrap()).unwrap();
        report["details"]["root"].as_str().unwrap().to_owned()
    };
    let (first, _) = to_file("first.push", &[]);
    assert_eq!(first.status.code(), Some(18), "{}", text(&first.stderr));
    host.write("small", b"new");
    // Not told, it sends all.
    let (_, file) = to_file("untold.push", &[]);
    assert_eq!(header(&fs::read(&file).unwrap()).base, None);
    assert!(fs::metadata(&file).unwrap().len() > 300_000);
    let (second, file) = to_file("second.push", &["--accepted", &root(&first)]);
    assert_eq!(second.status.code(), Some(18), "{}", text(&second.stderr));
    assert_eq!(header(&fs::read(&file).unwrap()).base.map(|base| base.to_string()), Some(root(&first)));
    assert!(fs::metadata(&file).unwrap().len() < 30_000);
    // What was never sent cannot have been accepted.
    let (wrong, file) = to_file("wrong.push", &["--accepted", &"07".repeat(32)]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    assert!(text(&wrong.stderr).contains("no push with the root"), "{}", text(&wrong.stderr));
    assert!(!file.exists());
}

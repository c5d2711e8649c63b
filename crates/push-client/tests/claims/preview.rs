//! What `run --dry-run` says is what a push would do, and it does nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use cli::Silent;
use formats::{Change, Root};
use push_client::push::{Account, Difference, Preview, preview};
use push_client::state::StateFolder;

use crate::commands::{run, settings, text, written};
use crate::host::{Host, noise};
use crate::server::Server;

/// What a dry run of this host says, compared with the state `root`.
fn previewed(host: &Host, root: Option<Root>) -> (Preview, Vec<(char, String)>) {
    let base = root.map(|root| StateFolder::peek_base(&host.state_path(), root).unwrap());
    let top = OwnedFd::from(fs::File::open(host.top()).unwrap());
    let mut told = Vec::new();
    let mut tell = |difference, path: &formats::RelPath| {
        let sign = match difference {
            Difference::New => '+',
            Difference::Changed => 'M',
            Difference::Removed => '-',
        };
        told.push((sign, path.to_string()));
    };
    let plan = host.plan();
    let mut account = Account::default();
    let preview = preview((&plan.selection, top), base, &mut account, &Silent, &mut tell).unwrap();
    assert_eq!(account.left_out, []);
    (preview, told)
}

#[test]
fn a_dry_run_lists_exactly_what_the_push_then_sends() {
    let (host, mut server) = (Host::new(), Server::new());
    for (path, length) in [
        ("same", 10),
        ("grown", 10),
        ("mode", 300_000),
        ("hidden", 10),
        ("gone/a", 1),
        ("gone/b", 1),
        ("z", 5),
    ] {
        host.write(path, &noise(length as u64, length));
    }
    fs::hard_link(host.path("same"), host.path("linked")).unwrap();
    symlink("same", host.path("symlink")).unwrap();
    let (first, _) = host.push_accepted(&mut server);
    let base: Vec<formats::Entry> = {
        let file = fs::File::open(host.state_path().join(format!("{}.manifest", first.root))).unwrap();
        formats::ManifestReader::new(std::io::BufReader::new(file)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(previewed(&host, Some(first.root)).1, []);
    host.write("grown", &noise(1, 20));
    host.write("new/file", &noise(2, 70));
    fs::set_permissions(host.path("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    // The same size and time, and another content.
    let before = fs::metadata(host.path("hidden")).unwrap();
    host.write("hidden", &noise(3, 10));
    fs::File::options()
        .write(true)
        .open(host.path("hidden"))
        .unwrap()
        .set_modified(before.modified().unwrap())
        .unwrap();
    // Touched, and as it was.
    fs::set_permissions(host.path("z"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(host.path("z"), fs::Permissions::from_mode(before.permissions().mode())).unwrap();
    fs::remove_dir_all(host.path("gone")).unwrap();
    fs::remove_file(host.path("linked")).unwrap();
    let (preview, told) = previewed(&host, Some(first.root));
    host.push(&mut server);
    let judged = server.newest(&base);
    let sent: BTreeMap<String, char> = judged
        .changes
        .iter()
        .map(|change| match change {
            Change::Remove(path) => (path.to_string(), '-'),
            Change::Put(entry) if base.iter().any(|old| old.path == entry.path) => {
                (entry.path.to_string(), 'M')
            }
            Change::Put(entry) => (entry.path.to_string(), '+'),
        })
        .collect();
    assert_eq!(told.iter().map(|(sign, path)| (path.clone(), *sign)).collect::<BTreeMap<_, _>>(), sent);
    assert!(
        told.contains(&('M', "data/hidden".to_owned())) && !told.iter().any(|(_, path)| path == "data/z")
    );
    // "At most": the last is of the name that was the second of a hard link, and is not any more.
    assert_eq!((preview.new, preview.removed, preview.content_bytes), (2, 4, 20 + 70 + 10 + 10));
    assert_eq!(preview.entries, judged.entries.len() as u64);
    // Without a state to compare with all is new.
    let (preview, told) = previewed(&host, None);
    assert_eq!((preview.new, told.len() as u64), (preview.entries, preview.entries));
}

/// Names, sizes and times of all that is in a folder.
fn traces(folder: &Path) -> Vec<(String, u64, i64, i64)> {
    crate::host::names(folder)
        .into_iter()
        .map(|name| {
            let meta = fs::metadata(folder.join(&name)).unwrap();
            (name, meta.size(), meta.ctime(), meta.ctime_nsec())
        })
        .collect()
}

#[test]
fn a_dry_run_connects_nowhere_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("a\nb"), b"12345").unwrap();
    let settings = settings(folder.path(), port).replace("\"/etc\"", &format!("{data:?}"));
    let path = written(folder.path(), &settings);
    let output = run(&["run", "--dry-run", "--json", "--config", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    assert!(out.contains(&format!("\n+ {}/a\\x0ab\n", data.display())), "{out}");
    assert!(out.contains("compared with nothing") && out.contains("\"content_bytes\":5"), "{out}");
    assert!(!folder.path().join("state").exists());
    // Neither with a state, which another run may hold locked.
    let (host, mut server) = (Host::new(), Server::new());
    host.write("file", b"x");
    let (outcome, _) = host.push_accepted(&mut server);
    host.push(&mut server);
    let state = host.state();
    let before = traces(&host.state_path());
    let path = written(folder.path(), &host.settings());
    let output = run(&["run", "--dry-run", "--json", "--config", &path]);
    assert!(text(&output.stdout).contains(&outcome.root.to_string()), "{}", text(&output.stdout));
    assert_eq!(traces(&host.state_path()), before);
    drop(state);
    assert!(listener.accept().is_err(), "it connected");
}

#[test]
fn trusted_attributes_are_told_to_be_left_out_unless_they_are_asked_for_and_can_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let settings = settings(folder.path(), 1).replace("\"/etc\"", &format!("{data:?}"));
    let said = |settings: &str, words: &[&str]| {
        let path = written(folder.path(), settings);
        let output = run(&[&["run", "--dry-run", "--config", &path], words].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    assert!(
        said(&settings, &["-v"]).contains("trusted.* attributes are left out, as they are not asked for")
    );
    assert_eq!(said(&settings, &[]), "");
    let asked = said(&format!("trusted_attributes = true\n{settings}"), &["-v"]);
    assert_eq!(asked.contains("which this process does not have"), !crate::host::root(), "{asked}");
    assert!(!asked.contains("not asked for"), "{asked}");
}

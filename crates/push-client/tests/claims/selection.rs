//! What belongs to a push, and what does not.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use push_client::push::Count;
use push_client::walk::{FileKind, Found, Missed, Selection, Visit, Walker};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::host::Host;
use crate::server::Server;

#[test]
fn the_folders_above_a_root_are_kept_and_nothing_else_of_them() {
    let (mut host, mut server) = (Host::new(), Server::new());
    for path in ["srv/www/site/index", "srv/www/other/index", "srv/readme", "etc/passwd"] {
        fs::create_dir_all(host.top().join(path).parent().unwrap()).unwrap();
        fs::write(host.top().join(path), path).unwrap();
    }
    fs::set_permissions(host.top().join("srv"), fs::Permissions::from_mode(0o711)).unwrap();
    host.roots = vec!["/srv/www/site"];
    host.push(&mut server);
    let judged = server.newest(&[]);
    assert_eq!(judged.paths(), ["srv", "srv/www", "srv/www/site", "srv/www/site/index"]);
    assert_eq!(judged.node("srv").meta.mode, 0o711);
}

#[test]
fn what_is_excluded_is_not_there_and_neither_is_the_state() {
    let (mut host, mut server) = (Host::new(), Server::new());
    for path in ["keep", "cache/a", "cache/b", "cached", "deep/cache/c"] {
        host.write(path, path.as_bytes());
    }
    host.exclude = vec!["/data/cache".to_owned(), "/data/deep/cache/".to_owned(), "/not/there".to_owned()];
    host.push(&mut server);
    let judged = server.newest(&[]);
    assert_eq!(judged.paths(), ["data", "data/cached", "data/deep", "data/keep"]);
    // The whole machine as a root: the state folder lies in it, and changes while it is walked.
    let plan = host.plan();
    let mut seen = Seen::default();
    let state = host.state_path();
    fs::create_dir_all(&state).unwrap();
    let mut selection = Selection::clone(&plan.selection);
    let parts = |path: &Path| {
        path.components().skip(1).map(|c| c.as_os_str().as_encoded_bytes().to_vec()).collect::<Vec<_>>()
    };
    selection.take(&parts(state.parent().unwrap()));
    Walker::new(&selection).unwrap().walk(&mut seen).unwrap();
    let state = state.to_str().unwrap().trim_start_matches('/').to_owned();
    assert!(seen.found.iter().any(|path| path.ends_with("push.toml")));
    assert!(!seen.found.contains(&state));
}

#[test]
fn a_root_that_is_not_there_or_leads_elsewhere_is_named() {
    let (mut host, mut server) = (Host::new(), Server::new());
    host.write("real/file", b"x");
    symlink("data/real", host.top().join("alias")).unwrap();
    host.roots = vec!["/missing/deep", "/gone", "/alias", "/alias/file", "/data"];
    let (_, account) = host.push(&mut server);
    let judged = server.newest(&[]);
    assert_eq!(judged.paths(), ["alias", "data", "data/real", "data/real/file"]);
    let named: Vec<_> = account
        .left_out
        .iter()
        .map(|(path, why)| (String::from_utf8_lossy(path).into_owned(), why))
        .collect();
    let paths: Vec<&str> = named.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["alias", "gone", "missing"], "{named:?}");
    assert!(named[0].1.contains("symbolic link") && named[1].1.contains("not there"));
    assert_eq!((account.left_out_count, judged.left_out), (3, 3));
}

#[test]
fn another_file_system_is_kept_as_a_folder_and_not_entered() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    if !mounts.lines().any(|line| line.split(' ').nth(1) == Some("/dev/pts")) {
        eprintln!("skipped: nothing is mounted on /dev/pts");
        return;
    }
    let mut selection = Selection::default();
    selection.take(&[b"dev".to_vec()]);
    let mut seen = Seen::default();
    Walker::new(&selection).unwrap().walk(&mut seen).unwrap();
    assert!(seen.found.contains(&"dev/pts".to_owned()));
    assert!(!seen.found.iter().any(|path| path.starts_with("dev/pts/")));
    assert!(seen.missed.contains(&("dev/pts".to_owned(), Missed::OtherFileSystem)));
    // Named as a root it is entered.
    selection.take(&[b"dev".to_vec(), b"pts".to_vec()]);
    let mut seen = Seen::default();
    Walker::new(&selection).unwrap().walk(&mut seen).unwrap();
    assert!(seen.found.iter().any(|path| path.starts_with("dev/pts/")));
}

#[test]
fn what_vanishes_under_the_walk_is_no_error() {
    let (host, mut server) = (Host::new(), Server::new());
    for n in 0..2_000 {
        host.write(&format!("f{n:04}"), b"x");
    }
    let path = host.path("");
    let removing = std::thread::spawn(move || {
        for n in (0..2_000).rev() {
            fs::remove_file(path.join(format!("f{n:04}"))).unwrap();
        }
    });
    let (_, account) = host.push(&mut server);
    removing.join().unwrap();
    assert_eq!(account.left_out, []);
    let kept = server.newest(&[]).entries.len() as u64 - 1;
    assert!(kept + account.get(Count::Vanished) <= 2_000);
}

/// A folder and a symbolic link to a secret change places all the time. The walk sees the one or the other, and never what the
/// link leads to.
#[test]
fn a_folder_swapped_for_a_link_never_leads_out_of_the_tree() {
    let host = Host::new();
    host.write("user/dir/mine", b"mine");
    fs::create_dir_all(host.top().join("secret")).unwrap();
    fs::write(host.top().join("secret/mine"), b"SENTINEL").unwrap();
    symlink(host.top().join("secret"), host.path("user/link")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (a, b) = (host.path("user/dir"), host.path("user/link"));
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let end = Instant::now() + Duration::from_secs(2);
        let (mut pushes, mut entered) = (0, 0);
        while Instant::now() < end {
            let mut server = Server::new();
            host.push(&mut server);
            let judged = server.newest(&[]);
            assert!(judged.contents.values().all(|bytes| bytes == b"mine"));
            pushes += 1;
            entered += usize::from(!judged.contents.is_empty());
        }
        stop.store(true, Ordering::Relaxed);
        assert!(pushes > 0 && entered > 0, "{pushes} pushes, {entered} of them met the folder");
    });
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) found: Vec<String>,
    pub(crate) missed: Vec<(String, Missed)>,
}

impl Visit for Seen {
    type Stop = ();

    fn found(&mut self, found: &Found<'_>) -> Result<(), ()> {
        assert!(found.open.is_none() || found.facts.kind == FileKind::Folder);
        self.found.push(found.path.to_string());
        Ok(())
    }

    fn missed(&mut self, path: &[u8], why: Missed) -> Result<(), ()> {
        self.missed.push((String::from_utf8_lossy(path).into_owned(), why));
        Ok(())
    }
}

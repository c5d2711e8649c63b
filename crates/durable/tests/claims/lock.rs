use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use durable::Dir;

use crate::again::{again, folder};
use crate::scratch::{name, scratch};

#[test]
fn one_holder_alone_or_many_readers() {
    let s = scratch();
    let alone = s.dir.try_lock(name("lock")).unwrap().expect("free");
    assert!(s.dir.try_lock(name("lock")).unwrap().is_none());
    assert!(s.dir.try_lock_shared(name("lock")).unwrap().is_none());
    drop(alone);
    let one = s.dir.lock_shared(name("lock")).unwrap();
    let two = s.dir.try_lock_shared(name("lock")).unwrap();
    assert!(two.is_some());
    assert!(s.dir.try_lock(name("lock")).unwrap().is_none());
    drop((one, two));
    assert!(s.dir.try_lock(name("lock")).unwrap().is_some());
}

#[test]
fn a_lock_through_a_symlink_is_refused() {
    let s = scratch();
    std::os::unix::fs::symlink("elsewhere", s.at("lock")).unwrap();
    assert!(s.dir.try_lock(name("lock")).unwrap_err().is_escape());
    assert!(!s.at("elsewhere").exists());
}

#[test]
fn a_folder_is_locked_itself_and_where_its_name_leads_when_the_lock_is_there() {
    let s = scratch();
    for folder in ["one", "other"] {
        std::fs::create_dir(s.at(folder)).unwrap();
    }
    let (one, two) = (s.dir.lock_folder_shared(name("one")), s.dir.lock_folder_shared(name("one")));
    assert!(one.is_ok() && two.is_ok());
    assert!(s.dir.try_lock_folder(name("one")).unwrap().is_none());
    assert!(s.dir.try_lock_folder(name("other")).unwrap().is_some());
    drop((one, two));
    let alone = s.dir.try_lock_folder(name("one")).unwrap().expect("free");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| s.dir.lock_folder_shared(name("one")));
        std::thread::sleep(Duration::from_millis(200));
        assert!(!waiting.is_finished(), "control: it waits");
        std::fs::rename(s.at("one"), s.at("moved")).unwrap();
        drop(alone);
        assert!(waiting.join().unwrap().unwrap_err().is_not_found());
    });
    assert!(s.dir.try_lock_folder(name("moved")).unwrap().is_some());
    assert!(s.dir.try_lock_folder(name("one")).unwrap_err().is_not_found());
    std::os::unix::fs::symlink("moved", s.at("link")).unwrap();
    assert!(s.dir.lock_folder_shared(name("link")).unwrap_err().is_escape());
}

#[test]
fn a_private_lock_is_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let s = scratch();
    let mode = || std::fs::metadata(s.at("lock")).unwrap().permissions().mode() & 0o7777;
    drop(s.dir.try_lock(name("lock")).unwrap());
    assert_eq!(mode() & 0o007, 0);
    std::fs::set_permissions(s.at("lock"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let held = s.dir.try_lock_private(name("lock")).unwrap();
    assert_eq!(mode(), 0o600);
    assert!(s.dir.try_lock_private(name("lock")).unwrap().is_none());
    drop(held);
    std::fs::remove_file(s.at("lock")).unwrap();
    assert!(s.dir.try_lock_private(name("lock")).unwrap().is_some());
    assert_eq!(mode(), 0o600);
}

#[test]
fn a_killed_holder_frees_its_lock() {
    if let Some(folder) = folder() {
        let dir = Dir::open_root(&folder).unwrap();
        let _held = dir.try_lock(name("lock")).unwrap().expect("free");
        println!("\nheld");
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    let s = scratch();
    let mut holder = again::<&str>(&[], "lock::a_killed_holder_frees_its_lock", s.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held"));
    assert!(s.dir.try_lock(name("lock")).unwrap().is_none(), "control: it is held while the holder lives");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(s.dir.try_lock(name("lock")).unwrap().is_some());
}

#[test]
fn a_dropped_lock_is_free_even_while_another_thread_starts_a_process() {
    let s = scratch();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Between fork and exec a child holds a copy of every descriptor, of the lock's too.
        let starter = scope.spawn(|| {
            let mut started = 0;
            while !stop.load(Ordering::Relaxed) {
                std::process::Command::new("true").status().unwrap();
                started += 1;
            }
            started
        });
        let begin = Instant::now();
        let mut refused = 0;
        while begin.elapsed() < Duration::from_secs(1) {
            refused += u32::from(s.dir.try_lock(name("lock")).unwrap().is_none());
        }
        stop.store(true, Ordering::Relaxed);
        assert!(starter.join().unwrap() > 50, "too few processes: this test proves nothing");
        assert_eq!(refused, 0);
    });
}

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use durable::Dir;

use crate::again::{again, folder};
use crate::scratch::{name, scratch};

#[test]
fn a_lock_has_one_holder() {
    let s = scratch();
    let alone = s.dir.try_lock(name("lock")).unwrap().expect("free");
    assert!(s.dir.try_lock(name("lock")).unwrap().is_none());
    drop(alone);
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
fn a_folder_is_locked_itself_by_one_or_by_many_together() {
    let s = scratch();
    for folder in ["one", "other"] {
        std::fs::create_dir(s.at(folder)).unwrap();
    }
    let shared = || s.dir.try_lock_folder_shared(name("one")).unwrap();
    let (one, two) = (shared(), shared());
    assert!(one.is_some() && two.is_some());
    assert!(s.dir.try_lock_folder(name("one")).unwrap().is_none());
    assert!(s.dir.try_lock_folder(name("other")).unwrap().is_some());
    drop((one, two));
    let alone = s.dir.try_lock_folder(name("one")).unwrap().expect("free");
    assert!(shared().is_none());
    assert!(s.dir.try_lock_folder(name("one")).unwrap().is_none());
    drop(alone);
    assert!(shared().is_some());
    assert_eq!(std::fs::read_dir(s.at("one")).unwrap().count(), 0, "nothing was made in it");
    std::os::unix::fs::symlink("one", s.at("link")).unwrap();
    assert!(s.dir.try_lock_folder_shared(name("link")).unwrap_err().is_escape());
    assert!(s.dir.try_lock_folder(name("none")).unwrap_err().is_not_found());
}

/// Opened under its old name, and locked when it is somewhere else: without the look at the name, that would be a lock of what is gone.
#[test]
fn a_folder_that_moves_between_the_open_and_the_lock_is_not_there_any_more() {
    let s = scratch();
    let (there, away) = (s.at("there"), s.at("away"));
    std::fs::create_dir(&there).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mover = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if let Some(alone) = s.dir.try_lock_folder(name("there")).unwrap() {
                    std::fs::rename(&there, &away).unwrap();
                    drop(alone);
                    std::fs::rename(&away, &there).unwrap();
                }
            }
        });
        let began = Instant::now();
        let mut gone = 0;
        while began.elapsed() < Duration::from_secs(1) {
            match s.dir.try_lock_folder_shared(name("there")) {
                // Held: whoever moves it only does so with the lock.
                Ok(Some(_held)) => assert!(there.exists(), "control: held, and moved"),
                Ok(None) => {}
                Err(error) => gone += u32::from(error.is_not_found()),
            }
        }
        is_over.store(true, Ordering::Relaxed);
        mover.join().unwrap();
        assert!(gone > 0, "it never was away");
    });
}

#[test]
fn a_private_lock_is_closed_to_others_also_while_one_of_them_holds_it() {
    use std::os::unix::fs::PermissionsExt;
    let s = scratch();
    let mode = || std::fs::metadata(s.at("lock")).unwrap().permissions().mode() & 0o7777;
    let other = s.dir.try_lock(name("lock")).unwrap().expect("free");
    std::fs::set_permissions(s.at("lock"), std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(s.dir.try_lock_private(name("lock")).unwrap().is_none());
    assert_eq!(mode(), 0o600);
    drop(other);
    let held = s.dir.try_lock_private(name("lock")).unwrap();
    assert!(held.is_some() && s.dir.try_lock_private(name("lock")).unwrap().is_none());
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

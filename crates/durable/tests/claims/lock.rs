use std::io::{BufRead, BufReader};
use std::process::Stdio;

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

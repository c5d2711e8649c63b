use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use durable::Dir;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::scratch::{Scratch, name, scratch};

const RACE: Duration = Duration::from_secs(1);

/// Runs `attempt` while another thread swaps the folder `inside/sub` and a link to `outside/sub`, as fast as it can.
/// Counts how often the attempt read the file outside, and how often the one inside.
fn while_swapping(s: &Scratch, attempt: impl Fn() -> Option<String>) -> (u64, u64) {
    let stop = AtomicBool::new(false);
    let (sub, trap) = (s.at("inside/sub"), s.at("trap"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, &sub, CWD, &trap, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let (mut escaped, mut inside) = (0, 0);
        let end = Instant::now() + RACE;
        while Instant::now() < end {
            match attempt().as_deref() {
                Some("theirs") => escaped += 1,
                Some("ours") => inside += 1,
                _ => {}
            }
        }
        stop.store(true, Ordering::Relaxed);
        (escaped, inside)
    })
}

#[test]
fn no_swap_of_a_folder_and_a_link_ever_leads_out() {
    let s = scratch();
    fs::create_dir_all(s.at("inside/sub")).unwrap();
    fs::create_dir_all(s.at("outside/sub")).unwrap();
    fs::write(s.at("inside/sub/file"), "ours").unwrap();
    fs::write(s.at("outside/sub/file"), "theirs").unwrap();
    symlink(s.at("outside/sub"), s.at("trap")).unwrap();

    let path = s.at("inside/sub/file");
    let (escaped, inside) = while_swapping(&s, || {
        let checked = fs::symlink_metadata(path.parent()?).ok()?;
        (!checked.is_symlink()).then(|| fs::read_to_string(&path).ok())?
    });
    println!("control, check then open: {escaped} escapes, {inside} reads inside");
    assert!(escaped > 0, "the control never escaped: this test proves nothing");

    let held: Dir = s.dir.open_dir(name("inside")).unwrap();
    let (escaped, inside) = while_swapping(&s, || {
        let mut text = String::new();
        held.open_read_beneath(b"sub/file").ok()?.read_to_string(&mut text).ok()?;
        Some(text)
    });
    println!("open beneath: {escaped} escapes, {inside} reads inside");
    assert_eq!(escaped, 0);
    assert!(inside > 0, "nothing was read: this test proves nothing");
}

/// Runs `replace` again and again, and counts how often somebody else found the link missing, and how often with an old or a new target.
fn while_replacing(s: &Scratch, replace: impl Fn(&[u8])) -> (u64, u64) {
    let (stop, link) = (AtomicBool::new(false), s.at("link"));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut missing, mut found) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                match fs::read_link(&link) {
                    Ok(_) => found += 1,
                    Err(_) => missing += 1,
                }
            }
            (missing, found)
        });
        let end = Instant::now() + RACE;
        while Instant::now() < end {
            replace(b"old");
            replace(b"new");
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    })
}

#[test]
fn whoever_reads_a_symbolic_link_while_it_is_replaced_finds_the_old_or_the_new() {
    let s = scratch();
    symlink("old", s.at("link")).unwrap();
    let (missing, found) = while_replacing(&s, |target| {
        s.dir.unlink(name("link")).unwrap();
        s.dir.symlink(target, name("link")).unwrap();
    });
    println!("control, unlink then make: {missing} times missing, {found} times found");
    assert!(missing > 0, "the control was never seen missing: this test proves nothing");

    let (missing, found) = while_replacing(&s, |target| s.dir.replace_symlink(target, name("link")).unwrap());
    println!("replaced: {missing} times missing, {found} times found");
    assert_eq!(missing, 0);
    assert!(found > 0, "nothing was read: this test proves nothing");
}

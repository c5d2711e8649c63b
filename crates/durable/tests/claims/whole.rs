use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use durable::{Dir, is_unfinished};

use crate::again::{again, folder, strace_works};
use crate::scratch::{mount_tmpfs, name, scratch};

const OLD: &[u8] = &[b'o'; 100_000];
const NEW: &[u8] = &[b'n'; 150_000];

/// Reads the file again and again while `write` runs; counts the contents that are neither old nor new.
fn torn_reads(path: &std::path::Path, write: impl Fn(&[u8]) + Sync) -> u64 {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                write(NEW);
                write(OLD);
            }
        });
        let end = Instant::now() + Duration::from_millis(500);
        let mut torn = 0;
        while Instant::now() < end {
            let read = fs::read(path).unwrap();
            torn += u64::from(read != OLD && read != NEW);
        }
        stop.store(true, Ordering::Relaxed);
        torn
    })
}

#[test]
fn a_reader_sees_the_old_content_or_the_new() {
    let s = scratch();
    fs::write(s.at("file"), OLD).unwrap();
    let torn = torn_reads(&s.at("file"), |bytes| s.dir.write_whole(name("file"), bytes, 0o640).unwrap());
    assert_eq!(torn, 0);
    assert_eq!(fs::metadata(s.at("file")).unwrap().permissions().mode() & 0o777 & !0o640, 0);
    let torn = torn_reads(&s.at("file"), |bytes| fs::write(s.at("file"), bytes).unwrap());
    println!("control, plain write: {torn} torn reads");
    assert!(torn > 0, "the control was never torn: this test proves nothing");
}

#[test]
fn a_full_disk_leaves_the_old_content_and_no_litter() {
    let s = scratch();
    fs::create_dir(s.at("small")).unwrap();
    let Some(_mounted) = mount_tmpfs(&s.at("small"), 65_536) else {
        println!("SKIPPED: a_full_disk_leaves_the_old_content_and_no_litter: mounting is not allowed here");
        return;
    };
    let small = s.dir.open_dir(name("small")).unwrap();
    small.write_whole(name("file"), b"old", 0o640).unwrap();
    let error = small.write_whole(name("file"), NEW, 0o640).unwrap_err();
    assert!(error.is_no_space(), "{error}");
    assert_eq!(fs::read(s.at("small/file")).unwrap(), b"old");
    assert_eq!(small.names().unwrap(), [b"file"]);
}

#[test]
fn what_a_dead_writer_left_is_known_and_removed() {
    const TEST: &str = "whole::what_a_dead_writer_left_is_known_and_removed";
    if let Some(folder) = folder() {
        // A process of its own, so that its first names are known: an earlier one of the same number left them.
        for count in 0..50 {
            fs::write(folder.join(format!(".unfinished-{}-{count}", std::process::id())), "half").unwrap();
        }
        return replace(&folder);
    }
    let s = scratch();
    s.dir.write_whole(name("file"), OLD, 0o640).unwrap();
    let done = again::<&str>(&[], TEST, s.path()).output().unwrap();
    assert!(String::from_utf8_lossy(&done.stdout).contains("replaced"));
    assert_eq!(fs::read(s.at("file")).unwrap(), NEW);
    assert_eq!(s.dir.names().unwrap().iter().filter(|left| is_unfinished(left)).count(), 50);
    assert_eq!(s.dir.remove_unfinished().unwrap(), 50);
    assert_eq!(s.dir.names().unwrap(), [b"file"]);
}

/// Every call between the first byte and the last; strace counts each kind for itself.
const CALLS: [&str; 7] = ["openat2", "fstat", "write", "fsync", "renameat2", "close", "exit_group"];

/// The child of the two tests below: one replacement of the file.
fn replace(folder: &std::path::Path) {
    let dir = Dir::open_root(folder).unwrap();
    match dir.write_whole(name("file"), NEW, 0o640) {
        Ok(()) => println!("\nreplaced"),
        Err(error) => println!("\nrefused: {error}"),
    }
}

#[test]
fn killed_at_every_step_the_file_is_old_or_new() {
    const TEST: &str = "whole::killed_at_every_step_the_file_is_old_or_new";
    if let Some(folder) = folder() {
        return replace(&folder);
    }
    if !strace_works() {
        println!("SKIPPED: {TEST}: no strace here");
        return;
    }
    let s = scratch();
    let (mut old, mut new) = (0, 0);
    for call in CALLS {
        for count in 1..200 {
            s.dir.write_whole(name("file"), OLD, 0o640).unwrap();
            let inject = format!("inject={call}:signal=KILL:when={count}");
            let strace = ["strace", "-f", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &inject];
            let done = again(&strace, TEST, s.path()).output().unwrap();
            let read = fs::read(s.at("file")).unwrap();
            if done.status.success() {
                break;
            }
            assert!(
                read == OLD || read == NEW,
                "killed at {call} {count}: {} bytes that are neither",
                read.len()
            );
            *(if read == OLD { &mut old } else { &mut new }) += 1;
        }
    }
    println!("killed at {} points: {old} left the old content, {new} the new", old + new);
    assert!(old >= 5 && new >= 4, "too few points: this test proves nothing");
    assert!(s.dir.remove_unfinished().unwrap() >= 2, "no writer died half-way: this test proves nothing");
    assert_eq!(s.dir.names().unwrap(), [b"file"]);
}

#[test]
fn the_file_is_on_the_disk_before_its_name_and_a_failed_fsync_is_final() {
    const TEST: &str = "whole::the_file_is_on_the_disk_before_its_name_and_a_failed_fsync_is_final";
    if let Some(folder) = folder() {
        return replace(&folder);
    }
    if !strace_works() {
        println!("SKIPPED: {TEST}: no strace here");
        return;
    }
    let s = scratch();
    let log = tempfile::NamedTempFile::new().unwrap();
    let log_path = log.path().to_str().unwrap();
    let steps = |extra: &[&str]| {
        s.dir.write_whole(name("file"), OLD, 0o640).unwrap();
        let strace = [&["strace", "-f", "-o", log_path, "-e", "trace=fsync,renameat2"], extra].concat();
        let done = again(&strace, TEST, s.path()).output().unwrap();
        let trace = fs::read_to_string(log_path).unwrap();
        let names = ["fsync", "renameat2"];
        let calls: Vec<_> = trace
            .lines()
            .filter_map(|line| names.into_iter().find(|call| line.contains(&format!("{call}("))))
            .collect();
        (calls, String::from_utf8_lossy(&done.stdout).into_owned())
    };

    let (calls, said) = steps(&[]);
    assert_eq!(calls, ["fsync", "renameat2", "fsync"]);
    assert!(said.contains("replaced"));

    let (calls, said) = steps(&["-e", "inject=fsync:error=EIO:when=1"]);
    assert_eq!(calls, ["fsync"], "it was tried again, or the name was moved all the same");
    assert!(said.contains(r#"refused: bring to disk "file""#), "{said}");
    assert_eq!(fs::read(s.at("file")).unwrap(), OLD);
    assert_eq!(s.dir.names().unwrap(), [b"file"]);
}

//! `ingest --watch`: what it finds by itself, what it does not fall over, and how it ends.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::push::Push;
use crate::state::{State, file};
use crate::stories::first;
use crate::world::{NOBODY, PROGRAM, World, give_away, is_root};

/// Longer than any machine needs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon a push has to be a snapshot, if nothing else keeps the machine.
const AT_ONCE: Duration = Duration::from_secs(1);
/// A sweep that never comes while a test runs.
const NEVER: u64 = 3_600;

/// The program at work. It is ended with the test.
struct Watching {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Watching {
    fn start(world: &World, sweep_seconds: u64) -> Self {
        let watching = Self::spawn(world, world.command(&words(sweep_seconds)));
        watching.until("it watches", |out, _| out.contains("watching "));
        watching
    }

    fn spawn(world: &World, mut command: Command) -> Self {
        let (out, err) = (world.path("watch.out"), world.path("watch.err"));
        let stdio = |path: &Path| Stdio::from(File::create(path).unwrap());
        command.arg("-v").stdin(Stdio::null()).stdout(stdio(&out)).stderr(stdio(&err));
        Self { child: command.spawn().unwrap(), out, err }
    }

    fn texts(&self) -> (String, String) {
        (fs::read_to_string(&self.out).unwrap(), fs::read_to_string(&self.err).unwrap())
    }

    fn until(&self, what: &str, is_so: impl Fn(&str, &str) -> bool) {
        let start = Instant::now();
        loop {
            let (out, err) = self.texts();
            if is_so(&out, &err) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}: {out}\n{err}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn until_accepted(&self, host: &str, times: usize) {
        let line = format!("{host}: accepted as ");
        self.until(&line, |out, _| out.matches(&line).count() >= times);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks it to end; its code, or -1 if a signal ended it.
    fn end(mut self) -> i32 {
        self.signal(Signal::TERM);
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Processor time it has used, in hundredths of a second.
    fn ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn words(sweep_seconds: u64) -> [&'static str; 4] {
    let seconds = if sweep_seconds == NEVER { "3600" } else { "1" };
    ["ingest", "--watch", "--sweep-seconds", seconds]
}

/// As a receiver does: written elsewhere, and renamed. Tells when that was, right before the rename.
fn seal(world: &World, host: &str, number: u64, bytes: &[u8]) -> Instant {
    let written = world.path(&format!("jails/{host}/spool/incoming/{number}"));
    fs::write(&written, bytes).unwrap();
    give_away(&written);
    let sealed = Instant::now();
    fs::rename(written, world.path(&format!("jails/{host}/spool/sealed/{number:020}.push"))).unwrap();
    sealed
}

fn push_of(host: &str, number: u8) -> Vec<u8> {
    let mut push = Push::whole(number, &first().with("n", file([number])));
    push.header.host = formats::HostId::parse(host).unwrap();
    push.bytes()
}

fn push(number: u8) -> Vec<u8> {
    push_of("web01", number)
}

#[test]
fn a_push_sealed_while_it_watches_is_judged_at_once_and_waiting_costs_nothing() {
    let world = World::new();
    let watching = Watching::start(&world, NEVER);
    let mut took = Vec::new();
    for number in 1..=3 {
        // Counted from the rename: the push is made and written before.
        let sealed = seal(&world, "web01", number.into(), &push(number));
        watching.until_accepted("web01", number.into());
        took.push(sealed.elapsed());
    }
    println!("from sealed to a snapshot: {took:?}");
    // One of three: a busy machine may hold any of them up, but not each.
    assert!(took.iter().min().is_some_and(|least| *least < AT_ONCE), "{took:?}");
    assert_eq!(world.sealed(), 0);
    let before = watching.ticks();
    std::thread::sleep(Duration::from_secs(2));
    assert!(watching.ticks() - before <= 3, "it sleeps while nothing happens");
    assert_eq!(watching.end(), 0);
    assert_eq!(world.log().snapshots().len(), 3);
}

#[test]
fn what_was_sealed_before_it_started_is_judged_first() {
    let world = World::new();
    seal(&world, "web01", 1, &push(1));
    let watching = Watching::start(&world, NEVER);
    watching.until_accepted("web01", 1);
    assert_eq!(watching.end(), 0);
}

#[test]
fn a_host_added_while_it_watches_is_watched_though_its_jail_comes_piece_by_piece() {
    let world = World::new();
    let watching = Watching::start(&world, NEVER);
    for folder in ["", "/spool", "/spool/incoming", "/spool/sealed", "/state"] {
        let path = world.path(&format!("jails/db1{folder}"));
        fs::create_dir(&path).unwrap();
        give_away(&path);
        std::thread::sleep(Duration::from_millis(150));
    }
    seal(&world, "db1", 1, &push_of("db1", 1));
    watching.until_accepted("db1", 1);
    seal(&world, "db1", 2, &push_of("db1", 2));
    watching.until_accepted("db1", 2);
    let (_, err) = watching.texts();
    assert!(!err.contains("db1"), "a jail in the making is nobody's fault: {err}");
}

/// A folder that takes the place of the one that is watched, so that no event tells of what arrives there.
fn replace_sealed(world: &World) {
    let sealed = world.path("jails/web01/spool/sealed");
    fs::rename(&sealed, world.path("jails/web01/spool/watched")).unwrap();
    fs::create_dir(&sealed).unwrap();
    give_away(&sealed);
}

#[test]
fn what_no_event_tells_of_is_found_by_the_sweep_and_watched_from_then_on() {
    let world = World::new();
    let watching = Watching::start(&world, 1);
    replace_sealed(&world);
    seal(&world, "web01", 1, &push(1));
    watching.until_accepted("web01", 1);
    assert_eq!(watching.end(), 0);
}

#[test]
fn without_a_sweep_what_no_event_tells_of_would_stay() {
    let world = World::new();
    let watching = Watching::start(&world, NEVER);
    watching.until("the first round is over", |_, _| world.path("jails/web01/state/base").exists());
    replace_sealed(&world);
    seal(&world, "web01", 1, &push(1));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((world.sealed(), watching.end()), (1, 0), "the control");
}

#[test]
fn events_that_were_too_many_to_be_kept_are_made_up_for() {
    let queue: u64 =
        fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    if queue > 100_000 {
        println!(
            "SKIPPED: events_that_were_too_many_to_be_kept_are_made_up_for: the queue holds {queue} events"
        );
        return;
    }
    let world = World::quick();
    world.add("db1");
    let watching = Watching::start(&world, NEVER);
    watching.until("the first round is over", |_, _| world.path("jails/db1/state/base").exists());
    watching.signal(Signal::STOP);
    let folder = world.path("jails/web01/spool/sealed");
    // Two files in turn: events that are the same as the one before are not kept.
    for number in 0..=queue {
        let path = folder.join(format!(".{}", number % 2));
        fs::write(&path, b"").unwrap();
        fs::remove_file(&path).unwrap();
    }
    seal(&world, "db1", 1, &push_of("db1", 1));
    watching.signal(Signal::CONT);
    watching.until_accepted("db1", 1);
    assert_eq!(watching.end(), 0);
}

#[test]
fn a_host_that_fails_is_said_and_tried_again_now_and_then_while_the_others_go_on() {
    let world = World::new();
    world.add("db1");
    let in_the_way = world.path("history/web01");
    fs::write(&in_the_way, b"no folder").unwrap();
    give_away(&in_the_way);
    let watching = Watching::start(&world, 1);
    seal(&world, "web01", 1, &push(1));
    seal(&world, "db1", 1, &push_of("db1", 1));
    watching.until_accepted("db1", 1);
    watching.until("it failed twice", |_, err| err.matches("web01: its ingest ended with").count() >= 2);
    for number in 2..30 {
        seal(&world, "web01", number.into(), &push(number));
        std::thread::sleep(Duration::from_millis(50));
    }
    let (_, err) = watching.texts();
    let failures = err.matches("web01: its ingest ended with").count();
    assert!(failures <= 6, "{failures} failures in some seconds: {err}");
    fs::remove_file(in_the_way).unwrap();
    watching.until_accepted("web01", 29);
    assert_eq!(watching.end(), 0);
}

#[test]
fn a_flood_of_one_host_leaves_the_others_their_turns() {
    let world = World::new();
    world.add("db1");
    for number in 1..=20 {
        seal(&world, "web01", number.into(), &push(number));
    }
    let watching = Watching::start(&world, NEVER);
    watching.until_accepted("web01", 1);
    seal(&world, "db1", 1, &push_of("db1", 1));
    watching.until_accepted("db1", 1);
    watching.until_accepted("web01", 20);
    let (out, _) = watching.texts();
    let before = out.split("db1: accepted").next().unwrap().matches("web01: accepted").count();
    assert!(before < 15, "{before} pushes of web01 came before the one of db1");
}

#[test]
fn a_host_that_makes_what_is_no_push_again_and_again_has_one_process_a_sweep() {
    let world = World::new();
    let watching = Watching::start(&world, 1);
    watching.until("the first round is over", |_, _| world.path("jails/web01/state/base").exists());
    let name = world.path("jails/web01/spool/sealed/x");
    let (start, mut removed) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(4) {
        if !name.exists() {
            // Only a process that was started for this host removes it.
            removed += 1;
            fs::create_dir(&name).unwrap();
            give_away(&name);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!((2..=7).contains(&removed), "{removed} processes in four seconds");
    seal(&world, "web01", 1, &push(1));
    watching.until_accepted("web01", 1);
    assert_eq!(watching.end(), 0);
}

#[test]
fn asked_to_end_it_finishes_the_push_at_work_and_begins_no_other() {
    let world = World::new();
    let large = |number: u8| {
        let contents = (0..40).map(|n| (format!("f{n}"), file(vec![number ^ n; 1_000_000])));
        let state = contents.fold(State::of([]), |state, (name, item)| state.with(&name, item));
        Push::whole(number, &state).bytes()
    };
    let (one, two) = (large(1), large(2));
    let watching = Watching::start(&world, NEVER);
    watching.until("the first round is over", |_, _| world.path("jails/web01/state/base").exists());
    seal(&world, "web01", 1, &one);
    seal(&world, "web01", 2, &two);
    let building = world.path("history/web01/.building");
    watching.until("it builds", |_, _| building.exists());
    assert_eq!(watching.end(), 0);
    assert_eq!((world.log().snapshots().len(), world.sealed()), (1, 1));
    assert!(!building.exists());
}

/// Starts it where the kernel gives so many watches and no more.
fn with_watches(world: &World, most: u32, sweep_seconds: u64) -> Option<Watching> {
    let unshare = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-current-user", "--keep-caps", "--"]).args(words).current_dir("/");
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    };
    let limit = format!("echo {most} > /proc/sys/user/max_inotify_watches");
    let works =
        unshare(&["sh", "-c", &limit]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    let script = format!("{limit} && exec \"$0\" \"$@\"");
    // Where it was built, nobody may be allowed to look. Not copied by this process: who starts others while it writes makes the copy busy.
    let program = world.path("program");
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    let mut command = unshare(&["sh", "-c", &script, program.to_str().unwrap(), "--config"]);
    command.arg(&world.config).args(words(sweep_seconds));
    works.then(|| Watching::spawn(world, command))
}

#[test]
fn where_watches_run_out_it_says_so_once_and_the_sweep_finds_the_rest() {
    let world = World::new();
    for host in ["db1", "db2", "db3"] {
        world.add(host);
    }
    let Some(watching) = with_watches(&world, 2, 1) else {
        println!(
            "SKIPPED: where_watches_run_out_it_says_so_once_and_the_sweep_finds_the_rest: no user namespaces here"
        );
        return;
    };
    watching.until("it watches", |out, _| out.contains("watching 4 hosts"));
    for host in ["web01", "db1", "db2", "db3"] {
        seal(&world, host, 1, &push_of(host, 1));
        watching.until_accepted(host, 1);
    }
    std::thread::sleep(Duration::from_millis(2_500));
    let (_, err) = watching.texts();
    assert_eq!(err.matches("the system gives no more watches").count(), 1, "{err}");
    assert_eq!(watching.end(), 0);
}

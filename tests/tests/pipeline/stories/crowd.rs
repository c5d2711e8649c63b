//! Sixty-four hosts push at once to one server that bears fewer sessions, and one more does all it can to be in the way: endless, slow, and back as
//! soon as it is cut. Each of the others comes through, and hardly later than without it.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pipeline_tests::checker::Moment;
use pipeline_tests::settings::{self, Push};
use pipeline_tests::{Host, Options, Scratch, data};

use super::world::{ACCEPTED, BUSY, NO_CONNECTION, PENDING, expect};
use crate::proxy::{Measure, Proxy};
use crate::rig;

const HOSTS: usize = 64;
/// Fewer than hosts, so that some are told to come back.
const SESSIONS: usize = 24;
const FILES: u64 = 80;
const FILE_BYTES: u64 = 100_000;
/// A real host waits as long as it is told, a minute at least; here everybody is back at once, which is harder on the server.
const BACK_AFTER: Duration = Duration::from_millis(500);
const TRIES_MAX: u32 = 600;
/// The worst host: what it has, how fast it is, and how long each of its connections lasts.
const WORST_BYTES: u64 = 400 << 20;
const WORST_BYTES_A_SECOND: u64 = 8 << 20;
const WORST_LASTS: Duration = Duration::from_secs(2);

/// How one host fared.
#[derive(Debug, Clone, Copy)]
struct Fared {
    took: Duration,
    busy: u32,
}

/// Memory of all receivers together, and of the largest, in KiB, at most.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    count: usize,
    all: u64,
    largest: u64,
}

#[derive(Debug)]
struct Figures {
    fared: Vec<Fared>,
    memory: Memory,
}

impl Figures {
    /// Of the times until sealed, the one below which this share lies.
    fn took(&self, share: f64) -> Duration {
        let mut took: Vec<_> = self.fared.iter().map(|fared| fared.took).collect();
        took.sort();
        took[((took.len() - 1) as f64 * share) as usize]
    }

    fn line(&self, name: &str) -> String {
        let busy: u32 = self.fared.iter().map(|fared| fared.busy).sum();
        let turned_away = self.fared.iter().filter(|fared| fared.busy > 0).count();
        let Memory { count, all, largest } = self.memory;
        format!(
            "| {name} | {:.1} | {:.1} | {turned_away} | {busy} | {count} | {} | {} |",
            self.took(0.5).as_secs_f64(),
            self.took(1.0).as_secs_f64(),
            largest >> 10,
            all >> 10,
        )
    }
}

fn server() -> Scratch {
    let scratch = rig::scratch(&Options::default());
    let settings = scratch.folder.join("etc/server.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("sessions = {SESSIONS}\n{text}")).unwrap();
    scratch
}

/// Puts the whole configuration for a server in place, but for one line: here all hosts have one address, on a server they have one each, and that limit
/// is for each.
fn open_the_door(scratch: &mut Scratch) {
    scratch.dedicate_sshd().unwrap();
    let (text, _) = scratch.sshd.whole.as_mut().unwrap();
    assert!(text.contains("PerSourceMaxStartups 20\n"));
    *text = text.replace("PerSourceMaxStartups 20\n", "PerSourceMaxStartups none\n");
    scratch.sshd.start(&[]).unwrap();
    scratch.write_hosts_settings().unwrap();
}

fn fill(host: &Host, version: u64) {
    for number in 0..FILES {
        let path = host.roots[0].join(number.to_string());
        let seed = data::step(version * 1_000 + number) ^ host.name.bytes().map(u64::from).sum::<u64>();
        rig::file(&path, &super::world::noise(seed, FILE_BYTES as usize));
    }
}

/// One host, until its push is sealed.
fn push(scratch: &Scratch, host: &Host, began: Instant) -> Fared {
    let mut busy = 0;
    for _ in 0..TRIES_MAX {
        let outcome = scratch.push(host).unwrap();
        match outcome.code {
            PENDING => return Fared { took: began.elapsed(), busy },
            BUSY => busy += 1,
            _ => panic!("{}: {}\nsshd: {}", host.name, outcome.said(), complaints(scratch)),
        }
        thread::sleep(BACK_AFTER);
    }
    panic!("{} did not come through in {TRIES_MAX} tries", host.name);
}

/// Pushes through a slow line that breaks again and again; how often it was cut, and told that there is no room.
fn be_in_the_way(scratch: &Scratch, worst: &Host, stop: &AtomicBool) -> (u32, u32) {
    let (mut cuts, mut busy) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let proxy = Proxy::start(
            scratch.sshd.port,
            Measure {
                cut_when: Box::new(move || began.elapsed() > WORST_LASTS),
                up_bytes_per_second: WORST_BYTES_A_SECOND,
                ..Measure::default()
            },
        );
        let text = fs::read_to_string(&worst.settings).unwrap();
        let own = format!("port = {}\n", scratch.sshd.port);
        fs::write(&worst.settings, text.replace(&own, &format!("port = {}\n", proxy.port))).unwrap();
        let outcome = scratch.push(worst).unwrap();
        settings::write_push(scratch, worst, &Push::default()).unwrap();
        proxy.ended();
        match outcome.code {
            NO_CONNECTION => cuts += 1,
            BUSY => busy += 1,
            _ => panic!("the worst host: {}", outcome.said()),
        }
    }
    (cuts, busy)
}

/// All hosts at once.
fn rush(scratch: &Scratch, hosts: &[Host]) -> Figures {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = Memory::default();
            while !done.load(Ordering::Relaxed) {
                let now = receivers();
                most.count = most.count.max(now.count);
                most.all = most.all.max(now.all);
                most.largest = most.largest.max(now.largest);
                thread::sleep(Duration::from_millis(50));
            }
            most
        });
        let began = Instant::now();
        let pushing: Vec<_> =
            hosts.iter().map(|host| scope.spawn(move || push(scratch, host, began))).collect();
        let fared = pushing.into_iter().map(|one| one.join()).collect::<Vec<_>>();
        done.store(true, Ordering::Relaxed);
        let fared = fared.into_iter().map(Result::unwrap).collect();
        Figures { fared, memory: watching.join().unwrap() }
    })
}

/// The receivers that are at work now.
fn receivers() -> Memory {
    let mut now = Memory::default();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(status) = fs::read_to_string(process.path().join("status")) else { continue };
        if status.starts_with("Name:\treceiver\n") {
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let used = line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0);
            now.count += 1;
            now.all += used;
            now.largest = now.largest.max(used);
        }
    }
    now
}

/// What sshd says of connections that it did not take.
fn complaints(scratch: &Scratch) -> String {
    let log = fs::read_to_string(scratch.sshd.log()).unwrap_or_default();
    let lines = log.lines().filter(|line| {
        let line = line.to_lowercase();
        ["drop", "exceed", "refus", "error", "fatal", "limit"].iter().any(|word| line.contains(word))
    });
    lines.take(10).collect::<Vec<_>>().join("\n")
}

/// The lines of sshd's configuration that bound how many may come.
fn bounds(scratch: &Scratch) -> String {
    let text = fs::read_to_string(scratch.folder.join("sshd/sshd_config")).unwrap();
    let lines = text.lines().filter(|line| line.contains("MaxStartups ") || line.starts_with("LoginGrace"));
    lines.collect::<Vec<_>>().join(", ")
}

#[test]
#[ignore = "long: sixty-five hosts at once, hundreds of megabytes"]
fn sixty_four_hosts_at_once_come_through_and_one_in_their_way_does_not_starve_them() {
    const TEST: &str = "sixty_four_hosts_at_once_come_through_and_one_in_their_way_does_not_starve_them";
    if !rig::is_root_or_skipped(TEST) {
        return;
    }
    let _turn = rig::turn();
    let mut scratch = server();
    let folder = scratch.folder.join("hosts");
    let mut add = |name: &str| {
        let source = folder.join(name).join("files");
        fs::create_dir_all(&source).unwrap();
        scratch.add_host(name, &[source]).unwrap();
    };
    (0..HOSTS).for_each(|number| add(&format!("host{number:02}")));
    add("worst");
    open_the_door(&mut scratch);
    let hosts: Vec<Host> = scratch.hosts().iter().take(HOSTS).cloned().collect();
    let worst = scratch.hosts().last().unwrap().clone();
    hosts.iter().for_each(|host| fill(host, 1));
    let alone = rush(&scratch, &hosts);
    expect(scratch.ingest().unwrap(), ACCEPTED);
    hosts.iter().for_each(|host| fill(host, 2));
    data::write_file(&worst.roots[0].join("huge"), 1, WORST_BYTES).unwrap();
    let stop = AtomicBool::new(false);
    let (crowded, in_the_way) = thread::scope(|scope| {
        let worst = scope.spawn(|| be_in_the_way(&scratch, &worst, &stop));
        let crowded = rush(&scratch, &hosts);
        stop.store(true, Ordering::Relaxed);
        (crowded, worst.join().unwrap())
    });
    println!("SSHD: {}; sessions = {SESSIONS}", bounds(&scratch));
    println!("| | median s | last s | turned away | times | receivers at once | largest MiB | all MiB |");
    println!("{}", alone.line("64 hosts"));
    println!("{}", crowded.line("64 hosts and the worst"));
    println!("The worst was cut {} times, told that there is no room {} times", in_the_way.0, in_the_way.1);
    let (before, with) = (alone.took(1.0), crowded.took(1.0));
    assert!(with < before * 2 + Duration::from_secs(15), "the last after {with:?}, before {before:?}");
    let (before, with) = (alone.took(0.5), crowded.took(0.5));
    assert!(with < before * 2 + Duration::from_secs(10), "the median {with:?}, before {before:?}");
    assert!(alone.fared.iter().any(|fared| fared.busy > 0), "nobody was told to come back");
    assert!(alone.memory.count <= SESSIONS + HOSTS && alone.memory.count > 0, "{:?}", alone.memory);
    assert!(in_the_way.0 > 0, "the worst was never in the way");
    // When nobody cuts it, it comes through too.
    push(&scratch, &worst, Instant::now());
    expect(scratch.ingest().unwrap(), ACCEPTED);
    for host in &hosts {
        assert_eq!(rig::sound(&scratch, host, Moment::Quiet).snapshots.len(), 2, "{}", host.name);
    }
    assert_eq!(rig::sound(&scratch, &worst, Moment::Quiet).snapshots.len(), 1);
}

//! Stands between a client and sshd, and lets through what a test permits.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is passed on at once.
const PIECE_BYTES: usize = 16 << 10;
/// So often it is looked whether to cut, even if nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What a proxy does when its measure is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Breaks both directions.
    Cut,
    /// Passes nothing more, and keeps the connection open.
    Stall,
}

/// What is let through.
pub(crate) struct Measure {
    /// Bytes from the client.
    pub(crate) up_max: u64,
    /// Bytes to the client.
    pub(crate) down_max: u64,
    /// What happens then.
    pub(crate) then: Then,
    /// Cuts, whatever was passed, as soon as it is true.
    pub(crate) cut_when: Box<dyn Fn() -> bool + Send>,
    /// From the client, in each second.
    pub(crate) up_bytes_per_second: u64,
}

impl Default for Measure {
    fn default() -> Self {
        Self {
            up_max: u64::MAX,
            down_max: u64::MAX,
            then: Then::Cut,
            cut_when: Box::new(|| false),
            up_bytes_per_second: u64::MAX,
        }
    }
}

/// For one connection: all that a push makes. Ends with it.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    up: Arc<AtomicU64>,
    running: JoinHandle<()>,
}

impl Proxy {
    pub(crate) fn start(sshd: u16, measure: Measure) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let up = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&up);
        let running = thread::spawn(move || {
            let Ok((client, _)) = listener.accept() else { return };
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, sshd)) else { return };
            let (c, s) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let Measure { up_max, down_max, then, cut_when, up_bytes_per_second } = measure;
            let back = Measure { up_max: down_max, then, ..Measure::default() };
            let down = thread::spawn(move || pass(s, c, &back, &AtomicU64::new(0)));
            let there = Measure { up_max, then, cut_when, up_bytes_per_second, down_max };
            pass(client, server, &there, &counted);
            let _ = down.join();
        });
        Proxy { port, up, running }
    }

    /// Bytes from the client that were passed on.
    pub(crate) fn passed(&self) -> u64 {
        self.up.load(Ordering::Relaxed)
    }

    /// As [`Proxy::passed`], once its connection is over. Nobody may be on his way to it any more.
    pub(crate) fn ended(self) -> u64 {
        if !self.running.is_finished() {
            // If nobody came.
            drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        }
        let _ = self.running.join();
        self.up.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, measure: &Measure, counted: &AtomicU64) {
    let (mut left, mut passed, began) = (measure.up_max, 0_u64, Instant::now());
    let mut buffer = vec![0; PIECE_BYTES];
    from.set_read_timeout(Some(LOOK_EVERY)).unwrap();
    while !(measure.cut_when)() {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count.min(usize::try_from(left).unwrap_or(usize::MAX)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        left -= count as u64;
        passed += count as u64;
        counted.fetch_add(count as u64, Ordering::Relaxed);
        if left == 0 {
            if measure.then == Then::Stall {
                from.set_read_timeout(None).unwrap();
                // Until the other direction is broken.
                while from.read(&mut buffer).is_ok_and(|count| count > 0) {}
            }
            break;
        }
        let due = Duration::from_secs_f64(passed as f64 / measure.up_bytes_per_second as f64);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

//! Waiting for what may never come, until an instant of the clock that never jumps.

use std::process::{Child, ExitStatus};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// How a child ended; one that has not by then is made to, and none is said of it.
pub(crate) fn ended(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    let mut nap = Duration::from_micros(200);
    while Instant::now() < until {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(nap),
            Ok(status) => return status,
            Err(_) => break,
        }
        nap = (nap * 2).min(Duration::from_millis(50));
    }
    // It may have ended just now: then there is nothing to kill.
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// What some work comes to; none if it takes longer. It is then left to itself, and what it comes to is dropped.
pub(crate) fn done<T: Send + 'static>(
    until: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (to, from) = channel();
    std::thread::spawn(move || to.send(work()));
    from.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_does_not_end_is_ended_and_what_does_is_told() {
        let begun = Instant::now();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(ended(&mut child, begun + Duration::from_millis(100)), None);
        assert!(!child.try_wait().unwrap().unwrap().success());
        let mut child = Command::new("true").spawn().unwrap();
        assert!(ended(&mut child, begun + LONG).unwrap().success());
        assert_eq!(done(begun + Duration::from_millis(200), || std::thread::sleep(LONG)), None);
        assert_eq!(done(begun + LONG, || 7), Some(7));
        assert!(begun.elapsed() < LONG / 2);
    }
}

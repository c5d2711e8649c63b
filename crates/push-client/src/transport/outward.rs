//! The way of our bytes to the process that carries them: never faster than allowed, never waiting longer than agreed.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};

use super::pace::Pace;
use super::patience::Patience;

/// Where our bytes go.
#[derive(Debug)]
pub struct Outward {
    file: File,
    patience: Patience,
    pace: Option<Pace>,
}

impl Outward {
    /// Writes to `to`, which becomes non-blocking.
    pub(super) fn new(to: OwnedFd, patience: Patience, pace: Option<Pace>) -> io::Result<Self> {
        ioctl_fionbio(&to, true)?;
        Ok(Self { file: to.into(), patience, pace })
    }

    /// A second handle, for whoever writes nearly all: it has a pace of its own.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, patience: self.patience, pace: self.pace })
    }

    /// How many of so many bytes may go, now that some may.
    fn allowed(&mut self, wanted: usize) -> io::Result<usize> {
        let Some(pace) = &mut self.pace else { return Ok(wanted) };
        loop {
            match pace.allow(wanted, Instant::now()) {
                Ok(allowed) => return Ok(allowed),
                Err(wait) => {
                    let left = self.patience.of_session().map_err(too_long)?;
                    std::thread::sleep(wait.min(left));
                }
            }
        }
    }

    /// Until it takes more.
    fn wait(&self, since: Instant) -> io::Result<()> {
        let left = self.patience.left(since).map_err(too_long)?;
        let mut fds = [PollFd::new(&self.file, PollFlags::OUT)];
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Write for Outward {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let allowed = self.allowed(bytes.len())?;
        let bytes = bytes.get(..allowed).unwrap_or(bytes);
        let since = Instant::now();
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(since)?,
                Ok(written) => {
                    if let Some(pace) = &mut self.pace {
                        pace.took(written);
                    }
                    return Ok(written);
                }
                answer => return answer,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_long(why: String) -> io::Error {
    io::Error::new(ErrorKind::TimedOut, why)
}

/// For `poll`.
pub(super) fn timespec(left: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_reader_that_does_not_read_is_given_up_and_a_slow_one_is_not() {
        let (mut from, to) = io::pipe().unwrap();
        let mut outward = Outward::new(to.into(), Patience::new(1, 60), None).unwrap();
        let begun = Instant::now();
        let error = outward.write_all(&vec![7; 1 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("nothing moved for 1 seconds"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20));
        let reading = std::thread::spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            let mut total = 0;
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                total += count;
                std::thread::sleep(Duration::from_millis(20));
            }
            total
        });
        outward.write_all(&vec![7; 1 << 20]).unwrap();
        drop(outward);
        assert!(reading.join().unwrap() > 1 << 20);
    }

    #[test]
    fn a_reader_that_takes_a_little_now_and_then_ends_with_the_session() {
        let (mut from, to) = io::pipe().unwrap();
        let mut outward = Outward::new(to.into(), Patience::new(60, 1), None).unwrap();
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while from.read(&mut bytes).is_ok_and(|count| count > 0) {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let error = outward.write_all(&vec![7; 1 << 24]).unwrap_err();
        assert!(error.to_string().contains("the session took longer than 1 seconds"), "{error}");
        drop(outward);
        reading.join().unwrap();
    }

    #[test]
    fn bytes_go_no_faster_than_allowed_and_end_with_the_session_all_the_same() {
        let (mut from, to) = io::pipe().unwrap();
        let pace = Pace::new(1 << 20, Instant::now());
        let mut outward = Outward::new(to.into(), Patience::new(60, 4), Some(pace)).unwrap();
        let reading = std::thread::spawn(move || from.read_to_end(&mut Vec::new()).unwrap());
        let begun = Instant::now();
        outward.write_all(&vec![7; 1 << 20]).unwrap();
        assert!(begun.elapsed() > Duration::from_millis(700), "{:?}", begun.elapsed());
        let error = outward.write_all(&vec![7; 1 << 24]).unwrap_err();
        assert!(error.to_string().contains("longer than 4 seconds"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(15));
        drop(outward);
        assert!(reading.join().unwrap() < 6 << 20);
    }
}

//! The way of our bytes to the process that carries them: never waiting longer than agreed.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};

use super::patience::Patience;

/// Where our bytes go.
#[derive(Debug)]
pub struct Outward {
    file: File,
    patience: Patience,
}

impl Outward {
    /// Writes to `to`, which becomes non-blocking.
    pub(super) fn new(to: OwnedFd, patience: Patience) -> io::Result<Self> {
        ioctl_fionbio(&to, true)?;
        Ok(Self { file: to.into(), patience })
    }

    /// A second handle.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, patience: self.patience })
    }

    /// Until it takes more.
    fn wait(&self, since: Instant) -> io::Result<()> {
        let left = self.patience.left(since).map_err(|why| io::Error::new(ErrorKind::TimedOut, why))?;
        let mut fds = [PollFd::new(&self.file, PollFlags::OUT)];
        match poll(&mut fds, Some(&timespec(left))) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Write for Outward {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let since = Instant::now();
        loop {
            match self.file.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(since)?,
                answer => return answer,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
        let mut outward = Outward::new(to.into(), Patience::new(1, 60)).unwrap();
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
        let mut outward = Outward::new(to.into(), Patience::new(60, 1)).unwrap();
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
}

//! Another program, run to its end: no input, bounded output, a deadline.

use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Most that is kept of what it says, each way, unless whoever asks expects more.
const OUTPUT_BYTES_MAX: u64 = 8 << 20;
/// What it wrote before it ended is there at once.
const REST: Duration = Duration::from_secs(1);

/// How it ended and what it said.
#[derive(Debug)]
pub(super) struct Ran {
    /// Its code; none if a signal or the deadline ended it.
    pub(super) code: Option<i32>,
    /// Standard output.
    pub(super) out: Vec<u8>,
    /// Standard error.
    pub(super) err: Vec<u8>,
}

impl Ran {
    /// The last line of standard error, fit for a screen.
    pub(super) fn said(&self) -> String {
        let text = self.err.trim_ascii_end();
        let last = text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        cli::shown(last.get(..300).unwrap_or(last).trim_ascii())
    }

    /// The report of one of our programs: the last line of standard output.
    pub(super) fn report(&self) -> Option<serde_json::Value> {
        let line = self.out.trim_ascii_end().rsplit(|byte| *byte == b'\n').next()?;
        serde_json::from_slice(line).ok()
    }
}

/// Runs it for at most `seconds`.
pub(super) fn run(command: &mut Command, seconds: u64) -> io::Result<Ran> {
    run_with(command, Vec::new(), seconds)
}

/// Runs it for at most `seconds` with these bytes to read.
pub(super) fn run_with(command: &mut Command, input: Vec<u8>, seconds: u64) -> io::Result<Ran> {
    run_up_to(command, input, seconds, OUTPUT_BYTES_MAX)
}

/// Runs it for at most `seconds`, and keeps at most so many bytes of what it says. One that would say more finds nobody who listens.
pub(super) fn run_up_to(
    command: &mut Command,
    input: Vec<u8>,
    seconds: u64,
    bytes_max: u64,
) -> io::Result<Ran> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    if let Some(mut to) = child.stdin.take() {
        // One that reads nothing must not keep us.
        std::thread::spawn(move || to.write_all(&input));
    }
    let (out, err) = (
        child.stdout.take().map(|out| reader(out, bytes_max)),
        child.stderr.take().map(|err| reader(err, OUTPUT_BYTES_MAX)),
    );
    let code = wait(&mut child, Duration::from_secs(seconds))?;
    // A grandchild may hold the pipe open: it is not waited for.
    let take = |from: Option<Receiver<Vec<u8>>>| from.and_then(|from| from.recv_timeout(REST).ok());
    Ok(Ran { code, out: take(out).unwrap_or_default(), err: take(err).unwrap_or_default() })
}

fn reader(from: impl Read + Send + 'static, bytes_max: u64) -> Receiver<Vec<u8>> {
    let (to, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.take(bytes_max).read_to_end(&mut bytes);
        let _ = to.send(bytes);
    });
    receiver
}

fn wait(child: &mut Child, longest: Duration) -> io::Result<Option<i32>> {
    let until = Instant::now() + longest;
    let mut nap = Duration::from_millis(1);
    while Instant::now() < until {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(50));
    }
    // It may have ended just now.
    let _ = child.kill();
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let began = Instant::now();
        let ran = run(Command::new("sleep").arg("60"), 1).unwrap();
        assert_eq!(ran.code, None);
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn an_answer_is_as_long_as_was_expected_and_not_longer() {
        let long = |bytes_max| {
            let said = run_up_to(
                Command::new("head").args(["-c", "20000000", "/dev/zero"]),
                Vec::new(),
                60,
                bytes_max,
            );
            said.unwrap().out.len()
        };
        assert_eq!((long(30_000_000), long(10_000_000)), (20_000_000, 10_000_000));
    }

    #[test]
    fn a_program_reads_its_input_and_its_words_are_kept() {
        let ran = run_with(Command::new("sh").args(["-c", "cat; echo no >&2; exit 7"]), b"{}".to_vec(), 20);
        let ran = ran.unwrap();
        assert_eq!((ran.code, ran.said().as_str()), (Some(7), "no"));
        assert_eq!(ran.report(), Some(serde_json::json!({})));
    }
}

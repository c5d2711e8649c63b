//! One stage of the tests: a command whose output is shown as it comes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pipeline_tests::outcome::line_of;

use super::tally::Tally;

pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) tally: Tally,
    pub(crate) took: Duration,
}

/// A command that counts as one check: it holds if it ends with 0.
pub(crate) fn check(name: &'static str, command: &mut Command) -> Stage {
    headline(&line_of(command));
    let began = Instant::now();
    let held = command.status().is_ok_and(|status| status.success());
    if !held {
        println!("FAILED: {}", line_of(command));
    }
    Stage { name, tally: Tally::default().with(held), took: began.elapsed() }
}

/// A command that runs Rust tests and tells their counts.
pub(crate) fn tests(name: &'static str, command: &mut Command) -> Stage {
    headline(&line_of(command));
    let began = Instant::now();
    let mut tally = Tally::default();
    let held = stream(command, &mut tally);
    // A binary that does not build or dies tells no counts; a run without a test proves nothing.
    if (!held && tally.failed == 0) || tally.passed + tally.failed == 0 {
        println!("FAILED: {}", line_of(command));
        tally = tally.with(false);
    }
    Stage { name, tally, took: began.elapsed() }
}

pub(crate) fn headline(text: &str) {
    println!("\n== {text}");
}

fn stream(command: &mut Command, tally: &mut Tally) -> bool {
    let Ok(mut child) = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn() else { return false };
    if let Some(out) = child.stdout.take() {
        let mut out = BufReader::new(out);
        let mut line = Vec::new();
        while out.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            tally.hear(text.trim_end());
            line.clear();
        }
    }
    child.wait().is_ok_and(|status| status.success())
}

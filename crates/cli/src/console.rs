//! Draws what a [`Monitor`] hears on standard error: bars on a terminal, a plain line now and then elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::monitor::{Amount, Level, Monitor, Task};
use crate::text::tame;

/// Time between two plain lines of one task, where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often a bar without news is drawn again.
const TICK: Duration = Duration::from_millis(250);

/// The person in front of the program: standard error, quiet unless asked. Clones share one screen.
#[derive(Debug, Clone)]
pub struct Console {
    most: Level,
    screen: Screen,
}

#[derive(Debug, Clone)]
enum Screen {
    Bars(MultiProgress),
    Lines,
}

impl Console {
    /// As many lines as `-v` was given times: none, steps, details.
    #[must_use]
    pub fn new(verbose: u8) -> Console {
        let most = match verbose {
            0 => Level::Warning,
            1 => Level::Info,
            _ => Level::Detail,
        };
        let screen = if io::stderr().is_terminal() {
            Screen::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
        } else {
            Screen::Lines
        };
        Console { most, screen }
    }

    fn print(&self, line: &str) {
        match &self.screen {
            // Drawn above the bars. A screen that is gone must not end a backup.
            Screen::Bars(bars) => bars.suspend(|| line_to_stderr(line)),
            Screen::Lines => line_to_stderr(line),
        }
    }

    fn meter(&self, name: &str, amount: Amount) -> Option<Meter> {
        match &self.screen {
            Screen::Bars(bars) => {
                let bar = bars.add(bar(name, amount));
                bar.enable_steady_tick(TICK);
                Some(Meter::Bar(bar))
            }
            Screen::Lines if self.most >= Level::Info => Some(Meter::Lines(Counter::new(name, amount))),
            Screen::Lines => None,
        }
    }
}

impl Monitor for Console {
    fn say(&self, level: Level, text: &str) {
        if level <= self.most {
            let word = if level == Level::Warning { "warning: " } else { "" };
            self.print(&format!("firn: {word}{}", tame(text)));
        }
    }

    fn task(&self, name: &str, amount: Amount) -> Task {
        self.meter(&tame(name), amount).map_or_else(Task::silent, Task::watched)
    }
}

/// One task on the screen. It leaves the screen when dropped.
#[derive(Debug)]
pub(crate) enum Meter {
    Bar(ProgressBar),
    Lines(Counter),
}

impl Meter {
    pub(crate) fn advance(&self, by: u64) {
        match self {
            Meter::Bar(bar) => bar.inc(by),
            Meter::Lines(counter) => {
                if let Some(line) = counter.advance(by, Instant::now()) {
                    line_to_stderr(&line);
                }
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        match self {
            Meter::Bar(bar) => bar.finish_and_clear(),
            Meter::Lines(counter) => line_to_stderr(&counter.last_line()),
        }
    }
}

/// Counts, and says so every [`LINE_EVERY`].
#[derive(Debug)]
pub(crate) struct Counter {
    name: String,
    amount: Amount,
    done: AtomicU64,
    said: Mutex<Instant>,
}

impl Counter {
    fn new(name: &str, amount: Amount) -> Counter {
        Counter { name: name.to_owned(), amount, done: AtomicU64::new(0), said: Mutex::new(Instant::now()) }
    }

    fn advance(&self, by: u64, now: Instant) -> Option<String> {
        let done = self.done.fetch_add(by, Ordering::Relaxed).saturating_add(by);
        // Held by another thread: that one speaks.
        let mut said = self.said.try_lock().ok()?;
        if now.saturating_duration_since(*said) < LINE_EVERY {
            return None;
        }
        *said = now;
        let total = match self.amount.total() {
            None | Some(0) => String::new(),
            Some(total) => format!(" of {}", self.amount.describe(total)),
        };
        Some(format!("firn: {}: {}{total}", self.name, self.amount.describe(done)))
    }

    fn last_line(&self) -> String {
        format!("firn: {}: {} in all", self.name, self.amount.describe(self.done.load(Ordering::Relaxed)))
    }
}

fn bar(name: &str, amount: Amount) -> ProgressBar {
    let template = match amount {
        Amount::Bytes(Some(_)) => {
            "{msg:24} {bar:30} {bytes:>11} of {total_bytes}, {bytes_per_sec}, {eta} left"
        }
        Amount::Bytes(None) => "{msg:24} {spinner} {bytes:>11}, {bytes_per_sec}",
        Amount::Items(Some(_)) => "{msg:24} {bar:30} {human_pos:>11} of {human_len}, {per_sec}, {eta} left",
        Amount::Items(None) => "{msg:24} {spinner} {human_pos:>11}, {per_sec}",
    };
    let bar = amount.total().map_or_else(ProgressBar::no_length, ProgressBar::new);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(name.to_owned())
}

pub(crate) fn line_to_stderr(line: &str) {
    // Nobody to tell if standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_task_without_a_terminal_speaks_every_ten_seconds() {
        let counter = Counter::new("sending", Amount::Bytes(Some(4 << 20)));
        let begin = *counter.said.lock().unwrap();
        assert_eq!(counter.advance(1 << 20, begin + Duration::from_secs(1)), None);
        let line = counter.advance(1 << 20, begin + LINE_EVERY);
        assert_eq!(line.as_deref(), Some("firn: sending: 2.00 MiB of 4.00 MiB"));
        assert_eq!(counter.advance(1, begin + LINE_EVERY), None);
        assert_eq!(counter.last_line(), "firn: sending: 2.00 MiB in all");
    }

    #[test]
    fn every_bar_has_a_template_that_parses() {
        for amount in
            [Amount::Bytes(None), Amount::Bytes(Some(1)), Amount::Items(None), Amount::Items(Some(1))]
        {
            bar("x", amount).finish_and_clear();
        }
    }

    #[test]
    fn a_quiet_console_off_a_terminal_draws_nothing() {
        let console = Console { most: Level::Warning, screen: Screen::Lines };
        assert!(console.meter("walking", Amount::Items(None)).is_none());
        let verbose = Console { most: Level::Info, screen: Screen::Lines };
        assert!(verbose.meter("walking", Amount::Items(None)).is_some());
    }
}

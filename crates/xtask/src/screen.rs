//! What a person sees while a long step runs: a bar or a spinner on a terminal, a plain line elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// One step on the screen. It goes when dropped.
pub(crate) struct Step {
    bar: ProgressBar,
}

impl Step {
    /// A step of unknown length.
    pub(crate) fn spinner(text: impl Into<String>) -> Step {
        let text = text.into();
        if !std::io::stderr().is_terminal() {
            eprintln!("{text}");
            return Step { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new_spinner().with_message(text);
        bar.set_style(style("{spinner} {msg} ({elapsed})"));
        bar.enable_steady_tick(Duration::from_millis(120));
        Step { bar }
    }

    /// A step of `bytes` bytes.
    pub(crate) fn bytes(text: impl Into<String>, bytes: u64) -> Step {
        let step = Step::spinner(text);
        step.bar.set_length(bytes);
        step.bar.set_style(style("{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}"));
        step
    }

    /// A step of `count` parts.
    pub(crate) fn count(text: impl Into<String>, count: u64) -> Step {
        let step = Step::spinner(text);
        step.bar.set_length(count);
        step.bar.set_style(style("{spinner} {msg} [{bar:30}] {pos}/{len} ({elapsed})"));
        step
    }

    /// How far it is.
    pub(crate) fn at(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// One part more is done.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

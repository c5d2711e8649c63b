//! One step of a fleet's story: what was looked at is counted, and how long it took is told.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use pipeline_tests::Outcome;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A step that is going on. What it found is printed when it ends well.
pub(super) struct Step {
    name: &'static str,
    began: Instant,
    held: u32,
}

impl Step {
    pub(super) fn begin(name: &'static str) -> Step {
        Step { name, began: Instant::now(), held: 0 }
    }

    /// `what` must be as expected.
    #[track_caller]
    pub(super) fn is<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        assert_eq!(found, expected, "{}: {what}", self.name);
        self.held += 1;
    }

    /// `what` must be of a kind that `found` is judged by.
    #[track_caller]
    pub(super) fn fits<T: Debug>(&mut self, what: &str, found: T, judge: impl Fn(&T) -> bool) {
        assert!(judge(&found), "{}: {what}: {found:?}", self.name);
        self.held += 1;
    }

    /// The outcome must have this code.
    #[track_caller]
    pub(super) fn ended(&mut self, outcome: Outcome, code: i32) -> Outcome {
        assert_eq!(outcome.code, code, "{}: {}\n{}", self.name, outcome.command, outcome.said());
        self.held += 1;
        outcome
    }

    /// The outcome must say this, on whichever channel.
    #[track_caller]
    pub(super) fn says(&mut self, outcome: &Outcome, text: &str) {
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains(text), "{}: {}\nsays nothing of {text:?}:\n{said}", self.name, outcome.command);
        self.held += 1;
    }

    /// `look` must find something before `longest` is over.
    #[track_caller]
    pub(super) fn comes<T>(
        &mut self,
        what: &str,
        longest: Duration,
        mut look: impl FnMut() -> Option<T>,
    ) -> T {
        let until = Instant::now() + longest;
        loop {
            if let Some(found) = look() {
                self.held += 1;
                return found;
            }
            assert!(Instant::now() < until, "{}: {what} did not come in {longest:?}", self.name);
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            println!(
                "FLEET: {}: {} assertions, {:.1} seconds",
                self.name,
                self.held,
                self.began.elapsed().as_secs_f64()
            );
        }
    }
}

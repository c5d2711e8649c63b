//! Counting what a test run says of itself.

/// How many tests ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    pub(crate) fn plus(self, other: Tally) -> Tally {
        Tally {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }

    /// One check more.
    pub(crate) fn with(self, held: bool) -> Tally {
        self.plus(if held {
            Tally { passed: 1, ..Tally::default() }
        } else {
            Tally { failed: 1, ..Tally::default() }
        })
    }

    /// Takes one line of a test run into account.
    ///
    /// A test that skips itself prints `SKIPPED: <name>: <reason>`; the harness counts it as passed, we do not.
    pub(crate) fn hear(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            *self = self.plus(counts_of(counts));
        } else if line.starts_with("SKIPPED: ") {
            self.passed = self.passed.saturating_sub(1);
            self.skipped += 1;
        }
    }
}

fn counts_of(text: &str) -> Tally {
    let mut tally = Tally::default();
    for part in text.split(['.', ';']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(word)) =
            (words.next().and_then(|word| word.parse::<u64>().ok()), words.next())
        else {
            continue;
        };
        match word {
            "passed" => tally.passed = number,
            "failed" => tally.failed = number,
            "ignored" => tally.skipped = number,
            _ => {}
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skipped_test_is_no_passed_test() {
        let mut tally = Tally::default();
        for line in [
            "running 4 tests",
            "test a ... ok",
            "SKIPPED: needs_root: runs as an ordinary user",
            "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 5 filtered out; finished in 0.10s",
        ] {
            tally.hear(line);
        }
        assert_eq!(tally, Tally { passed: 3, failed: 1, skipped: 3 });
    }
}

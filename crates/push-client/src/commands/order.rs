//! What may be asked for next. The order of the settings is the only one.

use super::ended::Kind;
use super::messages::Ask;
use crate::plan::Commands;

/// How far the runner has come.
#[derive(Debug)]
pub(super) struct Order {
    before: usize,
    dumps: usize,
    before_done: usize,
    dumps_done: usize,
}

impl Order {
    pub(super) fn of(commands: &Commands) -> Self {
        Self { before: commands.before.len(), dumps: commands.dumps.len(), before_done: 0, dumps_done: 0 }
    }

    /// True if this is what comes next; then it has come.
    pub(super) fn admits(&mut self, ask: Ask) -> bool {
        let number = usize::from(ask.number);
        match ask.kind {
            Kind::Before => {
                let is_next = self.before_done < self.before && number == self.before_done + 1;
                self.before_done += usize::from(is_next);
                is_next
            }
            Kind::Dump => {
                let is_next = self.before_done == self.before
                    && self.dumps_done < self.dumps
                    && number == self.dumps_done + 1;
                self.dumps_done += usize::from(is_next);
                is_next
            }
            Kind::After => true,
        }
    }

    /// Something was run, and may have to be undone.
    pub(super) fn has_begun(&self) -> bool {
        self.before_done + self.dumps_done > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(kind: Kind, number: u8) -> Ask {
        Ask { kind, number }
    }

    #[test]
    fn each_is_run_once_and_in_its_turn() {
        use Kind::{After, Before, Dump};
        let order = || Order { before: 2, dumps: 2, before_done: 0, dumps_done: 0 };
        let mut whole = order();
        for (kind, number) in [(Before, 1), (Before, 2), (Dump, 1), (Dump, 2), (After, 0)] {
            assert!(whole.admits(ask(kind, number)), "{kind:?} {number}");
        }
        for (kind, number) in [(Before, 1), (Before, 3), (Dump, 1), (Dump, 3)] {
            assert!(!whole.admits(ask(kind, number)), "{kind:?} {number} again");
        }
        for (kind, number) in [(Before, 0), (Before, 2), (Before, 255), (Dump, 1), (Dump, 0)] {
            let mut order = order();
            assert!(!order.admits(ask(kind, number)) && !order.has_begun(), "{kind:?} {number} at first");
        }
    }
}

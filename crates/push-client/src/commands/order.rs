//! What may be asked for next. The order of the settings is the only one.

use super::ended::{How, Kind};
use super::messages::Ask;
use crate::plan::Commands;

/// How far the runner has come.
#[derive(Debug)]
pub(super) struct Order {
    before: usize,
    dumps: usize,
    before_done: usize,
    dumps_done: usize,
    /// One went wrong: nothing comes next but what comes after.
    has_failed: bool,
}

impl Order {
    pub(super) fn of(commands: &Commands) -> Self {
        let (before, dumps) = (commands.before.len(), commands.dumps.len());
        Self { before, dumps, before_done: 0, dumps_done: 0, has_failed: false }
    }

    /// True if this is what comes next; then it has come.
    pub(super) fn admits(&mut self, ask: Ask) -> bool {
        let number = usize::from(ask.number);
        if self.has_failed && ask.kind != Kind::After {
            return false;
        }
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

    /// How what came ended. Who did not wait for it has stopped it, and that is no good end.
    pub(super) fn note(&mut self, how: How) {
        self.has_failed |= !how.is_good();
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
        let order = || Order { before: 2, dumps: 2, before_done: 0, dumps_done: 0, has_failed: false };
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

    #[test]
    fn after_what_failed_nothing_is_next_but_what_comes_after() {
        use Kind::{After, Before, Dump};
        for how in [How::Status(1), How::Stopped, How::TooLong, How::NotStarted] {
            let mut order = Order { before: 2, dumps: 1, before_done: 0, dumps_done: 0, has_failed: false };
            assert!(order.admits(ask(Before, 1)));
            order.note(how);
            assert!(!order.admits(ask(Before, 2)) && !order.admits(ask(Dump, 1)), "{how:?}");
            assert!(order.admits(ask(After, 0)) && order.has_begun());
        }
    }
}

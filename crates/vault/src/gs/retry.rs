//! How often, and how soon, a store is asked again.

use std::time::Duration;

use super::fault::Fault;

/// Tries of one call.
const ATTEMPTS: u32 = 8;
/// The first wait between them, doubled each time and shortened by chance.
const FIRST_WAIT: Duration = Duration::from_millis(400);
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// The longest that a store may ask us to wait.
const LONGEST_RETRY_AFTER: u64 = 60;

/// The tries of one call so far.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Waits before the next try; gives the fault back if another one is of no use.
    pub(super) async fn wait(&mut self, fault: Fault) -> Result<(), Fault> {
        self.0 += 1;
        if !fault.is_passing() || self.0 >= ATTEMPTS {
            return Err(fault);
        }
        let asked = Duration::from_secs(fault.retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER));
        tokio::time::sleep(self.backoff(chance()).max(asked)).await;
        Ok(())
    }

    /// Something was got done: the count begins anew.
    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }

    /// From half of the doubled wait to all of it, so that clients which failed together do not come back together.
    fn backoff(&self, chance: u8) -> Duration {
        let doubled = FIRST_WAIT * 2_u32.saturating_pow(self.0.saturating_sub(1));
        let whole = doubled.min(LONGEST_WAIT);
        whole / 2 + whole / 2 * u32::from(chance) / 255
    }
}

fn chance() -> u8 {
    let mut byte = [0];
    // Without chance, everyone waits the shortest: no harm to what is stored.
    let _ = rustix::rand::getrandom(&mut byte, rustix::rand::GetRandomFlags::empty());
    u8::from_ne_bytes(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_chance_only_shortens_them() {
        let wait = |tries, chance| Tries(tries).backoff(chance).as_millis();
        assert_eq!([wait(1, 255), wait(2, 255), wait(3, 255), wait(40, 255)], [400, 800, 1_600, 20_000]);
        assert_eq!([wait(1, 0), wait(3, 0)], [200, 800]);
    }
}

//! Some of many, chosen with equal chances, in bounded memory: whoever made the many does not know which.

/// Most that are kept: enough to tell a twentieth from a tenth.
const KEPT_MAX: usize = 512;

/// Where chance comes from. Not for secrets; a host must only not know the seed.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// How many there were, and some of them.
#[derive(Debug, Clone)]
pub(super) struct Sample<T> {
    seen: u64,
    kept: Vec<T>,
}

impl<T> Sample<T> {
    pub(super) fn new() -> Self {
        Self { seen: 0, kept: Vec::new() }
    }

    /// One more, which is made only if it is kept.
    pub(super) fn offer(&mut self, random: &mut Random, one: impl FnOnce() -> T) {
        self.seen = self.seen.saturating_add(1);
        if self.kept.len() < KEPT_MAX {
            self.kept.push(one());
            return;
        }
        let place = random.next() % self.seen;
        if let Some(kept) = usize::try_from(place).ok().and_then(|place| self.kept.get_mut(place)) {
            *kept = one();
        }
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    pub(super) fn kept(&self) -> &[T] {
        &self.kept
    }

    /// How many of all that were seen are like so many of those that are kept.
    pub(super) fn of_all(&self, kept: usize) -> u64 {
        let product = u128::from(self.seen) * kept as u128;
        let all = product.div_ceil((self.kept.len() as u128).max(1));
        u64::try_from(all).unwrap_or(u64::MAX)
    }
}

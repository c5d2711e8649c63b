//! Where what is read is not what its manifest says: counted, and the first of them named.

/// Differences that are named; beyond, they are only counted.
const NAMED_MAX: usize = 100;

/// Where contents or names are not what their manifest says.
#[derive(Debug, Default)]
pub struct Differences {
    /// How many there are in all.
    pub total: u64,
    /// The first of them: where, and what.
    pub named: Vec<(Vec<u8>, String)>,
}

impl Differences {
    /// Adds one.
    pub fn add(&mut self, path: &[u8], what: impl Into<String>) {
        self.total += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push((path.to_vec(), what.into()));
        }
    }
}

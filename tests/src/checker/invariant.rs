//! What the checker holds, by name. The numbers are those of `docs/history.md`, "What always holds".

use std::fmt;

/// One promise about what lies on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// I1: a snapshot is absent, or complete.
    Atomic,
    /// I2: what was acknowledged is there.
    Durable,
    /// I3: what is there restores equal to its manifest.
    Restorable,
    /// I4: nothing but a prune removes a snapshot, and nothing changes one.
    Immutable,
    /// I5: a prune leaves what it must.
    Floor,
    /// I6: after the next run there is nothing unfinished.
    Converging,
    /// I13: no inode is both in a jail and in a history.
    Unshared,
    /// I15: nothing at rest has power of its own.
    Powerless,
    /// I18: the log is one chain.
    Chained,
}

impl Invariant {
    /// All of them, by number.
    pub const ALL: [Invariant; 9] = [
        Invariant::Atomic,
        Invariant::Durable,
        Invariant::Restorable,
        Invariant::Immutable,
        Invariant::Floor,
        Invariant::Converging,
        Invariant::Unshared,
        Invariant::Powerless,
        Invariant::Chained,
    ];

    /// Number and name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Invariant::Atomic => "I1 atomic",
            Invariant::Durable => "I2 durable",
            Invariant::Restorable => "I3 restorable",
            Invariant::Immutable => "I4 immutable",
            Invariant::Floor => "I5 prune floor",
            Invariant::Converging => "I6 converging",
            Invariant::Unshared => "I13 no shared inode",
            Invariant::Powerless => "I15 no power at rest",
            Invariant::Chained => "I18 chain",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! What is compared: when hosts push, what they push, and what a refused one does.

/// The moment within the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// crc32 % 60, and all hosts of a minute in its first second: cron.
    Minute,
    /// crc32 % 3600: every second of the hour is used. The remainder by 60 stays the minute, the quotient is the second.
    Second,
}

/// The hours of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hours {
    /// 2, 10 and 18 for all.
    Three,
    /// Three hours of its own for each host, eight apart: all 24 are used.
    All,
}

/// What is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// One round trip and little data.
    Common,
    /// Everything: the first day, or after lost state.
    Whole,
}

/// What a host does whose connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nothing until its next slot, eight hours later.
    Waits,
    /// As firn-push.service: it starts again ten minutes later, six starts in all.
    StartsAgain,
}

/// How many pushes are judged at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judges {
    /// One after another, as `snapshotter ingest` does.
    One,
    /// One for each core that sessions leave.
    Cores,
}

/// One combination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) words: &'static str,
    pub(crate) moment: Moment,
    pub(crate) hours: Hours,
    pub(crate) load: Load,
    pub(crate) refused: Refused,
    pub(crate) judges: Judges,
}

impl Plan {
    /// What the others differ from.
    const MINUTES: Plan = Plan {
        name: "",
        words: "",
        moment: Moment::Minute,
        hours: Hours::Three,
        load: Load::Common,
        refused: Refused::Waits,
        judges: Judges::Cores,
    };

    /// All, in the order in which they are shown.
    pub(crate) const ALL: [Plan; 7] = [
        Plan {
            name: "minutes",
            words: "crc32 minutes at three hours; whom sshd turns away waits for its next slot",
            ..Plan::MINUTES
        },
        Plan {
            name: "minutes-again",
            words: "the same, and whom sshd turns away starts again every ten minutes, six starts in all",
            refused: Refused::StartsAgain,
            ..Plan::MINUTES
        },
        Plan {
            name: "one-judge",
            words: "as minutes-again, and pushes are judged one after another",
            refused: Refused::StartsAgain,
            judges: Judges::One,
            ..Plan::MINUTES
        },
        Plan {
            name: "seconds",
            words: "as minutes-again, at a second of its own in the minute: crc32 / 60 % 60",
            moment: Moment::Second,
            refused: Refused::StartsAgain,
            ..Plan::MINUTES
        },
        Plan {
            name: "day",
            words: "as seconds, and each host at three hours of its own: crc32 / 3600 % 8, and every eight hours",
            moment: Moment::Second,
            hours: Hours::All,
            refused: Refused::StartsAgain,
            ..Plan::MINUTES
        },
        Plan {
            name: "first-day",
            words: "as minutes-again, and every push is whole",
            load: Load::Whole,
            refused: Refused::StartsAgain,
            ..Plan::MINUTES
        },
        Plan {
            name: "first-day-spread",
            words: "as day, and every push is whole",
            moment: Moment::Second,
            hours: Hours::All,
            load: Load::Whole,
            refused: Refused::StartsAgain,
            ..Plan::MINUTES
        },
    ];
}

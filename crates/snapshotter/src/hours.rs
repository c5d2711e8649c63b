//! The hours of a day at which a host is due.

use std::fmt;
use std::str::FromStr;

/// At least one, each once, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hours(Vec<u8>);

/// Why a list of hours cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be hours from 0 to 23, at least one, each once")]
pub(crate) struct WrongHours;

impl From<WrongHours> for String {
    fn from(wrong: WrongHours) -> Self {
        wrong.to_string()
    }
}

impl Hours {
    /// In any order; one that is named twice is a mistake.
    pub(crate) fn new(hours: &[u8]) -> Result<Self, WrongHours> {
        let mut sorted = hours.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let fits = !hours.is_empty() && sorted.len() == hours.len() && sorted.iter().all(|hour| *hour < 24);
        if fits { Ok(Self(sorted)) } else { Err(WrongHours) }
    }

    /// The hours, ascending.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// As typed: `2,10,18`, digits and commas only.
impl FromStr for Hours {
    type Err = WrongHours;

    fn from_str(text: &str) -> Result<Self, WrongHours> {
        let hour = |word: &str| match word.bytes().all(|b| b.is_ascii_digit()) && word.len() <= 2 {
            true => word.parse().map_err(|_| WrongHours),
            false => Err(WrongHours),
        };
        // More words than hours are not worth a list.
        let hours: Vec<u8> = text.split(',').take(25).map(hour).collect::<Result<_, _>>()?;
        Self::new(&hours)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(u8::to_string).collect();
        f.write_str(&words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_in_any_order_and_kept_ascending() {
        for (text, kept) in [("2,10,18", "2,10,18"), ("18,2,10", "2,10,18"), ("0", "0"), ("02,23", "2,23")] {
            assert_eq!(text.parse::<Hours>().unwrap().to_string(), kept);
        }
        let all: Vec<String> = (0..24).map(|hour: u8| hour.to_string()).collect();
        assert_eq!(all.join(",").parse::<Hours>().unwrap().as_slice().len(), 24);
    }

    #[test]
    fn what_is_no_list_of_different_hours_is_refused() {
        let long = vec!["1"; 100_000].join(",");
        for bad in [
            "", ",", "2,", ",2", "2,,3", "24", "-1", "+2", "2, 10", " 2", "2;10", "2,2", "002", "1.5", "1-3",
            "*", "256", "2\n", "\u{661}", &long,
        ] {
            assert_eq!(bad.parse::<Hours>(), Err(WrongHours), "{bad:?}");
        }
        assert_eq!(Hours::new(&[]), Err(WrongHours));
        assert_eq!(Hours::new(&[3, 3]), Err(WrongHours));
        assert_eq!(Hours::new(&[24]), Err(WrongHours));
    }
}

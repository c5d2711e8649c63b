//! Whether a log is the one that the server's key has signed, and all of it.

use chrono::DateTime;
use formats::records::audit::Verdict;
use history::HostHistory;
use serde::{Deserialize, Serialize};

use crate::sign::heads::Signed;
use crate::trouble::Trouble;

/// After this time a line should be signed: whoever wrote it had it signed at the end of its run.
const LAG_SECONDS_MAX: i64 = 6 * 3600;

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Doubt {
    pub(super) what: String,
    /// True if the log is another than was signed.
    pub(super) damaged: bool,
}

impl Doubt {
    /// How much it counts.
    pub(super) fn verdict(&self) -> Verdict {
        if self.damaged { Verdict::Fail } else { Verdict::Unknown }
    }
}

/// None if all is well. Reads what is newer than the signature, and the line that was signed.
pub(super) fn doubt(place: &HostHistory, signed: &Signed, now: i64) -> Option<Doubt> {
    let host = place.host();
    let bad = |what: String| Some(Doubt { what: format!("{host}: {what}"), damaged: true });
    let open = |what: String| Some(Doubt { what: format!("{host}: {what}"), damaged: false });
    let head = match signed.head(host) {
        Ok(Some(head)) => head,
        Ok(None) => return open("its log is not signed".to_owned()),
        Err(Trouble::Head { why, .. }) => return bad(format!("the signed head of its log: {why}")),
        Err(trouble) => return open(cli::chain(&trouble)),
    };
    let newer = match place.log_reader_after(Some(&head)) {
        Ok(Some(newer)) => newer,
        Ok(None) => return bad("its log is gone, and was signed".to_owned()),
        Err(error) if error.is_damage() => return bad(cli::chain(&error)),
        Err(error) => return open(cli::chain(&error)),
    };
    let (mut lines, mut oldest) = (0_u64, None);
    for raw in newer {
        match raw {
            Ok(raw) => {
                lines += 1;
                oldest = oldest.or_else(|| DateTime::parse_from_rfc3339(&raw.line.time).ok());
            }
            Err(error) => return bad(cli::chain(&error)),
        }
    }
    let waits = now - oldest?.timestamp();
    if waits > LAG_SECONDS_MAX {
        return open(format!(
            "the newest {lines} lines of its log are not signed, for {} hours",
            waits / 3600
        ));
    }
    None
}

//! The message of a refusal, and when to come back.

use formats::session::{Code, ServerMessage};
use formats::{ContentHash, HostId};

/// The message of a refusal. A new try makes sense after `wait_seconds`, or after the code's own time if that is longer; on top of it
/// comes a part that depends on the host alone, so that many hosts that are refused at once do not come back at once.
pub fn refusal(code: Code, host: Option<&HostId>, wait_seconds: u32) -> ServerMessage {
    let (least, span) = match code {
        Code::Busy | Code::TooSoon => (60, 600),
        Code::TooSlow => (60, 60),
        Code::NotReady | Code::ServerFault => (300, 300),
        Code::NoRoom | Code::NoBudget => (3_600, 1_800),
        Code::OutOfHours => (0, 1_800),
        _ => return ServerMessage::Refused { code, retry_seconds: 0 },
    };
    let own = host.map_or(0, |host| place(host, span));
    // At least 1: 0 would say that no new try makes sense.
    let retry_seconds = wait_seconds.max(least).saturating_add(own).max(1);
    ServerMessage::Refused { code, retry_seconds }
}

/// The host's own place in a span of time. Not of the sum that gives it its minute: hosts of one minute would share few places.
fn place(host: &HostId, span: u32) -> u32 {
    let hash = ContentHash::of(host.as_str().as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d]) % span
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<HostId> {
        (0..1_000).map(|n| HostId::parse(&format!("web{n:03}.example.org")).unwrap()).collect()
    }

    fn retry(code: Code, host: &HostId, wait: u32) -> u32 {
        match refusal(code, Some(host), wait) {
            ServerMessage::Refused { retry_seconds, .. } => retry_seconds,
            _ => 0,
        }
    }

    /// Most of these that fall into one stretch of so many seconds.
    fn most_within(mut times: Vec<u32>, seconds: u32) -> usize {
        times.sort_unstable();
        (0..times.len())
            .map(|at| times[at..].iter().take_while(|time| **time < times[at] + seconds).count())
            .max()
            .unwrap()
    }

    #[test]
    fn a_thousand_hosts_that_are_refused_together_do_not_come_back_together() {
        let hosts = hosts();
        for (code, span) in
            [(Code::Busy, 600), (Code::TooSoon, 600), (Code::OutOfHours, 1_800), (Code::NoRoom, 1_800)]
        {
            let times: Vec<u32> = hosts.iter().map(|host| retry(code, host, 5_000)).collect();
            assert!(times.iter().all(|time| (5_000..5_000 + span).contains(time)));
            let even = 1_000 * 60 / span as usize;
            let most = most_within(times, 60);
            assert!(most < even * 3 / 2, "{code}: {most} in one minute, where {even} would be even");
        }
        // The control: without the host's own part all come at once.
        assert!(matches!(refusal(Code::Busy, None, 0), ServerMessage::Refused { retry_seconds: 60, .. }));
    }

    #[test]
    fn hosts_that_share_a_minute_of_the_day_are_spread_all_the_same() {
        let shared = |host: &&HostId| formats::schedule::minute(host.as_str()) == 40;
        let times: Vec<u32> = (0..60_000)
            .map(|n| HostId::parse(&format!("node{n}")).unwrap())
            .filter(|host| shared(&host))
            .map(|host| retry(Code::Busy, &host, 0))
            .collect();
        assert!(times.len() > 500);
        let even = times.len() / 10;
        assert!(most_within(times, 60) < even * 3 / 2);
    }

    #[test]
    fn a_refusal_that_no_new_try_can_mend_names_no_time() {
        let host = HostId::parse("web01").unwrap();
        for code in Code::ALL {
            let mends = matches!(
                code,
                Code::Busy
                    | Code::TooSoon
                    | Code::TooSlow
                    | Code::NotReady
                    | Code::ServerFault
                    | Code::NoRoom
                    | Code::NoBudget
                    | Code::OutOfHours
            );
            assert_eq!(retry(*code, &host, 0) > 0, mends, "{code}");
            assert_eq!(retry(*code, &host, 0), retry(*code, &host, 0));
        }
        assert_eq!(retry(Code::TooSoon, &host, u32::MAX), u32::MAX);
    }
}

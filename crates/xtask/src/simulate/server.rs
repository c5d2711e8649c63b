//! The backup server: what happens to each push, event by event, from the knock on sshd's door to the verdict.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pipeline_tests::data;
use serde::Serialize;

use super::costs::Costs;
use super::fleet::{Fleet, Member, SECOND};
use super::plan::{Judges, Plan, Refused};
use super::station::{Served, Station};

/// What the server can do at a time. Its cores are divided, which a kernel does better: half judge, a quarter logs in, a quarter receives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Server {
    pub(crate) cores: u64,
    /// Bytes a second that reach it.
    pub(crate) network: u64,
    /// Bytes a second that one host sends.
    pub(crate) host_network: u64,
    pub(crate) startups: Startups,
}

/// sshd's MaxStartups, `begin:percent:full`, about connections that are not logged in yet: from `begin` on, one more is turned away by lot, at first with
/// the chance `percent`, at `full` surely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Startups {
    pub(crate) begin: u64,
    pub(crate) percent: u64,
    pub(crate) full: u64,
}

impl Startups {
    /// As sshd counts; `lot` is what it would draw, 0 to 99.
    fn turns_away(&self, knocking: u64, lot: u64) -> bool {
        if knocking < self.begin {
            return false;
        }
        let over = knocking - self.begin;
        let more = (100 - self.percent) * over / (self.full - self.begin).max(1);
        knocking >= self.full || lot < self.percent + more
    }
}

/// How long a host waits for its verdict with the session open.
const VERDICT_WAIT: u64 = 60 * SECOND;
/// RestartSec and StartLimitBurst of firn-push.service.
const AGAIN_AFTER: u64 = 600 * SECOND;
const STARTS_MAX: u64 = 6;

impl Server {
    /// 10 Gbit/s, hosts with 1 Gbit/s, MaxStartups as in the configuration of firn-sshd.
    pub(crate) fn of_cores(cores: u64) -> Server {
        let startups = Startups { begin: 300, percent: 30, full: 600 };
        Server { cores, network: 1_250_000_000, host_network: 125_000_000, startups }
    }

    fn judges(&self, plan: &Plan) -> u64 {
        match plan.judges {
            Judges::One => 1,
            Judges::Cores => self.cores / 2,
        }
    }

    /// Pushes that can be received at full speed: as many as the network carries, and as the cores for it decrypt.
    pub(crate) fn streams(&self, costs: &Costs) -> u64 {
        let core_us_per_second = costs.receive_us_per_mb * self.host_network / SECOND;
        let by_cores = self.cores / 4 * SECOND / core_us_per_second.clamp(1, SECOND);
        by_cores.min(self.network / self.host_network).max(1)
    }

    /// A core receives one push at a time, and no faster than the host sends.
    fn send_us(&self, member: &Member) -> u64 {
        (member.work.bytes * SECOND / self.host_network).max(member.work.receive_us)
    }
}

/// What became of it all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Day {
    /// For each host: from its slot until it was accepted.
    pub(crate) waits_us: Vec<Option<u64>>,
    pub(crate) turned_away: u64,
    pub(crate) sessions_peak: u64,
    pub(crate) queue_peak: usize,
    /// Core time used in each hour from the beginning.
    pub(crate) busy_us: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Knocks { tries: u64 },
    IsLoggedIn,
    HasWalked,
    HasSent,
    IsJudged,
    StopsWaiting,
}

struct Run<'a> {
    fleet: &'a Fleet,
    server: &'a Server,
    plan: &'a Plan,
    events: BinaryHeap<Reverse<(u64, usize, What)>>,
    login: Station,
    receive: Station,
    judge: Station,
    /// Connected, and not logged in.
    knocking: u64,
    sessions: u64,
    open: Vec<bool>,
    day: Day,
}

/// Plays one period until the last host is served.
pub(crate) fn run(fleet: &Fleet, server: &Server, plan: &Plan, costs: &Costs) -> Day {
    let hosts = fleet.hosts.len();
    let mut run = Run {
        fleet,
        server,
        plan,
        events: BinaryHeap::with_capacity(hosts),
        login: Station::new(server.cores / 4),
        receive: Station::new(server.streams(costs)),
        judge: Station::new(server.judges(plan)),
        knocking: 0,
        sessions: 0,
        open: vec![false; hosts],
        day: Day { waits_us: vec![None; hosts], ..Day::default() },
    };
    for (who, member) in fleet.hosts.iter().enumerate() {
        run.at(member.slot_us, who, What::Knocks { tries: 1 });
    }
    while let Some(Reverse((now, who, what))) = run.events.pop() {
        if let Some(member) = fleet.hosts.get(who) {
            run.happens(now, who, member, what);
        }
    }
    run.day.queue_peak = run.judge.waiting_peak;
    run.day
}

impl Run<'_> {
    fn at(&mut self, when: u64, who: usize, what: What) {
        self.events.push(Reverse((when, who, what)));
    }

    fn happens(&mut self, now: u64, who: usize, member: &Member, what: What) {
        match what {
            What::Knocks { tries } if self.server.startups.turns_away(self.knocking, draw(member, tries)) => {
                self.day.turned_away += 1;
                if self.plan.refused == Refused::StartsAgain && tries < STARTS_MAX {
                    self.at(now + AGAIN_AFTER, who, What::Knocks { tries: tries + 1 });
                }
            }
            What::Knocks { .. } => {
                self.knocking += 1;
                self.opens(who);
                let served = self.login.come(now, who, member.work.session_us);
                self.serve(now, served, What::IsLoggedIn);
            }
            What::IsLoggedIn => {
                self.knocking -= 1;
                self.at(now + member.work.walk_us, who, What::HasWalked);
                let served = self.login.leave(now);
                self.serve(now, served, What::IsLoggedIn);
            }
            What::HasWalked => {
                let served = self.receive.come(now, who, self.server.send_us(member));
                self.serve(now, served, What::HasSent);
            }
            What::HasSent => {
                self.at(now + VERDICT_WAIT, who, What::StopsWaiting);
                let served = self.judge.come(now, who, member.work.judge_us);
                self.serve(now, served, What::IsJudged);
                let served = self.receive.leave(now);
                self.serve(now, served, What::HasSent);
            }
            What::IsJudged => {
                if let Some(wait) = self.day.waits_us.get_mut(who) {
                    *wait = Some(now - member.slot_us);
                }
                self.closes(who);
                let served = self.judge.leave(now);
                self.serve(now, served, What::IsJudged);
            }
            What::StopsWaiting => self.closes(who),
        }
    }

    /// Notes when a station is done with somebody, and what that costs.
    fn serve(&mut self, now: u64, served: Option<Served>, then: What) {
        let Some(Served { who, until_us }) = served else { return };
        let cores_us = match (then, self.fleet.hosts.get(who)) {
            (What::HasSent, Some(member)) => member.work.receive_us,
            _ => until_us - now,
        };
        self.spend(now, until_us, cores_us);
        self.at(until_us, who, then);
    }

    /// Puts core time into the hours over which it is spent.
    fn spend(&mut self, from: u64, until: u64, cores_us: u64) {
        const HOUR: u64 = 3600 * SECOND;
        let mut at = from;
        while at < until {
            let hour = at / HOUR;
            let to = until.min((hour + 1) * HOUR);
            let place = usize::try_from(hour).unwrap_or(usize::MAX - 1);
            if self.day.busy_us.len() <= place {
                self.day.busy_us.resize(place + 1, 0);
            }
            if let Some(busy) = self.day.busy_us.get_mut(place) {
                *busy += cores_us * (to - at) / (until - from);
            }
            at = to;
        }
    }

    fn opens(&mut self, who: usize) {
        if let Some(open) = self.open.get_mut(who) {
            *open = true;
            self.sessions += 1;
            self.day.sessions_peak = self.day.sessions_peak.max(self.sessions);
        }
    }

    fn closes(&mut self, who: usize) {
        if self.open.get_mut(who).is_some_and(std::mem::take) {
            self.sessions -= 1;
        }
    }
}

/// No chance: each host draws its own lots.
fn draw(member: &Member, tries: u64) -> u64 {
    data::step(member.lot.wrapping_add(tries)) % 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(slots: &[u64], startups_max: u64, plan: &Plan) -> Day {
        let costs = Costs { session_us: SECOND, judge_us: 10 * SECOND, ..Costs::DOCUMENTED };
        let work = costs.work(0, plan.load);
        let member = |slot: &u64| Member { slot_us: slot * SECOND, minute: 0, lot: 7, work };
        let fleet = Fleet { hosts: slots.iter().map(member).collect() };
        let startups = Startups { begin: startups_max, percent: 100, full: startups_max };
        run(&fleet, &Server { startups, ..Server::of_cores(4) }, plan, &costs)
    }

    #[test]
    fn pushes_wait_for_a_core_and_for_a_judge() {
        let [plan, ..] = Plan::ALL;
        let day = day(&[0, 0, 0], 100, &plan);
        let seconds: Vec<_> = day.waits_us.iter().map(|wait| wait.unwrap() / SECOND).collect();
        // One logs in after another; two are judged at a time.
        assert_eq!(seconds, [11, 12, 21]);
        assert_eq!((day.sessions_peak, day.queue_peak, day.turned_away), (3, 1, 0));
        let used: u64 = day.busy_us.iter().sum();
        assert_eq!(used / SECOND, 33);
    }

    #[test]
    fn who_is_turned_away_is_lost_or_tries_again() {
        let [waits, again, ..] = Plan::ALL;
        let lost = day(&[0, 0, 0], 2, &waits);
        assert_eq!((lost.turned_away, lost.waits_us.iter().flatten().count()), (1, 2));
        let kept = day(&[0, 0, 0], 2, &again);
        assert_eq!((kept.turned_away, kept.waits_us.iter().flatten().count()), (1, 3));
        assert!(kept.waits_us.iter().flatten().max() > Some(&AGAIN_AFTER));
    }

    #[test]
    fn sshd_turns_away_by_lot_first_and_surely_at_last() {
        let startups = Startups { begin: 300, percent: 30, full: 600 };
        let chance = |knocking| (0..100).filter(|lot| startups.turns_away(knocking, *lot)).count();
        assert_eq!([0, 299, 300, 450, 599, 600, 900].map(chance), [0, 0, 30, 65, 99, 100, 100]);
    }

    #[test]
    fn a_session_ends_when_nobody_judges_in_time() {
        let [_, _, one, ..] = Plan::ALL;
        let slots: Vec<u64> = (0..10).map(|number| number * 40).collect();
        let slow = day(&[0; 10], 100, &one);
        assert_eq!(slow.sessions_peak, 10);
        // Apart by more than what judging takes, no two are open at once.
        assert_eq!(day(&slots, 100, &one).sessions_peak, 1);
    }
}

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

/// web01, due at 02:40, 10:40 and 18:40 of its zone.
fn schedule(zone: Option<&str>) -> Schedule {
    let host = formats::HostId::parse("web01").unwrap();
    Schedule::new(&host, &"2,10,18".parse().unwrap(), zone)
}

/// A host that is well: it began to push at `started`, and was accepted ten minutes later.
fn well(started: &str) -> Facts {
    let started = at(started);
    Facts {
        schedule: schedule(Some("UTC")),
        life: Life::Active,
        added: Some(at("2025-12-20T00:00:00Z")),
        pushed: Some(Pushed { started, accepted: started + TimeDelta::minutes(10) }),
        first: Some(at("2025-12-20T02:50:00Z")),
        rejected: None,
        queued: None,
        ice: Some(vec![]),
        drill: Some(None),
        unreadable: vec![],
        is_spent: false,
        rotten: 0,
        verified: Some(started),
        verify_within: TimeDelta::days(40),
    }
}

fn new(added: &str) -> Facts {
    Facts { added: Some(at(added)), pushed: None, first: None, schedule: schedule(None), ..well(added) }
}

fn late(now: &str, facts: &Facts) -> Vec<String> {
    judge(at(now), facts).late.iter().map(Late::to_string).collect()
}

#[test]
fn a_push_is_late_two_hours_after_its_slot_and_each_slot_counts() {
    let facts = well("2026-01-10T10:40:05Z");
    for (now, expected) in [
        ("2026-01-10T10:55:00Z", vec![]),
        ("2026-01-10T20:39:59Z", vec![]),
        ("2026-01-10T20:40:00Z", vec!["no push since 2026-01-10T18:40:00Z"]),
        ("2026-01-11T04:40:00Z", vec!["no push since 2026-01-10T18:40:00Z, 2 slots missed"]),
        ("2026-01-13T11:00:00Z", vec!["no push since 2026-01-10T18:40:00Z, 8 slots missed"]),
    ] {
        assert_eq!(late(now, &facts), expected, "{now}");
    }
    let verdict = judge(at("2026-01-10T12:00:00Z"), &facts);
    assert_eq!(verdict.last_due, Some(at("2026-01-10T10:40:00Z")));
    assert_eq!(verdict.next_due, Some(at("2026-01-10T18:40:00Z")));
}

#[test]
fn a_push_a_little_before_its_slot_is_that_slots() {
    assert_eq!(late("2026-01-10T20:39:00Z", &well("2026-01-10T10:39:10Z")), Vec::<String>::new());
    assert_eq!(late("2026-01-10T12:41:00Z", &well("2026-01-10T10:39:10Z")), Vec::<String>::new());
    assert_eq!(late("2026-01-10T12:41:00Z", &well("2026-01-10T10:20:00Z")).len(), 1, "the control");
}

#[test]
fn slots_are_those_of_the_hosts_zone_also_when_its_clock_is_put_forward_and_back() {
    let pushed =
        |started: &str| Facts { schedule: schedule(Some("Europe/Berlin")), first: None, ..well(started) };
    for (started, in_time, late_at) in [
        // 18:40 in winter is 17:40 UTC, in summer 16:40.
        ("2026-01-10T09:40:00Z", "2026-01-10T19:39:00Z", "2026-01-10T19:41:00Z"),
        ("2026-07-10T08:40:00Z", "2026-07-10T18:39:00Z", "2026-07-10T18:41:00Z"),
        // 02:40 of the night without it, and of the one with two.
        ("2026-03-28T17:40:00Z", "2026-03-29T03:39:00Z", "2026-03-29T03:41:00Z"),
        ("2026-10-24T16:40:00Z", "2026-10-25T02:39:00Z", "2026-10-25T02:41:00Z"),
    ] {
        assert_eq!(late(in_time, &pushed(started)), Vec::<String>::new(), "{started}");
        assert_eq!(late(late_at, &pushed(started)).len(), 1, "{started}");
    }
    // Pushed at the second 02:40: not missed, and nothing is due before 10:40.
    assert_eq!(late("2026-10-25T11:39:00Z", &pushed("2026-10-25T01:40:00Z")), Vec::<String>::new());
}

#[test]
fn a_clock_that_is_off_by_a_year_hides_no_missed_push_and_invents_none() {
    let accepted = at("2026-01-10T10:50:00Z");
    for started in ["2025-01-10T10:40:00Z", "2027-01-10T10:40:00Z"] {
        let pushed = Some(Pushed { started: at(started), accepted });
        let facts = Facts { pushed, ..well("2026-01-10T10:40:00Z") };
        assert_eq!(late("2026-01-10T20:39:00Z", &facts), Vec::<String>::new(), "{started}");
        assert_eq!(late("2026-01-10T20:41:00Z", &facts), ["no push since 2026-01-10T18:40:00Z"], "{started}");
        assert!(judge(accepted, &facts).clock_seconds.is_some(), "{started}");
    }
}

#[test]
fn a_new_host_is_late_only_when_a_slot_has_passed_wherever_it_is() {
    let facts = new("2026-01-10T10:00:00Z");
    // Between two slots lie 8 hours, 9 where a clock is put back.
    for (now, is_late) in
        [("2026-01-10T10:05:00Z", false), ("2026-01-10T20:59:00Z", false), ("2026-01-10T21:00:00Z", true)]
    {
        let expected: &[&str] = if is_late { &["never pushed, added 2026-01-10T10:00:00Z"] } else { &[] };
        assert_eq!(late(now, &facts), expected, "{now}");
    }
}

#[test]
fn a_zone_that_is_unknown_here_is_named_and_hides_no_missed_day() {
    let facts = Facts { schedule: schedule(Some("Mars/Olympus")), ..well("2026-01-10T10:40:00Z") };
    assert_eq!(judge(at("2026-01-10T12:00:00Z"), &facts).unknown, ["zone"]);
    assert_eq!(late("2026-01-10T21:00:00Z", &facts), Vec::<String>::new());
    assert_eq!(late("2026-01-11T12:00:00Z", &facts).len(), 1);
}

#[test]
fn a_push_that_waits_has_come_and_is_late_when_it_waits_for_long() {
    let mut facts = well("2026-01-10T10:40:00Z");
    facts.queued = Some(at("2026-01-10T18:42:00Z"));
    assert_eq!(late("2026-01-10T20:42:00Z", &facts), Vec::<String>::new());
    assert_eq!(late("2026-01-11T00:00:00Z", &facts), ["queued for 5 hours"]);
}

#[test]
fn a_rejected_push_is_told_at_once_and_the_slot_stays_missed() {
    let mut facts = well("2026-01-10T10:40:00Z");
    facts.rejected = Some((at("2026-01-10T18:45:00Z"), "wrong root".to_owned()));
    let rejected = "push rejected at 2026-01-10T18:45:00Z: wrong root";
    assert_eq!(late("2026-01-10T18:46:00Z", &facts), [rejected]);
    assert_eq!(late("2026-01-10T21:00:00Z", &facts), ["no push since 2026-01-10T18:40:00Z", rejected]);
}

#[test]
fn ice_is_late_after_17_days_unless_it_holds_the_newest_state_and_is_locked() {
    let now = "2026-01-20T11:00:00Z";
    let ice = |stored: &str, until: &str, content| {
        let ice = Ice { stored: at(stored), retain_until: at(until), content, damage: Damage::None };
        Some(vec![VaultIce { vault: "off".to_owned(), newest: Some(ice) }])
    };
    let none = || Some(vec![VaultIce { vault: "off".to_owned(), newest: None }]);
    let locked = "2026-05-01T00:00:00Z";
    for (ice, expected) in [
        (ice("2026-01-15T03:00:00Z", locked, Content::Older), vec![]),
        (ice("2026-01-02T12:00:00Z", locked, Content::Older), vec![]),
        (ice("2026-01-01T12:00:00Z", locked, Content::Older), vec!["ice in off older than 17 days: 18"]),
        (ice("2025-11-01T12:00:00Z", locked, Content::Newest), vec![]),
        (
            ice("2026-01-15T03:00:00Z", "2026-01-20T00:00:00Z", Content::Newest),
            vec!["ice in off not locked since 2026-01-20T00:00:00Z"],
        ),
        (none(), vec!["no ice in off"]),
    ] {
        assert_eq!(late(now, &Facts { ice, ..well("2026-01-20T10:40:00Z") }), expected);
    }
    let mut young = Facts { ice: none(), ..well("2026-01-20T10:40:00Z") };
    young.first = Some(at("2026-01-19T00:00:00Z"));
    assert_eq!(late(now, &young), Vec::<String>::new());
    young.ice = None;
    assert_eq!(judge(at(now), &young).unknown, ["ice"], "what is not known is not called well");
}

#[test]
fn a_drill_is_due_every_half_year() {
    let facts = |drill| Facts { drill, ..well("2026-07-20T10:40:00Z") };
    let now = "2026-07-20T11:00:00Z";
    assert_eq!(late(now, &facts(Some(None))), ["no drill within 6 months"], "7 months old, never drilled");
    assert_eq!(late(now, &facts(Some(Some(at("2026-01-10T00:00:00Z"))))), ["no drill within 6 months"]);
    assert_eq!(late(now, &facts(Some(Some(at("2026-02-10T00:00:00Z"))))), Vec::<String>::new());
    assert_eq!(judge(at(now), &facts(None)).unknown, ["drill"]);
}

#[test]
fn a_verify_is_due_in_the_days_that_a_prune_wants_it_and_a_new_host_has_as_many() {
    let day = |days: i64| at("2026-01-01T00:00:00Z") + TimeDelta::days(days);
    let second = TimeDelta::seconds(1);
    let found = |now: DateTime<Utc>, verified: Option<DateTime<Utc>>| {
        let facts = Facts { verified, first: Some(day(0)), ..well("2026-01-01T00:00:00Z") };
        let late = judge(now, &facts).late;
        late.into_iter().find_map(|late| match late {
            Late::NoVerify { days } => Some(days),
            _ => None,
        })
    };
    for (now, verified, expected) in [
        (day(40), None, None),
        (day(40) + second, None, Some(40)),
        (day(90), None, Some(90)),
        (day(90), Some(day(50)), None),
        (day(90) + second, Some(day(50)), Some(40)),
        // Noted while the clock was ahead: it does not count, as it does not for a prune.
        (day(90), Some(day(91)), Some(90)),
        (day(30), Some(day(31)), None),
    ] {
        assert_eq!(found(now, verified), expected, "{now} {verified:?}");
    }
    let mut facts = well("2026-01-10T10:40:00Z");
    facts.verified = Some(at("2025-12-25T00:00:00Z"));
    let now = "2026-02-10T11:00:00Z";
    facts.pushed = well("2026-02-10T10:40:00Z").pushed;
    assert_eq!(late(now, &facts), ["no verify has found it well for 47 days, and nothing is pruned"]);
    facts.verify_within = TimeDelta::days(60);
    assert_eq!(late(now, &facts), Vec::<String>::new());
    assert_eq!(late("2026-03-01T11:00:00Z", &new("2026-01-10T10:00:00Z")).len(), 1, "no history, no verify");
}

#[test]
fn a_retired_host_is_never_late_and_one_without_a_jail_always() {
    let mut facts = well("2025-12-20T02:40:00Z");
    facts.added = None;
    facts.unreadable = vec!["its record"];
    let now = "2026-12-10T11:00:00Z";
    assert_eq!(late(now, &facts).len(), 5);
    facts.life = Life::Retired;
    assert_eq!(judge(at(now), &facts), Verdict::default());
}

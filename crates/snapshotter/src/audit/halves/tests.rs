use super::*;
use crate::audit::facts::Extent;
use crate::host::record::HostRecord;
use std::path::{Path, PathBuf};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn host(id: &str, known_as: Option<&str>, retired: i64) -> Host {
    let record = HostRecord {
        known_as: known_as.map(str::to_owned),
        retired: chrono::DateTime::from_timestamp(retired, 0).filter(|_| retired > 0),
        ..HostRecord::default()
    };
    Host {
        id: HostId::parse(id).unwrap(),
        account: format!("firn-{id}"),
        passwd: None,
        identity: None,
        record,
        jail: PathBuf::new(),
        has_jail: true,
        history: PathBuf::new(),
    }
}

/// Two minions with a host each, a host that is retired, and one that was added by hand.
fn hosts() -> Hosts {
    let all = [
        host("db1", Some("m-db1"), 0),
        host("gone", Some("m-gone"), 5),
        host("hand", None, 0),
        host("web01", Some("m-web01"), 0),
    ];
    Hosts::new(all.to_vec(), Extent::All)
}

fn report(word: Word, host: &str, seconds: i64, verdict: Verdict) -> Told {
    let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap().to_rfc3339();
    let mut finding = Finding::new(Requirement::R4);
    finding.add(verdict, "tried");
    let format = <Audit as formats::records::Record>::format();
    let half = formats::records::audit::Half::Host;
    let audit = Audit { format, half, host: Some(host.to_owned()), time, findings: vec![finding] };
    Told { word, place: "halves".to_owned(), audit }
}

fn minion(of: &str) -> Word {
    Word::Minion(format!("m-{of}"))
}

/// What becomes of R2 and R4 that passed before, with all evidence.
fn added(told: &[Told]) -> (Verdict, Verdict, String) {
    let mut findings: Vec<Finding> = Requirement::ALL.map(Finding::new).to_vec();
    findings.iter_mut().for_each(|finding| finding.add(Verdict::Pass, "ours"));
    add(&mut findings, told, &hosts(), NOW);
    let texts = findings.iter().flat_map(|finding| &finding.evidence);
    let texts = texts.map(|evidence| format!("{}: {}\n", evidence.verdict.word(), evidence.text)).collect();
    (findings[1].verdict, findings[3].verdict, texts)
}

/// Good reports of all active hosts.
fn all_well() -> Vec<Told> {
    let by_hand = Word::Admin(HostId::parse("hand").unwrap());
    vec![
        report(minion("web01"), "web01", NOW, Verdict::Pass),
        report(minion("db1"), "db1", NOW, Verdict::Pass),
        report(by_hand, "hand", NOW, Verdict::Pass),
    ]
}

#[test]
fn reports_of_all_hosts_pass_and_one_that_is_missing_is_not_known() {
    let (doors, own, texts) = added(&all_well());
    assert_eq!((doors, own), (Verdict::Pass, Verdict::Pass), "{texts}");
    assert!(texts.contains("pass: 3 of 3 hosts have reported; a report is its host's own word"), "{texts}");
    assert!(texts.contains("pass: on web01: tried"), "{texts}");
    let (doors, _, texts) = added(&all_well()[1..]);
    assert_eq!(doors, Verdict::Unknown);
    assert!(texts.contains("unknown: 2 of 3") && texts.contains("there is no report of web01"), "{texts}");
}

#[test]
fn one_host_cannot_speak_for_another() {
    let web01 = || HostId::parse("web01").unwrap();
    for (word, host, named) in [
        (minion("db1"), "web01", "minion m-db1 gave a report of web01, which is m-web01's"),
        (Word::Admin(web01()), "db1", "was named as of web01, and is of db1"),
        (Word::Admin(web01()), "web09", "web09, which is no host of this server"),
        (Word::Nobody, "../x", "is of ../x, which is no host of this server"),
    ] {
        let mut told = all_well();
        told.push(report(word, host, NOW, Verdict::Fail));
        let (doors, own, texts) = added(&told);
        assert_eq!((doors, own), (Verdict::Unknown, Verdict::Pass), "{texts}");
        assert!(texts.contains(named), "{named}: {texts}");
    }
    // Of a host that no minion has by its record, the admin's word stands, and without it nothing.
    let of_hand = report(minion("db1"), "hand", NOW, Verdict::Fail);
    let mut told = all_well();
    told.push(of_hand.clone());
    assert_eq!(added(&told).0, Verdict::Pass);
    told[2] = of_hand;
    let (doors, own, texts) = added(&told);
    assert_eq!((doors, own), (Verdict::Unknown, Verdict::Pass), "{texts}");
    assert!(texts.contains("which no minion has by its record"), "{texts}");
    // It does not stand in for the report of the other either.
    let mut told = all_well();
    told[0].word = minion("db1");
    assert!(added(&told).2.contains("there is no report of web01"));
}

#[test]
fn a_report_of_which_nobody_says_whose_it_is_can_complain_and_not_praise() {
    let mut told = all_well();
    told[0].word = Word::Nobody;
    let (doors, own, texts) = added(&told);
    assert_eq!((doors, own), (Verdict::Unknown, Verdict::Pass));
    assert!(texts.contains("use HOST=FILE") && !texts.contains("on web01: tried"), "{texts}");
    told[0] = report(Word::Nobody, "web01", NOW, Verdict::Fail);
    assert_eq!(added(&told).1, Verdict::Fail);
}

#[test]
fn of_two_reports_of_one_host_the_worse_one_counts_whichever_is_first() {
    let bad = report(minion("web01"), "web01", NOW - DAY, Verdict::Fail);
    for at in [0, 3] {
        let mut told = all_well();
        told.insert(at, bad.clone());
        assert_eq!(added(&told).1, Verdict::Fail, "{at}");
    }
}

#[test]
fn a_report_of_another_time_is_not_usable_and_named() {
    for (seconds, named) in [
        (NOW - 3 * DAY, None),
        (NOW - 3 * DAY - 1, Some("more than 3 days ago")),
        (NOW + 300, None),
        (NOW + 301, Some("still to come")),
        (NOW + 400 * DAY, Some("still to come")),
    ] {
        let mut told = all_well();
        told[0] = report(minion("web01"), "web01", seconds, Verdict::Pass);
        let (doors, _, texts) = added(&told);
        let expected = if named.is_some() { Verdict::Unknown } else { Verdict::Pass };
        assert_eq!(doors, expected, "{seconds}: {texts}");
        assert!(texts.contains(named.unwrap_or_default()), "{seconds}: {texts}");
        // What it complains of is not lost.
        told[0] = report(minion("web01"), "web01", seconds, Verdict::Fail);
        assert_eq!(added(&told).1, Verdict::Fail, "{seconds}");
    }
    let mut told = all_well();
    told[0].audit.time = "soon".to_owned();
    assert!(added(&told).2.contains("has no time: soon"));
}

#[test]
fn minions_of_another_server_are_counted_and_hold_nothing_up() {
    let mut told = all_well();
    told.push(report(minion("web09"), "web09", NOW, Verdict::Fail));
    let (doors, own, texts) = added(&told);
    assert_eq!((doors, own), (Verdict::Pass, Verdict::Pass), "{texts}");
    assert!(
        texts.contains("3 of 3 hosts have reported") && texts.contains("1 reports are of no host"),
        "{texts}"
    );
}

#[test]
fn how_many_reported_is_told_however_much_they_say() {
    let mut told = all_well();
    let mut doors = Finding::new(Requirement::R2);
    (0..500).for_each(|number| doors.add(Verdict::Pass, format!("tried {number}")));
    told[0].audit.findings = vec![doors];
    let texts = added(&told).2;
    assert!(texts.contains("3 of 3 hosts have reported"), "{texts}");
}

#[test]
fn a_retired_host_needs_no_report_and_a_verdict_needs_no_evidence() {
    let mut told = all_well();
    told.push(report(minion("gone"), "gone", NOW, Verdict::Fail));
    assert_eq!(added(&told).1, Verdict::Pass);
    told[0].audit.findings[0] = Finding { verdict: Verdict::Fail, ..Finding::new(Requirement::R4) };
    assert_eq!(added(&told).1, Verdict::Fail);
}

#[test]
fn a_file_of_a_fleet_is_read_whole_and_one_without_end_is_not() {
    let refused = read::read(&[Named::of(Path::new("/dev/zero"))], 0).unwrap_err().to_string();
    assert!(refused.contains("is longer than 67108864 bytes"), "{refused}");
    assert!(read::read(&vec![Named::of(Path::new("/dev/null")); 1001], 0).is_err());
}

//! What is proved stays locked, and what did not change can stay as it is.

use std::fs;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use cli::Exit;
use formats::records::ice_id::IceId;
use iceboxer::ledger::{LedgerEntry, LedgerState};
use iceboxer::plan::Plan;
use iceboxer::settings::Unchanged;
use serde_json::json;
use vault::stamp::utc_text;

use crate::cost::write_ledger;
use crate::rig::{Scratch, Spec, Tree, days_from_now, meta, noise, output, run};

pub(crate) fn tree(content: &str) -> Tree {
    vec![(b"a", Spec::File(content.into()), meta(0o644, 0, 1))]
}

pub(crate) fn ledger(scratch: &Scratch) -> LedgerState {
    LedgerState::read(&scratch.path("ledger")).unwrap()
}

pub(crate) fn entry(scratch: &Scratch, ice: &str) -> LedgerEntry {
    ledger(scratch).entries().iter().find(|entry| entry.ice.to_string() == ice).unwrap().clone()
}

/// As if the ice had been stored so long ago that its locks end in `days`; negative for locks that ran out.
pub(crate) fn ends_in(scratch: &Scratch, ice: &str, days: i64) {
    for object in entry(scratch, ice).objects {
        let file = scratch.path(&format!("vault/locks/{}.json", object.object));
        let text = fs::read_to_string(&file).unwrap();
        let (head, _) = text.split_once("\"retain_until\"").unwrap();
        fs::remove_file(&file).unwrap();
        let until = utc_text(&(Utc::now() + TimeDelta::days(days)));
        fs::write(&file, format!("{head}\"retain_until\":\"{until}\"}}\n")).unwrap();
    }
}

/// Days until the first of its locks ends, as the vault says.
pub(crate) fn days_locked(scratch: &Scratch, ice: &str) -> i64 {
    let vault = scratch.target().vault;
    let days = entry(scratch, ice).objects.into_iter().map(|object| {
        let name: vault::ObjectName = object.object.parse().unwrap();
        (vault.lock(&name.into()).unwrap().retain_until - Utc::now()).num_days()
    });
    days.min().unwrap()
}

/// A drill record, as restore-drill writes it.
pub(crate) fn drilled(scratch: &Scratch, ice: &str, code: u8, at: &str) {
    let entry = entry(scratch, ice);
    let hash = entry.record.image.hash;
    let failure = (code > 0).then(|| json!({"code": code, "text": "x"}));
    let record = json!({
        "format": "firn.drill/1.0", "ice": entry.ice, "vault": "local", "started": at, "finished": at,
        "tool": "restore-drill 1", "result": if code == 0 { "proved" } else { "failed" }, "failure": failure,
        "segments": 1, "bytes": 1, "snapshots": [], "from_manifest": [], "key": null,
        "image_hash": (code == 0).then_some(hash),
    });
    fs::create_dir_all(scratch.path("drills")).unwrap();
    let name = format!("drills/{}-{}.json", at.replace([':', '-'], ""), ice.replace('/', "-"));
    fs::write(scratch.path(&name), format!("{record}\n")).unwrap();
}

pub(crate) fn with_drills(scratch: &Scratch, plan: Plan) -> Plan {
    Plan { drill_records: Some(scratch.path("drills")), ..plan }
}

#[test]
fn the_newest_proved_ice_stays_locked_until_a_newer_one_is_proved() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let plan = || with_drills(&scratch, scratch.plan(&recipients, vec![scratch.target()]));
    fs::create_dir(scratch.path("drills")).unwrap();
    let mut ices = Vec::new();
    for content in ["one", "two", "three"] {
        ices.push(format!("web01/{}", scratch.snapshot("web01", &tree(content))));
        run(plan()).unwrap();
    }
    drilled(&scratch, &ices[0], 0, "2026-02-01T00:00:00Z");
    drilled(&scratch, &ices[1], 0, "2026-01-01T00:00:00Z");
    // Six months without a drill: whatever the locks are, each run brings that of the second to its full length.
    for days in [80, 3, -40] {
        ices.iter().for_each(|ice| ends_in(&scratch, ice, days));
        run(plan()).unwrap();
        assert_eq!(days_locked(&scratch, &ices[0]), (days - 1).max(days.min(0)), "another is newer");
        assert!(days_locked(&scratch, &ices[1]) >= 92);
        assert!(days_locked(&scratch, &ices[2]) < 81, "nobody has proved it");
        assert!(days_from_now(&entry(&scratch, &ices[1]).retain_until) >= 91);
    }
    assert_eq!(ledger(&scratch).entries().len(), 3, "a longer lock is no other ice");
    // The newest is proved; then the one before is let go.
    drilled(&scratch, &ices[2], 0, "2026-06-01T00:00:00Z");
    ices.iter().for_each(|ice| ends_in(&scratch, ice, 5));
    run(plan()).unwrap();
    assert!(days_locked(&scratch, &ices[1]) < 6 && days_locked(&scratch, &ices[2]) >= 92);
    // A later drill finds it damaged: the one before counts again. Whether that word is true nobody knows here: it ends no lock.
    drilled(&scratch, &ices[2], 42, "2026-07-01T00:00:00Z");
    ices.iter().for_each(|ice| ends_in(&scratch, ice, 5));
    run(plan()).unwrap();
    assert!(days_locked(&scratch, &ices[1]) >= 92 && days_locked(&scratch, &ices[2]) >= 92);
    assert!(days_locked(&scratch, &ices[0]) < 6, "not all that was ever proved");
}

#[test]
fn a_lost_segment_lets_no_other_object_of_a_proved_ice_lapse() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let plan = || with_drills(&scratch, scratch.plan(&recipients, vec![scratch.target()]));
    let many = vec![(&b"a"[..], Spec::File(noise(900_000, 3)), meta(0o644, 0, 1))];
    let ice = format!("web01/{}", scratch.snapshot("web01", &many));
    fs::create_dir(scratch.path("drills")).unwrap();
    run(plan()).unwrap();
    drilled(&scratch, &ice, 0, "2026-02-01T00:00:00Z");
    ends_in(&scratch, &ice, 5);
    let lost = [format!("objects/ice/{ice}/0001.pgp"), format!("locks/ice/{ice}/0003.pgp.json")];
    lost.iter().for_each(|file| fs::remove_file(scratch.path("vault").join(file)).unwrap());
    // As long as it was, and other bytes.
    let altered = scratch.path(&format!("vault/locks/ice/{ice}/0004.pgp.json"));
    let text = fs::read_to_string(&altered).unwrap();
    let hash = entry(&scratch, &ice).record.segments[4].hash.to_string();
    fs::remove_file(&altered).unwrap();
    fs::write(&altered, text.replace(&hash, &"ab".repeat(32))).unwrap();

    let failed = run(plan()).unwrap_err();
    let told = failed.chain();
    assert!(told.contains("3 objects") && !told.contains("0002.pgp"), "{told}");
    assert!(["0001.pgp", "0003.pgp", "0004.pgp"].iter().all(|name| told.contains(name)), "{told}");
    let (vault, receipts) = (scratch.target().vault, entry(&scratch, &ice).objects);
    for receipt in &receipts {
        if !["0001.pgp", "0003.pgp", "0004.pgp"].iter().any(|name| receipt.object.ends_with(name)) {
            let name: vault::ObjectName = receipt.object.parse().unwrap();
            let until = vault.lock(&name.into()).unwrap().retain_until;
            assert!(until >= Utc::now() + TimeDelta::days(92), "{}", receipt.object);
            assert_eq!(receipt.retain_until, utc_text(&until), "the ledger knows");
        }
    }
    let first = receipts.iter().map(|receipt| &receipt.retain_until).min().unwrap();
    assert_eq!(entry(&scratch, &ice).retain_until, *first, "and promises no more than all of them hold");
}

#[test]
fn a_record_that_is_not_of_this_image_keeps_nothing_and_junk_is_named() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let ice = format!("web01/{}", scratch.snapshot("web01", &tree("one")));
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    drilled(&scratch, &ice, 0, "2026-02-01T00:00:00Z");
    let file = fs::read_dir(scratch.path("drills")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&file).unwrap();
    let hash = entry(&scratch, &ice).record.image.hash.to_string();
    fs::write(&file, text.replace(&hash, &"ab".repeat(32))).unwrap();
    fs::write(scratch.path("drills/junk.json"), "{}").unwrap();
    ends_in(&scratch, &ice, 5);
    let plan = || with_drills(&scratch, scratch.plan(&recipients, vec![scratch.target()]));
    assert_eq!(run(plan()).unwrap(), Exit::WHOLE);
    assert!(days_locked(&scratch, &ice) < 6);
    // The control: the true record does keep it.
    fs::write(&file, text).unwrap();
    run(plan()).unwrap();
    assert!(days_locked(&scratch, &ice) >= 92);
    fs::remove_dir_all(scratch.path("drills")).unwrap();
    let failed = run(plan()).unwrap_err();
    assert!(failed.chain().contains("drill records"), "{}", failed.chain());
}

#[test]
fn a_host_that_has_not_changed_gets_a_longer_lock_when_the_settings_say_so() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let plan = |unchanged| Plan { unchanged, ..scratch.plan(&recipients, vec![scratch.target()]) };
    let first = format!("web01/{}", scratch.snapshot("web01", &tree("one")));
    run(plan(Unchanged::Extend)).unwrap();
    scratch.snapshot("web01", &tree("one"));
    ends_in(&scratch, &first, 5);
    let objects = scratch.objects();
    run(plan(Unchanged::Extend)).unwrap();
    assert_eq!(scratch.objects(), objects, "nothing is put");
    assert!(days_locked(&scratch, &first) >= 92);
    let other = format!("web01/{}", scratch.snapshot("web01", &tree("two")));
    run(plan(Unchanged::Extend)).unwrap();
    scratch.record(&other);
    // Unless they say so, each snapshot is an ice of its own.
    let same: IceId = format!("web01/{}", scratch.snapshot("web01", &tree("two"))).parse().unwrap();
    run(plan(Unchanged::Seal)).unwrap();
    scratch.record(&same.to_string());
}

/// A settings file for the verbs that read the ledger only.
pub(crate) fn settings(scratch: &Scratch, more: &str) -> String {
    let file = scratch.path("ice.toml");
    let text = format!(
        "history = \"/srv\"\nstaging = \"/srv\"\nledger = {:?}\n{more}\n[[recipients]]\ncertificate = \"/a\"\nfingerprint = \"{}\"\n[[vaults]]\nname = \"local\"\nurl = \"file:/srv\"\nretention_days = 92\n",
        scratch.path("ledger"),
        "AB".repeat(20),
    );
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

pub(crate) fn status(config: &str) -> (Option<i32>, String, serde_json::Value) {
    let program = env!("CARGO_BIN_EXE_iceboxer");
    let ran = output(Command::new(program).args(["status", "--json", "--config", config]));
    let stdout = String::from_utf8(ran.stdout).unwrap();
    let report = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    (ran.status.code(), String::from_utf8(ran.stderr).unwrap(), report)
}

#[test]
fn the_end_of_every_lock_is_forecast_by_status_and_ledger() {
    let scratch = Scratch::new();
    let (code, told, _) = status(&settings(&scratch, ""));
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("vault local: no ice yet"), "{told}");
    // Six months without iceboxer: what was locked for 92 days is so no more.
    write_ledger(&scratch.path("ledger"), &[("local", "1", 182, 92, 100)]);
    let (code, told, report) = status(&settings(&scratch, ""));
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("NOT LOCKED since") && told.contains("firn-ice.timer"), "{told}");
    let host = &report["details"]["hosts"][0];
    assert!((-91..=-89).contains(&host["locked_days"].as_i64().unwrap()), "{host}");
    assert_eq!(ledger(&scratch).entries()[0].retain_until, host["retain_until"].as_str().unwrap());
    // Some time before, the end is in sight.
    for (ago, locked, warned) in [(60, 92, true), (10, 92, false), (10, 40, true)] {
        fs::remove_dir_all(scratch.path("ledger")).unwrap();
        write_ledger(&scratch.path("ledger"), &[("local", "1", ago, locked, 100)]);
        let (_, told, report) = status(&settings(&scratch, ""));
        assert_eq!(told.contains("its newest ice is locked for"), warned, "{ago} {locked}: {told}");
        let days = report["details"]["hosts"][0]["locked_days"].as_i64().unwrap();
        assert!((locked - ago - 1..=locked - ago).contains(&days), "{days}");
    }
}

#[test]
fn status_tells_what_is_proved_and_until_when_it_is_locked() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let ice = format!("web01/{}", scratch.snapshot("web01", &tree("one")));
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    let more = format!("drill_records = {:?}", scratch.path("drills"));
    drilled(&scratch, &ice, 42, "2026-02-01T00:00:00Z");
    let (code, told, _) = status(&settings(&scratch, &more));
    assert_eq!(code, Some(3));
    assert!(told.contains("no drill has proved any of its ice"), "{told}");
    drilled(&scratch, &ice, 0, "2026-03-01T00:00:00Z");
    let (code, told, report) = status(&settings(&scratch, &more));
    assert_eq!((code, told.as_str()), (Some(0), ""));
    let host = &report["details"]["hosts"][0];
    assert_eq!(host["proved_ice"], ice);
    assert!(host["proved_locked_days"].as_i64().unwrap() >= 91);
}

#[test]
fn a_certificate_that_cannot_be_used_keeps_no_proved_ice_from_its_longer_lock() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let ice = format!("web01/{}", scratch.snapshot("web01", &tree("one")));
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    drilled(&scratch, &ice, 0, "2026-03-01T00:00:00Z");
    scratch.snapshot("web01", &tree("two"));
    let fingerprint = recipients[0].fingerprint().as_str();
    for (fingerprint, code, hosts) in [("AB".repeat(20), 33, 1), (fingerprint.to_owned(), 0, 2)] {
        ends_in(&scratch, &ice, 5);
        let config = scratch.path("ice.toml");
        let text = format!(
            "history = {:?}\nstaging = {:?}\nledger = {:?}\ndrill_records = {:?}\n[[recipients]]\ncertificate = {:?}\nfingerprint = \"{fingerprint}\"\n[[vaults]]\nname = \"local\"\nurl = \"file:{}\"\nimmutable = \"never\"\nretention_days = 92\nprove_lock = \"never\"\n",
            scratch.path("history"),
            scratch.path("staging"),
            scratch.path("ledger"),
            scratch.path("drills"),
            scratch.path("one.asc"),
            scratch.path("vault").display(),
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_iceboxer"));
        let ran = output(command.args(["run", "--config", config.to_str().unwrap()]));
        assert_eq!(ran.status.code(), Some(code), "{}", String::from_utf8_lossy(&ran.stderr));
        assert!(days_locked(&scratch, &ice) >= 92);
        let ices: std::collections::HashSet<_> =
            ledger(&scratch).entries().iter().map(|entry| entry.ice.clone()).collect();
        assert_eq!(ices.len(), hosts, "nothing is sealed without a certificate");
    }
}

//! Half a year without a drill, half a year without iceboxer, and clocks that are a year wrong: what was proved stays locked by the provider's
//! clock, and nobody here can delete.

use std::fs;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use fake_s3::Key;
use pipeline_tests::{Outcome, clock};
use serde_json::Value;

use super::{BUCKET, HOST, World};
use crate::rig;

/// Runs in half a year, half a month apart.
const RUNS: usize = 13;
const LOCK_DAYS: i64 = 92;

impl World {
    fn ice(&self) -> Outcome {
        self.scratch.ice().unwrap().expect_code(&[0]).unwrap()
    }

    /// Proves the newest ice, and brings the record to where iceboxer reads it.
    fn prove(&self) -> String {
        self.prove_when(0)
    }

    /// The same, on a machine whose clock is so many days off.
    fn prove_when(&self, days: i64) -> String {
        let drill = self.scratch.restore_drill(&["verify", &format!("{HOST}/latest")]);
        let mut drill = if days == 0 { drill } else { off(&drill, days) };
        let verified = Outcome::of(&mut drill).unwrap().expect_code(&[0]).unwrap();
        let details = verified.report().unwrap()["details"].take();
        let record = details["record"].as_str().unwrap();
        let brought = self.drills().join(record);
        fs::copy(self.scratch.folder.join("drill/records").join(record), &brought).unwrap();
        self.give(&self.drills());
        self.give(&brought);
        details["ice"].as_str().unwrap().to_owned()
    }

    fn now(&self) -> DateTime<Utc> {
        self.server.clock().now()
    }

    /// For how many days the provider keeps a version.
    fn days_locked(&self, key: &str, version: &str) -> i64 {
        let versions = self.server.versions(BUCKET, key);
        let version = versions.iter().find(|found| found.version_id == version).unwrap();
        version.retention.map_or(i64::MIN, |(_, until)| (until - self.now()).num_days())
    }

    /// The last line of the ledger about an ice: all that a restore of it needs, with name and version.
    fn needs(&self, ice: &str) -> Vec<(String, String)> {
        let line = self.ledger().into_iter().rfind(|line| line["ice"]["ice"] == ice).unwrap();
        let receipts = line["receipts"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        receipts.iter().map(|receipt| (text(&receipt["object"]), text(&receipt["version"]))).collect()
    }

    fn least_locked(&self, ice: &str) -> i64 {
        self.needs(ice).iter().map(|(key, version)| self.days_locked(key, version)).min().unwrap()
    }

    /// Every ice there is, oldest first.
    fn ices(&self) -> Vec<String> {
        let keys = self.server.keys(BUCKET);
        let names = keys.iter().filter_map(|key| key.strip_prefix("ice/")?.strip_suffix("/ice.json"));
        names.map(str::to_owned).collect()
    }

    fn delete(&self, key: &Key, (object, version): &(String, String)) -> u16 {
        self.call(key, ("DELETE", &format!("/{object}"), &format!("versionId={version}")), "").0
    }
}

#[test]
fn six_months_without_a_drill_the_last_proved_ice_stays_locked_and_the_others_lapse() {
    let _turn = rig::turn();
    let world = World::new(65_536, 200_000);
    world.snapshot("the first");
    world.ice();
    let proved = world.prove();
    let started = world.now();
    for run in 1..=RUNS {
        world.server.advance_days(15);
        world.snapshot(&format!("of run {run}"));
        world.ice();
        assert!(world.least_locked(&proved) >= LOCK_DAYS, "run {run}: {}", world.least_locked(&proved));
    }
    let (months, apart) = ((world.now() - started).num_days(), (world.now() - Utc::now()).num_days());
    assert!(months >= 182 && apart >= 182, "{months} {apart}: the clock here was never moved");
    let ices = world.ices();
    assert_eq!(ices.len(), RUNS + 1);
    println!(
        "MONTHS: {months} days, {} ices, the proved one is locked for {} more",
        ices.len(),
        world.least_locked(&proved)
    );

    // What only the second ice needs has lapsed: who may delete can, and still cannot touch what the proved one needs.
    let kept = world.needs(&proved);
    let needed: Vec<_> = ices[2..].iter().flat_map(|ice| world.needs(ice)).chain(kept.clone()).collect();
    let lapsed: Vec<_> = world.needs(&ices[1]).into_iter().filter(|one| !needed.contains(one)).collect();
    assert!(lapsed.len() >= 3, "its head, its catalogue and its record: {lapsed:?}");
    let admin = world.server.add_admin();
    for one in &kept {
        assert_eq!(world.delete(&admin, one), 403, "{one:?}");
    }
    for one in &lapsed {
        assert!(world.days_locked(&one.0, &one.1) <= 0, "{one:?}");
        assert_eq!(world.delete(&world.writer, one), 403, "{one:?}");
        assert_eq!(world.delete(&admin, one), 204, "{one:?}");
    }
    println!(
        "LAPSED: {} of the second ice's objects; {} of the proved are refused to an admin",
        lapsed.len(),
        kept.len()
    );
    // It is not only locked, but whole.
    let words = ["verify", &proved];
    Outcome::of(&mut world.scratch.restore_drill(&words)).unwrap().expect_code(&[0]).unwrap();
}

/// The same command on a machine whose clock is so many days off.
fn off(plain: &Command, days: i64) -> Command {
    clock::at(plain, &format!("{days:+}d"))
}

impl World {
    /// A verb of iceboxer on a machine whose clock is so many days off.
    fn iceboxer_off(&self, days: i64, words: &[&str]) -> Outcome {
        Outcome::of(&mut off(&self.scratch.iceboxer(words), days)).unwrap()
    }
}

#[test]
fn a_provider_whose_clock_is_a_year_off_is_followed() {
    let test = "a_provider_whose_clock_is_a_year_off_is_followed";
    if !rig::has_other_times_or_skipped(test) {
        return;
    }
    let _turn = rig::turn();
    for days in [-365, 365] {
        let world = World::new(65_536, 200_000);
        world.server.clock().set(Utc::now() + TimeDelta::days(days));
        world.snapshot("one");
        world.ice();
        // A signature of next year is believed by nobody; where the drill's clock is the provider's, it is.
        let early = world.scratch.verify(HOST).unwrap();
        assert_eq!(early.code, if days > 0 { 44 } else { 0 }, "{}", early.said());
        assert!(days < 0 || early.stderr.contains("clock of this machine"), "{}", early.said());
        let proved = world.prove_when(days.max(0));
        for (object, version) in world.needs(&proved) {
            let locked = world.days_locked(&object, &version);
            assert!((LOCK_DAYS..=LOCK_DAYS + 1).contains(&locked), "{days}: {object}: {locked}");
        }
        world.server.advance_days(40);
        world.snapshot("two");
        world.ice();
        assert!(world.least_locked(&proved) >= LOCK_DAYS);
        println!("PROVIDER: {days} days off, locked for {} by its clock", world.least_locked(&proved));
    }
}

#[test]
fn a_backup_server_whose_clock_is_a_year_off_locks_by_the_providers() {
    let test = "a_backup_server_whose_clock_is_a_year_off_locks_by_the_providers";
    if !rig::has_other_times_or_skipped(test) {
        return;
    }
    let _turn = rig::turn();
    let world = World::new(65_536, 200_000);
    world.snapshot("one");
    world.ice();
    let proved = world.prove();
    // Half a year ahead the certificate is still good.
    for (days, code) in [(180, 0), (-365, 33), (400, 33)] {
        world.server.advance_days(15);
        world.snapshot(&format!("when {days} off"));
        let ran = world.iceboxer_off(days, &["run"]);
        assert_eq!(ran.code, code, "{days}: {}", ran.said());
        let locked = world.least_locked(&proved);
        assert!((LOCK_DAYS..=LOCK_DAYS + 1).contains(&locked), "{days}: {locked}");
        let newest = world.ices().pop().unwrap();
        println!(
            "SERVER: {days} days off: code {code}, the proved ice is locked for {locked} more, the newest for {}",
            world.least_locked(&newest)
        );
    }
}

#[test]
fn six_months_without_iceboxer_the_end_of_the_locks_is_forecast_and_its_credentials_still_delete_nothing() {
    let test = "six_months_without_iceboxer_the_end_of_the_locks_is_forecast_and_its_credentials_still_delete_nothing";
    if !rig::has_other_times_or_skipped(test) {
        return;
    }
    let _turn = rig::turn();
    let world = World::new(65_536, 200_000);
    world.snapshot("one");
    world.ice();
    let ice = world.prove();
    let until = world.ledger().pop().unwrap()["retain_until"].as_str().unwrap().to_owned();
    // The control: today there is nothing to warn of.
    assert_eq!(world.iceboxer_off(0, &["status"]).code, 0);
    for (days, told) in [(60, "locked for 3"), (182, "NOT LOCKED since 8")] {
        let status = world.iceboxer_off(days, &["status"]);
        assert_eq!(status.code, 3, "{days}: {}", status.said());
        assert!(
            status.said().contains(told) && status.said().contains("firn-ice.timer"),
            "{}",
            status.said()
        );
        let host = &status.report().unwrap()["details"]["hosts"][0];
        assert_eq!(
            (host["retain_until"].as_str().unwrap(), host["ice"].as_str().unwrap()),
            (until.as_str(), ice.as_str())
        );
        let list = world.iceboxer_off(days, &["list"]).expect_code(&[0]).unwrap();
        assert_eq!(list.report().unwrap()["details"]["ices"][0]["retain_until"], until.as_str());
    }

    // The locks have lapsed: nothing stands against a deletion but the rights.
    world.server.advance_days(182);
    let objects = world.objects();
    assert!(objects.iter().all(|(object, version)| world.days_locked(object, version) < 0));
    let refused = refused_to_the_writer(&world, &objects);
    assert_eq!(world.objects(), objects);
    world.scratch.verify(HOST).unwrap().expect_code(&[0]).unwrap();
    println!("LAPSED: {refused} calls of the writer refused");
    // The control: it is only the rights.
    let admin = world.server.add_admin();
    for one in &objects {
        assert_eq!(world.delete(&admin, one), 204, "{one:?}");
    }
    assert!(world.ices().is_empty());
}

/// Tries all that could take an object away, with the credentials of iceboxer; gives back how many calls were refused.
fn refused_to_the_writer(world: &World, objects: &[(String, String)]) -> usize {
    let mut refused = 0;
    for (object, version) in objects {
        let path = format!("/{object}");
        let batch =
            format!("<Delete><Object><Key>{object}</Key><VersionId>{version}</VersionId></Object></Delete>");
        let query = format!("versionId={version}");
        for (method, path, query) in [
            ("DELETE", path.as_str(), query.as_str()),
            ("DELETE", &path, ""),
            ("PUT", &path, "acl"),
            ("PUT", &path, "tagging"),
        ] {
            let (status, said) = world.call(&world.writer, (method, path, query), "");
            assert_eq!(status, 403, "{method} {path} {query}: {said}");
            refused += 1;
        }
        let (_, said) = world.call_with(
            &world.writer,
            ("POST", "", "delete"),
            &[("x-amz-checksum-crc32", &crc32(&batch))],
            &batch,
        );
        assert!(said.contains("AccessDenied") && !said.contains("<Deleted>"), "{said}");
        refused += 1;
    }
    for (query, body) in [
        (
            "lifecycle",
            "<LifecycleConfiguration><Rule><ID>a</ID><Prefix></Prefix><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
        ),
        ("policy", "{}"),
        ("versioning", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"),
    ] {
        let (status, said) = world.call(&world.writer, ("PUT", "", query), body);
        assert_eq!(status, 403, "{query}: {said}");
        refused += 1;
    }
    refused
}

/// As the header has it.
fn crc32(text: &str) -> String {
    let sum = u64::from(crc32fast::hash(text.as_bytes())) << 4;
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = (0..6).rev().map(|place| char::from(letters[(sum >> (6 * place) & 63) as usize]));
    digits.chain("==".chars()).collect()
}

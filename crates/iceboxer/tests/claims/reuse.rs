//! What a vault has already is not sent again, and is locked as long as what is new.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use chrono::{TimeDelta, Utc};
use cli::Exit;
use formats::records::Record;
use formats::records::ice::{IceRecord, segment_lengths};
use iceboxer::certificate::Recipient;
use iceboxer::ledger::LedgerState;
use iceboxer::plan::Plan;
use serde_json::json;
use vault::stamp::utc_text;

use crate::restart::{Moment, dies};
use crate::rig::{Scratch, Spec, days_from_now, everything, meta, noise, run};

const SEGMENT_BYTES: u64 = 64 * 1024;
const SEGMENTS: usize = 40;

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// An image that waits in the staging folder, as a run that was cut short leaves it: the next run goes on with it.
pub(crate) fn stage(scratch: &Scratch, snapshot: &str, image: &[u8], segment_bytes: u64) {
    let folder = scratch.path("staging/web01");
    fs::create_dir_all(&folder).unwrap();
    let mut at = 0;
    let plain: Vec<String> = segment_lengths(image.len() as u64, segment_bytes)
        .map(|length| {
            let piece = &image[at..at + length as usize];
            at += length as usize;
            hash(piece)
        })
        .collect();
    let sequence: u64 = snapshot.rsplit('-').next().unwrap().parse().unwrap();
    let record = json!({
        "format": "firn.staged/1.0", "host": "web01", "created": utc_text(&Utc::now()),
        "snapshots": [{"name": snapshot, "sequence": sequence, "root": hash(b"root"), "entries": 1}],
        "image": {"bytes": image.len(), "hash": hash(image)},
        "segment_bytes": segment_bytes, "plain": plain, "left_out": 0, "log_head": hash(b"log"),
    });
    fs::write(folder.join("image"), image).unwrap();
    fs::write(folder.join("image.json"), format!("{record}\n")).unwrap();
}

/// A history whose newest snapshot is the one that the staged image is of, so that the run has nothing else to do.
fn run_staged(scratch: &Scratch, recipients: &[Recipient], image: &[u8]) -> String {
    let name = scratch.snapshot("web01", &vec![(b"a", Spec::File(noise(10, 1)), meta(0o644, 0, 1))]);
    run_staged_as(scratch, recipients, image, &name);
    name
}

fn run_staged_as(scratch: &Scratch, recipients: &[Recipient], image: &[u8], name: &str) {
    stage(scratch, name, image, SEGMENT_BYTES);
    let plan = Plan { segment_bytes: SEGMENT_BYTES, ..scratch.plan(recipients, vec![scratch.target()]) };
    assert_eq!(run(plan).unwrap(), Exit::WHOLE);
}

/// How many segments of an ice lie in its own folder.
fn own_segments(scratch: &Scratch, name: &str) -> usize {
    let record = scratch.record(&format!("web01/{name}"));
    record.segments.iter().filter(|segment| segment.object.contains(name)).count()
}

fn image() -> Vec<u8> {
    noise(4096 + SEGMENTS * SEGMENT_BYTES as usize, 7)
}

/// The same image with one byte changed in each of `changed` segments, and in the first 4 KiB.
fn changed(image: &[u8], changed: &[usize]) -> Vec<u8> {
    let mut image = image.to_vec();
    image[17] ^= 1;
    for segment in changed {
        image[4096 + segment * SEGMENT_BYTES as usize + 9] ^= 1;
    }
    image
}

fn object(scratch: &Scratch, name: &str) -> PathBuf {
    scratch.path("vault/objects").join(name)
}

/// Bytes of all objects of one ice's own folder.
fn own_bytes(scratch: &Scratch, name: &str) -> u64 {
    let folder = scratch.object(name);
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_second_image_that_keeps_nine_tenths_of_its_bytes_costs_less_than_an_eighth() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one"), scratch.recipient("two")];
    let first_image = image();
    let first = run_staged(&scratch, &recipients, &first_image);
    let second_image = changed(&first_image, &[3, 17, 18, 39]);
    let second = run_staged(&scratch, &recipients, &second_image);
    let (all, new) =
        (own_bytes(&scratch, &format!("web01/{first}")), own_bytes(&scratch, &format!("web01/{second}")));
    println!("REUSE: the second run put {new} of {all} bytes, {:.1} %", new as f64 * 100.0 / all as f64);
    assert!(new * 100 <= all * 12, "{new} of {all}");

    let record = scratch.record(&format!("web01/{second}"));
    let shared = record.segments.iter().filter(|segment| segment.object.contains(&first)).count();
    assert_eq!((shared, record.segments.len()), (SEGMENTS - 4, SEGMENTS + 1));
    assert_eq!(fs::read(scratch.thaw(&format!("web01/{first}"))).unwrap(), first_image);

    // All that only the first ice needs is gone one day: the second is whole all the same.
    let needed: BTreeSet<PathBuf> =
        record.segments.iter().map(|segment| object(&scratch, &segment.object)).collect();
    let mut gone = 0;
    for segment in scratch.record(&format!("web01/{first}")).segments {
        let file = object(&scratch, &segment.object);
        if !needed.contains(&file) {
            fs::remove_file(file).unwrap();
            gone += 1;
        }
    }
    assert_eq!(gone, 5);
    assert_eq!(fs::read(scratch.thaw(&format!("web01/{second}"))).unwrap(), second_image);
}

#[test]
fn the_catalogue_is_the_record_signed_by_this_server_and_gpg_opens_it() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = run_staged(&scratch, &recipients, &image());
    let catalogue = scratch.object(&format!("web01/{name}/catalogue.pgp"));
    let unsigned = scratch.gpg(&["--decrypt", catalogue.to_str().unwrap()]);
    assert!(!unsigned.status.success(), "a signature by a key that is not known is no good one");
    scratch.gpg_ok(&["--import", scratch.path("ledger/signing-key.asc").to_str().unwrap()]);
    let opened = scratch.gpg(&["--status-fd", "2", "--decrypt", catalogue.to_str().unwrap()]);
    assert!(opened.status.success());
    assert!(String::from_utf8_lossy(&opened.stderr).contains("GOODSIG"));
    assert_eq!(opened.stdout, fs::read(scratch.object(&format!("web01/{name}/ice.json"))).unwrap());
    let record = IceRecord::from_line(&opened.stdout).unwrap();
    // As the card for the worst day says: each segment that the catalogue names, in order.
    let mut bytes = Vec::new();
    for segment in &record.segments {
        bytes.extend(scratch.gpg_ok(&["--decrypt", object(&scratch, &segment.object).to_str().unwrap()]));
    }
    assert_eq!(bytes, image());
    // The key is made once, for its owner only.
    let key = fs::read(scratch.path("ledger/signing-key.pgp")).unwrap();
    run_staged(&scratch, &recipients, &changed(&image(), &[1]));
    assert_eq!(fs::read(scratch.path("ledger/signing-key.pgp")).unwrap(), key);
}

#[test]
fn a_segment_that_is_lost_is_sent_anew() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let first = run_staged(&scratch, &recipients, &image());
    for (number, folder, suffix) in [(5, "objects", ""), (6, "locks", ".json")] {
        let file = format!("vault/{folder}/ice/web01/{first}/{number:04}.pgp{suffix}");
        fs::remove_file(scratch.path(&file)).unwrap();
    }
    let second_image = changed(&image(), &[]);
    let second = run_staged(&scratch, &recipients, &second_image);
    assert_eq!(
        own_segments(&scratch, &second),
        3,
        "the two that are lost or not locked, and the first 4 KiB"
    );
    assert_eq!(fs::read(scratch.thaw(&format!("web01/{second}"))).unwrap(), second_image);
}

#[test]
fn what_is_used_again_is_locked_as_long_as_what_is_new() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let first = run_staged(&scratch, &recipients, &image());
    // As if the first run had been a hundred days ago.
    for segment in scratch.record(&format!("web01/{first}")).segments {
        let file = scratch.path(&format!("vault/locks/{}.json", segment.object));
        let text = fs::read_to_string(&file).unwrap();
        let (head, _) = text.split_once("\"retain_until\"").unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, format!("{head}\"retain_until\":\"2026-01-05T00:00:00Z\"}}\n")).unwrap();
    }
    let second = run_staged(&scratch, &recipients, &changed(&image(), &[]));
    let vault = scratch.target().vault;
    for segment in scratch.record(&format!("web01/{second}")).segments {
        let name: vault::ObjectName = segment.object.parse().unwrap();
        let lock = vault.lock(&name.into()).unwrap();
        assert!(lock.retain_until >= Utc::now() + TimeDelta::days(92), "{}", segment.object);
    }
    let ledger = LedgerState::read(&scratch.path("ledger")).unwrap();
    let last = ledger.entries().last().unwrap();
    assert!(last.objects.iter().all(|receipt| days_from_now(&receipt.retain_until) >= 91));
}

#[test]
fn a_clock_that_was_ahead_once_and_a_history_begun_anew_keep_no_host_from_its_next_ice() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let tree = || vec![(&b"a"[..], Spec::Folder, meta(0o755, 0, 1))];
    let (right, ahead) = (1_767_322_930, 1_767_322_930 + 400 * 86_400);
    let mut names = Vec::new();
    for clock in [right, ahead, right + 15 * 86_400] {
        let name = scratch.snapshot_at("web01", &tree(), clock);
        run_staged_as(&scratch, &recipients, &changed(&image(), &[names.len()]), &name);
        names.push(name);
    }
    assert!(names[2] < names[1], "the newest does not have the latest date");
    // It counts from 1 again.
    fs::remove_dir_all(scratch.path("history/web01")).unwrap();
    let again = scratch.snapshot_at("web01", &tree(), right + 30 * 86_400);
    assert!(again.ends_with("-0000000001"));
    let last_image = changed(&image(), &[7]);
    run_staged_as(&scratch, &recipients, &last_image, &again);
    assert_eq!(fs::read(scratch.thaw(&format!("web01/{again}"))).unwrap(), last_image);
    names.push(again);
    let own: Vec<usize> = names.iter().map(|name| own_segments(&scratch, name)).collect();
    // Then the one that changes and the one that changes back; from the third on the latter is in the second ice.
    assert_eq!(own, [SEGMENTS + 1, 2, 1, 1]);
}

/// A certificate made years ago, with a key for encryption, and what the settings pin.
fn certificate(scratch: &Scratch) -> String {
    let past = ["--faked-system-time", "20250102T000000"];
    let fingerprint = scratch.key("one", "ed25519", "cert", "10y", &past);
    scratch.gpg_ok(&[&past[..], &["--quick-add-key", &fingerprint, "cv25519", "encr", "10y"]].concat());
    fingerprint
}

/// The certificate as it is brought to the server.
fn brought(scratch: &Scratch, fingerprint: &str) -> [Recipient; 1] {
    let file = scratch.export("one", &["--armor", "--export", fingerprint]);
    [Recipient::load(&file, &fingerprint.parse().unwrap(), SystemTime::now()).unwrap()]
}

/// The secret part of the key is lost, and another key is made: on this day, long before its certificate is brought.
fn lose_the_key(scratch: &Scratch, fingerprint: &str) {
    let listing = scratch.gpg_ok(&["--list-keys", "--with-colons", "--with-keygrip"]);
    let listing = String::from_utf8(listing).unwrap();
    let grip = listing.lines().rfind(|line| line.starts_with("grp:")).unwrap();
    let grip = grip.split(':').find(|field| field.len() == 40).unwrap();
    fs::remove_file(scratch.path(&format!("gpg/private-keys-v1.d/{grip}.key"))).unwrap();
    let day = ["--faked-system-time", "20260102T000000"];
    scratch.gpg_ok(&[&day[..], &["--quick-add-key", fingerprint, "cv25519", "encr", "9y"]].concat());
    // Dates are whole seconds.
    std::thread::sleep(Duration::from_millis(1_100));
}

#[test]
fn a_key_that_took_the_place_of_a_lost_one_opens_all_that_is_sealed_from_then_on() {
    let scratch = Scratch::new();
    let fingerprint = certificate(&scratch);
    let first = run_staged(&scratch, &brought(&scratch, &fingerprint), &image());
    let second = run_staged(&scratch, &brought(&scratch, &fingerprint), &changed(&image(), &[1]));
    assert_eq!(own_segments(&scratch, &second), 2, "it is the same key still, though its file is another");
    lose_the_key(&scratch, &fingerprint);
    let third_image = changed(&image(), &[2]);
    let third = run_staged(&scratch, &brought(&scratch, &fingerprint), &third_image);
    assert_eq!(own_segments(&scratch, &third), SEGMENTS + 1);
    assert_eq!(fs::read(scratch.thaw(&format!("web01/{third}"))).unwrap(), third_image);
    let lost = scratch.object(&format!("{first}/0003.pgp"));
    assert!(!scratch.gpg(&["--decrypt", lost.to_str().unwrap()]).status.success());
}

#[test]
fn an_ice_that_was_begun_to_a_lost_key_is_begun_anew() {
    // While segments are put, and when all that is missing is the catalogue.
    for dies_at in [4, 10] {
        let scratch = Scratch::new();
        let fingerprint = certificate(&scratch);
        let name = scratch.snapshot("web01", &everything());
        let (target, _) = dies(scratch.target(), dies_at, Moment::After);
        run(scratch.plan(&brought(&scratch, &fingerprint), vec![target])).unwrap_err();
        assert!(!scratch.objects().is_empty());
        lose_the_key(&scratch, &fingerprint);
        let recipients = brought(&scratch, &fingerprint);
        assert_eq!(run(scratch.plan(&recipients, vec![scratch.target()])).unwrap(), Exit::WHOLE);
        scratch.thaw(&format!("web01/{name}.2"));
    }
}

#[test]
fn for_other_recipients_or_when_asked_again_nothing_is_used_again() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.recipient("one"), scratch.recipient("two"));
    run_staged(&scratch, std::slice::from_ref(&one), &image());
    let second = run_staged(&scratch, &[one, two], &changed(&image(), &[]));
    let record = scratch.record(&format!("web01/{second}"));
    assert!(record.segments.iter().all(|segment| segment.object.contains(&second)));
}

#[test]
fn each_hosts_ice_is_sealed_to_the_certificates_that_name_it_or_else_to_those_that_name_none() {
    let scratch = Scratch::new();
    let (all, own) = (scratch.recipient("all"), scratch.recipient("own"));
    let own = own.only_for(vec!["db1".parse().unwrap()]);
    let web = scratch.snapshot("web01", &everything());
    let db = scratch.snapshot("db1", &everything());
    run(scratch.plan(&[all.clone(), own.clone()], vec![scratch.target()])).unwrap();
    assert_eq!(scratch.record(&format!("web01/{web}")).recipients, [all.fingerprint().clone()]);
    assert_eq!(scratch.record(&format!("db1/{db}")).recipients, [own.fingerprint().clone()]);
    scratch.snapshot("web01", &vec![(b"a", Spec::Folder, meta(0o755, 0, 1))]);
    let failed = run(scratch.plan(&[own], vec![scratch.target()])).unwrap_err();
    assert_eq!(failed.exit(), Exit::USAGE);
    assert!(failed.chain().contains("web01"), "{}", failed.chain());
}

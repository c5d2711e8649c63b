//! Locks that a run keeps whatever else fails, and ice that is made anew because what is there cannot stay.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use chrono::{DateTime, TimeDelta, Utc};
use cli::Exit;
use iceboxer::certificate::Recipient;
use iceboxer::plan::Plan;
use iceboxer::settings::Unchanged;
use iceboxer::store::Target;
use vault::{Content, Lock, Names, ObjectFolder, ObjectName, ObjectRef, Probe, Result, Thawed, Vault, Wish};

use crate::locks::{days_locked, drilled, ends_in, entry, ledger, settings, status, tree, with_drills};
use crate::rig::{Scratch, left_out, output, run};

/// A vault as it is so many days later, by its own clock.
struct Later {
    inner: Box<dyn Vault>,
    days: i64,
    extends: bool,
}

impl Vault for Later {
    fn clock(&self) -> Result<DateTime<Utc>> {
        Ok(self.inner.clock()? + TimeDelta::days(self.days))
    }
    fn put(&self, name: &ObjectName, content: Content<'_>, until: DateTime<Utc>) -> Result<Lock> {
        self.inner.put(name, content, until)
    }
    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>> {
        self.inner.list(folder)
    }
    fn fetch(&self, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
        self.inner.fetch(object)
    }
    fn thaw(&self, object: &ObjectRef, wish: Wish) -> Result<Thawed> {
        self.inner.thaw(object, wish)
    }
    fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        self.inner.lock(object)
    }
    fn can_extend(&self) -> bool {
        self.extends
    }
    fn extend_lock(&self, object: &ObjectRef, until: DateTime<Utc>) -> Result<Lock> {
        assert!(self.extends, "{object:?}");
        self.inner.extend_lock(object, until)
    }
    fn end_stale_puts(&self, before: DateTime<Utc>) -> Result<u64> {
        self.inner.end_stale_puts(before)
    }
    fn prove_lock(&self, canary: &Lock) -> Result<Vec<Probe>> {
        self.inner.prove_lock(canary)
    }
    fn inspect(&self) -> vault::Inspection {
        self.inner.inspect()
    }
}

pub(crate) fn later(scratch: &Scratch, days: i64) -> Target {
    let target = scratch.target();
    Target { vault: Box::new(Later { inner: target.vault, days, extends: true }), ..target }
}

pub(crate) fn later_for_good(scratch: &Scratch, days: i64) -> Target {
    let target = scratch.target();
    Target { vault: Box::new(Later { inner: target.vault, days, extends: false }), ..target }
}

/// A server with one host's ice.
struct World {
    scratch: Scratch,
    recipients: [Recipient; 1],
    ice: String,
}

impl World {
    fn new() -> World {
        let scratch = Scratch::new();
        let recipients = [scratch.recipient("one")];
        let ice = format!("web01/{}", scratch.snapshot("web01", &tree("one")));
        run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
        World { scratch, recipients, ice }
    }

    fn plan(&self, target: Target) -> Plan {
        self.scratch.plan(&self.recipients, vec![target])
    }

    fn ices(&self) -> Vec<String> {
        ledger(&self.scratch).entries().iter().map(|entry| entry.ice.to_string()).collect()
    }
}

#[test]
fn whatever_a_run_cannot_do_without_is_gone_what_is_proved_and_what_is_newest_stay_locked() {
    type Break = fn(&Scratch);
    let cases: [(&str, Exit, Break); 5] = [
        ("history", Exit::MACHINE, |scratch| fs::remove_dir_all(scratch.path("history")).unwrap()),
        // As the mount point of a disk that is not there.
        ("has no host", Exit::MACHINE, |scratch| {
            fs::remove_dir_all(scratch.path("history")).unwrap();
            fs::create_dir(scratch.path("history")).unwrap();
        }),
        ("staging", Exit::MACHINE, |scratch| {
            fs::remove_dir_all(scratch.path("staging")).unwrap();
            fs::write(scratch.path("staging"), "").unwrap();
        }),
        ("signing key", Exit::USAGE, |scratch| {
            let key = scratch.path("ledger/signing-key.pgp");
            fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("drill records", Exit::MACHINE, |scratch| fs::remove_dir_all(scratch.path("drills")).unwrap()),
    ];
    for (word, exit, break_it) in cases {
        let world = World::new();
        let scratch = &world.scratch;
        drilled(scratch, &world.ice, 0, "2026-03-01T00:00:00Z");
        let newest = format!("web01/{}", scratch.snapshot("web01", &tree("two")));
        run(with_drills(scratch, world.plan(scratch.target()))).unwrap();
        [&world.ice, &newest].iter().for_each(|ice| ends_in(scratch, ice, 5));
        break_it(scratch);
        let failed = run(with_drills(scratch, world.plan(later(scratch, 80)))).unwrap_err();
        assert_eq!(failed.exit(), exit, "{}", failed.chain());
        assert!(failed.chain().contains(word), "{word}: {}", failed.chain());
        assert!(days_locked(scratch, &newest) >= 80 + 92, "{word}");
        // Without the records nobody knows that it is proved.
        assert_eq!(days_locked(scratch, &world.ice) >= 80 + 92, word != "drill records", "{word}");
    }
}

#[test]
fn a_url_that_is_none_and_a_vault_that_is_away_are_both_named_and_keep_no_other_ice_from_its_lock() {
    let world = World::new();
    let scratch = &world.scratch;
    drilled(scratch, &world.ice, 0, "2026-03-01T00:00:00Z");
    ends_in(scratch, &world.ice, 5);
    let vault = |name: &str, url: String| {
        format!(
            "[[vaults]]\nname = \"{name}\"\nurl = \"{url}\"\nimmutable = \"never\"\nretention_days = 92\nprove_lock = \"never\"\n"
        )
    };
    let text = format!(
        "history = {:?}\nstaging = {:?}\nledger = {:?}\ndrill_records = {:?}\n[[recipients]]\ncertificate = {:?}\nfingerprint = \"{}\"\n{}{}{}",
        scratch.path("history"),
        scratch.path("staging"),
        scratch.path("ledger"),
        scratch.path("drills"),
        scratch.path("one.asc"),
        world.recipients[0].fingerprint().as_str(),
        vault("mistyped", "fil:/srv".to_owned()),
        vault("away", format!("file:{}", scratch.path("nowhere").display())),
        vault("local", format!("file:{}", scratch.path("vault").display())),
    );
    let config = scratch.path("ice.toml");
    fs::write(&config, text).unwrap();
    let newest = scratch.snapshot("web01", &tree("two"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_iceboxer"));
    let ran = output(command.args(["run", "--config", config.to_str().unwrap()]));
    let told = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{told}");
    assert!(told.contains("vault mistyped") && told.contains("vault away"), "{told}");
    assert!(days_locked(scratch, &world.ice) >= 92);
    scratch.record(&format!("web01/{newest}"));
}

#[test]
fn the_only_proved_ice_stays_locked_whatever_a_later_drill_says() {
    for code in [28, 31, 37, 41, 42, 43, 44] {
        let world = World::new();
        let scratch = &world.scratch;
        drilled(scratch, &world.ice, 0, "2026-03-01T00:00:00Z");
        drilled(scratch, &world.ice, code, "2026-04-01T00:00:00Z");
        ends_in(scratch, &world.ice, 5);
        run(with_drills(scratch, world.plan(scratch.target()))).unwrap();
        assert!(days_locked(scratch, &world.ice) >= 92, "{code}");
    }
}

#[test]
fn ice_that_a_drill_found_damaged_is_sealed_anew_though_the_host_sent_nothing_since() {
    for unchanged in [Unchanged::Seal, Unchanged::Extend] {
        let world = World::new();
        let scratch = &world.scratch;
        let plan = || with_drills(scratch, Plan { unchanged, ..world.plan(scratch.target()) });
        drilled(scratch, &world.ice, 42, "2026-03-01T00:00:00Z");
        run(plan()).unwrap();
        let anew = format!("{}.2", world.ice);
        assert_eq!(world.ices(), [world.ice.clone(), anew.clone()], "{unchanged:?}");
        let shared = |segment: &formats::records::ice::Segment| !segment.object.contains(&anew);
        assert!(!scratch.record(&anew).segments.iter().any(shared), "nothing of the damaged one is used");
        scratch.thaw(&anew);
        // Once is enough.
        run(plan()).unwrap();
        assert_eq!(world.ices().len(), 2);
        // A proof that came later clears it of all doubt.
        drilled(scratch, &anew, 42, "2026-04-01T00:00:00Z");
        drilled(scratch, &anew, 0, "2026-05-01T00:00:00Z");
        run(plan()).unwrap();
        assert_eq!(world.ices().len(), 2);
    }
}

#[test]
fn a_host_that_sends_nothing_more_stays_locked_as_long_as_iceboxer_runs() {
    for unchanged in [Unchanged::Seal, Unchanged::Extend] {
        let world = World::new();
        let scratch = &world.scratch;
        for days in [60, 150, 300] {
            assert_eq!(run(Plan { unchanged, ..world.plan(later(scratch, days)) }).unwrap(), Exit::WHOLE);
            assert!(days_locked(scratch, &world.ice) >= days + 92, "{unchanged:?} {days}");
        }
        assert_eq!(world.ices().len(), 1, "a longer lock is no other ice");
    }
    // Long before its end nobody is asked for more.
    let world = World::new();
    let before = days_locked(&world.scratch, &world.ice);
    run(world.plan(later(&world.scratch, 30))).unwrap();
    assert_eq!(days_locked(&world.scratch, &world.ice), before);
    // A host that the history has no more is let go.
    let history = world.scratch.path("history");
    world.scratch.snapshot("db1", &tree("other"));
    fs::remove_dir_all(history.join("web01")).unwrap();
    run(world.plan(later(&world.scratch, 90))).unwrap();
    assert_eq!(days_locked(&world.scratch, &world.ice), before);
}

#[test]
fn where_no_lock_can_be_extended_a_host_that_sends_nothing_more_is_sealed_anew_in_time() {
    let world = World::new();
    run(world.plan(later_for_good(&world.scratch, 30))).unwrap();
    assert_eq!(world.ices().len(), 1);
    run(world.plan(later_for_good(&world.scratch, 60))).unwrap();
    let anew = format!("{}.2", world.ice);
    assert_eq!(world.ices(), [world.ice.clone(), anew.clone()]);
    assert!(days_locked(&world.scratch, &anew) >= 60 + 92);
    run(world.plan(later_for_good(&world.scratch, 70))).unwrap();
    assert_eq!(world.ices().len(), 2);
}

#[test]
fn ice_that_lost_an_object_is_made_anew_and_the_other_vaults_are_kept_all_the_same() {
    let world = World::new();
    let scratch = &world.scratch;
    let plan = || Plan {
        unchanged: Unchanged::Extend,
        ..scratch.plan(&world.recipients, vec![scratch.target(), scratch.other()])
    };
    run(plan()).unwrap();
    fs::remove_file(scratch.object(&format!("{}/catalogue.pgp", world.ice))).unwrap();
    let same = format!("web01/{}", scratch.snapshot("web01", &tree("one")));
    let lines = fs::read_to_string(scratch.path("ledger/ledger")).unwrap().lines().count();
    let failed = run(plan()).unwrap_err();
    assert_eq!(failed.exit(), Exit::OBJECT_MISSING, "a loss is told: {}", failed.chain());
    scratch.thaw(&same);
    assert!(!scratch.path("other/objects/ice").join(&same).exists(), "there it can stay");
    assert_eq!(run(plan()).unwrap(), Exit::WHOLE);
    assert_eq!(world.ices().len(), 3);
    assert!(fs::read_to_string(scratch.path("ledger/ledger")).unwrap().lines().count() > lines);
}

#[test]
fn a_proof_that_counts_for_nothing_is_named() {
    let world = World::new();
    let scratch = &world.scratch;
    let plan = || with_drills(scratch, world.plan(scratch.target()));
    drilled(scratch, &world.ice, 0, "2026-03-01T00:00:00Z");
    // The control.
    let (ended, named) = left_out(plan());
    assert_eq!((ended.unwrap(), named), (Exit::WHOLE, 0));
    let file = fs::read_dir(scratch.path("drills")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&file).unwrap();
    let hash = entry(scratch, &world.ice).record.image.hash.to_string();
    for (from, to, word) in [
        ("\"vault\":\"local\"", "\"vault\":\"renamed\"", "the ledger names no such ice"),
        (hash.as_str(), &"ab".repeat(32), "another than the one in the ledger"),
    ] {
        fs::write(&file, text.replace(from, to)).unwrap();
        assert_eq!(left_out(plan()).1, 1, "{word}");
        let (code, told, _) =
            status(&settings(scratch, &format!("drill_records = {:?}", scratch.path("drills"))));
        assert!(code == Some(3) && told.contains(word), "{told}");
    }
    // The vault was taken out of the settings.
    fs::write(&file, &text).unwrap();
    let (ended, named) = left_out(with_drills(scratch, world.plan(scratch.other())));
    assert_eq!((ended.unwrap(), named), (Exit::WHOLE, 1));
    // A ledger that was lost.
    fs::remove_file(scratch.path("ledger/ledger")).unwrap();
    assert_eq!(left_out(plan()).1, 1);
}

#[test]
fn status_names_the_vault_that_a_host_has_no_ice_in() {
    let world = World::new();
    let more = "[[vaults]]\nname = \"new\"\nurl = \"file:/srv\"\nretention_days = 92";
    let config = settings(&world.scratch, "");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}{more}\n")).unwrap();
    let (code, told, _) = status(&config);
    assert_eq!(code, Some(3));
    assert!(told.contains("web01 in new: no ice yet"), "{told}");
}

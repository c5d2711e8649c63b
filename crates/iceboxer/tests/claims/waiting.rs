//! Images that wait in the staging folder for a vault that does not answer: they are finished where that can be, and stand in nobody's way for long.

use std::fs;
use std::path::Path;

use chrono::{TimeDelta, Utc};
use cli::Exit;
use iceboxer::certificate::Recipient;
use iceboxer::ledger::LedgerState;
use iceboxer::plan::Plan;
use iceboxer::store::Target;
use vault::stamp::utc_text;

use crate::locks::tree;
use crate::restart::{Moment, dies};
use crate::rig::{Scratch, Spec, everything, meta, run};

/// The other vault fails in the middle of a put.
fn failing(scratch: &Scratch) -> Target {
    dies(scratch.other(), 5, Moment::Before).0
}

fn has_ice(folder: &Path, ice: &str) -> bool {
    folder.join("objects/ice/web01").join(ice).join("ice.json").exists()
}

/// As if the image that waits had been made so many days ago.
fn made_before(scratch: &Scratch, days: i64) {
    let file = scratch.path("staging/web01/image.json");
    let text = fs::read_to_string(&file).unwrap();
    let (head, rest) = text.split_once("\"created\":\"").unwrap();
    let (_, tail) = rest.split_once('"').unwrap();
    let created = utc_text(&(Utc::now() - TimeDelta::days(days)));
    fs::write(&file, format!("{head}\"created\":\"{created}\"{tail}")).unwrap();
}

struct World {
    scratch: Scratch,
    recipients: [Recipient; 1],
}

impl World {
    /// The first vault has ice of a snapshot, the other has a part of it, and a newer snapshot has come; gives back both names.
    fn new() -> (World, String, String) {
        let scratch = Scratch::new();
        let recipients = [scratch.recipient("one")];
        let world = World { scratch, recipients };
        let first = world.scratch.snapshot("web01", &everything());
        let targets = vec![world.scratch.target(), failing(&world.scratch)];
        let failed = run(world.plan(targets)).unwrap_err();
        assert_eq!(failed.exit(), Exit::VAULT_UNREACHABLE);
        assert!(has_ice(&world.vault(), &first) && !has_ice(&world.other(), &first));
        assert!(world.scratch.path("staging/web01/to-other.json").exists());
        let second = world.scratch.snapshot("web01", &tree("two"));
        (world, first, second)
    }

    /// Both vaults are in the settings, whether they could be opened or not.
    fn plan(&self, targets: Vec<Target>) -> Plan {
        let vaults = ["local".to_owned(), "other".to_owned()].into();
        Plan { vaults, ..self.scratch.plan(&self.recipients, targets) }
    }

    fn vault(&self) -> std::path::PathBuf {
        self.scratch.path("vault")
    }

    fn other(&self) -> std::path::PathBuf {
        self.scratch.path("other")
    }
}

#[test]
fn a_vault_that_keeps_failing_does_not_keep_the_others_from_newer_ice() {
    let (world, first, second) = World::new();
    let both = || vec![world.scratch.target(), failing(&world.scratch)];
    // The other vault has one more run of the timer to get it whole.
    made_before(&world.scratch, 16);
    run(world.plan(both())).unwrap_err();
    assert!(!has_ice(&world.vault(), &second), "the image that waits is kept");
    made_before(&world.scratch, 20);
    let failed = run(world.plan(both())).unwrap_err();
    assert_eq!(failed.exit(), Exit::VAULT_UNREACHABLE, "it is told all the same");
    assert!(has_ice(&world.vault(), &second));
    assert!(!has_ice(&world.other(), &first) && !has_ice(&world.other(), &second));
    // It comes back: it gets what is newest.
    run(world.plan(vec![world.scratch.target(), world.scratch.other()])).unwrap();
    assert!(has_ice(&world.other(), &second));
    assert!(world.scratch.is_staging_empty("web01"));
}

#[test]
fn a_vault_that_got_nothing_of_an_image_is_not_waited_for() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let dead = || vec![scratch.target(), dies(scratch.other(), 1, Moment::Before).0];
    for content in ["one", "two"] {
        let name = scratch.snapshot("web01", &tree(content));
        run(scratch.plan(&recipients, dead())).unwrap_err();
        assert!(has_ice(&scratch.path("vault"), &name), "{content}");
    }
}

#[test]
fn the_only_vault_that_lacks_newer_ice_finishes_what_it_has_begun_however_old() {
    let (world, first, second) = World::new();
    // The first vault is not there any more: nobody is kept waiting.
    made_before(&world.scratch, 400);
    run(world.plan(vec![failing(&world.scratch)])).unwrap_err();
    run(world.plan(vec![world.scratch.other()])).unwrap();
    assert!(has_ice(&world.other(), &first) && has_ice(&world.other(), &second));
}

#[test]
fn a_vault_that_is_away_for_one_run_goes_on_where_it_was() {
    let (world, first, second) = World::new();
    // As when it cannot be opened, or its locks cannot be proved.
    run(world.plan(vec![world.scratch.target()])).unwrap();
    assert!(world.scratch.path("staging/web01/to-other.json").exists());
    let begun = fs::read_dir(world.other().join("objects/ice/web01")).unwrap().count();
    run(world.plan(vec![world.scratch.target(), world.scratch.other()])).unwrap();
    assert!(has_ice(&world.other(), &first), "under the id that was begun");
    assert!(has_ice(&world.vault(), &second) && has_ice(&world.other(), &second));
    assert_eq!((begun, fs::read_dir(world.other().join("objects/ice/web01")).unwrap().count()), (1, 2));
    assert_eq!(LedgerState::read(&world.scratch.path("ledger")).unwrap().entries().len(), 4);
    assert!(world.scratch.is_staging_empty("web01"));
}

#[test]
fn a_vault_that_stays_away_is_not_waited_for_for_ever() {
    let (world, _, second) = World::new();
    made_before(&world.scratch, 21);
    run(world.plan(vec![world.scratch.target()])).unwrap();
    assert!(has_ice(&world.vault(), &second));
    assert!(world.scratch.is_staging_empty("web01"));
}

#[test]
fn what_a_killed_build_left_takes_no_room_from_the_next() {
    let scratch = Scratch::new();
    let recipients = [scratch.recipient("one")];
    let name = scratch.snapshot("web01", &vec![(b"a", Spec::File(Vec::new()), meta(0o644, 0, 1))]);
    fs::create_dir_all(scratch.path("staging/web01")).unwrap();
    // Half an image, without the record that makes it count.
    fs::write(scratch.path("staging/web01/image"), [1; 5_000]).unwrap();
    // The next is so large that the disk is asked and refuses: by then the leftover is gone.
    crate::rig::claim_size(&scratch, "web01", &name, 1 << 50);
    let failed = run(scratch.plan(&recipients, vec![scratch.target()])).unwrap_err();
    assert_eq!(failed.exit(), Exit::NO_STAGING, "{}", failed.chain());
    assert!(scratch.is_staging_empty("web01"));
}

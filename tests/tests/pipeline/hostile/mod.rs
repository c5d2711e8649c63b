//! A host that breaks every rule. Each case is sent through the real receiver, in its chroot and under its account, or is put among
//! the sealed pushes as by someone who has taken over the receiver, and is then met by the real snapshotter.
//!
//! Whatever the case: everything outside this host's jail and history stays untouched, down to the ctime of every inode; what lies
//! in the history stays as it was; the log only grows; nothing is left in the spool; no process is left.

mod bases;
mod blocks;
mod case;
mod company;
mod contents;
mod entries;
mod frames;
mod ground;
mod harmless;
mod links;
mod paths;
mod sealed;
mod sessions;

use case::Case;
use ground::Ground;

/// Fewer than this is not the suite that was meant.
const CASES_MIN: usize = 80;

#[test]
fn no_hostile_push_harms_anything() {
    let ground = &mut Ground::new();
    let tables: [(&str, Vec<Case>); 11] = [
        ("bases", bases::cases()),
        ("paths", paths::cases()),
        ("entries", entries::cases()),
        ("links", links::cases()),
        ("contents", contents::cases()),
        ("blocks", blocks::cases()),
        ("frames", frames::cases()),
        ("sealed", sealed::cases()),
        ("sessions", sessions::cases()),
        ("forgotten", bases::forgotten()),
        ("harmless", harmless::cases()),
    ];
    let only = std::env::var("FIRN_CASE").unwrap_or_default();
    let (mut count, mut failures) = (0, Vec::new());
    for (table, cases) in tables {
        for case in cases.into_iter().filter(|case| case.name.contains(&only)) {
            count += 1;
            if let Err(why) = ground.run(&case) {
                failures.push(format!("{table}: {}: {why}", case.name));
            }
        }
    }
    println!("CASES: {count}");
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= CASES_MIN || !only.is_empty(), "only {count} cases");
}

#[test]
fn the_ground_notices_what_it_is_there_to_notice() {
    ground::notices_damage();
}

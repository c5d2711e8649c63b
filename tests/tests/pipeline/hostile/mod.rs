//! A host that breaks every rule. Each case is sent through the real receiver, in its chroot and under its account, or is put among
//! the sealed pushes as by someone who has taken over the receiver, and is then met by the real snapshotter.
//!
//! Whatever the case: everything outside this host's jail and history stays untouched, down to the ctime of every inode; what lies
//! in the history stays as it was; the log only grows; nothing is left in the spool; no process is left.
//!
//! `FIRN_CASE=words` runs only the cases whose names have these words, and tells how long each took.

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
/// What 66,000 names or a bomb of 1 GiB may cost.
const PEAK_BYTES_MAX: u64 = 64 << 20;

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
    // A ground that believes everything would have passed all of this.
    let honest = case::whole("an honest push", case::Expect::Rejected(21), &[b"x"], || vec![honest_file()]);
    assert!(ground.run(&honest).is_err());
    println!("CASES: {count}");
    match ground.peak_bytes >> 20 {
        0 => println!("PEAK: not measured: needs root"),
        peak => println!("PEAK: {peak} MiB in a process of an ingest"),
    }
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(ground.peak_bytes < PEAK_BYTES_MAX, "{} bytes of memory", ground.peak_bytes);
    assert!(count >= CASES_MIN || !only.is_empty(), "only {count} cases");
}

fn honest_file() -> pipeline_tests::rawpush::Entry {
    pipeline_tests::rawpush::Entry::file("f", b"x")
}

#[test]
fn the_ground_notices_what_it_is_there_to_notice() {
    ground::notices_damage();
}

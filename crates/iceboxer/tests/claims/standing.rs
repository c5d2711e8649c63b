//! What is published for those who may not read the ledger.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use formats::records::Record;
use formats::records::standing::{Damage, DrillsKnown, StandingRecord};

use crate::locks::{drilled, ledger, settings, status, tree};
use crate::rig::{Scratch, output, run};

fn published(scratch: &Scratch) -> StandingRecord {
    StandingRecord::from_line(&fs::read(scratch.path("public/standing.json")).unwrap()).unwrap()
}

/// Runs the program with a mask that hides what it writes; its code and what it said.
fn run_hidden(scratch: &Scratch, standing: &str) -> (Option<i32>, String) {
    let recipient = scratch.recipient("one");
    let config = scratch.path("ice.toml");
    let text = format!(
        "history = {:?}\nstaging = {:?}\nledger = {:?}\nstanding = {:?}\n[[recipients]]\ncertificate = {:?}\nfingerprint = {:?}\n[[vaults]]\nname = \"local\"\nurl = \"file:{}\"\nimmutable = \"never\"\nretention_days = 92\nprove_lock = \"never\"\n",
        scratch.path("history"),
        scratch.path("staging"),
        scratch.path("ledger"),
        scratch.path(standing),
        scratch.path("one.asc"),
        recipient.fingerprint().as_str(),
        scratch.path("vault").display(),
    );
    fs::write(&config, text).unwrap();
    let script = "umask 077; exec \"$0\" run --config \"$1\"";
    let program = env!("CARGO_BIN_EXE_iceboxer");
    let ran = output(Command::new("sh").args(["-c", script, program]).arg(config));
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn after_each_run_everybody_can_read_how_the_ice_of_each_host_stands() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("public")).unwrap();
    let newest = scratch.snapshot("web01", &tree("one"));
    let (code, told) = run_hidden(&scratch, "public/standing.json");
    assert_eq!(code, Some(0), "{told}");
    assert!(!told.contains("was not published"), "{told}");
    let mode = fs::metadata(scratch.path("public/standing.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let standing = published(&scratch);
    assert_eq!(
        (standing.vaults.as_slice(), standing.drills),
        (&["local".to_owned()][..], DrillsKnown::Unknown)
    );
    let [ice] = standing.ices.as_slice() else { panic!("{standing:?}") };
    assert_eq!(
        (ice.host.as_str(), ice.vault.as_str(), ice.snapshot.as_str()),
        ("web01", "local", newest.as_str())
    );
    assert_eq!(ice.retain_until, ledger(&scratch).entries()[0].retain_until);
    assert_eq!((ice.damage, ice.proved.as_ref()), (Damage::None, None));
}

#[test]
fn status_publishes_what_the_drills_said_since() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path("public")).unwrap();
    let ice = format!("web01/{}", scratch.snapshot("web01", &tree("one")));
    run(scratch.plan(&[scratch.recipient("one")], vec![scratch.target()])).unwrap();
    let more = format!(
        "standing = {:?}\ndrill_records = {:?}",
        scratch.path("public/standing.json"),
        scratch.path("drills")
    );
    for (code, at, damage) in
        [(0, "2026-03-01T00:00:00Z", Damage::None), (41, "2026-03-02T00:00:00Z", Damage::Found)]
    {
        drilled(&scratch, &ice, code, at);
        status(&settings(&scratch, &more));
        let standing = published(&scratch);
        assert_eq!((standing.drills, standing.ices[0].damage), (DrillsKnown::Read, damage));
        let proved =
            standing.ices[0].proved.as_ref().map(|proved| (proved.ice.to_string(), proved.drilled.clone()));
        assert_eq!(proved, (code == 0).then(|| (ice.clone(), at.to_owned())), "{at}");
    }
}

#[test]
fn a_standing_that_cannot_be_published_is_said_and_stops_no_run() {
    let scratch = Scratch::new();
    scratch.snapshot("web01", &tree("one"));
    let (code, told) = run_hidden(&scratch, "absent/standing.json");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("was not published") && told.contains("make the folder"), "{told}");
    assert_eq!(ledger(&scratch).entries().len(), 1);
}

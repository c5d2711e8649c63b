//! `snapshotter audit` on a real server: with nothing broken no requirement fails, and what breaks one makes exactly its line fail. The bucket is
//! the server of tests/fake-s3, whose locks iceboxer tries to break itself. What needs systemd is unknown here, and says so.

mod fixtures;
mod host;
mod world;

use crate::rig;
use fixtures::FIXTURES;
use world::{Verdicts, World};

#[test]
fn the_audit_fails_exactly_the_requirement_that_is_broken() {
    let test = "the_audit_fails_exactly_the_requirement_that_is_broken";
    if !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &["unshare", "ssh", "setfacl"]) {
        return;
    }
    let _turn = rig::turn();
    let mut world = World::new();
    if !world.can_be_staged() {
        rig::skipped(test, "there are no namespaces here");
        return;
    }
    let baseline = world.audit("");
    assert_eq!(baseline.failed(), Vec::<&str>::new(), "{}", baseline.said);
    // The machine has no systemd for the server, hosts are pushed by hand, and the free space of a test machine is what it is.
    let known: Vec<&str> = baseline.unknown();
    assert!(known.iter().all(|id| ["R9", "R10"].contains(id)), "{known:?}\n{}", baseline.said);
    assert_eq!(baseline.code, 3);

    for (number, fixture) in FIXTURES.iter().enumerate() {
        assert_eq!(fixture.requirement, format!("R{}", number + 1));
    }
    for fixture in &FIXTURES {
        let mend = (fixture.break_it)(&mut world);
        let broken = world.audit(fixture.stage);
        println!("BROKEN: {}: {}", fixture.what, broken.line(fixture.requirement));
        assert_eq!(broken.failed(), [fixture.requirement], "{}\n{}", fixture.what, broken.said);
        assert!(
            broken.line(fixture.requirement).contains(fixture.named),
            "{}\n{}",
            fixture.what,
            broken.said
        );
        assert_eq!(broken.code, 6);
        mend(&mut world);
        assert_eq!(world.audit("").failed(), Vec::<&str>::new(), "after {}", fixture.what);
    }
    check_report(&baseline);
    check_ice_that_stays(&mut world);
}

/// What fails with other settings holds where ice of the same content stays, with its lock renewed. The newest snapshot is another one than that of the
/// ice, with the same root: see the fixture of R5.
fn check_ice_that_stays(world: &mut World) {
    world.edit("ice.toml", |text| format!("unchanged = \"extend\"\n{text}"));
    let _mend = fixtures::aged(world);
    let verdicts = world.audit("");
    assert_eq!(verdicts.failed(), Vec::<&str>::new(), "{}", verdicts.said);
    assert!(verdicts.line("R5").contains("its lock was renewed 0 days ago"), "{}", verdicts.line("R5"));
}

/// What Salt and auditors read is the same as what people do.
fn check_report(verdicts: &Verdicts) {
    let audit = &verdicts.report["details"]["audit"];
    assert_eq!((&audit["format"], &audit["half"]), (&"firn.audit/1.0".into(), &"server".into()));
    let findings = audit["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 12);
    for (number, finding) in findings.iter().enumerate() {
        let id = format!("R{}", number + 1);
        assert_eq!(finding["requirement"], *id);
        let line = verdicts.line(&id);
        assert_eq!(line.split_whitespace().nth(1), finding["verdict"].as_str(), "{line}");
        assert!(!finding["evidence"].as_array().unwrap().is_empty(), "{id} has no evidence");
    }
}

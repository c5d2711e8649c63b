//! Records of an enemy who may write the vault: each is refused before anything is fetched.

use serde_json::{Value, json};

use super::ices::{Machine, ice_of};
use super::tree::small;

type Spoil = fn(&mut Value);

const CONTRADICTIONS: &[(&str, Spoil)] = &[
    ("another host", |r| r["host"] = json!("web02")),
    ("another ice", |r| r["ice"] = json!("web01/20260102T030402Z-0000000002")),
    ("the ice of another host", |r| r["ice"] = json!("web02/20260102T030401Z-0000000001")),
    ("both of another host", |r| {
        r["host"] = json!("web02");
        r["ice"] = json!("web02/20260102T030401Z-0000000001");
    }),
    ("no snapshots", |r| r["snapshots"] = json!([])),
    ("a newest snapshot of another name", |r| {
        r["snapshots"][0]["name"] = json!("20260102T030409Z-0000000009")
    }),
    ("snapshots out of order", |r| insert_snapshot(r, "20260102T030400Z-0000000000", 7)),
    ("two snapshots of one sequence", |r| insert_snapshot(r, "20260102T030400Z-0000000000", 1)),
    ("two snapshots of one name", |r| insert_snapshot(r, "20260102T030401Z-0000000001", 0)),
    ("a snapshot named as a path", |r| insert_snapshot(r, "../../../../tmp/evil-000000", 0)),
    ("a snapshot named as a deep path", |r| insert_snapshot(r, "20260102T030401Z-0000000001/..", 0)),
    ("a snapshot without a name", |r| insert_snapshot(r, "", 0)),
    ("a snapshot named with a zero byte", |r| insert_snapshot(r, "20260102T030400Z-000000000\0", 0)),
    ("no segments", |r| r["segments"] = json!([])),
    ("no segments and no bytes", |r| {
        r["segments"] = json!([]);
        r["image"]["bytes"] = json!(0);
    }),
    ("a segment missing at the end", |r| drop(r["segments"].as_array_mut().unwrap().pop())),
    ("a segment too many", |r| push_copy(r, "ice/web01/20260102T030401Z-0000000001/0002.pgp")),
    ("a segment twice", |r| push_copy(r, "ice/web01/20260102T030401Z-0000000001/0001.pgp")),
    ("segments out of order", |r| r["segments"].as_array_mut().unwrap().reverse()),
    ("a part of another ice that is no segment", |r| {
        r["segments"][1]["object"] = json!("ice/web01/20260102T030402Z-0000000002/catalogue.pgp")
    }),
    ("a segment of another host", |r| {
        r["segments"][1]["object"] = json!("ice/web02/20260102T030401Z-0000000001/0001.pgp")
    }),
    ("a segment above the vault", |r| r["segments"][1]["object"] = json!("../../../etc/shadow")),
    ("a segment beside its folder", |r| {
        r["segments"][1]["object"] = json!("ice/web01/20260102T030401Z-0000000001/../x/0001.pgp");
    }),
    ("a segment by an absolute path", |r| r["segments"][1]["object"] = json!("/etc/shadow")),
    ("a segment without a name", |r| r["segments"][1]["object"] = json!("")),
    ("the record as a segment", |r| {
        r["segments"][1]["object"] = json!("ice/web01/20260102T030401Z-0000000001/ice.json")
    }),
    ("an image one byte longer", |r| add(&mut r["image"]["bytes"], 1)),
    ("an image one byte shorter", |r| add(&mut r["image"]["bytes"], -1)),
    ("an image without bytes", |r| r["image"]["bytes"] = json!(0)),
    ("an image of all bytes there are", |r| r["image"]["bytes"] = json!(u64::MAX)),
    ("a first segment that is not the superblock", |r| r["segments"][0]["plain_bytes"] = json!(4095)),
    ("a segment one byte longer", |r| add(&mut r["segments"][1]["plain_bytes"], 1)),
    ("segments of no length", |r| r["segment_bytes"] = json!(0)),
    ("segments of one byte", |r| r["segment_bytes"] = json!(1)),
    ("a sealed segment of no length", |r| r["segments"][1]["bytes"] = json!(0)),
    ("a sealed segment shorter than its content", |r| r["segments"][1]["bytes"] = json!(4095)),
    ("a sealed segment of all bytes there are", |r| r["segments"][1]["bytes"] = json!(u64::MAX)),
    ("a sealed segment far longer than its content", |r| add(&mut r["segments"][1]["bytes"], 2 << 20)),
    ("more segments than have names", |r| {
        let one = r["segments"][1].clone();
        r["segments"].as_array_mut().unwrap().resize(10_001, one);
    }),
];

const MALFORMED: &[(&str, Spoil)] = &[
    ("another format", |r| r["format"] = json!("firn.ledger/2.0")),
    ("a format of no version", |r| r["format"] = json!("firn.ice")),
    ("a later major", |r| r["format"] = json!("firn.ice/3.0")),
    ("an earlier major", |r| r["format"] = json!("firn.ice/1.0")),
    ("no format", |r| drop(r.as_object_mut().unwrap().remove("format"))),
    ("a number as its format", |r| r["format"] = json!(1)),
    ("no hash of the image", |r| drop(r["image"].as_object_mut().unwrap().remove("hash"))),
    ("a hash in upper case", |r| r["image"]["hash"] = json!("AB".repeat(32))),
    ("a short hash", |r| r["segments"][0]["hash"] = json!("ab")),
    ("a negative length", |r| r["image"]["bytes"] = json!(-1)),
    ("a broken length", |r| r["image"]["bytes"] = json!(1.5)),
    ("a length as text", |r| r["image"]["bytes"] = json!("4096")),
    ("a length beyond 64 bits", |r| r["image"]["bytes"] = json!(1e30)),
    ("a list in place of an object", |r| r["image"] = json!([])),
    ("an object in place of a list", |r| r["segments"] = json!({})),
    ("a host that is a path", |r| r["host"] = json!("../web01")),
    ("an id that is a path", |r| r["ice"] = json!("web01/../../x")),
    ("a fingerprint that is none", |r| r["recipients"] = json!(["junk"])),
    ("a number as a version", |r| r["segments"][0]["version"] = json!(7)),
    ("null in place of a snapshot", |r| r["snapshots"][0] = Value::Null),
    ("a list around it", |r| *r = json!([r.clone()])),
];

fn add(number: &mut Value, by: i64) {
    *number = json!(number.as_i64().unwrap() + by);
}

fn push_copy(record: &mut Value, object: &str) {
    let mut one = record["segments"][1].clone();
    one["object"] = json!(object);
    record["segments"].as_array_mut().unwrap().push(one);
}

fn insert_snapshot(record: &mut Value, name: &str, sequence: u64) {
    let mut one = record["snapshots"][0].clone();
    one["name"] = json!(name);
    one["sequence"] = json!(sequence);
    record["snapshots"].as_array_mut().unwrap().insert(0, one);
}

#[test]
fn a_record_that_contradicts_itself_or_is_none_is_refused() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    machine.verify().ends_with(0);
    let proved = machine.records().len();
    for (what, spoil) in CONTRADICTIONS.iter().chain(MALFORMED) {
        println!("{what}");
        let mut record = ice.record.clone();
        spoil(&mut record);
        machine.lay_record(ice.id(), record.to_string().as_bytes());
        machine.verify().ends_with(28).because("the record of web01/20260102T030401Z-0000000001");
        machine.restore().ends_with(28);
        machine.assert_nothing_restored();
        let listed = machine.run(&["list"]).ends_with(3);
        assert_eq!(listed.report["counts"]["ices"], 0);
    }
    // A restore says nothing.
    assert_eq!(machine.records().len(), proved + CONTRADICTIONS.len() + MALFORMED.len());
}

#[test]
fn a_segment_of_another_ice_is_taken_only_if_the_server_has_signed_for_it() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let mut record = ice.record.clone();
    record["segments"][1]["object"] = json!("ice/web01/20260102T030402Z-0000000002/0001.pgp");
    machine.lay_record(ice.id(), record.to_string().as_bytes());
    machine.verify().ends_with(44);
    machine.restore().ends_with(44);
    machine.assert_nothing_restored();
}

#[test]
fn bytes_that_are_no_record_are_refused() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let line = ice.record.to_string();
    let deep = "[".repeat(1_000_000);
    let mut cases = vec![
        Vec::new(),
        b"\n".to_vec(),
        b"null".to_vec(),
        b"{}".to_vec(),
        vec![0; 1000],
        vec![0xff; 1000],
        deep.into_bytes(),
        format!("{line}{line}").into_bytes(),
        format!("{line}\n{line}\n").into_bytes(),
        [line.as_bytes(), &vec![b' '; 16 << 20]].concat(),
        line.replacen("\"host\"", "\"host\":\"web02\",\"host\"", 1).into_bytes(),
        line.replacen("web01", "web\\u0000", 1).into_bytes(),
    ];
    cases.extend((0..line.len()).step_by(37).map(|cut| line.as_bytes()[..cut].to_vec()));
    for (number, case) in cases.iter().enumerate() {
        println!("case {number}, {} bytes", case.len());
        machine.lay_record(ice.id(), case);
        machine.verify().ends_with(28);
        machine.assert_nothing_left();
    }
    assert!(cases.len() > 30);
}

#[test]
fn fields_of_a_later_minor_are_passed_over() {
    let mut ice = ice_of(&small());
    ice.record["format"] = json!("firn.ice/2.7");
    ice.record["later"] = json!({"a": [1, 2, 3]});
    Machine::with(&ice).verify().ends_with(0);
}

#[test]
fn a_record_with_wrong_hashes_proves_nothing() {
    let ice = ice_of(&small());
    let machine = Machine::with(&ice);
    let wrong = json!("ab".repeat(32));
    let cases: [(Spoil, i32); 6] = [
        (|r| r["segments"][1]["hash"] = json!("ab".repeat(32)), 42),
        (|r| r["segments"][1]["plain_hash"] = json!("ab".repeat(32)), 42),
        (|r| r["image"]["hash"] = json!("ab".repeat(32)), 28),
        (|r| r["snapshots"][0]["root"] = json!("ab".repeat(32)), 41),
        (|r| add(&mut r["snapshots"][0]["entries"], 1), 41),
        (|r| add(&mut r["snapshots"][0]["entries"], -1), 41),
    ];
    for (spoil, code) in cases {
        // The server itself says so: its catalogue agrees.
        let mut lie = ice.clone();
        spoil(&mut lie.record);
        machine.lay(&lie);
        machine.verify().ends_with(code);
        let last = machine.records().pop().unwrap();
        assert_eq!((&last["result"], &last["failure"]["code"]), (&json!("failed"), &json!(code)));
        assert_ne!(last["image_hash"], wrong);
        machine.restore().ends_with(code);
        machine.assert_nothing_restored();
    }
}

//! Manifests: one encoding, rules between entries, and no damage unseen.

use formats::manifest::ManifestError;
use formats::{Body, Entry, Kind, ManifestReader, ManifestWriter, Mtime, RelPath, Summary, Tag};
use proptest::prelude::*;

use crate::samples::*;

pub(crate) fn written(entries: &[Entry]) -> (Summary, Vec<u8>) {
    let mut writer = ManifestWriter::new(Vec::new()).unwrap();
    for entry in entries {
        writer.push(entry).unwrap();
    }
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<(Vec<Entry>, Summary), ManifestError> {
    let mut reader = ManifestReader::new(bytes)?;
    let entries = reader.by_ref().collect::<Result<Vec<_>, _>>()?;
    Ok((entries, reader.summary().expect("ended without an error")))
}

#[test]
fn what_is_written_is_read_with_the_same_root() {
    let (summary, bytes) = written(&everything());
    let (entries, read_summary) = read(&bytes).unwrap();
    assert_eq!(entries, everything());
    assert_eq!(read_summary, summary);
}

#[test]
fn every_flipped_bit_of_a_manifest_is_found() {
    let (_, bytes) = written(&everything());
    let mut tried = 0;
    for bit in 0..bytes.len() * 8 {
        if (10..12).contains(&(bit / 8)) {
            continue; // the minor version, which readers accept
        }
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&bad).is_err(), "bit {bit}");
        tried += 1;
    }
    assert!(tried > 5_000, "{tried}");
}

#[test]
fn a_manifest_cut_at_any_byte_is_refused() {
    let (_, bytes) = written(&everything());
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "cut at {end}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(matches!(read(&longer), Err(ManifestError::End("bytes after the end"))));
}

#[test]
fn a_manifest_of_version_1_has_no_flags() {
    let (_, mut bytes) = written(&everything());
    bytes[8] = 1;
    assert!(matches!(read(&bytes), Err(ManifestError::Malformed { source, .. }) if source.what == "flags"));
    let (_, mut bytes) = written(&everything_of_version_1());
    bytes[8] = 1;
    assert_eq!(read(&bytes).unwrap().0, everything_of_version_1());
    bytes[8] = 3;
    assert!(matches!(read(&bytes), Err(ManifestError::Version(_))));
}

#[test]
fn after_an_error_a_reader_yields_nothing_and_no_summary() {
    let (_, mut bytes) = written(&everything());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut reader = ManifestReader::new(bytes.as_slice()).unwrap();
    assert!(reader.by_ref().any(|entry| entry.is_err()));
    assert!(reader.next().is_none());
    assert_eq!(reader.summary(), None);
}

#[test]
fn lists_that_break_a_rule_between_entries_are_refused() {
    let leader = |at: &str| with(file(at, b"x"), |m| m.links = 2);
    let cases: Vec<(&str, Vec<Entry>)> = vec![
        ("not ascending", vec![folder("b"), folder("a")]),
        ("twice", vec![folder("a"), folder("a")]),
        ("no folder above", vec![file("a/b", b"")]),
        ("a file as folder", vec![file("a", b""), file("a/b", b"")]),
        (
            "a symlink as folder",
            vec![node("a", 0o777, Kind::Symlink { target: b"/".to_vec() }), file("a/b", b"")],
        ),
        ("the folder of a neighbour", vec![folder("a"), folder("a/b"), file("a-/c", b"")]),
        ("a gap in depth", vec![folder("a"), file("a/b/c", b"")]),
        ("link to nothing", vec![link("b", "a")]),
        ("link to itself", vec![link("a", "a")]),
        ("link to a later name", vec![link("a", "b"), leader("b")]),
        ("link to a file with one name", vec![file("a", b"x"), link("b", "a")]),
        ("link to a link", vec![leader("a"), link("b", "a"), link("c", "b")]),
        ("link to a folder", vec![folder("a"), link("b", "a")]),
        ("below a link", vec![leader("a"), link("b", "a"), file("b/c", b"")]),
    ];
    for (name, entries) in cases {
        let mut writer = ManifestWriter::new(Vec::new()).unwrap();
        let refused = entries.iter().any(|entry| writer.push(entry).is_err());
        assert!(refused, "{name}");
    }
}

#[test]
fn a_refused_entry_changes_nothing() {
    let good = [folder("a"), file("a/a", b"x"), file("a/c", b"y"), folder("b")];
    let refused = [folder("a"), file("a/b/c", b"x"), file("b/c", b"x"), link("a/b", "a/a"), folder("a")];
    let mut writer = ManifestWriter::new(Vec::new()).unwrap();
    for entry in &good {
        writer.push(entry).unwrap();
        for bad in refused.iter().filter(|bad| bad.path.as_bytes() != b"b/c" || entry != &good[3]) {
            assert!(writer.push(bad).is_err(), "{} after {}", bad.path, entry.path);
        }
    }
    let (summary, bytes) = writer.finish().unwrap();
    assert_eq!(summary, written(&good).0);
    assert_eq!(read(&bytes).unwrap().0, good);
}

#[test]
fn entries_over_a_limit_are_refused_before_they_are_written() {
    let long = |n| vec![b'x'; n];
    let cases: Vec<(&str, Entry)> = vec![
        ("mode", with(file("a", b""), |m| m.mode = 0o10000)),
        ("nanoseconds", with(file("a", b""), |m| m.mtime = Mtime { seconds: 0, nanos: 1_000_000_000 })),
        ("no links", with(file("a", b""), |m| m.links = 0)),
        ("folder with links", with(folder("a"), |m| m.links = 2)),
        ("empty target", node("a", 0o777, Kind::Symlink { target: vec![] })),
        ("long target", node("a", 0o777, Kind::Symlink { target: long(4096) })),
        ("target with 0", node("a", 0o777, Kind::Symlink { target: b"a\0b".to_vec() })),
        (
            "value",
            with(file("a", b""), |m| m.attributes = vec![attribute(Tag::Extended, "user.a", &long(65_537))]),
        ),
        ("unnamed", with(file("a", b""), |m| m.attributes = vec![attribute(Tag::Extended, "", b"")])),
        ("named owner", with(file("a", b""), |m| m.attributes = vec![attribute(Tag::OwnerName, "x", b"")])),
        ("no flag", with(file("a", b""), |m| m.attributes = vec![flags(0)])),
        // How a file system stores it is not kept: extents.
        ("other flag", with(file("a", b""), |m| m.attributes = vec![flags(0x0008_0010)])),
        ("short flags", with(file("a", b""), |m| m.attributes = vec![attribute(Tag::Flags, "", &[0x10])])),
        ("flags of a fifo", with(node("a", 0o600, Kind::Fifo), |m| m.attributes = vec![flags(0x10)])),
        (
            "order",
            with(file("a", b""), |m| {
                m.attributes =
                    vec![attribute(Tag::Extended, "user.b", b""), attribute(Tag::Extended, "user.a", b"")];
            }),
        ),
        (
            "twice",
            with(file("a", b""), |m| {
                m.attributes =
                    vec![attribute(Tag::Extended, "user.a", b"1"), attribute(Tag::Extended, "user.a", b"2")];
            }),
        ),
        (
            "too many",
            with(file("a", b""), |m| {
                m.attributes =
                    (0..257).map(|n| attribute(Tag::Extended, &format!("user.{n:04}"), b"")).collect();
            }),
        ),
    ];
    for (name, entry) in cases {
        assert!(entry.encode(&mut Vec::new()).is_err(), "{name}");
    }
}

#[test]
fn every_cut_and_every_added_byte_of_an_entry_is_refused() {
    for entry in everything() {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes).unwrap();
        for end in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..end]).is_err());
        }
        bytes.push(0);
        assert!(Entry::decode(&bytes).is_err());
    }
}

fn any_path() -> impl Strategy<Value = RelPath> {
    "[a-c]{1,2}(/[a-c]{1,2}){0,3}".prop_map(|text| path(&text))
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![
        (any::<u64>(), any::<[u8; 32]>())
            .prop_map(|(size, hash)| Kind::File { size, content: formats::ContentHash::from_bytes(hash) }),
        Just(Kind::Folder),
        proptest::collection::vec(1u8.., 1..40).prop_map(|target| Kind::Symlink { target }),
        Just(Kind::Fifo),
        (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| Kind::CharDevice { major, minor }),
    ];
    (any_path(), kind, 0..=0o7777u32, any::<i64>(), 0..1_000_000_000u32).prop_map(
        |(path, kind, mode, seconds, nanos)| {
            let mut entry = Entry { path, body: Body::Node(formats::Node { meta: meta(mode), kind }) };
            if let Body::Node(node) = &mut entry.body {
                node.meta.mtime = Mtime { seconds, nanos };
            }
            entry
        },
    )
}

proptest! {
    #[test]
    fn any_entry_is_read_as_it_was_written(entry in any_entry()) {
        let mut bytes = Vec::new();
        entry.encode(&mut bytes).unwrap();
        prop_assert_eq!(Entry::decode(&bytes).unwrap(), entry);
    }

    #[test]
    fn random_bytes_never_panic_a_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Entry::decode(&bytes);
        for head in [b"firn.man\x01\0\0\0", b"firn.man\x02\0\0\0"] {
            let mut file = head.to_vec();
            file.extend_from_slice(&bytes);
            prop_assert!(read(&file).is_err() || bytes.len() >= 44);
        }
    }
}

//! The checker itself: an honest history passes, and every way of breaking one is seen.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use pipeline_tests::checker::history::{self, check};
use pipeline_tests::checker::item::{Kind, What, hex, parse};
use pipeline_tests::checker::live::{compare, scan};
use pipeline_tests::checker::{Moment, told};
use pipeline_tests::rawpush::{Entry, root_of};

use crate::rig;

/// One by one, by the program that tells them.
mod invariants;

const NAME: &str = "20260102T030405Z-0000000001";

/// A manifest file of these entries, written by hand.
fn manifest(entries: &[Entry]) -> Vec<u8> {
    let mut to = b"firn.man\x01\0\0\0".to_vec();
    for entry in entries.iter().map(Entry::encode) {
        to.extend(u32::try_from(entry.len()).unwrap().to_le_bytes());
        to.extend(entry);
    }
    to.extend(0u32.to_le_bytes());
    to.extend((entries.len() as u64).to_le_bytes());
    to.extend(root_of(entries));
    to
}

fn entries() -> Vec<Entry> {
    vec![
        Entry::folder("d"),
        Entry::file("d/f", b"content").links(2),
        Entry::link("d/g", b"d/f"),
        Entry::device(8, "disk", 8, 0),
        Entry::symlink("l", b"d/f"),
    ]
}

/// A line of a log, written by hand.
fn line(number: u64, previous: &str, event: &str) -> String {
    line_of("1.0", number, previous, event)
}

pub(crate) fn line_of(version: &str, number: u64, previous: &str, event: &str) -> String {
    let body = format!(
        "{{\"format\":\"firn.log/{version}\",\"line\":{number},\"previous\":\"{previous}\",\"time\":\"2026-01-02T03:04:05Z\",\"event\":{event}"
    );
    let check = hex(blake3::hash(body.as_bytes()).as_bytes());
    format!("{body},\"check\":\"{check}\"}}\n")
}

fn ingest(sequence: u64, name: &str, root: &[u8; 32], count: usize) -> String {
    format!(
        "{{\"kind\":\"ingest\",\"sequence\":{sequence},\"name\":\"{name}\",\"root\":\"{}\",\"entries\":{count},\"push\":\"{sequence:02}\"}}",
        hex(root)
    )
}

fn first() -> String {
    hex(blake3::hash(b"web01").as_bytes())
}

/// An honest history of one snapshot.
fn honest(root: &Path) -> PathBuf {
    let folder = root.join("web01");
    let entries = entries();
    rig::file(&folder.join("manifests").join(format!("{NAME}.manifest")), &manifest(&entries));
    let tree = folder.join(NAME).join("tree");
    rig::file(&tree.join("d/f"), b"content");
    fs::hard_link(tree.join("d/f"), tree.join("d/g")).unwrap();
    symlink("d/f", tree.join("l")).unwrap();
    for (path, mode) in [(tree.clone(), 0o750), (tree.join("d"), 0o750), (tree.join("d/f"), 0o640)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(folder.join("log"), line(1, &first(), &ingest(1, NAME, &root_of(&entries), entries.len())))
        .unwrap();
    folder
}

#[test]
fn every_way_of_breaking_a_history_is_seen() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 19] = [
        ("a byte of a file", |f| fs::write(at(f, "d/f"), b"Content").unwrap()),
        ("a file cut short", |f| fs::write(at(f, "d/f"), b"conten").unwrap()),
        ("a missing file", |f| fs::remove_file(at(f, "d/g")).unwrap()),
        ("a file too many", |f| fs::write(at(f, "more"), b"").unwrap()),
        ("a symlink that points elsewhere", |f| {
            fs::remove_file(at(f, "l")).unwrap();
            symlink("/etc/passwd", at(f, "l")).unwrap();
        }),
        ("a file in place of a symlink", |f| {
            fs::remove_file(at(f, "l")).unwrap();
            fs::write(at(f, "l"), b"d/f").unwrap();
        }),
        ("a setuid bit", |f| fs::set_permissions(at(f, "d/f"), fs::Permissions::from_mode(0o4640)).unwrap()),
        ("an executable file", |f| {
            fs::set_permissions(at(f, "d/f"), fs::Permissions::from_mode(0o750)).unwrap()
        }),
        ("a missing tree", |f| fs::remove_dir_all(f.join(NAME)).unwrap()),
        ("a missing manifest", |f| fs::remove_dir_all(f.join("manifests")).unwrap()),
        ("a manifest of other entries", |f| {
            fs::write(f.join("manifests").join(format!("{NAME}.manifest")), manifest(&entries()[..2]))
                .unwrap();
        }),
        ("a flipped bit in a manifest", |f| {
            let path = f.join("manifests").join(format!("{NAME}.manifest"));
            let mut bytes = fs::read(&path).unwrap();
            bytes[60] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("a flipped bit in the log", |f| {
            let mut bytes = fs::read(f.join("log")).unwrap();
            bytes[90] ^= 1;
            fs::write(f.join("log"), bytes).unwrap();
        }),
        ("a line of the log twice", |f| {
            let text = fs::read_to_string(f.join("log")).unwrap();
            fs::write(f.join("log"), text.repeat(2)).unwrap();
        }),
        ("a log that begins in the middle", |f| {
            fs::write(f.join("log"), line(1, &hex(&[0; 32]), "{\"kind\":\"hold\"}")).unwrap();
        }),
        ("a sequence with a gap", |f| {
            let event = ingest(2, NAME, &root_of(&entries()), 5);
            fs::write(f.join("log"), line(1, &first(), &event)).unwrap();
        }),
        ("another number of entries", |f| {
            let event = ingest(1, NAME, &root_of(&entries()), 6);
            fs::write(f.join("log"), line(1, &first(), &event)).unwrap();
        }),
        ("a snapshot without its line", |f| fs::create_dir(f.join("20260102T030405Z-0000000002")).unwrap()),
        ("a manifest without its line", |f| fs::write(f.join("manifests/other.manifest"), b"").unwrap()),
    ];
    for (name, damage) in damages {
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let folder = honest(scratch.path());
        let before = check(&folder, "web01", Moment::Quiet);
        assert!(before.breaches.is_empty(), "{}", told(&before.breaches));
        assert_eq!(before.snapshots.len(), 1);
        damage(&folder);
        assert!(!check(&folder, "web01", Moment::Quiet).breaches.is_empty(), "{name} went unseen");
    }
}

fn at(folder: &Path, path: &str) -> PathBuf {
    folder.join(NAME).join("tree").join(path)
}

#[test]
fn an_unfinished_line_counts_only_against_a_run_that_ended() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = honest(scratch.path());
    let mut log = fs::read(folder.join("log")).unwrap();
    log.extend(b"{\"format\":\"firn.log/1.0\",\"li");
    fs::write(folder.join("log"), log).unwrap();
    let killed = check(&folder, "web01", Moment::Any);
    assert!(killed.breaches.is_empty(), "{}", told(&killed.breaches));
    assert_eq!(killed.snapshots.len(), 1);
    assert!(!check(&folder, "web01", Moment::Quiet).breaches.is_empty());
}

#[test]
fn a_file_shared_by_jail_and_history_is_seen() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = honest(scratch.path());
    let jail = scratch.path().join("jail");
    rig::file(&jail.join("spool/sealed/1.push"), b"x");
    assert!(history::shared_inodes(&jail, &folder).is_empty());
    assert_eq!(history::spool_leftovers(&jail).len(), 1);
    fs::hard_link(at(&folder, "d/f"), jail.join("spool/incoming")).unwrap();
    assert_eq!(history::shared_inodes(&jail, &folder).len(), 1);
}

#[test]
fn no_bit_of_a_manifest_can_flip_unseen() {
    let bytes = manifest(&entries());
    assert_eq!(parse(&bytes).unwrap().items.len(), 5);
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        // A later minor version is lawful.
        assert!(parse(&bad).is_err() || (10..12).contains(&(bit / 8)), "bit {bit}");
    }
    for cut in 0..bytes.len() {
        assert!(parse(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

/// As the history keeps it, with blocks that end at these places.
fn squeezed(manifest: &[u8], ends: &[usize]) -> Vec<u8> {
    let mut to = b"\x5f\x2a\x4d\x18\x0c\0\0\0firn.mnz\x01\0\0\0".to_vec();
    let mut start = 0;
    for end in ends.iter().copied().chain([manifest.len()]) {
        to.extend(zstd::bulk::compress(&manifest[start..end], 1).unwrap());
        start = end;
    }
    to
}

#[test]
fn a_squeezed_manifest_is_read_and_one_that_is_not_as_its_document_says_is_seen() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = honest(scratch.path());
    let file = folder.join("manifests").join(format!("{NAME}.manifest"));
    let breaches = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let found = check(&folder, "web01", Moment::Quiet);
        (found.breaches.len(), told(&found.breaches))
    };
    let plain = manifest(&entries());
    let whole = squeezed(&plain, &[]);
    let second = 12 + 4 + Entry::folder("d").encode().len();
    for good in [&whole, &squeezed(&plain, &[12]), &squeezed(&plain, &[second, plain.len() - 44])] {
        let (count, said) = breaches(good);
        assert_eq!(count, 0, "{said}");
    }
    let mut later = whole.clone();
    later[16] = 2;
    let unsized_frame = zstd::stream::encode_all(plain.as_slice(), 1).unwrap();
    for (bad, says) in [
        (later, "version 1"),
        (squeezed(&plain, &[second + 3]), "in the midst"),
        (squeezed(&plain, &[plain.len() - 9]), "in the midst"),
        ([&whole[..20], &unsized_frame].concat(), "does not tell its length"),
        (squeezed(&plain, &[12, 12]), "of 0 bytes"),
        (whole[..whole.len() - 3].to_vec(), "cut short"),
        ([whole.as_slice(), b"more"].concat(), "does not tell"),
    ] {
        let (count, said) = breaches(&bad);
        assert!(count > 0 && said.contains(says), "{says}: {said}");
    }
}

#[test]
fn a_live_tree_is_compared_name_by_name() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = scratch.path().join("root");
    rig::file(&root.join("d/f"), b"content");
    fs::hard_link(root.join("d/f"), root.join("d/g")).unwrap();
    symlink("d/f", root.join("l")).unwrap();
    let before = scan(&[&root]).unwrap();
    let named = |name: &str| before.iter().find(|item| item.path.ends_with(name.as_bytes())).unwrap();
    assert!(
        matches!(&named("/d/f").what, What::Node(node) if matches!(node.kind, Kind::File(7, _)) && node.links == 2)
    );
    assert!(matches!(&named("/d/g").what, What::Link(first) if first.ends_with(b"/d/f")));
    assert!(compare(&before, &scan(&[&root]).unwrap()).is_empty());
    fs::set_permissions(root.join("d/f"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(compare(&before, &scan(&[&root]).unwrap()).len(), 1);
    fs::write(root.join("new"), b"").unwrap();
    assert_eq!(
        compare(&before, &scan(&[&root]).unwrap()).iter().filter(|b| b.found == "was not expected").count(),
        1
    );
}

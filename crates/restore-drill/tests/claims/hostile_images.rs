//! Images of an enemy, whole by every hash of the record: what differs from the manifest is named, and nothing leaves its place.

use std::fs;

use backhand::NodeHeader;
use formats::{ContentHash, Kind};

use super::ices::{Ice, Machine, ice_of, ice_with, seal, snapshots};
use super::images::{self, Name, What};
use super::keys::key;
use super::tree::{Tree, noise, small};

type Spoil = fn(&mut Vec<Name>);

fn named<'a>(names: &'a mut [Name], end: &str) -> &'a mut Name {
    names.iter_mut().find(|name| name.path.ends_with(end)).unwrap()
}

fn extra(names: &mut Vec<Name>, path: &str, what: What) {
    names.push(Name { path: path.to_owned(), header: NodeHeader::new(0o644, 0, 0, 0), what });
}

fn within(path: &str) -> String {
    format!("snapshots/{}/{path}", images::name(1))
}

const DIFFERENCES: &[(&str, Spoil)] = &[
    ("etc/hosts: its content is another", |n| {
        named(n, "etc/hosts").what = What::File(b"127.0.0.1 localhosT\n".to_vec())
    }),
    ("etc/hosts: it is a file of another kind, size", |n| {
        named(n, "etc/hosts").what = What::File(b"short".to_vec())
    }),
    ("etc/hosts: it is a file of another kind, size", |n| {
        named(n, "etc/hosts").what = What::File(noise(500_000))
    }),
    ("etc/empty: it is a file of another kind, size", |n| {
        named(n, "etc/empty").what = What::File(b"x".to_vec())
    }),
    ("srv/data.bin: its content is another", |n| {
        let mut content = noise(300_000);
        content[299_999] ^= 1;
        named(n, "srv/data.bin").what = What::File(content);
    }),
    ("srv/data.link: its content is another", |n| {
        named(n, "srv/data.link").what = What::File(vec![0; 300_000])
    }),
    ("etc/hosts: its mode is 4644, and should be 0644", |n| {
        named(n, "etc/hosts").header.permissions = 0o4644
    }),
    ("srv: its mode is 0750, and should be 2750", |n| named(n, "/srv").header.permissions = 0o750),
    ("srv/data.link: its mode is 0644, and should be 0400", |n| {
        named(n, "data.link").header.permissions = 0o644
    }),
    ("etc/hosts: its owner is 77", |n| named(n, "etc/hosts").header.uid = 77),
    ("etc: its group is 77", |n| named(n, "/etc").header.gid = 77),
    ("etc/mtab: its owner is 77", |n| named(n, "etc/mtab").header.uid = 77),
    ("etc/hosts: its mtime is 5, and should be 1700000000", |n| named(n, "etc/hosts").header.mtime = 5),
    ("srv: its mtime is 1700000001", |n| named(n, "/srv").header.mtime += 1),
    ("etc/mtab: it is a symlink of another", |n| {
        named(n, "etc/mtab").what = What::Symlink(b"/etc/shadow".to_vec())
    }),
    ("etc/mtab: it is a file of another kind", |n| named(n, "etc/mtab").what = What::File(b"x".to_vec())),
    ("etc/hosts: it is a symlink of another kind", |n| {
        named(n, "etc/hosts").what = What::Symlink(b"/etc/shadow".to_vec())
    }),
    ("etc/hosts: it is a folder of another kind", |n| named(n, "etc/hosts").what = What::Folder),
    ("srv/pipe: it is a file of another kind", |n| named(n, "srv/pipe").what = What::File(Vec::new())),
    ("srv/pipe: it is a socket of another kind", |n| named(n, "srv/pipe").what = What::Socket),
    ("srv/pipe: it is a character device of another kind", |n| {
        named(n, "srv/pipe").what = What::CharDevice(0x103)
    }),
    ("etc/hosts: it is missing", |n| n.retain(|name| !name.path.ends_with("etc/hosts"))),
    ("srv/data.link: it is missing", |n| n.retain(|name| !name.path.ends_with("data.link"))),
    ("etc/mtab: it is missing", |n| n.retain(|name| !name.path.ends_with("mtab"))),
    ("srv/pipe: it is missing", |n| n.retain(|name| !name.path.ends_with("pipe"))),
    ("etc: it is missing", |n| n.retain(|name| !name.path.contains("/etc"))),
    ("etc: it is missing", |n| n.retain(|name| !name.path.contains("/etc") && !name.path.contains("/srv"))),
    ("etc/passwd: it is in the image, but not in the manifest", |n| {
        extra(n, &within("etc/passwd"), What::File(b"root::0:0".to_vec()))
    }),
    ("a: it is in the image, but not in the manifest", |n| extra(n, &within("a"), What::Folder)),
    ("zz: it is in the image, but not in the manifest", |n| {
        extra(n, &within("zz"), What::Symlink(b"/".to_vec()))
    }),
    ("etc/hosts/below: it is in the image, but not", |n| {
        named(n, "etc/hosts").what = What::Folder;
        extra(n, &within("etc/hosts/below"), What::File(b"x".to_vec()));
    }),
    ("srv: it is a symlink of another", |n| {
        n.retain(|name| !name.path.contains("/srv/"));
        named(n, "/srv").what = What::Symlink(b"/tmp".to_vec());
    }),
    ("snapshots/zz: it has no place in an image", |n| extra(n, "snapshots/zz", What::Folder)),
    ("snapshots/a: it has no place in an image", |n| extra(n, "snapshots/a", What::File(b"x".to_vec()))),
    ("zz: it has no place in an image", |n| extra(n, "zz", What::CharDevice(0x103))),
    ("a: it has no place in an image", |n| extra(n, "a", What::Folder)),
    ("manifests/zz: it has no place in an image", |n| extra(n, "manifests/zz", What::File(b"x".to_vec()))),
    ("manifests/0: it has no place in an image", |n| extra(n, "manifests/0", What::File(b"x".to_vec()))),
    ("n: it has no place in an image", |n| extra(n, "n", What::Fifo)),
];

#[test]
fn each_difference_between_image_and_manifest_is_found_and_named() {
    for (words, spoil) in DIFFERENCES {
        println!("{words}");
        let machine = Machine::with(&ice_with(&small(), *spoil));
        let ran = machine.verify().ends_with(41);
        assert!(ran.stderr.contains(&format!("differs: {words}")), "{}", ran.stderr);
        assert!(ran.report["counts"]["differences"].as_u64().unwrap() > 0);
        let record = machine.records().pop().unwrap();
        assert_eq!((&record["result"], &record["failure"]["code"]), (&"failed".into(), &41.into()));
        machine.assert_nothing_left();
    }
}

/// What the manifest says is made, whatever else the image holds.
#[test]
fn a_restore_follows_the_manifest_and_not_the_image() {
    for (words, spoil) in DIFFERENCES {
        println!("{words}");
        let machine = Machine::with(&ice_with(&small(), *spoil));
        let ran = machine.restore();
        assert!(matches!(ran.code, 0 | 41), "{ran:?}");
        let out = machine.out();
        let tree = small();
        let mut whole = 0;
        for (entry, content) in tree.entries() {
            let path = out.join(super::disk::bytes(entry.path.as_bytes()));
            let Ok(stat) = path.symlink_metadata() else { continue };
            whole += 1;
            match &tree.node(&entry.path).kind {
                Kind::File { .. } => {
                    assert_eq!(ContentHash::of(&fs::read(&path).unwrap()), ContentHash::of(content))
                }
                Kind::Folder => assert!(stat.is_dir()),
                Kind::Symlink { .. } => assert!(stat.is_symlink()),
                _ => assert!(!stat.is_file() && !stat.is_dir()),
            }
        }
        let found = std::process::Command::new("find").arg(&out).args(["-mindepth", "1"]).output().unwrap();
        assert_eq!(
            String::from_utf8(found.stdout).unwrap().lines().count(),
            whole,
            "more than the manifest has"
        );
        let missing = tree.len() as usize - whole;
        assert!(missing == 0 || ran.code == 41, "{missing} names are missing, and nothing was said");
        machine.assert_nothing_left();
    }
}

#[test]
fn manifests_that_are_missing_broken_or_others_are_refused_before_anything_is_made() {
    let other = {
        let mut tree = small();
        tree.file("etc/hosts", "127.0.0.1 localhosT\n");
        tree.manifest().0
    };
    let mut cut = small().manifest().0;
    cut.truncate(cut.len() - 1);
    let mut longer = small().manifest().0;
    longer.push(0);
    let mut flipped = small().manifest().0;
    flipped[100] ^= 1;
    for content in [
        other,
        cut,
        longer,
        flipped,
        Vec::new(),
        noise(10_000),
        vec![0; 50_000_000],
        b"firn.man\x03\0\0\0".to_vec(),
    ] {
        let ice = ice_with(&small(), |names| named(names, ".manifest").what = What::File(content));
        refused(&ice, "the manifest of");
    }
    let absent: [(Spoil, &str); 5] = [
        (|n| n.retain(|name| !name.path.ends_with(".manifest")), "lacks the manifest"),
        (|n| n.retain(|name| !name.path.starts_with("manifests")), "lacks the manifest"),
        (|n| named(n, ".manifest").what = What::Folder, "lacks the manifest"),
        (|n| named(n, ".manifest").what = What::Symlink(b"/etc/passwd".to_vec()), "lacks the manifest"),
        (|n| n.clear(), "lacks the manifest"),
    ];
    for (spoil, words) in absent {
        refused(&ice_with(&small(), spoil), words);
    }
}

fn refused(ice: &Ice, words: &str) {
    let machine = Machine::with(ice);
    machine.verify().ends_with(41).because(words);
    machine.restore().ends_with(41).because(words);
    machine.assert_nothing_restored();
}

/// An image whose tables are not compressed, so that names in it can be found and replaced.
fn patched(patches: &[(&[u8], &[u8])]) -> Ice {
    let machine = Machine::new();
    let mut tree = Tree::default();
    tree.folder("folder");
    tree.file("folder/AA", "a");
    tree.file("folder/BB", "b");
    tree.file("folder/XyyyyyyyyyyyyyyyyX", "long");
    let snapshots = snapshots(std::slice::from_ref(&tree));
    let stage = machine.path("stage");
    let top = stage.join("snapshots").join(images::name(1));
    fs::create_dir_all(top.join("folder")).unwrap();
    fs::create_dir_all(stage.join("manifests")).unwrap();
    fs::write(stage.join(format!("manifests/{}.manifest", images::name(1))), tree.manifest().0).unwrap();
    for (entry, content) in tree.entries().filter(|(entry, _)| !entry.is_folder()) {
        fs::write(top.join(super::disk::bytes(entry.path.as_bytes())), content).unwrap();
    }
    let image = machine.path("image");
    let made = std::process::Command::new("mksquashfs")
        .arg(&stage)
        .arg(&image)
        .args(["-comp", "zstd", "-noI", "-noD", "-noF", "-noappend", "-quiet", "-no-progress", "-no-xattrs"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut image = fs::read(image).unwrap();
    // The manifest has these names too; the folder's table is what comes last.
    for (from, to) in patches {
        assert_eq!(from.len(), to.len());
        let place =
            image.windows(from.len()).rposition(|window| window == *from).expect("the table is compressed");
        image[place..place + to.len()].copy_from_slice(to);
    }
    seal(&snapshots, &image, 1 << 20, key())
}

#[test]
fn names_that_no_host_can_have_lead_nowhere() {
    let cases: &[&[(&[u8], &[u8])]] = &[
        &[(b"AA", b"..")],
        &[(b"BB", b"..")],
        &[(b"AA", b"./")],
        &[(b"AA", b"/x")],
        &[(b"AA", b"x/")],
        &[(b"AA", b"//")],
        &[(b"AA", b"\0\0")],
        &[(b"AA", b"x\0")],
        &[(b"AA", b"BB")],
        &[(b"BB", b"AA")],
        &[(b"XyyyyyyyyyyyyyyyyX", b"../../../../../etc")],
        &[(b"XyyyyyyyyyyyyyyyyX", b"folder/../../../ab")],
        &[(b"XyyyyyyyyyyyyyyyyX", b"/tmp/abcdefghijklm")],
        &[(b"folder", b"../../")],
        &[(b"folder", b"a/b/cd")],
        &[(b"AA", b"ZZ")],
        &[(b"AA", b"BB"), (b"XyyyyyyyyyyyyyyyyX", b"..................")],
    ];
    for patches in cases {
        println!("{patches:?}");
        let machine = Machine::with(&patched(patches));
        machine.verify().ends_with(41);
        machine.restore().ends_with(41);
        machine.assert_nothing_left();
        let outside = fs::read_dir(machine.path("")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut outside: Vec<_> = outside.collect();
        outside.retain(|name| {
            !["vault", "drill.toml", "server.asc", "quarantine", "records", "out"]
                .iter()
                .any(|known| name == known)
        });
        assert!(outside.is_empty(), "{outside:?}");
    }
}

#[test]
fn the_image_of_these_tests_is_sound_when_nothing_is_patched() {
    // Its metadata is that of the test's own files, so only that differs.
    let ran = Machine::with(&patched(&[])).verify().ends_with(41);
    assert!(!ran.stderr.contains("missing") && !ran.stderr.contains("not in the manifest"), "{}", ran.stderr);
    Machine::with(&patched(&[])).restore().ends_with(0);
}

/// A field of the superblock.
fn field(image: &[u8], place: usize) -> usize {
    u64::from_le_bytes(image[place..place + 8].try_into().unwrap()) as usize
}

/// Bits flipped in an image whose hashes all agree: nothing but the comparison can find them.
#[test]
fn flipped_bits_in_an_image_are_found_or_harmless_and_never_a_panic() {
    let tree = small();
    let snapshots = snapshots(&[tree]);
    let image = images::write(&images::names(&snapshots));
    let machine = Machine::new();
    let (mut found, mut harmless, mut state) = (0, 0, 0x9e37_79b9_7f4a_7c15u64);
    let (tables, used) = (field(&image, 64), field(&image, 40));
    for number in 0..120 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // A third each in the superblock, the contents and the tables.
        let place = match number % 3 {
            0 => (state >> 33) as usize % 96,
            1 => 96 + (state >> 33) as usize % (tables - 96),
            _ => tables + (state >> 33) as usize % (used - tables),
        };
        let mut spoilt = image.clone();
        spoilt[place] ^= 1 << (number % 8);
        machine.lay(&seal(&snapshots, &spoilt, 1 << 20, key()));
        let ran = machine.verify();
        match ran.code {
            0 => harmless += 1,
            41 => found += 1,
            _ => panic!("byte {place}: {ran:?}"),
        }
        machine.assert_nothing_left();
        if ran.code == 0 {
            let _ = fs::remove_dir_all(machine.out());
            machine.restore().ends_with(0);
            assert_eq!(fs::read(machine.out().join("srv/data.bin")).unwrap(), noise(300_000));
        }
    }
    println!("{found} found, {harmless} harmless");
    assert!(found > 80, "{found} found, {harmless} harmless");
}

#[test]
fn bytes_that_are_no_image_are_refused() {
    let snapshots = snapshots(&[small()]);
    let image = images::write(&images::names(&snapshots));
    let mut cases =
        vec![noise(20_000), vec![0; 20_000], vec![0xff; 20_000], b"hsqs".to_vec(), image[..96].to_vec()];
    // What comes after the used bytes is padding.
    let used = field(&image, 40);
    for end in [100, 4_096, 10_000, image.len() / 2, used - 1] {
        cases.push(image[..end].to_vec());
    }
    cases.push([&image[..96], &noise(50_000)].concat());
    cases.push([&image[..96], &image].concat());
    for (number, bytes) in cases.iter().enumerate() {
        println!("case {number}");
        refused(&seal(&snapshots, bytes, 1 << 20, key()), "image");
    }
}

/// A manifest that leads a path through a symlink, or gives a path twice, is none: its own rules forbid it.
#[test]
fn a_name_beneath_a_symlink_cannot_be_said() {
    let machine = Machine::new();
    let outside = machine.path("outside");
    fs::create_dir(&outside).unwrap();
    let mut good = Tree::default();
    good.folder("a");
    good.file("a/file", "evil");
    let mut bytes = good.manifest().0;
    // The folder entry becomes a symlink entry of the same length, as far as that goes: kind 2 to kind 3.
    let place = bytes.windows(5).position(|window| window == [2, 1, 0, b'a', 0xed]).unwrap();
    bytes[place] = 3;
    let snapshots = snapshots(&[good]);
    let mut names = images::names(&snapshots);
    named(&mut names, ".manifest").what = What::File(bytes);
    let place = named(&mut names, "/a");
    place.what = What::Symlink(outside.as_os_str().as_encoded_bytes().to_vec());
    names.retain(|name| !name.path.ends_with("a/file"));
    machine.lay(&seal(&snapshots, &images::write(&names), 1 << 20, key()));
    machine.restore().ends_with(41);
    machine.assert_nothing_restored();
    assert!(super::ices::is_absent_or_empty(&outside));
}

/// A file of one exabyte takes no time: its length is compared before its content is asked for.
#[test]
fn a_file_that_claims_to_be_huge_is_not_read() {
    let ice = ice_with(&small(), |names| named(names, "etc/hosts").what = What::File(vec![0; 400_000_000]));
    let machine = Machine::with(&ice);
    let ran = machine.verify().ends_with(41);
    assert!(ran.report["seconds"].as_f64().unwrap() < 20.0);
    let ran = machine.restore().ends_with(41);
    assert!(ran.report["seconds"].as_f64().unwrap() < 20.0);
    // The same with a manifest that agrees is read, and its zeros are a hole.
    let mut tree = small();
    tree.file("etc/hosts", vec![0; 40_000_000]);
    let machine = Machine::with(&ice_of(&tree));
    machine.restore().ends_with(0);
    use std::os::unix::fs::MetadataExt;
    assert_eq!(machine.out().join("etc/hosts").metadata().unwrap().blocks(), 0);
}

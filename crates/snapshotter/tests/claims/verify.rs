//! Whatever is wrong with a history, verify names it; and it changes nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::push::Push;
use crate::state::{Item, State, file};
use crate::world::World;

fn state() -> State {
    State::of([
        ("d", Item::Folder),
        ("d/file", file(vec![5; 10_000])),
        ("d/link", Item::Symlink(b"target".to_vec())),
        ("empty", Item::Folder),
        ("fifo", Item::Fifo),
        ("one", Item::First(2, b"two names".to_vec())),
        ("two", Item::Link("one")),
    ])
}

/// What is done to the newest snapshot, what verify must say, and the code it must end with.
struct Case {
    what: &'static str,
    damage: fn(&World, &Path),
    says: &'static str,
    code: i32,
}

fn edit(path: PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// The manifest's own bytes, changed, and left there plain.
fn edit_plain(path: PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    edit(path, |kept| {
        let mut bytes = zstd::stream::decode_all(kept.as_slice()).unwrap();
        change(&mut bytes);
        *kept = bytes;
    });
}

fn manifest(world: &World) -> PathBuf {
    let name = world.log().latest().unwrap().name.clone();
    world.path(&format!("history/web01/manifests/{name}.manifest"))
}

fn log(world: &World) -> PathBuf {
    world.path("history/web01/log")
}

const CASES: &[Case] = &[
    Case {
        what: "a bit of a file",
        damage: |_, tree| edit(tree.join("d/file"), |b| b[7000] ^= 1),
        says: "d/file does not have its hash",
        code: 29,
    },
    Case {
        what: "a byte less",
        damage: |_, tree| edit(tree.join("d/file"), |b| b.truncate(9_999)),
        says: "d/file has another size",
        code: 29,
    },
    Case {
        what: "a byte more",
        damage: |_, tree| edit(tree.join("d/file"), |b| b.push(5)),
        says: "d/file has another size",
        code: 29,
    },
    Case {
        what: "a file gone",
        damage: |_, tree| fs::remove_file(tree.join("d/file")).unwrap(),
        says: "d/file is missing",
        code: 29,
    },
    Case {
        what: "a folder gone",
        damage: |_, tree| fs::remove_dir_all(tree.join("d")).unwrap(),
        says: "d/link is missing",
        code: 29,
    },
    Case {
        what: "an empty folder gone",
        damage: |_, tree| fs::remove_dir(tree.join("empty")).unwrap(),
        says: "empty is missing",
        code: 29,
    },
    Case {
        what: "a second name gone",
        damage: |_, tree| fs::remove_file(tree.join("two")).unwrap(),
        says: "two is missing",
        code: 29,
    },
    Case {
        what: "a second name that is another file",
        damage: |_, tree| {
            fs::remove_file(tree.join("two")).unwrap();
            fs::write(tree.join("two"), "TWO NAMES").unwrap()
        },
        says: "two does not have its hash",
        code: 29,
    },
    Case {
        what: "a file too many",
        damage: |_, tree| fs::write(tree.join("d/extra"), "").unwrap(),
        says: "d/extra is not in the manifest",
        code: 29,
    },
    Case {
        what: "a folder too many",
        damage: |_, tree| fs::create_dir(tree.join("empty/extra")).unwrap(),
        says: "empty/extra is not in the manifest",
        code: 29,
    },
    Case {
        what: "a file too many at the end",
        damage: |_, tree| fs::write(tree.join("zzz"), "").unwrap(),
        says: "zzz is not in the manifest",
        code: 29,
    },
    Case {
        what: "another link target",
        damage: |_, tree| {
            fs::remove_file(tree.join("d/link")).unwrap();
            symlink("elsewhere", tree.join("d/link")).unwrap()
        },
        says: "d/link leads elsewhere",
        code: 29,
    },
    Case {
        what: "a link in place of a file",
        damage: |_, tree| {
            fs::rename(tree.join("d/file"), tree.join("../f")).unwrap();
            symlink("../../f", tree.join("d/file")).unwrap()
        },
        says: "d/file is of another kind",
        code: 29,
    },
    Case {
        what: "a link in place of a folder",
        damage: |_, tree| {
            fs::rename(tree.join("d"), tree.join("../d")).unwrap();
            symlink("../d", tree.join("d")).unwrap()
        },
        says: "d is of another kind",
        code: 29,
    },
    Case {
        what: "a folder in place of a file",
        damage: |_, tree| {
            fs::remove_file(tree.join("d/file")).unwrap();
            fs::create_dir(tree.join("d/file")).unwrap()
        },
        says: "d/file is of another kind",
        code: 29,
    },
    Case {
        what: "a file in place of a folder",
        damage: |_, tree| {
            fs::remove_dir(tree.join("empty")).unwrap();
            fs::write(tree.join("empty"), "").unwrap()
        },
        says: "empty is of another kind",
        code: 29,
    },
    Case {
        what: "what only the manifest may hold",
        damage: |_, tree| fs::write(tree.join("fifo"), "").unwrap(),
        says: "fifo should be in the manifest only",
        code: 29,
    },
    Case {
        what: "a live setuid bit",
        damage: |_, tree| {
            fs::set_permissions(tree.join("d/file"), fs::Permissions::from_mode(0o4755)).unwrap()
        },
        says: "d/file has live privileges",
        code: 29,
    },
    Case {
        what: "no tree",
        damage: |_, tree| fs::remove_dir_all(tree).unwrap(),
        says: "its files are missing",
        code: 29,
    },
    Case {
        what: "a bit of the manifest",
        damage: |world, _| edit(manifest(world), |b| b[70] ^= 1),
        says: "manifest",
        code: 28,
    },
    Case {
        what: "a bit of the manifest's root",
        damage: |world, _| edit_plain(manifest(world), |b| *b.last_mut().unwrap() ^= 1),
        says: "root differs",
        code: 28,
    },
    Case {
        what: "half a manifest",
        damage: |world, _| edit_plain(manifest(world), |b| b.truncate(b.len() / 2)),
        says: "cut short",
        code: 28,
    },
    Case {
        what: "a byte after the manifest",
        damage: |world, _| edit_plain(manifest(world), |b| b.push(0)),
        says: "bytes after the end",
        code: 28,
    },
    Case {
        what: "half a squeezed manifest",
        damage: |world, _| edit(manifest(world), |b| b.truncate(b.len() / 2)),
        says: "a block is cut short",
        code: 28,
    },
    Case {
        what: "a byte after a squeezed manifest",
        damage: |world, _| edit(manifest(world), |b| b.push(0)),
        says: "a block is cut short",
        code: 28,
    },
    Case {
        what: "no manifest",
        damage: |world, _| fs::remove_file(manifest(world)).unwrap(),
        says: "manifest",
        code: 28,
    },
    Case {
        what: "the other snapshot's manifest",
        damage: |world, _| {
            let name = world.log().snapshots()[0].name.clone();
            fs::copy(world.path(&format!("history/web01/manifests/{name}.manifest")), manifest(world))
                .unwrap();
        },
        says: "another one than the log says",
        code: 29,
    },
    Case {
        what: "a bit of the log",
        damage: |world, _| edit(log(world), |b| b[200] ^= 1),
        says: "snapshot log",
        code: 28,
    },
    Case {
        what: "the log's last lines gone",
        damage: |world, _| {
            // That of the verify, and that of the snapshot before it.
            edit(log(world), |b| {
                for _ in 0..2 {
                    b.pop();
                    let end = b.iter().rposition(|b| *b == b'\n').unwrap();
                    b.truncate(end + 1)
                }
            })
        },
        says: "is not in the snapshot log",
        code: 28,
    },
];

#[test]
fn every_defect_is_named_and_nothing_is_changed() {
    for case in CASES {
        let world = World::new();
        world.seal(1, &Push::whole(1, &state().with("old", file("old"))).bytes());
        world.seal(2, &Push::whole(2, &state()).bytes());
        world.ingest(0);
        assert_eq!(world.run(&["verify"]).code, 0);
        (case.damage)(&world, &world.tree(2));
        let before = world.picture("history");
        let ended = world.run(&["--json", "verify"]);
        assert_eq!(ended.code, case.code, "{}: {ended:?}", case.what);
        assert!(ended.out.contains(case.says), "{}: {ended:?}", case.what);
        let named = ended.report()["details"]["defects"].as_array().unwrap().len() as u64;
        assert_eq!(ended.report()["counts"]["defects"], named, "{}", case.what);
        assert_eq!(world.picture("history"), before, "{}", case.what);
    }
    println!("defects named: {}", CASES.len());
}

#[test]
fn a_file_of_many_names_is_read_once() {
    let world = World::new();
    for n in 1..6 {
        world.seal(u64::from(n), &Push::whole(n, &state()).bytes());
    }
    world.ingest(0);
    let next = state().with("z", file("z"));
    world.seal(6, &Push::delta(6, &state(), &next).bytes());
    world.ingest(0);
    let report = world.run(&["--json", "verify"]).report();
    assert_eq!(report["counts"]["snapshots"], 6);
    assert_eq!(report["counts"]["read_bytes"], 5 * (10_000 + 9) + 1);
}

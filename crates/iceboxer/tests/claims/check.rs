//! Reading an image back finds every difference: the guard that decides whether anything is uploaded.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Cursor, Read, Seek};
use std::os::unix::fs::FileExt;

use backhand::{FilesystemReader, FilesystemWriter};
use cli::{Exit, Failure, Task};
use formats::{HostId, Meta};
use history::{History, HostHistory, Redactions, Snapshot};
use iceboxer::image::{ImageError, check::check, write::write};

use crate::rig::{Scratch, Spec, Tree, linked, meta, noise};

fn host(scratch: &Scratch, host: &str) -> (HostHistory, Vec<Snapshot>) {
    let history =
        History::open(&scratch.path("history")).unwrap().host(&HostId::parse(host).unwrap()).unwrap();
    let snapshots = history.log().unwrap().snapshots().to_vec();
    (history, snapshots)
}

fn image_of(scratch: &Scratch, name: &str) -> File {
    let (history, snapshots) = host(scratch, name);
    let path = scratch.path("image");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).unwrap();
    write((&history, &Redactions::default()), &snapshots, 1_700_000_000, &file, &Task::silent()).unwrap();
    file
}

fn checked(scratch: &Scratch, name: &str, image: &File) -> Result<(), ImageError> {
    let (history, snapshots) = host(scratch, name);
    check((&history, &Redactions::default()), &snapshots, image, &Task::silent())
}

fn base() -> Tree {
    vec![
        (b"d", Spec::Folder, meta(0o755, 1, 1)),
        (b"d/a", Spec::File(b"small".to_vec()), meta(0o644, 2, 2)),
        (b"d/b", Spec::File(noise(200_000, 1)), linked(meta(0o644, 2, 2), 2)),
        (b"d/c", Spec::Link("d/b"), meta(0, 0, 0)),
        (b"d/l", Spec::Symlink(b"target".to_vec()), meta(0o777, 3, 3)),
        (b"d/n", Spec::CharDevice(1, 3), meta(0o666, 4, 4)),
        (b"d/p", Spec::Fifo, meta(0o666, 4, 4)),
        (b"e", Spec::File(Vec::new()), meta(0o600, 5, 5)),
    ]
}

/// The image with the manifest of another host's snapshot in place of its own, all files as they were.
fn with_manifest(scratch: &Scratch, image: &File, host: &str, manifest: &str) -> File {
    let mut image = image.try_clone().unwrap();
    image.rewind().unwrap();
    let reader = FilesystemReader::from_reader(BufReader::new(image)).unwrap();
    let mut writer = FilesystemWriter::from_fs_reader(&reader).unwrap();
    let (history, snapshots) = self::host(scratch, host);
    let other = snapshots.iter().find(|snapshot| manifest.contains(snapshot.name.as_str())).unwrap();
    let mut bytes = Vec::new();
    history.open_manifest_bytes(other).unwrap().read_to_end(&mut bytes).unwrap();
    writer.replace_file(manifest, Cursor::new(bytes)).unwrap();
    let path = scratch.path("liar");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).unwrap();
    writer.write(&file).unwrap();
    file
}

/// Changes to one name of the tree, by its place.
type Change = (&'static str, usize, fn(&mut Spec, &mut Meta));

#[test]
fn an_image_of_another_state_is_never_taken_for_this_one() {
    let changes: [Change; 15] = [
        ("content of a small file", 1, |spec, _| *spec = Spec::File(b"smalk".to_vec())),
        ("length of a small file", 1, |spec, _| *spec = Spec::File(b"small!".to_vec())),
        ("a large file's last byte", 2, |spec, _| {
            let Spec::File(bytes) = spec else { unreachable!() };
            bytes[199_999] ^= 1;
        }),
        ("an empty file that is not", 7, |spec, _| *spec = Spec::File(vec![0])),
        ("target of a symlink", 4, |spec, _| *spec = Spec::Symlink(b"targeu".to_vec())),
        ("device number", 5, |spec, _| *spec = Spec::CharDevice(1, 4)),
        ("a fifo that is a file", 6, |spec, _| *spec = Spec::File(Vec::new())),
        ("a file that is a folder", 7, |spec, _| *spec = Spec::Folder),
        ("mode", 1, |_, meta| meta.mode = 0o4644),
        ("mode of a folder", 0, |_, meta| meta.mode = 0o711),
        ("owner", 1, |_, meta| meta.owner = 9),
        ("group", 1, |_, meta| meta.group = 9),
        ("time", 1, |_, meta| meta.mtime.seconds = 9),
        ("metadata of a later name", 2, |_, meta| meta.owner = 9),
        ("time of a symlink", 4, |_, meta| meta.mtime.seconds = 9),
    ];
    let scratch = Scratch::new();
    scratch.snapshot("web", &base());
    let image = image_of(&scratch, "web");
    checked(&scratch, "web", &image).expect("the positive control");
    for (number, (what, place, change)) in changes.into_iter().enumerate() {
        let mut tree = base();
        let (_, spec, meta) = &mut tree[place];
        change(spec, meta);
        let name = format!("web{number}");
        let snapshot = scratch.snapshot(&name, &tree);
        let manifest = format!("manifests/{snapshot}.manifest");
        let error = checked(&scratch, &name, &image).expect_err(what);
        assert!(error.to_string().contains(&manifest), "the manifest in the image is another one: {error}");
        // With the right manifest in the image it is the entry itself that differs.
        let liar = with_manifest(&scratch, &image, &name, &manifest);
        let error = checked(&scratch, &name, &liar).expect_err(what);
        println!("{what}: {error}");
        assert_eq!(error.exit(), Exit::DAMAGED, "{what}");
        let path = String::from_utf8_lossy(base()[place].0).into_owned();
        assert!(error.to_string().contains(&format!("{snapshot}/{path}: ")), "{what}: {error}");
    }
}

/// The image is refused for `tree` even when it carries the manifest of that tree.
fn refused_by_name(scratch: &Scratch, image: &File, name: &str, tree: &Tree) {
    let snapshot = scratch.snapshot(name, tree);
    let liar = with_manifest(scratch, image, name, &format!("manifests/{snapshot}.manifest"));
    let error = checked(scratch, name, &liar).expect_err(name).to_string();
    println!("{name}: {error}");
    assert!(error.contains("/snapshots/"), "{error}");
    assert!(error.contains("it is missing") || error.contains("should not be there"), "{error}");
}

#[test]
fn a_name_too_many_or_too_few_is_found() {
    let scratch = Scratch::new();
    scratch.snapshot("web", &base());
    let image = image_of(&scratch, "web");
    for gone in [1, 3, 6, 7] {
        let mut fewer = base();
        fewer.remove(gone);
        let name = format!("fewer{gone}");
        refused_by_name(&scratch, &image, &name, &fewer);
    }
    for (number, more) in [&b"a"[..], b"d/a0", b"d/z", b"f"].into_iter().enumerate() {
        let mut tree = base();
        tree.push((more, Spec::Fifo, meta(0o600, 0, 0)));
        let name = format!("more{number}");
        refused_by_name(&scratch, &image, &name, &tree);
    }
    scratch.snapshot("web", &base());
    assert!(checked(&scratch, "web", &image).is_err(), "a snapshot that is not in the image");
}

#[test]
fn a_flipped_bit_is_found_in_every_block_and_never_panics() {
    let scratch = Scratch::new();
    scratch.snapshot("web", &base());
    let image = image_of(&scratch, "web");
    let bytes = image.metadata().unwrap().len();
    // The large file does not compress: its bytes lie in the image as they are, directly behind the superblock and the compressor's options.
    let large = 200..200_000;
    let (mut found, mut passed) = (0, 0);
    for at in (0..bytes).filter(|at| *at < 200 || *at > bytes - 6_000 || at % 211 == 0) {
        let mut byte = [0];
        image.read_exact_at(&mut byte, at).unwrap();
        image.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
        match checked(&scratch, "web", &image) {
            Ok(()) => {
                assert!(!large.contains(&at), "byte {at}");
                passed += 1;
            }
            Err(error) => {
                assert_eq!(error.exit(), Exit::DAMAGED, "byte {at}: {error}");
                found += 1;
            }
        }
        image.write_all_at(&byte, at).unwrap();
    }
    checked(&scratch, "web", &image).unwrap();
    println!("{found} found; {passed} passed, in padding and in fields that the reader does not use");
    assert!(found > 1_500);
}

//! Manifests come out of the form they are kept in as they went in, or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use formats::entry::{Attribute, Body, Entry, Kind, Meta, Mtime, Node, Tag};
use formats::manifest::ManifestError;
use formats::squeezed::{BLOCK_BYTES_MAX, HEAD_BYTES, head};
use formats::{ContentHash, ManifestWriter, RelPath, Summary};
use history::{Blocks, Expander, ManifestBytes, Squeezer, Stored, read_manifest};

fn entry(number: u32, value_bytes: usize) -> Entry {
    let path = format!("file-{number:06}");
    let attribute = Attribute { tag: Tag::Extended, name: b"user.x".to_vec(), value: vec![7; value_bytes] };
    let attributes = if value_bytes == 0 { Vec::new() } else { vec![attribute] };
    let mtime = Mtime { seconds: 1_700_000_000, nanos: number };
    let meta = Meta { mode: 0o644, owner: 0, group: 0, mtime, links: 1, attributes };
    let kind = Kind::File { size: 3, content: ContentHash::of(path.as_bytes()) };
    Entry { path: RelPath::new(path.as_bytes()).unwrap(), body: Body::Node(Node { meta, kind }) }
}

/// Entries for several blocks, some of them long.
fn entries() -> Vec<Entry> {
    (0..8_000).map(|number| entry(number, if number % 1_000 == 500 { 65_000 } else { 0 })).collect()
}

fn written<W: Write>(entries: &[Entry], to: W) -> (Summary, W) {
    let mut writer = ManifestWriter::new(to).unwrap();
    entries.iter().for_each(|entry| writer.push(entry).unwrap());
    writer.finish().unwrap()
}

fn squeezed(bytes: &[Entry], file: &Path) -> Summary {
    written(bytes, Squeezer::new(File::create(file).unwrap()).unwrap()).0
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("manifest");
    (dir, file)
}

fn expanded(file: &Path) -> Result<Vec<u8>, ManifestError> {
    let mut bytes = Vec::new();
    ManifestBytes::of(File::open(file)?)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read(file: &Path) -> Result<(usize, Option<Summary>), ManifestError> {
    let mut manifest = read_manifest(File::open(file)?)?;
    let mut count = 0;
    for entry in manifest.by_ref() {
        entry?;
        count += 1;
    }
    Ok((count, manifest.summary()))
}

fn blocks(file: &Path) -> Blocks {
    match Stored::of(File::open(file).unwrap()).unwrap() {
        Stored::Squeezed(blocks) => blocks,
        Stored::Plain(_) => panic!("plain"),
    }
}

#[test]
fn a_squeezed_manifest_has_the_bytes_and_the_root_of_the_plain_one_and_stock_zstd_gives_them_back() {
    let (_dir, file) = scratch();
    let entries = entries();
    let (plain_sum, plain) = written(&entries, Vec::new());
    assert_eq!(squeezed(&entries, &file), plain_sum);
    assert!(expanded(&file).unwrap() == plain);
    assert_eq!(read(&file).unwrap(), (entries.len(), Some(plain_sum)));
    let packed = fs::read(&file).unwrap();
    assert!(packed.len() * 2 < plain.len(), "{} of {}", packed.len(), plain.len());
    assert!(zstd::stream::decode_all(packed.as_slice()).unwrap() == plain);
    fs::write(&file, &plain).unwrap();
    assert!(expanded(&file).unwrap() == plain);
    assert_eq!(read(&file).unwrap(), (entries.len(), Some(plain_sum)));
}

#[test]
fn no_entry_is_in_two_blocks() {
    let (_dir, file) = scratch();
    let entries = entries();
    squeezed(&entries, &file);
    let (mut expander, mut blocks) = (Expander::default(), blocks(&file));
    let mut pages = formats::pages::Pages::default();
    let (mut count, mut found) = (0, Vec::new());
    while let Some(block) = blocks.next(&mut expander).unwrap() {
        pages.take(block, &mut |_| true, &mut |entry| found.push(entry)).unwrap();
        count += 1;
        blocks.rest();
    }
    pages.finish().unwrap();
    assert!(count > 8 && found == entries, "{count}");
}

#[test]
fn the_golden_file_is_read_as_the_manifest_it_was() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/golden");
    let golden = folder.join("v1/everything.squeezed-manifest");
    if std::env::var_os("FIRN_WRITE_GOLDEN").is_some() {
        let mut plain = read_manifest(File::open(folder.join("v2/everything.manifest")).unwrap()).unwrap();
        let entries: Vec<Entry> = plain.by_ref().map(Result::unwrap).collect();
        assert_eq!(squeezed(&entries, &golden), plain.summary().unwrap());
    }
    assert!(expanded(&golden).unwrap() == fs::read(folder.join("v2/everything.manifest")).unwrap());
    read(&golden).unwrap().1.unwrap();
}

#[test]
fn a_bit_flipped_anywhere_is_damage_or_changes_nothing() {
    let (_dir, file) = scratch();
    let entries: Vec<Entry> = (0..10).map(|number| entry(number, 0)).collect();
    squeezed(&entries, &file);
    let whole = fs::read(&file).unwrap();
    let plain = expanded(&file).unwrap();
    let (mut tried, mut harmless) = (0, 0);
    for bit in 0..whole.len() * 8 {
        if (HEAD_BYTES - 2..HEAD_BYTES).contains(&(bit / 8)) {
            continue; // the minor version, which readers accept
        }
        let mut bad = whole.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &bad).unwrap();
        let Err(found) = read(&file) else {
            // Some bits of a frame mean the same either way.
            assert!(expanded(&file).unwrap() == plain, "bit {bit}");
            harmless += 1;
            continue;
        };
        let named = history::Error::Manifest { name: "x".to_owned(), source: found };
        assert!(named.is_damage(), "bit {bit}: {named:?}");
        tried += 1;
    }
    assert!(tried > 3_000 && harmless < tried / 1_000, "{tried} {harmless}");
}

#[test]
fn a_squeezed_manifest_cut_at_any_byte_or_with_more_behind_it_is_damage() {
    let (_dir, file) = scratch();
    squeezed(&(0..10).map(|number| entry(number, 0)).collect::<Vec<_>>(), &file);
    let whole = fs::read(&file).unwrap();
    for end in 0..whole.len() {
        fs::write(&file, &whole[..end]).unwrap();
        assert!(read(&file).is_err(), "cut at {end}");
    }
    for more in [b"x".as_slice(), &head(), &whole, &zstd::bulk::compress(b"more", 1).unwrap()] {
        fs::write(&file, [&whole, more].concat()).unwrap();
        assert!(read(&file).is_err());
    }
}

#[test]
fn a_block_that_says_that_it_is_huge_or_does_not_say_is_refused_before_it_is_expanded() {
    let (_dir, file) = scratch();
    let refused = |frame: &[u8], says: &str| {
        fs::write(&file, [&head(), frame].concat()).unwrap();
        let error = blocks(&file).next(&mut Expander::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains(says), "{error}");
    };
    // 64 MiB of one byte in a few KiB, and so many that they would be all memory there is.
    refused(&zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap(), "longer");
    let mut huge = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    huge.extend_from_slice(&(1_u64 << 62).to_le_bytes());
    huge.extend_from_slice(&[1, 0, 0, 0]);
    refused(&huge, "longer");
    refused(&zstd::bulk::compress(&vec![0; BLOCK_BYTES_MAX + 1], 1).unwrap(), "longer");
    // Written as a stream, without its length.
    refused(&zstd::stream::encode_all(b"abc".as_slice(), 1).unwrap(), "does not say");
    refused(&head(), "shorter");
    refused(&[0; 40], "no block");
    // The longest that may be.
    let block = vec![5; BLOCK_BYTES_MAX];
    fs::write(&file, [head(), zstd::bulk::compress(&block, 1).unwrap()].concat()).unwrap();
    assert!(blocks(&file).next(&mut Expander::default()).unwrap() == Some(block.as_slice()));
}

//! Segments of an enemy: damaged ones are refused before anything parses them, and of whole ones only the one shape is taken.

use std::fs;
use std::io::Write;
use std::sync::OnceLock;

use sequoia_openpgp::Cert;
use sequoia_openpgp::packet::Tag;
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::stream::{ArbitraryWriter, Encryptor, LiteralWriter, Message, Recipient};
use sequoia_openpgp::types::Features;

use super::ices::{Ice, Machine, ice_of, seal, snapshots};
use super::images;
use super::keys::{gpg, key};
use super::tree::{Tree, noise, small};

/// An ice of several segments, the second and third of one length.
fn three() -> Ice {
    let mut tree = Tree::default();
    tree.file("file", noise(70_000));
    let snapshots = snapshots(&[tree]);
    let ice = seal(&snapshots, &images::write(&images::names(&snapshots)), 20_000, key());
    assert!(ice.segments.len() >= 4);
    ice
}

fn refused(machine: &Machine, code: i32, why: &str) {
    machine.verify().ends_with(code).because(why);
    machine.restore().ends_with(code).because(why);
    machine.assert_nothing_restored();
}

#[test]
fn a_flipped_bit_anywhere_in_a_segment_is_seen_before_it_is_parsed() {
    let ice = three();
    let machine = Machine::with(&ice);
    let mut flips = 0;
    for (number, segment) in ice.segments.iter().enumerate() {
        let ends = (0..40).chain(segment.len() - 40..segment.len());
        let places: Vec<usize> =
            ends.step_by(5).chain((40..segment.len()).step_by(segment.len() / 16)).collect();
        for place in places {
            let mut spoilt = ice.clone();
            spoilt.segments[number][place] ^= 1 << (place % 8);
            machine.lay(&spoilt);
            refused(&machine, 42, "its hash is not that of the record");
            flips += 1;
        }
    }
    println!("{flips} flips");
    assert!(flips > 90);
    assert!(
        machine
            .records()
            .iter()
            .all(|record| record["result"] == "failed" && record["failure"]["code"] == 42)
    );
}

#[test]
fn a_flipped_bit_is_seen_by_the_message_itself_where_the_record_agrees() {
    let ice = three();
    let machine = Machine::with(&ice);
    let mut flips = 0;
    for (number, segment) in ice.segments.iter().enumerate() {
        let places = (0..140)
            .step_by(3)
            .chain((140..segment.len()).step_by(segment.len() / 10))
            .chain([segment.len() - 1]);
        for place in places {
            let mut spoilt = ice.clone();
            spoilt.segments[number][place] ^= 1 << (place % 8);
            spoilt.agree();
            machine.lay(&spoilt);
            let ran = machine.verify();
            // 40 where the flip is in the name of the recipient.
            assert!(matches!(ran.code, 40 | 42), "segment {number} byte {place}: {ran:?}");
            machine.restore().ends_with(ran.code);
            machine.assert_nothing_restored();
            flips += 1;
        }
    }
    println!("{flips} flips");
    assert!(flips > 150);
}

#[test]
fn segments_cut_swapped_or_missing_are_refused() {
    let ice = three();
    let machine = Machine::with(&ice);
    let spoilt = |spoil: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut spoilt = ice.clone();
        spoil(&mut spoilt.segments);
        machine.lay(&spoilt);
        machine.verify()
    };
    let length = "its length is not that of the record";
    for cut in [0, 1, 100, ice.segments[1].len() - 1] {
        spoilt(&|segments| segments[1].truncate(cut)).ends_with(42).because(length);
    }
    spoilt(&|segments| segments[2].push(0)).ends_with(42).because(length);
    spoilt(&|segments| segments[2].extend(vec![0; 3_000_000])).ends_with(42).because(length);
    spoilt(&|segments| segments.swap(0, 1)).ends_with(42).because(length);
    spoilt(&|segments| segments[2] = segments[1].clone()).ends_with(42);
    spoilt(&|segments| {
        let last = segments.len() - 1;
        segments[last].fill(0);
    })
    .ends_with(42)
    .because("its hash");
    machine.lay(&ice);
    machine.verify().ends_with(0);
    for number in 0..ice.segments.len() {
        let object = machine.object(&ice, &format!("{number:04}.pgp"));
        let bytes = fs::read(&object).unwrap();
        fs::remove_file(&object).unwrap();
        refused(&machine, 31, "is not in the vault");
        fs::write(&object, bytes).unwrap();
    }
    machine.verify().ends_with(0);
}

#[test]
fn segments_that_stand_in_for_one_another_are_refused_though_the_record_agrees() {
    let ice = three();
    let machine = Machine::new();
    let mut swapped = ice.clone();
    swapped.segments.swap(1, 2);
    swapped.agree();
    machine.lay(&swapped);
    refused(&machine, 42, "");
    let mut cut = ice.clone();
    let half = cut.segments[1].len() / 2;
    cut.segments[1].truncate(half);
    // A record that agrees has a sealed length below that of the content.
    cut.agree();
    machine.lay(&cut);
    refused(&machine, 28, "does not fit its content");
    for bytes in [1, 20, 60] {
        let mut cut = ice.clone();
        let end = cut.segments[1].len() - bytes;
        cut.segments[1].truncate(end);
        cut.agree();
        machine.lay(&cut);
        refused(&machine, 42, "");
    }
}

/// Replaces the last segment of a small ice by `message`, with a record that agrees.
fn with_message(message: impl FnOnce(&[u8]) -> Vec<u8>) -> Machine {
    let tree = small();
    let mut ice = ice_of(&tree);
    let image = images::write(&images::names(&snapshots(&[tree])));
    ice.segments[1] = message(&image[4096..]);
    ice.agree();
    Machine::with(&ice)
}

#[test]
fn the_machine_of_these_tests_takes_a_message_of_the_right_shape() {
    with_message(|plain| key().seal(plain)).verify().ends_with(0);
}

/// A message made of a content.
type Make = Box<dyn FnOnce(&[u8]) -> Vec<u8>>;

#[test]
fn only_one_shape_of_message_is_taken() {
    let secret_options = ["--pinentry-mode", "loopback", "--passphrase", "x"];
    let shapes: Vec<(&str, Make)> = vec![
        (
            "it holds compressed data",
            Box::new(|plain| {
                let sealed = key().encrypt(&["-z", "6", "--compress-algo", "zip"], plain);
                // Named more often than needed, so that it is not shorter than its content.
                [sealed[..96].repeat(60), sealed].concat()
            }),
        ),
        ("it holds compressed data", Box::new(|plain| nested_compression(plain, 10_000))),
        ("it holds a message within a message", Box::new(nested_encryption)),
        (
            "it holds a packet that has no place in it",
            Box::new(move |plain| {
                let options = ["-z", "0", "--symmetric"];
                gpg(&[&secret_options[..], &options].concat(), plain)
            }),
        ),
        ("it holds a packet that has no place in it", Box::new(|plain| gpg(&["-z", "0", "--store"], plain))),
        ("it is not binary", Box::new(|plain| key().encrypt(&["-z", "0", "--armor"], plain))),
        ("it holds a signature", Box::new(signed_inside)),
        (
            "it holds a packet that has no place in it",
            Box::new(|plain| [b"\xca\x03PGP", key().seal(plain).as_slice()].concat()),
        ),
        ("it holds a packet that has no place in it", Box::new(without_mdc)),
        ("it names no recipient", Box::new(|plain| key().seal(plain)[96..].to_vec())),
        (
            "it has too many recipients",
            Box::new(|plain| {
                let sealed = key().seal(plain);
                [sealed[..96].repeat(65), sealed[96..].to_vec()].concat()
            }),
        ),
        ("something comes after its end", Box::new(|plain| [key().seal(plain), key().seal(plain)].concat())),
        ("something comes after its end", Box::new(|plain| [key().seal(plain), key().seal(b"x")].concat())),
        ("something comes after its end", Box::new(|plain| [key().seal(plain), vec![0]].concat())),
        ("something comes after its end", Box::new(|plain| [key().seal(plain), noise(500)].concat())),
        ("not", Box::new(|plain| vec![0xff; plain.len() + 10])),
        ("not", Box::new(|plain| noise(plain.len() + 10))),
        ("its content is not", Box::new(|plain| key().seal(&[plain, b"x"].concat()))),
        ("its content is not", Box::new(|plain| key().seal(&plain[1..]))),
        ("the hash of its content", Box::new(|plain| key().seal(&vec![0; plain.len()]))),
    ];
    for (why, message) in shapes {
        println!("{why}");
        let machine = with_message(message);
        let ran = machine.verify();
        if why == "not" {
            ran.ends_with(42);
        } else {
            ran.ends_with(42).because(why);
        }
        machine.restore().ends_with(42);
        machine.assert_nothing_restored();
    }
}

#[test]
fn a_message_of_the_library_that_seals_ice_is_opened() {
    let sealed = |plain: &[u8]| {
        sealed_around(|message| {
            let mut writer = LiteralWriter::new(message).build().unwrap();
            writer.write_all(plain).unwrap();
            writer.finalize().unwrap();
        })
    };
    with_message(sealed).verify().ends_with(0);
}

#[test]
fn a_message_that_says_nothing_of_its_recipient_is_opened() {
    // gpg --throw-keyids: unusual, and no danger.
    with_message(|plain| key().encrypt(&["-z", "0", "--throw-keyids"], plain)).verify().ends_with(0);
}

#[test]
fn a_message_with_aead_is_opened_and_a_flipped_bit_in_it_is_seen() {
    let aead = |plain: &[u8]| {
        let mut sealed = Vec::new();
        let to = recipients_with(Features::empty().set_seipdv2());
        let message = Encryptor::for_recipients(Message::new(&mut sealed), to).build().unwrap();
        let mut writer = LiteralWriter::new(message).build().unwrap();
        writer.write_all(plain).unwrap();
        writer.finalize().unwrap();
        sealed
    };
    with_message(aead).verify().ends_with(0);
    let flipped = |plain: &[u8]| {
        let mut sealed = aead(plain);
        let middle = sealed.len() / 2;
        sealed[middle] ^= 1;
        sealed
    };
    // The record agrees with what lies there: only the message itself can tell.
    with_message(flipped).verify().ends_with(42);
}

fn recipients() -> Vec<Recipient<'static>> {
    recipients_with(Features::empty().set_seipdv1())
}

fn recipients_with(features: Features) -> Vec<Recipient<'static>> {
    static CERT: OnceLock<(Cert, StandardPolicy<'static>)> = OnceLock::new();
    let (cert, policy) =
        CERT.get_or_init(|| (Cert::from_file(key().public()).unwrap(), StandardPolicy::new()));
    let keys = cert.keys().with_policy(policy, None).for_storage_encryption();
    keys.map(|key| Recipient::new(features.clone(), key.key().key_handle(), key.key())).collect()
}

/// A sealed message whose content `write` makes, packet by packet.
fn sealed_around(write: impl FnOnce(Message<'_>)) -> Vec<u8> {
    let mut sealed = Vec::new();
    write(Encryptor::for_recipients(Message::new(&mut sealed), recipients()).build().unwrap());
    sealed
}

/// A packet of compressed data (of the kind that does not compress), within a packet of compressed data, within ...
fn nested_compression(plain: &[u8], depth: usize) -> Vec<u8> {
    let mut inner = vec![0xcb, 0xff];
    inner.extend((plain.len() as u32 + 6).to_be_bytes());
    inner.extend(b"b\0\0\0\0\0");
    inner.extend(plain);
    for _ in 1..depth {
        let mut outer = vec![0xc8, 0xff];
        outer.extend((inner.len() as u32 + 1).to_be_bytes());
        outer.push(0);
        outer.extend(&inner);
        // Grows by 7 bytes a layer: what is copied is the tail, so keep it short.
        inner = outer;
        if inner.len() > plain.len() + 70_000 {
            break;
        }
    }
    sealed_around(|message| {
        let mut writer = ArbitraryWriter::new(message, Tag::CompressedData).unwrap();
        writer.write_all(&[0]).unwrap();
        writer.write_all(&inner).unwrap();
        writer.finalize().unwrap();
    })
}

fn nested_encryption(plain: &[u8]) -> Vec<u8> {
    sealed_around(|message| {
        let inner = Encryptor::for_recipients(message, recipients()).build().unwrap();
        let mut writer = LiteralWriter::new(inner).build().unwrap();
        writer.write_all(plain).unwrap();
        writer.finalize().unwrap();
    })
}

/// A one-pass signature packet before the data: it need not be a good one to be refused.
fn signed_inside(plain: &[u8]) -> Vec<u8> {
    sealed_around(|message| {
        let mut writer = ArbitraryWriter::new(message, Tag::OnePassSig).unwrap();
        writer.write_all(&[3, 0, 10, 22, 1, 2, 3, 4, 5, 6, 7, 8, 1]).unwrap();
        let message = writer.finalize_one().unwrap().unwrap();
        let mut writer = LiteralWriter::new(message).build().unwrap();
        writer.write_all(plain).unwrap();
        writer.finalize().unwrap();
    })
}

/// The old container, which does not check itself: what downgrade attacks make.
fn without_mdc(plain: &[u8]) -> Vec<u8> {
    let sealed = key().seal(plain);
    let (recipient, container) = sealed.split_at(96);
    assert_eq!(container[0], 0xd2);
    // A packet of tag 9 with a four-byte length, around the same bytes without the version.
    let body: Vec<u8> = container[7..].to_vec();
    let mut old = recipient.to_vec();
    old.extend([0xc9, 0xff]);
    old.extend((body.len() as u32).to_be_bytes());
    old.extend(body);
    old.resize(old.len() + 100, 0);
    old
}

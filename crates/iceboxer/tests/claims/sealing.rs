//! Whom a message is sealed to, and who can open it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use iceboxer::certificate::Recipient;
use iceboxer::seal::{SealError, check_recipients, seal};
use sequoia_openpgp as openpgp;

use openpgp::Packet;
use openpgp::cert::CertBuilder;
use openpgp::packet::SEIP;
use openpgp::parse::{PacketParser, PacketParserResult, Parse};
use openpgp::serialize::SerializeInto;
use openpgp::types::Features;

use crate::rig::{Scratch, everything, output, run};

/// Decrypts with a key ring that holds this one secret key and nothing else.
fn opens_alone(scratch: &Scratch, fingerprint: &str, message: &Path) -> bool {
    let home = tempfile::Builder::new().prefix("fk").tempdir_in("/tmp").unwrap();
    let secret = scratch.gpg_ok(&["--export-secret-keys", fingerprint]);
    let file = home.path().join("secret");
    fs::write(&file, secret).unwrap();
    let gpg = |args: &[&str]| {
        let options = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""];
        output(Command::new("gpg").env("GNUPGHOME", home.path()).args(options).args(args))
    };
    assert!(gpg(&["--import", file.to_str().unwrap()]).status.success());
    let opened = gpg(&["--decrypt", message.to_str().unwrap()]).status.success();
    output(Command::new("gpgconf").arg("--homedir").arg(home.path()).args(["--kill", "all"]));
    opened
}

#[test]
fn every_object_sealed_to_rsa_4096_and_curve_25519_is_opened_by_either_key_alone() {
    let scratch = Scratch::new();
    let rsa = scratch.key("rsa", "rsa4096", "default", "2y", &[]);
    scratch.gpg_ok(&["--quick-add-key", &rsa, "rsa4096", "encrypt", "2y"]);
    let curve = scratch.key("curve", "future-default", "default", "2y", &[]);
    let stranger = scratch.key("stranger", "future-default", "default", "2y", &[]);
    let recipients: Vec<Recipient> = [("rsa", &rsa), ("curve", &curve)]
        .into_iter()
        .map(|(name, print)| {
            let file = scratch.export(name, &["--export", print]);
            Recipient::load(&file, &print.parse().unwrap(), SystemTime::now()).unwrap()
        })
        .collect();
    let name = scratch.snapshot("web01", &everything());
    run(scratch.plan(&recipients, vec![scratch.target()])).unwrap();
    let objects: Vec<String> = scratch.objects().into_iter().filter(|name| name.ends_with(".pgp")).collect();
    assert_eq!(objects.len(), scratch.record(&format!("web01/{name}")).segments.len() + 1);
    // The catalogue is signed: gpg wants to know by whom.
    let certificate = scratch.path("ledger/signing-key.asc");
    for object in objects.iter().filter(|name| !name.ends_with("catalogue.pgp")) {
        let file = scratch.object(object);
        assert!(opens_alone(&scratch, &rsa, &file) && opens_alone(&scratch, &curve, &file), "{object}");
        assert!(!opens_alone(&scratch, &stranger, &file), "{object}");
    }
    scratch.gpg_ok(&["--import", certificate.to_str().unwrap()]);
    let catalogue = scratch.object(&format!("web01/{name}/catalogue.pgp"));
    scratch.gpg_ok(&["--decrypt", catalogue.to_str().unwrap()]);
    let packets =
        String::from_utf8(scratch.gpg(&["--list-packets", catalogue.to_str().unwrap()]).stdout).unwrap();
    assert!(packets.contains("mdc_method: 2") && !packets.contains("compressed packet"), "{packets}");
}

#[test]
fn the_recipients_in_the_written_packets_are_compared() {
    let scratch = Scratch::new();
    let [one, two, three] = ["one", "two", "three"].map(|name| scratch.recipient(name));
    let mut sealed = Vec::new();
    let to = [one.clone(), two.clone()];
    seal(&mut &b"content"[..], &mut sealed, &to, &|_| ()).unwrap();
    let check = |expected: &[Recipient]| check_recipients(&mut sealed.as_slice(), expected);
    check(&to).unwrap();
    check(&[two.clone(), one.clone()]).unwrap();
    for wrong in [&[one.clone()][..], &[one.clone(), three.clone()], &[one.clone(), two, three], &[]] {
        assert!(matches!(check(wrong), Err(SealError::Recipients)));
    }
    let cut = check_recipients(&mut &sealed[..20], &[one]);
    assert!(matches!(cut, Err(SealError::Parse(_) | SealError::Recipients)));
}

/// A certificate as a program makes it that reads AEAD.
fn modern(scratch: &Scratch, name: &str, features: Features) -> Recipient {
    let builder = CertBuilder::general_purpose(Some(format!("{name}@example.org")));
    let (cert, _) = builder.set_features(features).unwrap().generate().unwrap();
    let file = scratch.path(name);
    fs::write(&file, cert.armored().to_vec().unwrap()).unwrap();
    Recipient::load(&file, &cert.fingerprint().to_hex().parse().unwrap(), SystemTime::now()).unwrap()
}

/// The version of the container.
fn container(message: &[u8]) -> u8 {
    let mut parser = PacketParser::from_bytes(message).unwrap();
    while let PacketParserResult::Some(packet) = parser {
        match &packet.packet {
            Packet::SEIP(SEIP::V1(_)) => return 1,
            Packet::SEIP(SEIP::V2(_)) => return 2,
            _ => parser = packet.next().unwrap().1,
        }
    }
    0
}

#[test]
fn aead_is_used_when_all_recipients_say_that_they_read_it_and_only_then() {
    let scratch = Scratch::new();
    let both = Features::empty().set_seipdv1().set_seipdv2();
    let modern_one = modern(&scratch, "modern-one", both.clone());
    let modern_two = modern(&scratch, "modern-two", both);
    let older = modern(&scratch, "older", Features::empty().set_seipdv1());
    let gnupg = scratch.recipient("gnupg");
    let sealed = |to: &[&Recipient]| {
        let to: Vec<Recipient> = to.iter().copied().cloned().collect();
        let mut sealed = Vec::new();
        seal(&mut &b"content"[..], &mut sealed, &to, &|_| ()).unwrap();
        check_recipients(&mut sealed.as_slice(), &to).unwrap();
        container(&sealed)
    };
    assert_eq!(sealed(&[&modern_one]), 2);
    assert_eq!(sealed(&[&modern_one, &modern_two]), 2);
    assert_eq!(sealed(&[&modern_one, &older]), 1);
    assert_eq!(sealed(&[&modern_one, &gnupg]), 1);
    assert_eq!(sealed(&[&gnupg]), 1);
}

//! Which certificates are refused, each made by GnuPG.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::Utc;
use cli::{Exit, Failure};
use iceboxer::certificate::{CertificateError, Recipient};

use crate::rig::Scratch;

fn load(file: &Path, pinned: &str) -> Result<Recipient, CertificateError> {
    Recipient::load(file, &pinned.parse().unwrap(), SystemTime::now())
}

fn refused(file: &Path, pinned: &str, why: &str) {
    let error = load(file, pinned).expect_err(why);
    assert_eq!(error.exit(), Exit::CERTIFICATE, "{why}");
    let failed = cli::Failed::from(error).chain();
    assert!(failed.contains(why), "expected {why:?}, got {failed:?}");
    println!("refused: {failed}");
}

#[test]
fn good_certificates_are_taken_armoured_or_not() {
    let scratch = Scratch::new();
    for (name, algorithm, usage) in [("curve", "future-default", "default"), ("rsa", "rsa2048", "default")] {
        let print = scratch.key(name, algorithm, usage, "2y", &[]);
        if name == "rsa" {
            scratch.gpg_ok(&["--quick-add-key", &print, "rsa2048", "encrypt", "2y"]);
        }
        let armoured = scratch.export("armoured", &["--armor", "--export", &print]);
        let binary = scratch.export("binary", &["--export", &print]);
        for file in [armoured, binary] {
            let recipient = load(&file, &print.to_lowercase()).unwrap();
            assert_eq!(recipient.fingerprint().as_str(), print);
            assert_eq!(recipient.warning(Utc::now()), None);
        }
    }
}

#[test]
fn every_doubtful_certificate_is_refused_with_33() {
    let scratch = Scratch::new();
    let good = scratch.key("good", "future-default", "default", "2y", &[]);
    let other = scratch.key("other", "future-default", "default", "2y", &[]);
    let export = |name: &str, print: &str| scratch.export(name, &["--armor", "--export", print]);

    let file = export("good", &good);
    assert!(load(&file, &good).is_ok(), "the positive control");
    refused(&file, &other, "the settings pin");

    let secret = scratch.export("secret", &["--armor", "--export-secret-keys", &good]);
    refused(&secret, &good, "holds a secret key");
    let secret = scratch.export("secret-binary", &["--export-secret-keys", &good]);
    refused(&secret, &good, "holds a secret key");
    let subkeys = scratch.export("subkeys", &["--export-secret-subkeys", &good]);
    refused(&subkeys, &good, "holds a secret key");
    let mut both = fs::read(&file).unwrap();
    both.extend(fs::read(scratch.path("secret.asc")).unwrap());
    fs::write(scratch.path("both.asc"), both).unwrap();
    refused(&scratch.path("both.asc"), &good, "holds a secret key");

    let two = scratch.export("two", &["--armor", "--export", &good, &other]);
    refused(&two, &good, "more than one");
    let two = scratch.export("two-binary", &["--export", &good, &other]);
    refused(&two, &good, "more than one");
    let mut blocks = fs::read(&file).unwrap();
    blocks.extend(fs::read(export("other", &other)).unwrap());
    fs::write(scratch.path("blocks.asc"), blocks).unwrap();
    refused(&scratch.path("blocks.asc"), &good, "more than one");

    for (name, bytes) in [("junk", &b"no key at all\n"[..]), ("nothing", b"")] {
        fs::write(scratch.path(name), bytes).unwrap();
        refused(&scratch.path(name), &good, "no OpenPGP certificate");
    }
    let cut = fs::read(scratch.export("whole", &["--export", &good])).unwrap();
    fs::write(scratch.path("cut"), &cut[..cut.len() / 2]).unwrap();
    assert_eq!(load(&scratch.path("cut"), &good).unwrap_err().exit(), Exit::CERTIFICATE);
    fs::write(scratch.path("huge"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
    refused(&scratch.path("huge"), &good, "longer than");
    refused(&scratch.path("absent"), &good, "cannot be read");
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let scratch = Scratch::new();
    let past =
        scratch.key("past", "future-default", "default", "1y", &["--faked-system-time", "20200101T000000"]);
    let file = scratch.export("past", &["--armor", "--export", &past]);
    refused(&file, &past, "not valid today");
    let future =
        scratch.key("future", "future-default", "default", "1y", &["--faked-system-time", "20900101T000000"]);
    let file = scratch.export("future", &["--armor", "--export", &future]);
    assert_eq!(load(&file, &future).unwrap_err().exit(), Exit::CERTIFICATE);
    // The primary key lives, its encryption subkey does not.
    let half = scratch.key("half", "ed25519", "sign", "0", &["--faked-system-time", "20200101T000000"]);
    scratch.gpg_ok(&[
        "--faked-system-time",
        "20200101T000000",
        "--quick-add-key",
        &half,
        "cv25519",
        "encrypt",
        "1y",
    ]);
    let file = scratch.export("half", &["--armor", "--export", &half]);
    refused(&file, &half, "no encryption key");
}

#[test]
fn a_revoked_certificate_is_refused() {
    let scratch = Scratch::new();
    let print = scratch.key("gone", "future-default", "default", "2y", &[]);
    let file = scratch.export("before", &["--armor", "--export", &print]);
    assert!(load(&file, &print).is_ok());
    // GnuPG keeps a revocation ready, made harmless by a colon.
    let ready = fs::read_to_string(scratch.path(&format!("gpg/openpgp-revocs.d/{print}.rev"))).unwrap();
    fs::write(scratch.path("revocation"), ready.replace(":-----BEGIN", "-----BEGIN")).unwrap();
    scratch.gpg_ok(&["--import", scratch.path("revocation").to_str().unwrap()]);
    let file = scratch.export("after", &["--armor", "--export", &print]);
    refused(&file, &print, "revoked");
}

#[test]
fn a_certificate_that_cannot_be_encrypted_to_or_trusted_is_refused() {
    let scratch = Scratch::new();
    let signs = scratch.key("signs", "ed25519", "sign", "2y", &[]);
    let file = scratch.export("signs", &["--armor", "--export", &signs]);
    refused(&file, &signs, "no encryption key");
    let weak = scratch.key("weak", "rsa2048", "default", "2y", &["--cert-digest-algo", "SHA1"]);
    scratch.gpg_ok(&["--cert-digest-algo", "SHA1", "--quick-add-key", &weak, "rsa2048", "encrypt", "2y"]);
    let file = scratch.export("weak", &["--armor", "--export", &weak]);
    refused(&file, &weak, "too weak");
}

#[test]
fn an_end_that_comes_near_is_told_with_growing_urgency() {
    let scratch = Scratch::new();
    let print = scratch.key("soon", "future-default", "default", "2y", &[]);
    let file = scratch.export("soon", &["--armor", "--export", &print]);
    let recipient = load(&file, &print).unwrap();
    let end = 730;
    let mut texts = Vec::new();
    for left in [200, 170, 80, 20] {
        let now = SystemTime::now() + Duration::from_secs((end - left) * 86_400);
        texts.push(recipient.warning(now.into()));
    }
    assert_eq!(texts[0], None);
    for (text, word) in texts[1..].iter().zip(["within the next months", "soon", "now"]) {
        let text = text.as_ref().unwrap();
        assert!(text.contains(&print) && text.contains(word), "{text}");
    }
}

//! The container that GnuPG reads, as we write it.

use std::fs;

use iceboxer::certificate::Recipient;
use iceboxer::seal::{Sealed, seal};

use crate::rig::{Scratch, noise};

/// The library cuts a packet when it holds this much.
const CHUNK: usize = 4 << 20;

fn sealed(content: &[u8], to: &[Recipient]) -> (Vec<u8>, Sealed) {
    let mut message = Vec::new();
    let told = seal(&mut &*content, &mut message, to, &|_| ()).unwrap();
    (message, told)
}

fn opened(scratch: &Scratch, message: &[u8]) -> Option<Vec<u8>> {
    let file = scratch.path("message.pgp");
    fs::write(&file, message).unwrap();
    let output = scratch.gpg(&["--decrypt", file.to_str().unwrap()]);
    output.status.success().then_some(output.stdout)
}

#[test]
fn gnupg_opens_messages_of_any_length() {
    let scratch = Scratch::new();
    let to = [scratch.recipient("one"), scratch.recipient("two")];
    for bytes in [0, 1, 15, 16, 17, 191, 192, 511, 512, 513, 8383, CHUNK - 40, CHUNK - 1, CHUNK, CHUNK + 1] {
        let content = noise(bytes, bytes as u64);
        let (message, told) = sealed(&content, &to);
        assert!(opened(&scratch, &message) == Some(content), "{bytes}");
        assert_eq!((told.plain_bytes, told.bytes), (bytes as u64, message.len() as u64));
        assert_eq!(told.hash.as_bytes(), blake3::hash(&message).as_bytes());
    }
}

#[test]
fn gnupg_refuses_a_message_with_any_byte_of_its_end_changed() {
    let scratch = Scratch::new();
    let to = [scratch.recipient("one")];
    let (message, _) = sealed(b"content", &to);
    // The hash's packet has 22 bytes; before it stands the content.
    for from_end in 1..=40 {
        let mut changed = message.clone();
        let place = message.len() - from_end;
        changed[place] ^= 1;
        assert_eq!(opened(&scratch, &changed), None, "byte {place} of {}", message.len());
    }
    assert_eq!(opened(&scratch, &message).as_deref(), Some(&b"content"[..]));
}

#[test]
fn no_two_messages_share_a_key_or_their_noise() {
    let scratch = Scratch::new();
    let to = [scratch.recipient("one")];
    let (one, two) = (sealed(&[0; 4096], &to).0, sealed(&[0; 4096], &to).0);
    let shared = one.windows(16).filter(|stretch| two.windows(16).any(|other| other == *stretch)).count();
    // The key's packet names the same key in both, in less than one stretch.
    assert_eq!(shared, 0);
}

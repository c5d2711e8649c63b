//! The container that GnuPG reads, SEIPD version 1, written with a plain SHA-1 at its end.
//!
//! The format asks for SHA-1 over what is inside, encrypted with it: a check against damage and meddling by those who have no key. The
//! library computes it with a search for collisions, which takes half of the time of sealing; and none can be laid there, as the hash begins with
//! noise that nobody knows beforehand. All else is the library's: session key, keys' packets, cipher and framing (docs/decisions/0012).

use std::io::{self, Write};

use sequoia_openpgp as openpgp;
use sha1::{Digest as _, Sha1};

use openpgp::Packet;
use openpgp::crypto::symmetric::{BlockCipherMode, Encryptor, PaddingMode};
use openpgp::crypto::{SessionKey, random};
use openpgp::packet::Tag;
use openpgp::packet::prelude::PKESK3;
use openpgp::serialize::Serialize as _;
use openpgp::serialize::stream::{ArbitraryWriter, Message};

use crate::certificate::Recipient;
use crate::seal::CIPHER;

/// Bytes of a block of the cipher.
const BLOCK_BYTES: usize = 16;
/// The version of the packet.
const VERSION: u8 = 1;
/// The head of the packet with the hash: tag 19 in the new form, and the hash's length.
const HASH_HEAD: [u8; 2] = [0xd3, 0x14];

/// Encrypts what is written to it, once for all recipients.
pub(crate) struct Seipd1<'a> {
    inside: Encryptor<Message<'a>>,
    hasher: Sha1,
}

impl<'a> Seipd1<'a> {
    /// Writes what the recipients need to open it, and the head of the container.
    pub(crate) fn begin(
        to: &'a mut (dyn Write + Send + Sync),
        recipients: &[Recipient],
    ) -> openpgp::Result<Self> {
        let mut message = Message::new(to);
        let key = SessionKey::new(CIPHER.key_size()?)?;
        for recipient in recipients {
            Packet::from(PKESK3::for_recipient(CIPHER, &key, recipient.key())?).serialize(&mut message)?;
        }
        let mut message = ArbitraryWriter::new(message, Tag::SEIP)?;
        message.write_all(&[VERSION])?;
        let inside = Encryptor::new(CIPHER, BlockCipherMode::CFB, PaddingMode::None, &key, None, message)?;
        let mut container = Self { inside, hasher: Sha1::new() };
        // A random block, and its end again: with no vector of its own, the cipher begins with it.
        let mut noise = [0; BLOCK_BYTES];
        random(&mut noise)?;
        container.write_all(&noise)?;
        container.write_all(&noise[BLOCK_BYTES - 2..])?;
        Ok(container)
    }

    /// Writes the hash, and the rest of what waits.
    pub(crate) fn end(mut self) -> openpgp::Result<()> {
        self.hasher.update(HASH_HEAD);
        self.inside.write_all(&HASH_HEAD)?;
        self.inside.write_all(&self.hasher.finalize())?;
        self.inside.finalize()?.finalize()
    }
}

impl Write for Seipd1<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inside.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inside.flush()
    }
}

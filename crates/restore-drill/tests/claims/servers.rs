//! Servers that sign catalogues, as iceboxer does.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use sequoia_openpgp::cert::CertBuilder;
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto;
use sequoia_openpgp::serialize::stream::{Encryptor, LiteralWriter, Message, Signer};
use sequoia_openpgp::types::KeyFlags;
use sequoia_openpgp::{Cert, anyhow};

/// A server's signing key.
pub(crate) struct Server(Cert);

fn make() -> Server {
    let flags = KeyFlags::empty().set_certification().set_signing();
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
    let builder = CertBuilder::new().add_userid("firn backup server").set_primary_key_flags(flags);
    Server(builder.set_creation_time(made).generate().unwrap().0)
}

/// The one that the settings of most tests name.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(make)
}

/// Another one.
pub(crate) fn other_server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(make)
}

/// Who signs a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signature {
    Server,
    OtherServer,
    Nobody,
}

impl Server {
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.0.armored().to_vec().unwrap()
    }
}

/// `text`, signed and sealed to the certificates in the files `to`.
pub(crate) fn catalogue(text: &[u8], to: &[PathBuf], by: Signature) -> Vec<u8> {
    let to: Vec<Cert> = to.iter().map(|file| Cert::from_reader(File::open(file).unwrap()).unwrap()).collect();
    sealed(text, &to, by).unwrap()
}

fn sealed(text: &[u8], to: &[Cert], by: Signature) -> anyhow::Result<Vec<u8>> {
    let policy = StandardPolicy::new();
    let of = |to| Cert::keys(to).with_policy(&policy, None).supported().for_storage_encryption();
    let keys = to.iter().flat_map(of);
    let mut sealed = Vec::new();
    let mut message = Encryptor::for_recipients(Message::new(&mut sealed), keys).build()?;
    let signer = match by {
        Signature::Server => Some(server()),
        Signature::OtherServer => Some(other_server()),
        Signature::Nobody => None,
    };
    if let Some(signer) = signer {
        let pair = signer.0.primary_key().key().clone().parts_into_secret()?.into_keypair()?;
        message = Signer::new(message, pair)?.build()?;
    }
    let mut message = LiteralWriter::new(message).build()?;
    message.write_all(text)?;
    message.finalize()?;
    Ok(sealed)
}

pub(crate) fn write_certificate(to: &Path) {
    fs::write(to, server().certificate()).unwrap();
}

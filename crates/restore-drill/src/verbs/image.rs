//! What `verify` and `restore` have in common: from the name of an ice to an image that is whole and checked.

use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::Utc;
use cli::{Exit, Failed, Failure, Monitor, Run, shown};
use formats::records::ice::IceRecord;
use sandbox::limits;
use sequoia_openpgp::Cert;

use crate::args::Source;
use crate::catalogue::{self, servers};
use crate::ice::StoredRecord;
use crate::image::child::address_space;
use crate::key::Secrets;
use crate::quarantine::Quarantine;
use crate::settings::Settings;
use crate::shelf::{Shelf, Shelves};
use crate::thaw::{Tally, thaw};

/// An ice that is found, and the keys to open it.
pub(super) struct Found {
    pub(super) shelf: Shelf,
    pub(super) record: IceRecord,
    line: Vec<u8>,
    secrets: Secrets,
    servers: Vec<Cert>,
}

/// The decrypted image could not be kept where it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{}: failed to keep the image", shown(.path.as_os_str().as_encoded_bytes()))]
struct KeepError {
    path: PathBuf,
    source: io::Error,
}

impl Failure for KeepError {
    fn exit(&self) -> Exit {
        match self.source.kind() {
            io::ErrorKind::AlreadyExists => Exit::USAGE,
            _ => Exit::MACHINE,
        }
    }
}

/// Finds the ice and unlocks the keys. Secrets are in no core file from here on, and memory has a limit.
pub(super) fn find(run: &mut Run, settings: &Settings, source: &Source) -> Result<Found, Failed> {
    let limited =
        limits::limit_core_zero().and_then(|()| limits::limit_memory(address_space(settings.memory_bytes)));
    limited.map_err(|error| Failed::machine("limiting memory", io::Error::other(error)))?;
    let console = run.console();
    let shelves = Shelves::open(settings, source.vault.as_deref())?;
    let (shelf, StoredRecord { record, line }) = shelves.find(&source.ice, &console)?;
    let servers = servers(&settings.server_certificates)?;
    let secrets = Secrets::load(source, settings, &console)?;
    run.report().detail("ice", record.ice.to_string());
    run.report().detail("vault", shown(shelf.name.as_bytes()));
    Ok(Found { shelf, record, line, secrets, servers })
}

impl Found {
    /// Brings the image into the quarantine, and keeps a copy if one was asked for.
    pub(super) fn thaw(
        &self,
        run: &mut Run,
        source: &Source,
        quarantine: &Quarantine,
        tally: &mut Tally,
    ) -> Result<File, Failed> {
        let console = run.console();
        let begun = Utc::now();
        let signer =
            catalogue::check(&self.shelf, &self.record.ice, &self.line, &self.secrets, &self.servers)?;
        match &signer {
            Some(server) => run.report().detail("signed_by", server.as_str()),
            None => console.warn(
                "who made this ice is not known: name the server's certificate (signing-key.asc) as server_certificates in the settings",
            ),
        }
        let thawed = thaw(&self.shelf, &self.record, &self.secrets, quarantine, &console, tally);
        run.report().count("segments", tally.segments);
        run.report().count("fetched_bytes", tally.bytes);
        let image = thawed?;
        console.info(&format!("the image is whole after {} s", (Utc::now() - begun).num_seconds()));
        if let Some(path) = &source.keep_image {
            keep(&image, path).map_err(|source| KeepError { path: path.clone(), source })?;
        }
        Ok(image)
    }
}

fn keep(image: &File, path: &Path) -> io::Result<()> {
    let mut to = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    let mut from = image;
    from.rewind()?;
    let copied = io::copy(&mut from, &mut to).and_then(|_| to.sync_all());
    if copied.is_err() {
        // Ours, as it was made new; the first error is the one to tell.
        let _ = std::fs::remove_file(path);
    }
    copied
}

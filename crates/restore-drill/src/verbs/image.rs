//! What `verify` and `restore` have in common: from the name of an ice to an image that is whole and checked.

use std::fs::File;
use std::io;

use chrono::Utc;
use cli::{Exit, Failed, Monitor, Run, shown};
use formats::records::ice::IceRecord;
use sandbox::limits;
use sequoia_openpgp::Cert;

use super::keep_image::KeepImage;
use crate::args::Source;
use crate::catalogue::{self, servers};
use crate::image::child::address_space;
use crate::kept::ImageName;
use crate::key::Secrets;
use crate::quarantine::Quarantine;
use crate::search::{Copy, Search};
use crate::settings::Settings;
use crate::shelf::Shelves;
use crate::thaw::{Tally, thaw};

/// Looks for the ice in all vaults. Secrets are in no core file from here on, and memory has a limit.
pub(super) fn search(settings: &Settings, source: &Source) -> Result<Search, Failed> {
    let limited =
        limits::limit_core_zero().and_then(|()| limits::limit_memory(address_space(settings.memory_bytes)));
    limited.map_err(|error| Failed::machine("limiting memory", io::Error::other(error)))?;
    let shelves = Shelves::open(settings, source.vault.as_deref())?;
    Ok(Search::begin(shelves, &source.ice))
}

/// An ice that is found, and the keys to open it.
pub(super) struct Found {
    /// The copy in use, and those to try next.
    copy: Copy,
    others: Vec<Copy>,
    /// Copies whose images may be in the quarantine.
    tried: Vec<ImageName>,
    secrets: Secrets,
    servers: Vec<Cert>,
    keep: Option<KeepImage>,
}

impl Found {
    /// Unlocks the keys, and makes the file for `--keep-image`.
    pub(super) fn new(
        run: &Run,
        settings: &Settings,
        source: &Source,
        search: Search,
    ) -> Result<Found, Failed> {
        let console = run.console();
        let (copy, others) = search.copies(&source.ice, &console)?;
        let servers = servers(&settings.server_certificates)?;
        let secrets = Secrets::load(source, settings, &console)?;
        let keep = KeepImage::create(source.keep_image.as_deref())?;
        Ok(Found { copy, others, tried: Vec::new(), secrets, servers, keep })
    }

    /// The record of the copy in use.
    pub(super) fn record(&self) -> &IceRecord {
        &self.copy.stored.record
    }

    /// The vault of the copy in use.
    pub(super) fn vault(&self) -> &str {
        &self.copy.shelf.name
    }

    /// Brings the image into the quarantine, and keeps a copy if one was asked for. Where a vault cannot give it now, the next that holds the ice is
    /// asked; if none can, the first error is the one to tell.
    pub(super) fn thaw(
        &mut self,
        run: &mut Run,
        quarantine: &Quarantine,
        tally: &mut Tally,
    ) -> Result<File, Failed> {
        let console = run.console();
        let mut first = None;
        let image = loop {
            let failed = match self.thaw_copy(run, quarantine, tally) {
                Ok(image) => break image,
                Err(failed) => failed,
            };
            if !is_the_vaults(failed.exit()) || self.others.is_empty() {
                if let Some(other) = self.others.first() {
                    let vault = shown(other.shelf.name.as_bytes());
                    console.warn(&format!("another vault holds this ice too: --vault {vault}"));
                }
                return Err(match first {
                    Some(first) if is_the_vaults(failed.exit()) => {
                        console.warn(&failed.chain());
                        first
                    }
                    _ => failed,
                });
            }
            console.warn(&failed.chain());
            first = first.or(Some(failed));
            self.copy = self.others.remove(0);
            console.warn(&format!("the vault {} is asked instead", shown(self.vault().as_bytes())));
        };
        if let Some(keep) = self.keep.take() {
            keep.fill(&image, run);
        }
        Ok(image)
    }

    fn thaw_copy(
        &mut self,
        run: &mut Run,
        quarantine: &Quarantine,
        tally: &mut Tally,
    ) -> Result<File, Failed> {
        let console = run.console();
        let begun = Utc::now();
        let Copy { shelf, stored } = &self.copy;
        let ice = &stored.record.ice;
        run.report().detail("ice", ice.to_string());
        run.report().detail("vault", shown(shelf.name.as_bytes()));
        self.tried.push(ImageName::new(&shelf.name, &stored.line));
        *tally = Tally::default();
        match catalogue::check(shelf, ice, &stored.line, &self.secrets, &self.servers)? {
            Some(server) => run.report().detail("signed_by", server.as_str()),
            None => console.warn(
                "who made this ice is not known: name the server's certificate (signing-key.asc) as server_certificates in the settings",
            ),
        }
        let thawed = thaw(&self.copy, &self.secrets, quarantine, &console, tally);
        run.report().count("segments", tally.segments);
        run.report().count("fetched_bytes", tally.bytes);
        run.report().count("kept_segments", tally.kept_segments);
        let image = thawed?;
        console.info(&format!("the image is whole after {} s", (Utc::now() - begun).num_seconds()));
        Ok(image)
    }

    /// Ends the use of the quarantine, and gives the outcome back.
    pub(super) fn close<T>(&self, quarantine: Quarantine, outcome: Result<T, Failed>) -> Result<T, Failed> {
        let closed = quarantine.close(&self.tried, outcome.as_ref().err().map(Failed::exit));
        let value = outcome?;
        closed?;
        Ok(value)
    }
}

/// Whether a failure is a vault's, and another vault may do better. What tells that the ice is damaged is not passed over.
fn is_the_vaults(exit: Exit) -> bool {
    [Exit::VAULT_UNREACHABLE, Exit::FROZEN, Exit::VAULT_DENIED].contains(&exit)
}

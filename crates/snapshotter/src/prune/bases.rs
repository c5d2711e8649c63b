//! What pushes build on that have no verdict yet. Their files are the host account's: nothing in them is believed but that they name something.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;

use durable::{Dir, FileKind, Name};
use formats::cursor::Cursor;
use formats::push::{FrameKind, HEAD_BYTES, Header, is_read, take_head};
use formats::{HostId, Root, frame};

use crate::ingest_host::publish;
use crate::settings::Settings;
use crate::trouble::Trouble;

/// More than the beginning of a push file that holds its header.
const BEGINNING_BYTES: u64 = 64 * 1024;
/// More names than any server lets wait.
const NAMES_MAX: usize = 10_000;

/// Where pushes of one host wait, and what it was told. All of it is absent for a host without a jail.
#[derive(Debug, Default)]
pub(crate) struct Jail {
    pub(crate) sealed: Option<Dir>,
    pub(crate) incoming: Option<Dir>,
    pub(crate) state: Option<Dir>,
}

impl Jail {
    /// Opens what there is of it.
    pub(crate) fn open(settings: &Settings, host: &HostId) -> Result<Self, Trouble> {
        let at = || Trouble::folder(format!("opening the jail of {host}"));
        let jails = Dir::open_root(&settings.jails).map_err(at())?;
        let jail = match jails.open_dir(Name::new(host.as_str().as_bytes()).map_err(at())?) {
            Err(error) if error.is_not_found() => return Ok(Jail::default()),
            jail => jail.map_err(at())?,
        };
        let folder = |path| jail.open_beneath(path).map(Some).map_err(at());
        Ok(Jail {
            sealed: folder(b"spool/sealed".as_slice())?,
            incoming: folder(b"spool/incoming")?,
            state: folder(b"state")?,
        })
    }
}

/// The roots of all snapshots that a push may build on, by what it says itself and by what its host was told.
pub(crate) fn named(jail: &Jail, host: &HostId) -> Result<HashSet<Root>, Trouble> {
    let mut bases = HashSet::new();
    if let Some(state) = &jail.state {
        bases.extend(publish::load(state, host)?.and_then(|published| published.base));
    }
    // In the order in which a push goes through them, so that none is missed that is sealed meanwhile.
    for folder in [&jail.incoming, &jail.sealed].into_iter().flatten() {
        let at = || Trouble::folder(format!("looking at the pushes of {host}"));
        for name in folder.names_at_most(NAMES_MAX).map_err(at())? {
            let beginning = match beginning(folder, Name::new(&name).map_err(at())?) {
                Err(error) if error.is_not_found() => continue,
                beginning => beginning.map_err(at())?,
            };
            let Some(file) = beginning else { continue };
            let mut bytes = Vec::new();
            let read = file.take(BEGINNING_BYTES).read_to_end(&mut bytes);
            read.map_err(Trouble::stream(format!("reading a push of {host}")))?;
            bases
                .extend(header(&bytes).into_iter().flat_map(|header| [header.base, header.lender]).flatten());
        }
    }
    Ok(bases)
}

/// The file of that name; none if it is something else, which no push is.
fn beginning(folder: &Dir, name: Name<'_>) -> durable::Result<Option<File>> {
    match folder.stat(name)?.kind {
        FileKind::File => folder.open_read(name).map(Some),
        _ => Ok(None),
    }
}

/// The header of a push file; none if there is none in it, or not yet. What names nothing today can only come to name what its host is told today;
/// and that is in no plan that has waited.
fn header(bytes: &[u8]) -> Option<Header> {
    let version = take_head(&mut Cursor::new(bytes)).ok()?;
    let frame = frame::decode(bytes.get(HEAD_BYTES..)?).ok()??;
    let is_header = is_read(version) && frame.kind == FrameKind::Header.code();
    is_header.then(|| Header::decode(frame.payload).ok()).flatten()
}

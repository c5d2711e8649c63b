//! The archive of a grant: what `restore --tar` writes, taken from a child that is the account of the histories. Root passes bytes on, and reads
//! none.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use cli::{Exit, Failed};
use formats::ContentHash;
use formats::records::grant::GrantRecord;

use crate::account::this_program;
use crate::ingest::exit_of;
use crate::settings::Settings;
use crate::trouble::Trouble;

const PIECE_BYTES: usize = 1 << 20;

/// What came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packed {
    pub(super) bytes: u64,
    pub(super) hash: ContentHash,
    /// Whole, or with something left out, which the child has named.
    pub(super) exit: Exit,
}

/// Packs what was asked for. Anything but a whole archive is an error.
pub(super) fn pack(settings: &Settings, asked: &GrantRecord, mut to: &File) -> Result<Packed, Failed> {
    let mut child = this_program()
        .arg("--config")
        .arg(&settings.file)
        .args(["restore", "--tar", "--", asked.host.as_str(), &asked.snapshot, &asked.path])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Trouble::stream("starting the restore"))?;
    let from =
        child.stdout.take().ok_or_else(|| Trouble::Machine { what: "a pipe is missing".to_owned() })?;
    let taken = take(settings, from, &mut to);
    if taken.is_err() {
        // It may be waiting for somebody to read on.
        let _ = child.kill();
    }
    let status = child.wait().map_err(Trouble::stream("waiting for the restore"))?;
    let (bytes, hash) = taken?;
    match exit_of(status) {
        exit @ (Exit::WHOLE | Exit::LEFT_OUT) => Ok(Packed { bytes, hash, exit }),
        exit => {
            Err(Trouble::Child { what: format!("the archive for {} was not made", asked.host), exit }.into())
        }
    }
}

/// Stops where the archive is longer than allowed, or the reserve of free space would be used up.
fn take(
    settings: &Settings,
    mut from: impl Read,
    to: &mut impl Write,
) -> Result<(u64, ContentHash), Trouble> {
    let (mut bytes, mut hasher) = (0_u64, blake3::Hasher::new());
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = from.read(&mut piece).map_err(Trouble::stream("reading the archive"))?;
        let Some(some) = piece.get(..read).filter(|some| !some.is_empty()) else { break };
        bytes += some.len() as u64;
        if bytes > settings.grants.archive_bytes {
            return Err(Trouble::Usage {
                what: format!("the archive is longer than {} bytes", settings.grants.archive_bytes),
                advice: Some("ask for a smaller part, or raise `archive_bytes` in [grants]".to_owned()),
            });
        }
        require_room(settings, &settings.grants.outboxes)?;
        hasher.update(some);
        to.write_all(some).map_err(Trouble::stream("writing the archive"))?;
    }
    Ok((bytes, ContentHash::from_bytes(*hasher.finalize().as_bytes())))
}

fn require_room(settings: &Settings, place: &Path) -> Result<(), Trouble> {
    let facts =
        rustix::fs::statvfs(place).map_err(|errno| Trouble::stream("asking for room")(errno.into()))?;
    let reserve = settings.limits.free_bytes;
    if facts.f_bavail.saturating_mul(facts.f_frsize) > reserve.saturating_add(PIECE_BYTES as u64) {
        return Ok(());
    }
    Err(Trouble::Stream {
        doing: format!("packing the archive: less than {reserve} bytes would stay free"),
        source: std::io::ErrorKind::StorageFull.into(),
    })
}

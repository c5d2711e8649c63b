//! The signed heads: `heads/<host>.asc` in the folder of the key, one for each log. Document: docs/formats/log-head.md.

use std::io::Read;
use std::path::Path;

use chrono::{SecondsFormat, Utc};
use durable::{Dir, Name};
use formats::HostId;
use formats::records::Record;
use formats::records::log_head::LogHead;
use history::{HostHistory, layout};
use signing::Certificate;

use crate::settings::Settings;
use crate::trouble::Trouble;

/// The folder.
const HEADS: Name<'static> = Name::literal("heads");
/// Longest file of one.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// All of them.
#[derive(Debug)]
pub(crate) struct Heads {
    dir: Dir,
}

/// What logs are compared with.
#[derive(Debug)]
pub(crate) struct Signed {
    heads: Option<Heads>,
    certificate: Option<Certificate>,
}

impl Signed {
    /// Opens it; believes the certificate beside the key, or this one.
    pub(crate) fn open(settings: &Settings, certificate: Option<&Path>) -> Result<Self, Trouble> {
        let certificate = match certificate {
            Some(path) => Certificate::read(path).map(Some),
            None => Certificate::beside(&settings.signing),
        };
        let wrong = |error| Trouble::Usage { what: cli::chain(&error), advice: None };
        let certificate = certificate.map_err(wrong)?;
        let heads = Heads::open(&settings.signing).map_err(Trouble::folder("opening the signed heads"))?;
        Ok(Self { heads, certificate })
    }

    /// The folder of the heads, if there is one.
    pub(crate) fn dir(&self) -> Option<&Dir> {
        self.heads.as_ref().map(Heads::dir)
    }

    /// That of this host; none if its log is not signed.
    pub(crate) fn head(&self, host: &HostId) -> Result<Option<LogHead>, Trouble> {
        match (&self.heads, &self.certificate) {
            (Some(heads), Some(certificate)) => heads.read(host, certificate),
            (Some(_), None) => {
                Err(Trouble::Head { host: host.clone(), why: "the certificate is gone".to_owned() })
            }
            (None, _) => Ok(None),
        }
    }
}

impl Heads {
    /// For the one that writes them.
    pub(super) fn make(folder: &Dir) -> durable::Result<Self> {
        Ok(Self { dir: folder.make_dir_or_open(HEADS, 0o755)? })
    }

    /// For those that read them; none if nothing was signed yet.
    fn open(folder: &Path) -> durable::Result<Option<Self>> {
        match Dir::open_root(folder).and_then(|folder| folder.open_dir(HEADS)) {
            Err(error) if error.is_not_found() => Ok(None),
            answer => answer.map(|dir| Some(Self { dir })),
        }
    }

    /// The folder.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// That of this host, if the signature is good; none if there is none.
    pub(crate) fn read(&self, host: &HostId, certificate: &Certificate) -> Result<Option<LogHead>, Trouble> {
        let at = || format!("reading the signed head of the log of {host}");
        let name = file_name(host);
        let opened = Name::new(name.as_bytes()).and_then(|name| self.dir.open_read(name));
        let file = match opened {
            Err(error) if error.is_not_found() => return Ok(None),
            answer => answer.map_err(Trouble::folder(at()))?,
        };
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(Trouble::stream(at()))?;
        let wrong = |why: String| Trouble::Head { host: host.clone(), why };
        let text =
            certificate.check(&bytes, LogHead::LONGEST_BYTES).map_err(|error| wrong(error.to_string()))?;
        let head = LogHead::from_line(text.trim_ascii_end()).map_err(|error| wrong(error.to_string()))?;
        if head.host != *host {
            return Err(wrong(format!("it is of the log of {}", head.host)));
        }
        Ok(Some(head))
    }

    /// Under the lock.
    pub(super) fn write(&self, host: &HostId, bytes: &[u8]) -> Result<(), Trouble> {
        let name = file_name(host);
        let written = self
            .dir
            .remove_unfinished()
            .and_then(|_| self.dir.write_whole(Name::new(name.as_bytes())?, bytes, 0o644));
        written.map_err(Trouble::folder(format!("writing the signed head of the log of {host}")))
    }
}

fn file_name(host: &HostId) -> String {
    format!("{host}.asc")
}

/// The head of the log as it is now, if that is newer than `before`; refused if the log does not go on from there. Only what is new is read.
pub(super) fn newest(place: &HostHistory, before: Option<&LogHead>) -> Result<Option<LogHead>, Trouble> {
    let host = place.host();
    let at = || Trouble::history(host);
    let reader = match (place.log_reader_after(before).map_err(at())?, before) {
        (Some(reader), _) => reader,
        (None, None) => return Ok(None),
        (None, Some(head)) => {
            let why = format!("there is no log, though line {} of it was signed at {}", head.line, head.time);
            return Err(Trouble::Head { host: host.clone(), why });
        }
    };
    let (mut newest, mut bytes) = (None, before.map_or(0, |head| head.bytes));
    for raw in reader {
        let raw = raw.map_err(at())?;
        bytes += raw.bytes;
        newest = Some((raw.line.line, raw.bytes, raw.hash));
    }
    let Some((line, line_bytes, hash)) = newest else { return Ok(None) };
    // Who wrote the last line may not have it on the disk yet: what is signed must not be gone after a power cut.
    let log =
        place.dir().open_read(layout::LOG).map_err(Trouble::folder(format!("opening the log of {host}")))?;
    log.sync_all().map_err(Trouble::stream(format!("bringing the log of {host} to the disk")))?;
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok(Some(LogHead { format: LogHead::format(), host: host.clone(), line, bytes, line_bytes, hash, time }))
}

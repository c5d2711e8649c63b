//! An ice, brought from its vault into the quarantine as an image.
//!
//! For each segment, in this order: fetch; length and hash of the ciphertext; decrypt; length and hash of the content. Then the hash of the
//! whole image. An error at any step ends it, and no byte of the image is looked at before the last. What an earlier run decrypted is hashed again,
//! and what comes after it is fetched.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use cli::{Amount, Exit, Failed, Failure, Monitor, Task};
use formats::ContentHash;
use formats::records::ice::Segment;
use formats::records::ice_id::{Fingerprint, IceId};
use vault::VaultError;

use crate::kept::ImageName;
use crate::key::Secrets;
use crate::quarantine::Quarantine;
use crate::search::Copy;
use crate::shelf::{Shelf, exit_while_reading, while_reading};
use crate::unseal::{UnsealError, Wanted, unseal};

const SEGMENT: &str = "segment.partial";
const BUFFER_BYTES: usize = 1 << 20;

/// How far it came; kept for the record even when it failed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    /// Segments fetched and decrypted, by this run or the one that it goes on with.
    pub(crate) segments: u64,
    /// Bytes fetched, by either.
    pub(crate) bytes: u64,
    /// Segments of them that an earlier run had fetched.
    pub(crate) kept_segments: u64,
    /// The certificate whose key decrypted.
    pub(crate) key: Option<Fingerprint>,
    /// Hash of the image, once it is whole.
    pub(crate) image_hash: Option<ContentHash>,
}

/// What is wrong with an ice.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ThawError {
    #[error("{object}: failed to fetch it")]
    Fetch { object: String, source: io::Error },
    #[error("{object}: failed to keep it in the quarantine")]
    Keep { object: String, source: io::Error },
    #[error("what is kept of {ice} in the quarantine cannot be read")]
    Kept { ice: IceId, source: io::Error },
    #[error("{object} is damaged: {what}")]
    Damaged { object: String, what: &'static str },
    #[error("{object}")]
    Unseal { object: String, source: UnsealError },
    #[error("the image is not the one that the record describes")]
    Image,
}

impl Failure for ThawError {
    fn exit(&self) -> Exit {
        match self {
            ThawError::Fetch { source, .. } => exit_while_reading(source),
            ThawError::Keep { .. } | ThawError::Kept { .. } => Exit::MACHINE,
            ThawError::Damaged { .. } => Exit::DECRYPTION,
            ThawError::Unseal { source, .. } => source.exit(),
            ThawError::Image => Exit::DAMAGED,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            ThawError::Fetch { source, .. } => while_reading(source).and_then(VaultError::advice),
            ThawError::Damaged { .. } => Some("another vault may hold a whole copy: --vault NAME".to_owned()),
            ThawError::Unseal { source: UnsealError::OtherKey { .. }, .. } => {
                Some("name the file of one of these keys with --key".to_owned())
            }
            _ => None,
        }
    }
}

/// Fetches, checks and decrypts all segments of `record`. The file that comes back is the image, whole and checked.
pub(crate) fn thaw(
    Copy { shelf, stored }: &Copy,
    secrets: &Secrets,
    quarantine: &Quarantine,
    monitor: &dyn Monitor,
    tally: &mut Tally,
) -> Result<File, Failed> {
    let record = &stored.record;
    let name = ImageName::new(&shelf.name, &stored.line);
    let longest = record.segments.iter().map(|segment| segment.bytes).max().unwrap_or(0);
    quarantine.require(record.image.bytes.saturating_add(longest), &name)?;
    let sealed_bytes =
        |segments: &[Segment]| segments.iter().fold(0u64, |sum, one| sum.saturating_add(one.bytes));
    let task = monitor.task("fetching and decrypting", Amount::Bytes(Some(sealed_bytes(&record.segments))));
    let keep = |source| ThawError::Kept { ice: record.ice.clone(), source };
    let (mut image, kept) = Image::resume(quarantine.image(&name)?, &record.segments).map_err(keep)?;
    let (before, missing) = record.segments.split_at_checked(kept).unwrap_or((&[], &record.segments));
    if kept > 0 {
        monitor.info(&format!("{kept} segments are here already, of {}", record.segments.len()));
        tally.kept_segments = kept as u64;
        tally.segments = kept as u64;
        tally.bytes = sealed_bytes(before);
        task.advance(tally.bytes);
    }
    for segment in missing {
        let sealed = fetch(shelf, segment, quarantine, &task)?;
        tally.bytes = tally.bytes.saturating_add(segment.bytes);
        open(sealed, segment, secrets, &mut image, tally)
            .map_err(|source| ThawError::Unseal { object: segment.object.clone(), source })?;
        quarantine.remove(SEGMENT)?;
        tally.segments += 1;
        monitor.detail(&format!("{} is whole", segment.object));
    }
    let hash = ContentHash::from_bytes(*image.hasher.finalize().as_bytes());
    if hash != record.image.hash {
        return Err(ThawError::Image.into());
    }
    tally.image_hash = Some(hash);
    Ok(image.file)
}

/// Brings one object into the quarantine. Nothing parses it before length and hash are those of the record.
fn fetch(shelf: &Shelf, segment: &Segment, quarantine: &Quarantine, task: &Task) -> Result<File, Failed> {
    let object = || segment.object.clone();
    let damaged = |what| ThawError::Damaged { object: object(), what };
    let from = shelf.fetch_segment(segment)?;
    let mut from = from.take(segment.bytes.saturating_add(1));
    let mut file = quarantine.create(SEGMENT)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut length = 0u64;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(ThawError::Fetch { object: object(), source }.into()),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        length += read as u64;
        hasher.update(bytes);
        file.write_all(bytes).map_err(|source| ThawError::Keep { object: object(), source })?;
        task.advance(read as u64);
    }
    if length != segment.bytes {
        return Err(damaged("its length is not that of the record").into());
    }
    if hasher.finalize().as_bytes() != segment.hash.as_bytes() {
        return Err(damaged("its hash is not that of the record").into());
    }
    file.rewind().map_err(|source| ThawError::Keep { object: object(), source })?;
    Ok(file)
}

/// Decrypts one checked object to the end of the image.
fn open(
    sealed: File,
    segment: &Segment,
    secrets: &Secrets,
    image: &mut Image,
    tally: &mut Tally,
) -> Result<(), UnsealError> {
    let unsealed = unseal(sealed, segment.bytes, segment.plain_bytes, (secrets, Wanted::Segment), image)?;
    if unsealed.hash != segment.plain_hash {
        let text = "the hash of its content is not that of the record".to_owned();
        return Err(UnsealError::Broken { text });
    }
    tally.key = unsealed.key.or(tally.key.take());
    Ok(())
}

/// The image as it grows, hashed as it is written.
struct Image {
    file: File,
    hasher: blake3::Hasher,
}

impl Image {
    /// Goes on after the segments that are in `file` already, and tells how many. Each is hashed again; from the first that is not what the record
    /// says, all is cut off.
    fn resume(file: File, segments: &[Segment]) -> io::Result<(Image, usize)> {
        let mut image = Image { file, hasher: blake3::Hasher::new() };
        let (mut whole, mut end) = (0, 0u64);
        for segment in segments {
            let mut hasher = image.hasher.clone();
            if !is_whole(&image.file, segment, &mut hasher)? {
                break;
            }
            image.hasher = hasher;
            whole += 1;
            end = end.saturating_add(segment.plain_bytes);
        }
        image.file.set_len(end)?;
        image.file.seek(io::SeekFrom::Start(end))?;
        Ok((image, whole))
    }
}

/// Whether the next bytes of `file` are the content of `segment`; `hasher` takes them too.
fn is_whole(file: &File, segment: &Segment, hasher: &mut blake3::Hasher) -> io::Result<bool> {
    let mut own = blake3::Hasher::new();
    let mut from = file.take(segment.plain_bytes);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(from.limit() == 0 && own.finalize().as_bytes() == segment.plain_hash.as_bytes());
        }
        own.update(bytes);
        hasher.update(bytes);
    }
}

impl Write for Image {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

//! From a host's history to a staged image: survey, write, read back, hash. Nothing is staged that was not proved.

use std::fs::File;
use std::io::{self, Read, Seek};

use chrono::{DateTime, Utc};
use cli::{Amount, Failed, Monitor};
use formats::ContentHash;
use formats::records::Record;
use formats::records::ice::{Image, SEGMENTS, segment_lengths};
use history::{HostHistory, Log, Reading, Redactions, Snapshot};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use vault::stamp::utc_text;

use crate::image::survey::{Survey, survey};
use crate::image::{ImageError, check::check, write::write};
use crate::plan::Again;
use crate::seal::{BUFFER_BYTES, hash_of};
use crate::settings::Scope;
use crate::staging::{HostStaging, StagedImage, Staging};

/// A sealed segment under way needs room beside the image; more than its plain length by at most this.
const SEAL_BYTES_MAX: u64 = 64 * 1024;

/// The snapshots that an image of this scope holds, oldest first.
pub(crate) fn wanted(log: &Log, scope: Scope) -> &[Snapshot] {
    let all = log.snapshots();
    match scope {
        Scope::All => all,
        Scope::Latest => all.get(all.len().saturating_sub(1)..).unwrap_or_default(),
    }
}

/// The log, and the locks of what goes into an image of this scope: none of that is pruned while they are there.
pub(crate) fn log_to_read(history: &HostHistory, scope: Scope) -> history::Result<(Log, Vec<Reading>)> {
    // Each takes an open file. Where there may not be more, it is said of the one that is too many.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _as_many_as_may_be = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    history.log_to_read(|log| wanted(log, scope))
}

/// The most that an image and the segments that are sealed of it at one time take.
pub(crate) fn room_needed(image_bytes: u64, segment_bytes: u64, workers: usize) -> u64 {
    let sealed = segment_bytes.min(image_bytes).saturating_add(SEAL_BYTES_MAX);
    let at_once = sealed.saturating_mul(workers as u64).min(image_bytes.saturating_add(sealed));
    image_bytes.saturating_add(at_once)
}

/// Makes the image of `snapshots` in the staging folder and proves it. The caller has locked them.
pub(crate) fn build(
    history: &HostHistory,
    log: &Log,
    snapshots: &[Snapshot],
    (segment_bytes, workers): (u64, usize),
    (staging, place): (&Staging, &HostStaging),
    again: Again,
    monitor: &dyn Monitor,
) -> Result<(StagedImage, File), Failed> {
    let host = history.host();
    let survey = survey(history, snapshots, log.redacted())?;
    let room = room_needed(survey.image_bytes_max, segment_bytes, workers);
    // Half an image that a killed run left, or one that gives way, takes no room from this one.
    place.clear()?;
    staging.has_room(room)?;
    if segment_lengths(survey.image_bytes_max, segment_bytes).nth(SEGMENTS).is_some() {
        return Err(ImageError::Segments { most: SEGMENTS, segment_bytes }.into());
    }
    let now = Utc::now();
    let file = place.begin()?;
    let built = fill((history, log.redacted()), snapshots, &survey, now, (&file, segment_bytes), monitor);
    let (image, plain) = match built {
        Ok(hashes) => hashes,
        Err(error) => {
            // An image that does not count takes no room.
            place.clear()?;
            return Err(error.into());
        }
    };
    let staged = StagedImage {
        format: StagedImage::format(),
        host: host.clone(),
        created: utc_text(&now),
        snapshots: survey.snapshots,
        image,
        segment_bytes,
        plain,
        left_out: survey.left_out,
        log_head: log.log_head(),
        redact_line: log.redacted().line(),
        redacted: survey.redacted,
    };
    if again == Again::Seal {
        place.set_alone()?;
    }
    place.commit(&staged)?;
    Ok((staged, file))
}

/// Writes the image, hashes it, and proves it: in this order, so that what is proved is what the hashes are of. Sealing compares them once more.
fn fill(
    (history, gone): (&HostHistory, &Redactions),
    snapshots: &[Snapshot],
    survey: &Survey,
    now: DateTime<Utc>,
    (file, segment_bytes): (&File, u64),
    monitor: &dyn Monitor,
) -> Result<(Image, Vec<ContentHash>), ImageError> {
    let host = history.host();
    let amount = Amount::Bytes(Some(survey.file_bytes));
    let created = u32::try_from(now.timestamp()).unwrap_or(u32::MAX);
    {
        let task = monitor.task(&format!("{host}: building"), amount);
        write((history, gone), snapshots, created, file, &task)?;
    }
    let hashes = hash(file, segment_bytes).map_err(ImageError::disk("read"))?;
    let task = monitor.task(&format!("{host}: reading back"), amount);
    check((history, gone), snapshots, file, &task)?;
    Ok(hashes)
}

/// BLAKE3 of the image and of each of its segments.
fn hash(mut file: &File, segment_bytes: u64) -> io::Result<(Image, Vec<ContentHash>)> {
    let bytes = file.metadata()?.len();
    file.rewind()?;
    let mut whole = blake3::Hasher::new();
    let mut plain = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    for length in segment_lengths(bytes, segment_bytes) {
        let mut piece = blake3::Hasher::new();
        let mut rest = file.take(length);
        loop {
            let read = match rest.read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                answer => buffer.get(..answer?).unwrap_or_default(),
            };
            whole.update(read);
            piece.update(read);
        }
        plain.push(hash_of(&piece));
    }
    Ok((Image { bytes, hash: hash_of(&whole) }, plain))
}

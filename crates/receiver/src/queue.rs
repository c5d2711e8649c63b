//! The sealed push files that wait for the snapshotter. Their names are numbers; their order is the order of the numbers.

use std::io::Read;
use std::time::{SystemTime, UNIX_EPOCH};

use durable::{Dir, Name};
use formats::PushId;
use formats::cursor::Cursor;
use formats::frame;
use formats::limits::QUEUED;
use formats::push::{self, FrameKind, HEAD_BYTES, Header, take_head};
use formats::session::Role;

use crate::fault::{Result, Stop};

/// What the name of a sealed push ends with.
const SUFFIXES: [(&str, Role); 2] = [(".push", Role::Usual), (".emergency", Role::Emergency)];
const NANOSECONDS: u64 = 1_000_000_000;
const DIGITS: usize = 20;
/// More names than any server lets wait; beyond it something is wrong.
const NAMES_MAX: usize = 4_096;
/// A push file's magic, version and header are shorter than this.
const START_BYTES: u64 = 1_024;
const STEP: &str = "look at the sealed pushes";

/// What waits.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The pushes whose header can be read, oldest first.
    pub(crate) ids: Vec<PushId>,
    /// All files, with a readable header or not.
    pub(crate) waiting: usize,
    /// When the newest was sealed, seconds since 1970.
    pub(crate) sealed_last: Option<i64>,
    /// How many were admitted as emergencies.
    pub(crate) emergencies: usize,
}

impl Queue {
    /// Reads the headers of the sealed files, of at most [`QUEUED`] of them. One that the snapshotter removes meanwhile no
    /// longer waits: its verdict was published before.
    pub(crate) fn read(sealed: &Dir) -> Result<Self> {
        let mut queue = Self::default();
        for Numbered { number, name, role } in numbered(sealed)? {
            if queue.ids.len() < QUEUED {
                match header(sealed, &name)? {
                    Found::Gone => continue,
                    Found::Push(push) => queue.ids.push(push),
                    Found::Unreadable => {}
                }
            }
            queue.waiting += 1;
            queue.sealed_last = i64::try_from(number / NANOSECONDS).ok();
            queue.emergencies += usize::from(role == Role::Emergency);
        }
        Ok(queue)
    }

    /// One more waits, sealed just now.
    pub(crate) fn add(&mut self, push: PushId, role: Role, now: i64) {
        self.ids.push(push);
        self.waiting += 1;
        self.sealed_last = Some(now);
        self.emergencies += usize::from(role == Role::Emergency);
    }
}

/// A name for a push admitted in this role, above every other: the clock's nanoseconds, or the next number if the clock has gone back.
pub(crate) fn next_name(sealed: &Dir, role: Role) -> Result<String> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let clock = u64::try_from(clock).unwrap_or(0);
    let highest = numbered(sealed)?.last().map_or(0, |newest| newest.number);
    let above =
        highest.checked_add(1).ok_or(Stop::at("name the sealed push")(rustix::io::Errno::OVERFLOW))?;
    Ok(name_of(clock.max(above), role))
}

fn name_of(number: u64, role: Role) -> String {
    let suffix = SUFFIXES.iter().find(|(_, known)| *known == role).map_or("", |(suffix, _)| suffix);
    format!("{number:0DIGITS$}{suffix}")
}

/// A sealed file, as its name tells.
#[derive(Debug)]
struct Numbered {
    number: u64,
    name: String,
    role: Role,
}

/// The sealed files by number, ascending. Anything else in the folder is not ours.
fn numbered(sealed: &Dir) -> Result<Vec<Numbered>> {
    let names = sealed.names_at_most(NAMES_MAX).map_err(Stop::at(STEP))?;
    Ok(names
        .into_iter()
        .filter_map(|name| {
            let (number, role) = number_of(&name)?;
            Some(Numbered { number, name: String::from_utf8(name).ok()?, role })
        })
        .collect())
}

fn number_of(name: &[u8]) -> Option<(u64, Role)> {
    let (digits, role) =
        SUFFIXES.iter().find_map(|(suffix, role)| Some((name.strip_suffix(suffix.as_bytes())?, *role)))?;
    if digits.len() != DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, role))
}

enum Found {
    Push(PushId),
    Unreadable,
    Gone,
}

fn header(sealed: &Dir, name: &str) -> Result<Found> {
    let name = Name::new(name.as_bytes()).map_err(Stop::at(STEP))?;
    let file = match sealed.open_read(name) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return Ok(Found::Gone),
        Err(error) => return Err(Stop::at(STEP)(error)),
    };
    let mut start = Vec::new();
    file.take(START_BYTES).read_to_end(&mut start).map_err(Stop::at(STEP))?;
    Ok(push_of(&start).map_or(Found::Unreadable, Found::Push))
}

fn push_of(start: &[u8]) -> Option<PushId> {
    let (head, frames) = start.split_at_checked(HEAD_BYTES)?;
    let version = take_head(&mut Cursor::new(head)).ok()?;
    let frame = frame::decode(frames).ok()??;
    let is_header = push::is_read(version) && frame.kind == FrameKind::Header.code();
    is_header.then(|| Header::decode(frame.payload).ok()).flatten().map(|header| header.push)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twenty_digits_and_a_suffix_are_a_number() {
        for role in [Role::Usual, Role::Emergency] {
            assert_eq!(number_of(name_of(7, role).as_bytes()), Some((7, role)));
            assert_eq!(number_of(name_of(u64::MAX, role).as_bytes()), Some((u64::MAX, role)));
        }
        for wrong in [
            "",
            ".push",
            "7.push",
            "0000000000000000000a.push",
            "99999999999999999999.push",
            "00000000000000000007",
            "00000000000000000007.emergency.push",
            "7.emergency",
            "+0000000000000000007.push",
        ] {
            assert_eq!(number_of(wrong.as_bytes()), None, "{wrong}");
        }
    }
}

//! What damages, puts back and counts.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::{Outcome, Scratch};

/// What stands before the first frame of a squeezed manifest.
const SQUEEZED_HEAD: usize = 20;

#[derive(Debug, Clone, Copy)]
pub(super) enum Damage {
    /// Only so many bytes are left.
    Cut(usize),
    /// This bit of this byte.
    Flip(usize, u8),
    Missing,
}

impl Damage {
    /// Cuts at several places, and `flips` bits, each in another stretch of the file, its first and its last byte among them.
    pub(super) fn all(bytes: &[u8], flips: usize) -> Vec<Damage> {
        let length = bytes.len();
        let mut cuts = vec![0, 1, length / 4, length / 2, length.saturating_sub(33), length - 1];
        cuts.dedup();
        let mut all: Vec<_> = cuts.into_iter().map(Damage::Cut).collect();
        for number in 0..flips {
            let stretch = (length - 1) * number / (flips - 1);
            all.push(Damage::Flip(stretch, number as u8 % 8));
        }
        all
    }

    /// The next bit of that byte where this one means nothing: zstd passes over a few of those that it has no use for.
    pub(super) fn noticed(self, bytes: &[u8]) -> Damage {
        let (Damage::Flip(byte, bit), Ok(whole)) = (self, zstd::decode_all(bytes)) else { return self };
        let is_noticed = |bit: &u8| {
            let mut new = bytes.to_vec();
            new[byte] ^= 1 << bit;
            byte < SQUEEZED_HEAD || zstd::decode_all(new.as_slice()).ok().as_ref() != Some(&whole)
        };
        Damage::Flip(byte, (bit..bit + 8).map(|bit| bit % 8).find(is_noticed).unwrap())
    }

    pub(super) fn on(self, path: &Path, bytes: &[u8]) {
        let mut new = bytes.to_vec();
        match self {
            Damage::Cut(length) => new.truncate(length),
            Damage::Flip(byte, bit) => new[byte] ^= 1 << bit,
            Damage::Missing => return fs::remove_file(path).unwrap(),
        }
        put(path, &new);
    }
}

/// Overwrites a file in place; owner and mode stay, even those of what may not be written.
pub(super) fn put(path: &Path, bytes: &[u8]) {
    let mode = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, fs::Permissions::from_mode(mode.mode() | 0o200)).unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, mode).unwrap();
}

/// Folders as they were before the damage.
pub(super) struct Saved(Vec<(PathBuf, PathBuf)>);

impl Saved {
    pub(super) fn take(scratch: &Scratch, folders: &[PathBuf]) -> Saved {
        let copies = scratch.folder.join("hosts/saved");
        fs::create_dir_all(&copies).unwrap();
        let pairs: Vec<_> = folders
            .iter()
            .enumerate()
            .map(|(number, live)| (live.clone(), copies.join(number.to_string())))
            .collect();
        pairs.iter().for_each(|(live, copy)| copy_to(live, copy));
        Saved(pairs)
    }

    pub(super) fn back(&self) {
        self.0.iter().for_each(|(live, copy)| copy_to(copy, live));
    }
}

fn copy_to(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).unwrap();
    }
    Outcome::of(Command::new("cp").arg("-a").arg("--").arg(from).arg(to)).unwrap().expect_code(&[0]).unwrap();
}

/// How the cases of one place went.
pub(super) struct Tally {
    pub(super) place: &'static str,
    pub(super) cases: usize,
    pub(super) codes: BTreeMap<i32, usize>,
    pub(super) failures: Vec<String>,
}

impl Tally {
    pub(super) fn new(place: &'static str) -> Tally {
        Tally { place, cases: 0, codes: BTreeMap::new(), failures: Vec::new() }
    }

    pub(super) fn case(&mut self, damage: Damage, result: Result<i32, String>) {
        self.cases += 1;
        match result {
            Ok(code) => *self.codes.entry(code).or_default() += 1,
            Err(why) => self.failures.push(format!("{}: {damage:?}: {why}", self.place)),
        }
    }
}

/// Nothing of a mistake of ours in what was said, and a code that `fits`.
pub(super) fn ended(outcome: &Outcome, fits: impl Fn(i32) -> bool) -> Result<i32, String> {
    let all = format!("{}{}", outcome.stdout, outcome.stderr).to_lowercase();
    let wrong = ["panicked", "bug", "rust_backtrace"].iter().any(|word| all.contains(word));
    if wrong || outcome.code == 1 || !fits(outcome.code) {
        return Err(format!("{} ended with {}: {}", outcome.command, outcome.code, outcome.said()));
    }
    Ok(outcome.code)
}

pub(super) fn integrity(code: i32) -> bool {
    (20..=29).contains(&code)
}

//! What a vault in a folder tells about itself, judged.

use cli::Amount;
use vault::inspection::{Access, Folder, Support};

use super::checks::{FOLDER_NOT_IMMUTABLE, FOLDER_NOT_WRITABLE, FOLDER_OPEN, NO_VAULT_ROOM, SAME_DISK};
use super::finding::Finding;
use super::machine::Needs;

/// Mode bits that let others than the owner remove names.
const OTHERS_WRITE: u32 = 0o022;

/// What there is to say. `history` is the file system that the history is on.
#[must_use]
pub fn findings(on: &str, folder: &Folder, history: Option<u64>, needs: Needs) -> Vec<Finding> {
    let mut findings = Vec::new();
    if folder.writable == Access::Refused {
        let seen = format!("its folder belongs to user {}, mode {:04o}", folder.owner, folder.mode);
        findings.push(Finding::new(FOLDER_NOT_WRITABLE, on, seen));
    }
    if folder.mode & OTHERS_WRITE != 0 {
        let seen = format!("its folder has mode {:04o}", folder.mode);
        findings.push(Finding::new(FOLDER_OPEN, on, seen));
    }
    if folder.immutable == Support::Absent {
        findings.push(Finding::new(FOLDER_NOT_IMMUTABLE, on, "its file system keeps no such mark"));
    }
    if history == Some(folder.device) {
        findings.push(Finding::new(SAME_DISK, on, "it is on the file system of the history"));
    }
    if needs.image_bytes > folder.free_bytes {
        let bytes = |number| Amount::Bytes(None).describe(number);
        let (needed, free) = (bytes(needs.image_bytes), bytes(folder.free_bytes));
        let seen = format!("the largest image may take {needed}, and there is room for {free}");
        findings.push(Finding::new(NO_VAULT_ROOM, on, seen));
    }
    findings
}

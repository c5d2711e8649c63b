//! Giving up capabilities: the kernel's pieces of root's power.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use crate::{Result, SandboxError};

/// What became of the bounding set, the ceiling of what a later program could get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundingSet {
    /// Lowered to what is kept.
    Lowered,
    /// Left as it was, as only a holder of CAP_SETPCAP may lower it. `no_new_privs` covers it.
    Untouched,
}

/// What became of CAP_DAC_READ_SEARCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadSearch {
    /// The process may read every file and search every folder, and has no other capability.
    Held,
    /// The process never had it: it reads what its user may read.
    NotHeld,
}

/// What became of CAP_SYS_ADMIN, which alone shows `trusted.*` attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trusted {
    /// They are seen.
    Seen,
    /// They are not: it was given up, or never there.
    Hidden,
}

/// Gives up every capability of this thread, for good.
pub fn drop_capabilities() -> Result<BoundingSet> {
    keep(CapabilitySet::empty()).map(|(_, bounding)| bounding)
}

/// Gives up every capability of this thread but CAP_DAC_READ_SEARCH, if it has that. A process of root still owns root's
/// files, and may write to those: that is for Landlock to refuse.
pub fn keep_only_read_search() -> Result<(ReadSearch, BoundingSet)> {
    let (kept, bounding) = keep(CapabilitySet::DAC_READ_SEARCH)?;
    Ok((read_search(kept), bounding))
}

/// As [`keep_only_read_search`], and CAP_SYS_ADMIN, too. That is for mounting, namespaces and much else besides `trusted.*` attributes:
/// only for a process whose system calls are filtered.
pub fn keep_read_search_and_trusted() -> Result<(ReadSearch, Trusted, BoundingSet)> {
    let (kept, bounding) = keep(CapabilitySet::DAC_READ_SEARCH | CapabilitySet::SYS_ADMIN)?;
    let trusted = if kept.contains(CapabilitySet::SYS_ADMIN) { Trusted::Seen } else { Trusted::Hidden };
    Ok((read_search(kept), trusted, bounding))
}

/// Gives up all that restoring a tree with its metadata does not take. CAP_SYS_ADMIN is for `trusted.*` attributes; what else it is good for a
/// filter of system calls has to refuse.
pub fn keep_for_metadata() -> Result<(ReadSearch, BoundingSet)> {
    let files = CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::DAC_READ_SEARCH
        | CapabilitySet::FOWNER;
    let powers = CapabilitySet::FSETID
        | CapabilitySet::SETFCAP
        | CapabilitySet::MKNOD
        | CapabilitySet::LINUX_IMMUTABLE;
    let (kept, bounding) = keep(files | powers | CapabilitySet::SYS_ADMIN)?;
    Ok((read_search(kept), bounding))
}

fn read_search(kept: CapabilitySet) -> ReadSearch {
    if kept.contains(CapabilitySet::DAC_READ_SEARCH) { ReadSearch::Held } else { ReadSearch::NotHeld }
}

fn keep(wanted: CapabilitySet) -> Result<(CapabilitySet, BoundingSet)> {
    let at = SandboxError::at;
    let held = capabilities(None).map_err(at("read capabilities"))?;
    let kept = held.permitted & wanted;
    let bounding = lower_bounding_set(kept)?;
    clear_ambient_capability_set().map_err(at("give up ambient capabilities"))?;
    let left = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, left).map_err(at("give up capabilities"))?;
    if capabilities(None).map_err(at("read capabilities"))? != left {
        return Err(SandboxError::CapabilitiesLeft);
    }
    Ok((kept, bounding))
}

fn lower_bounding_set(kept: CapabilitySet) -> Result<BoundingSet> {
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        match capability_is_in_bounding_set(one) {
            Ok(true) if !kept.contains(one) => {}
            Ok(_) => continue,
            Err(Errno::INVAL) => break, // beyond the last one this kernel knows
            Err(errno) => return Err(SandboxError::at("read the bounding set")(errno)),
        }
        match remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            Err(Errno::PERM) => return Ok(BoundingSet::Untouched),
            Err(errno) => return Err(SandboxError::at("lower the bounding set")(errno)),
        }
    }
    Ok(BoundingSet::Lowered)
}

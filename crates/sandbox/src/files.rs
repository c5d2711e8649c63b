//! Which files a process can still reach: Landlock rules on held descriptors.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};
use rustix::fs::FileType;

use crate::{Result, SandboxError};

/// How much the caller depends on Landlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    /// Without ABI 2 or later (Linux 5.19), which knows renames between folders, the process is not confined and must
    /// not go on.
    Required,
    /// Another wall (a chroot) stands; the report says whether Landlock does too.
    IfAvailable,
}

impl Landlock {
    /// This kernel has it, by ABI 2 or later. Asked without giving up anything.
    pub fn is_there() -> bool {
        let asked = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V2));
        // What cannot be made cannot be put in force either.
        asked.and_then(Ruleset::create).is_ok()
    }
}

/// What of Landlock is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LandlockState {
    /// In force, by the rules of this ABI. 3 adds truncation, 4 TCP, 5 device control, 6 signals and abstract sockets.
    Enforced {
        /// The lower of what the kernel and this program know.
        abi: u32,
    },
    /// Not in force: the kernel has none, or one before ABI 2.
    Absent,
}

/// What a rule lets a process do beneath a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Read,
    WriteFiles,
    WriteFolders,
    WriteLinks,
    /// All that the rules govern. A rule that lacks one right makes the kernel walk on to the root of all files, from both folders, for each link
    /// between folders; after one that lacks none it stops. What is in it beyond reading and writing only the filter refuses then.
    WriteTree,
    /// As [`Reach::WriteFolders`], and symbolic links, fifos and devices.
    WriteAll,
    /// Read, and run as a program.
    Run,
    /// Read, write what is there, and steer a device.
    Device,
}

/// Whether connections can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// No TCP, and no socket by a path.
    Refused,
    Open,
}

/// Signals to processes outside: Landlock refuses them from ABI 6 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signals {
    Inside,
    Unscoped,
}

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const FILES: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | RemoveFile | Refer});
const FOLDERS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{MakeDir | RemoveDir});
const LINKS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadDir | MakeSym | RemoveFile});
const SPECIALS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{MakeFifo | MakeChar | MakeBlock});
/// Governed where the kernel can; what ABI 2 has is governed always, and sockets by path where there is to be no network.
const NEWER: BitFlags<AccessFs> = make_bitflags!(AccessFs::{Truncate | IoctlDev});
const SOCKETS: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ResolveUnix});

impl Reach {
    fn access(self) -> BitFlags<AccessFs> {
        match self {
            Reach::Read => READ,
            Reach::WriteFiles => READ | FILES,
            Reach::WriteFolders => READ | FILES | FOLDERS,
            Reach::WriteLinks => LINKS,
            Reach::WriteTree => AccessFs::from_all(ABI::V2) | NEWER | SOCKETS,
            Reach::WriteAll => READ | FILES | FOLDERS | AccessFs::MakeSym | SPECIALS,
            Reach::Run => READ | AccessFs::Execute,
            Reach::Device => READ | AccessFs::WriteFile | AccessFs::IoctlDev,
        }
    }
}

/// Puts the rules in force for this thread and all that it starts. Whatever no rule names is refused.
pub(crate) fn restrict(
    rules: &[(BorrowedFd<'_>, Reach)],
    landlock: Landlock,
    signals: Signals,
    network: Network,
) -> Result<LandlockState> {
    let level = match landlock {
        Landlock::Required => CompatLevel::HardRequirement,
        Landlock::IfAvailable => CompatLevel::SoftRequirement,
    };
    let scope = match signals {
        Signals::Inside => Scope::AbstractUnixSocket | Scope::Signal,
        Signals::Unscoped => Scope::AbstractUnixSocket.into(),
    };
    let required = Ruleset::default()
        .set_compatibility(level)
        .handle_access(AccessFs::from_all(ABI::V2))
        .map_err(|error| missing_or(landlock, error))?;
    let mut ruleset = required.set_compatibility(CompatLevel::BestEffort).handle_access(NEWER)?;
    if network == Network::Refused {
        ruleset = ruleset.handle_access(SOCKETS)?.handle_access(AccessNet::from_all(ABI::V4))?;
    }
    let mut ruleset = ruleset.scope(scope)?.create()?;
    for &(fd, reach) in rules {
        ruleset = ruleset.add_rule(PathBeneath::new(fd, fitting(fd, reach)?))?;
    }
    let status = ruleset.restrict_self()?;
    let state = match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => LandlockState::Absent,
        (_, LandlockStatus::Available { effective_abi, .. }) => {
            LandlockState::Enforced { abi: (effective_abi as i32).cast_unsigned() }
        }
        _ => LandlockState::Absent,
    };
    match (landlock, state) {
        (Landlock::Required, LandlockState::Absent) => Err(SandboxError::NoLandlock),
        _ => Ok(state),
    }
}

/// A rule on a single file takes only what makes sense for a file.
fn fitting(fd: BorrowedFd<'_>, reach: Reach) -> Result<BitFlags<AccessFs>> {
    let stat = rustix::fs::fstat(fd).map_err(SandboxError::at("look at what stays open"))?;
    let access = reach.access();
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => access,
        _ => access & AccessFs::from_file(ABI::V5),
    })
}

fn missing_or(landlock: Landlock, error: landlock::RulesetError) -> SandboxError {
    match (landlock, &error) {
        (Landlock::Required, landlock::RulesetError::HandleAccesses(_)) => SandboxError::NoLandlock,
        _ => SandboxError::Landlock(error),
    }
}

//! The filter the kernel runs on each system call, made from a profile.

use std::collections::BTreeMap;

use libc::{c_int, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::{Profile, Result, SandboxError, Threads};

/// From asm-generic/ioctls.h: blocking or not. Of another type in each C library's constants.
const FIONBIO: u64 = 0x5421;
/// From linux/fs.h: share another open file's blocks. Not in crate `libc` for every C library.
const FICLONE: u64 = 0x4004_9409;
const FICLONERANGE: u64 = 0x4020_940d;

/// From linux/fs.h: read an inode's flags. The kernel writes an int, whatever the size in the number says.
const FS_IOC_GETFLAGS: u64 = if cfg!(target_pointer_width = "64") { 0x8008_6601 } else { 0x8004_6601 };

/// Set them.
const FS_IOC_SETFLAGS: u64 = if cfg!(target_pointer_width = "64") { 0x4008_6602 } else { 0x4004_6602 };

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// A test on one argument: all of a rule's tests must hold, and one rule of a call.
#[derive(Clone, Copy)]
enum Test {
    /// The low 32 bits are this.
    Is(u8, u64),
    /// All 64 bits are this.
    IsWhole(u8, u64),
    /// None of these bits is set.
    Lacks(u8, u64),
    /// All of these bits are set.
    Has(u8, u64),
}

/// The programs to install, in order. The kernel takes the strictest answer of all.
pub(crate) fn programs(profile: Profile, threads: Threads, children: &[u32]) -> Result<Vec<BpfProgram>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| SandboxError::NoArchitecture)?;
    let mut rules: Rules = profile.calls().into_iter().map(|call| (call, Vec::new())).collect();
    let tested =
        base().into_iter().chain(of_profile(profile)).chain(killing(children)).chain(starting(threads));
    for (call, tests) in tested {
        let conditions = tests.iter().map(|test| test.condition()).collect::<std::result::Result<_, _>>();
        let rule = conditions.and_then(SeccompRule::new).map_err(backend)?;
        rules.entry(call).or_default().push(rule);
    }
    let mut programs = Vec::new();
    if threads == Threads::More {
        // clone3 hides its flags from a filter. ENOSYS makes the C library take clone, whose flags are seen.
        rules.insert(libc::SYS_clone3, Vec::new());
        let clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
        programs.push(compile(clone3, SeccompAction::Allow, errno(libc::ENOSYS), arch)?);
    }
    programs.push(compile(rules, errno(libc::EPERM), SeccompAction::Allow, arch)?);
    Ok(programs)
}

/// Rules that every profile has.
fn base() -> Vec<(c_long, Vec<Test>)> {
    let executable = libc::PROT_EXEC as u64;
    let mut rules = vec![
        (libc::SYS_mmap, vec![Test::Lacks(2, executable)]),
        (libc::SYS_mprotect, vec![Test::Lacks(2, executable)]),
        // abort() and panics signal their own process; nobody else's.
        (libc::SYS_tgkill, vec![Test::Is(0, u64::from(std::process::id()))]),
        // The same by musl, of the first thread.
        (libc::SYS_tkill, vec![Test::Is(0, u64::from(std::process::id()))]),
        // Limits can be read, and not set, and only one's own.
        (libc::SYS_prlimit64, vec![Test::Is(0, 0), Test::IsWhole(2, 0)]),
    ];
    let commands = [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, libc::F_DUPFD_CLOEXEC];
    rules.extend(commands.map(|command| (libc::SYS_fcntl, vec![is(1, command)])));
    rules
}

fn of_profile(profile: Profile) -> Vec<(c_long, Vec<Test>)> {
    match profile {
        Profile::Decoder | Profile::Receiver => Vec::new(),
        Profile::Restore => vec![
            (libc::SYS_ioctl, vec![Test::Is(1, FS_IOC_GETFLAGS)]),
            (libc::SYS_ioctl, vec![Test::Is(1, FS_IOC_SETFLAGS)]),
        ],
        Profile::Client => vec![(libc::SYS_ioctl, vec![Test::Is(1, FS_IOC_GETFLAGS)])],
        Profile::Transport => vec![(libc::SYS_ioctl, vec![Test::Is(1, FIONBIO)])],
        Profile::Ingest => vec![
            // By descriptor only: a path could name another host's file, and Landlock does not govern times.
            (libc::SYS_utimensat, vec![Test::IsWhole(1, 0)]),
            (libc::SYS_ioctl, vec![Test::Is(1, FICLONE)]),
            (libc::SYS_ioctl, vec![Test::Is(1, FICLONERANGE)]),
        ],
    }
}

fn killing(children: &[u32]) -> Vec<(c_long, Vec<Test>)> {
    let kill = |pid: &u32| (libc::SYS_kill, vec![Test::Is(0, u64::from(*pid)), is(1, libc::SIGKILL)]);
    children.iter().map(kill).collect()
}

fn starting(threads: Threads) -> Vec<(c_long, Vec<Test>)> {
    match threads {
        Threads::One => Vec::new(),
        Threads::More => {
            let thread = libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND;
            let namespaces = libc::CLONE_NEWUSER
                | libc::CLONE_NEWNS
                | libc::CLONE_NEWPID
                | libc::CLONE_NEWNET
                | libc::CLONE_NEWIPC
                | libc::CLONE_NEWUTS
                | libc::CLONE_NEWCGROUP;
            let flags = vec![Test::Has(0, bits(thread)), Test::Lacks(0, bits(namespaces))];
            vec![(libc::SYS_clone, flags), (libc::SYS_prctl, vec![is(0, libc::PR_SET_NAME)])]
        }
    }
}

impl Test {
    fn condition(self) -> std::result::Result<SeccompCondition, BackendError> {
        use SeccompCmpArgLen::{Dword, Qword};
        match self {
            Test::Is(argument, value) => SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, value),
            Test::IsWhole(argument, value) => SeccompCondition::new(argument, Qword, SeccompCmpOp::Eq, value),
            Test::Lacks(argument, mask) => {
                SeccompCondition::new(argument, Qword, SeccompCmpOp::MaskedEq(mask), 0)
            }
            Test::Has(argument, mask) => {
                SeccompCondition::new(argument, Qword, SeccompCmpOp::MaskedEq(mask), mask)
            }
        }
    }
}

fn is(argument: u8, value: c_int) -> Test {
    Test::Is(argument, bits(value))
}

/// A C constant as the 32 bits the filter compares.
fn bits(value: c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

fn errno(number: c_int) -> SeccompAction {
    SeccompAction::Errno(number.cast_unsigned())
}

fn compile(
    rules: Rules,
    mismatch: SeccompAction,
    matched: SeccompAction,
    arch: TargetArch,
) -> Result<BpfProgram> {
    SeccompFilter::new(rules, mismatch, matched, arch).and_then(BpfProgram::try_from).map_err(backend)
}

fn backend(error: BackendError) -> SandboxError {
    SandboxError::Filter(error.into())
}

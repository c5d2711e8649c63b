//! Which system calls each kind of work needs. Everything else is refused with EPERM.
//!
//! Numbers come from crate `libc`, as constants of the architecture that is compiled for; a call that an architecture
//! does not have is left out there.

use libc::c_long;

/// The kind of work that is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Bytes in, bytes out, on descriptors that are open already. No file can be opened, looked at or named.
    Decoder,
    /// As the decoder, and talk on sockets that are connected already. No socket can be made or connected.
    Transport,
    /// Regular files beneath held folders: open, read, append, rename, remove, lock, bring to disk.
    Receiver,
    /// As the receiver, and make folders, links, permissions and times in a history, share blocks, wait for a child.
    Ingest,
    /// As a history is made, and set owners, modes, attributes, times and flags, make fifos and devices. Metadata can be set by path too, as a link
    /// or a device can be reached in no other way, and Landlock does not govern that.
    Restore,
    /// Read any file with its attributes, keep a state of regular files, wait for a child.
    Client,
}

impl Profile {
    /// Calls that are allowed whatever their arguments.
    pub(crate) fn calls(self) -> Vec<c_long> {
        let groups: &[&[c_long]] = match self {
            Profile::Decoder => &[BASE],
            Profile::Transport => &[BASE, CONNECTED_SOCKETS],
            Profile::Receiver => &[BASE, FILES],
            Profile::Ingest => &[BASE, FILES, TREES, CHILDREN],
            Profile::Restore => &[BASE, FILES, TREES, METADATA],
            Profile::Client => &[BASE, FILES, FOLDERS, ATTRIBUTES, CHILDREN],
        };
        groups.concat()
    }
}

/// What every Rust program needs while it runs: bytes on open descriptors, memory, signals, time, the end.
const BASE: &[c_long] = &[
    // bytes
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    // memory; mmap and mprotect have a rule of their own
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // signals; tgkill has a rule of its own
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // time
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    // the C library and the standard library, about the running thread
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    // the end
    libc::SYS_exit,
    libc::SYS_exit_group,
];

const CONNECTED_SOCKETS: &[c_long] = &[
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
];

/// Regular files, by descriptor or by one name in a held folder. `truncate` by path is left out: Landlock before ABI 3
/// does not govern it.
const FILES: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flock,
];

const FOLDERS: &[c_long] = &[libc::SYS_mkdirat];

/// What a tree of snapshots is made of. Times by path, and owners, are left out.
const TREES: &[c_long] = &[
    libc::SYS_mkdirat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_readlinkat,
    libc::SYS_fchmod,
    libc::SYS_syncfs,
    libc::SYS_copy_file_range,
];

/// What a restored tree is made of, beside what a history is.
const METADATA: &[c_long] = &[
    libc::SYS_mknodat,
    libc::SYS_fchownat,
    libc::SYS_fchmodat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_fsetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_flistxattr,
    libc::SYS_fremovexattr,
];

const ATTRIBUTES: &[c_long] = &[
    libc::SYS_readlinkat,
    libc::SYS_lgetxattr,
    libc::SYS_llistxattr,
    libc::SYS_fgetxattr,
    libc::SYS_flistxattr,
];

const CHILDREN: &[c_long] = &[libc::SYS_wait4, libc::SYS_waitid];

//! The moment before a child of ours becomes ssh: it gives up what ssh does not need.
//!
//! ssh speaks to the network before it knows who is there, and where we are root it would be root. So it is started without a capability
//! and without a way to get one, writes no file, reads what is named here and in the settings, and ends with us.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::fs::{Mode, OFlags};
use sandbox::{ForProgram, Landlock, limits};

use super::ending::Ending;

/// Programs and libraries.
const PROGRAMS: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// What names, addresses and libraries are looked up in. Not `/etc/ssh`, where a machine's own secret keys are.
const LOOKUPS: &[&str] = &[
    "/etc/alternatives",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/openssl.cnf",
    "/run/systemd/resolve",
];
/// Not all of /dev: the disks belong to root.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty"];

/// The hidden verb `become-ssh`. Comes back only if it fails.
pub(crate) fn become_ssh(paths: &[PathBuf], landlock: Landlock, command: &[OsString]) -> ExitCode {
    let (ending, words) = start(paths, landlock, command);
    // The parent may be gone.
    let _ = writeln!(io::stderr(), "{words}");
    ending.code().into()
}

fn start(paths: &[PathBuf], landlock: Landlock, command: &[OsString]) -> (Ending, String) {
    let Some((program, arguments)) = command.split_first() else {
        return (Ending::Handover, "no program was named".to_owned());
    };
    let (programs, lookups, devices, named) = (held(PROGRAMS), held(LOOKUPS), held(DEVICES), held(paths));
    let mut kept = ForProgram::default().landlock(landlock);
    for file in &lookups {
        kept = kept.read_beneath(file);
    }
    for file in programs.iter().chain(&named) {
        kept = kept.run_beneath(file);
    }
    for device in &devices {
        kept = kept.device(device);
    }
    let confined =
        limits::die_with_parent().and_then(|()| limits::limit_core_zero()).and_then(|()| kept.apply());
    if let Err(error) = confined {
        return (Ending::Confinement, cli::chain(&error));
    }
    let error = Command::new(program).args(arguments).exec();
    (Ending::Handover, format!("{}: {error}", cli::shown(program.as_encoded_bytes())))
}

/// Those that are there. What is not cannot be read either; ssh says so where it matters.
fn held(paths: &[impl AsRef<Path>]) -> Vec<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    paths.iter().filter_map(|path| rustix::fs::open(path.as_ref(), flags, Mode::empty()).ok()).collect()
}

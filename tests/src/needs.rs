//! What has to be on the machine beside a Rust toolchain, and how it gets there: Debian packages, nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::error::{At, Result, RigError};
use crate::machine::{Power, find_program};
use crate::outcome::Outcome;

/// What a need is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To build the programs.
    Build,
    /// To build the Debian packages.
    Package,
    /// To run a scratch server and to prove a restore with stock tools.
    Server,
    /// To run the tests.
    Test,
    /// To run the long tests.
    Long,
    /// To run the fuzz targets.
    Fuzz,
    /// To measure.
    Bench,
}

/// How to see that a package is there, whoever installed it.
#[derive(Debug, Clone, Copy)]
enum Check {
    Program(&'static str),
    Header(&'static str),
    /// A library that is loaded while building, by the beginning of its name.
    Library(&'static str),
    /// A module of the system's Python.
    Module(&'static str),
}

/// One Debian package.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// Its name.
    pub package: &'static str,
    /// Who needs it.
    pub purpose: Purpose,
    check: Check,
}

const fn need(package: &'static str, purpose: Purpose, check: Check) -> Need {
    Need { package, purpose, check }
}

/// All packages, each with the check that tells whether it is there.
pub const NEEDS: &[Need] = &[
    need("gcc", Purpose::Build, Check::Program("gcc")),
    need("libc6-dev", Purpose::Build, Check::Header("stdio.h")),
    need("pkg-config", Purpose::Build, Check::Program("pkg-config")),
    // libssh2, in push-client
    need("libssl-dev", Purpose::Build, Check::Header("openssl/ssl.h")),
    need("zlib1g-dev", Purpose::Build, Check::Header("zlib.h")),
    // Sequoia's cryptography, in iceboxer and restore-drill; clang reads its headers
    need("nettle-dev", Purpose::Build, Check::Header("nettle/nettle-types.h")),
    need("libgmp-dev", Purpose::Build, Check::Header("gmp.h")),
    need("clang", Purpose::Build, Check::Library("libclang")),
    // finds the libraries that programs were linked to, and the versions they need
    need("dpkg-dev", Purpose::Package, Check::Program("dpkg-shlibdeps")),
    need("openssh-server", Purpose::Server, Check::Program("sshd")),
    need("openssh-client", Purpose::Server, Check::Program("ssh-keygen")),
    need("gpg", Purpose::Server, Check::Program("gpg")),
    need("gpg-agent", Purpose::Server, Check::Program("gpg-agent")),
    need("squashfs-tools", Purpose::Server, Check::Program("unsquashfs")),
    need("rsync", Purpose::Server, Check::Program("rsync")),
    // disks, for the tests and the benchmark
    need("e2fsprogs", Purpose::Server, Check::Program("mkfs.ext4")),
    // a history to take over, and one to be measured against
    need("rsnapshot", Purpose::Server, Check::Program("rsnapshot")),
    need("strace", Purpose::Test, Check::Program("strace")),
    need("attr", Purpose::Test, Check::Program("setfattr")),
    need("acl", Purpose::Test, Check::Program("setfacl")),
    need("libcap2-bin", Purpose::Test, Check::Program("setcap")),
    // its loose objects are packed, which is no alarm
    need("git", Purpose::Test, Check::Program("git")),
    // reads a manifest of the history without Firn
    need("zstd", Purpose::Test, Check::Program("zstd")),
    // clocks that are wrong
    need("faketime", Purpose::Test, Check::Program("faketime")),
    // machines with an init, a network and disks of their own; tests/rig
    need("systemd-container", Purpose::Test, Check::Program("systemd-nspawn")),
    need("debootstrap", Purpose::Test, Check::Program("debootstrap")),
    need("iproute2", Purpose::Test, Check::Program("ip")),
    need("xfsprogs", Purpose::Test, Check::Program("xfs_io")),
    // the Salt formula's own tests, and what leaves the group of a command
    need("python3", Purpose::Test, Check::Program("python3")),
    // moto's S3 server, whose environment is made by Python
    need("python3-venv", Purpose::Long, Check::Module("ensurepip")),
    // Ceph's S3 server
    need("ceph-mon", Purpose::Long, Check::Program("ceph-mon")),
    need("ceph-mgr", Purpose::Long, Check::Program("ceph-mgr")),
    need("ceph-osd", Purpose::Long, Check::Program("ceph-osd")),
    need("ceph-common", Purpose::Long, Check::Program("radosgw-admin")),
    need("radosgw", Purpose::Long, Check::Program("radosgw")),
    // its checker of units; the package alone makes nobody's init of it
    need("systemd", Purpose::Test, Check::Program("systemd-analyze")),
    // files that share blocks, and snapshots of a file system
    need("btrfs-progs", Purpose::Test, Check::Program("mkfs.btrfs")),
    // libFuzzer is C++
    need("g++", Purpose::Fuzz, Check::Program("g++")),
    // what push-client is measured against; bupstash is built from its own package
    need("restic", Purpose::Bench, Check::Program("restic")),
    need("borgbackup", Purpose::Bench, Check::Program("borg")),
    need("openssh-sftp-server", Purpose::Bench, Check::Program("/usr/lib/openssh/sftp-server")),
    need("libsodium-dev", Purpose::Bench, Check::Header("sodium.h")),
    need("mount", Purpose::Bench, Check::Program("mount")),
    // what iceboxer is measured against
    need("python3-boto3", Purpose::Bench, Check::Module("boto3")),
];

impl Need {
    /// Whether it is there already.
    #[must_use]
    pub fn is_met(&self) -> bool {
        match self.check {
            Check::Program(name) => find_program(name).is_some(),
            Check::Header(name) => {
                header_folders().iter().any(|folder| Path::new(folder).join(name).is_file())
            }
            Check::Library(name) => library_folders().iter().any(|folder| holds_library(folder, name)),
            Check::Module(name) => has_module(name),
        }
    }
}

/// The packages for `purposes` that are missing.
#[must_use]
pub fn missing(purposes: &[Purpose]) -> Vec<&'static str> {
    NEEDS
        .iter()
        .filter(|need| purposes.contains(&need.purpose) && !need.is_met())
        .map(|need| need.package)
        .collect()
}

/// Installs what is missing for `purposes`, without recommended packages and without asking. `on_install` hears the list before it begins.
///
/// # Errors
/// As an ordinary user, [`RigError::Missing`] with the line to run as root. As root, if apt fails or does not bring what it should.
pub fn install_missing(purposes: &[Purpose], on_install: &mut dyn FnMut(&[&str])) -> Result<()> {
    let packages = missing(purposes);
    if packages.is_empty() {
        return Ok(());
    }
    if Power::here() == Power::User || find_program("apt-get").is_none() {
        let line = format!("apt-get install --no-install-recommends {}", packages.join(" "));
        return Err(RigError::Missing { line });
    }
    on_install(&packages);
    let _quiet = NoStart::new()?;
    apt(&["update"])?;
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(&packages);
    apt(&words)?;
    let still = missing(purposes);
    if still.is_empty() {
        return Ok(());
    }
    Err(RigError::State(format!("apt-get ended well, but these are still not there: {}", still.join(" "))))
}

fn apt(words: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .arg("-qq")
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive");
    Outcome::of(&mut command)?.expect_code(&[0]).map(drop)
}

/// While it lives, installing a package starts no service of it: a demo must not open port 22 of somebody's machine.
#[derive(Debug)]
struct NoStart {
    ours: bool,
}

/// Debian asks this program whether a service may be started.
const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoStart {
    fn new() -> Result<NoStart> {
        if Path::new(POLICY).exists() {
            return Ok(NoStart { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").at("write", POLICY)?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).at("change the mode of", POLICY)?;
        Ok(NoStart { ours: true })
    }
}

impl Drop for NoStart {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}

fn header_folders() -> Vec<String> {
    vec![
        "/usr/include".to_owned(),
        format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH),
        "/usr/local/include".to_owned(),
    ]
}

fn library_folders() -> Vec<std::path::PathBuf> {
    let arch = std::env::consts::ARCH;
    let mut folders: Vec<_> = [
        "/usr/lib".to_owned(),
        format!("/usr/lib/{arch}-linux-gnu"),
        "/usr/local/lib".to_owned(),
        "/usr/lib64".to_owned(),
    ]
    .map(Into::into)
    .into();
    let versions = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.extend(
        versions
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("llvm-"))
            .map(|entry| entry.path().join("lib")),
    );
    folders
}

fn holds_library(folder: &Path, name: &str) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        // libclang-cpp is another library.
        file.starts_with(name) && file.contains(".so") && !file.starts_with(&format!("{name}-cpp"))
    })
}

fn has_module(name: &str) -> bool {
    let found = Command::new("/usr/bin/python3").args(["-c", &format!("import {name}")]).output();
    found.is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_package_is_listed_twice() {
        let mut names: Vec<_> = NEEDS.iter().map(|need| need.package).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_program_that_is_nowhere_is_missing() {
        let absent = need("firn-no-such-package", Purpose::Build, Check::Program("firn-no-such-program"));
        assert!(!absent.is_met());
        let present = need("coreutils", Purpose::Build, Check::Program("ls"));
        assert!(present.is_met());
    }
}

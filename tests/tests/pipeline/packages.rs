//! The Debian packages: built by the project's own command, looked into by dpkg, and installed by dpkg into a folder.

/// What lies in them.
mod content;
/// Installed, upgraded, removed, purged.
mod life;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use pipeline_tests::Outcome;
use pipeline_tests::machine::cargo;
use tempfile::TempDir;

use crate::rig;

const NAMES: [&str; 3] = ["firn-client", "firn-server", "firn-drill"];

/// The packages, built once, and unpacked.
struct Built {
    folder: TempDir,
}

impl Built {
    fn file(&self, package: &str) -> PathBuf {
        file_in(self.folder.path(), package)
    }

    /// Where its files are unpacked.
    fn tree(&self, package: &str) -> PathBuf {
        self.folder.path().join("trees").join(package)
    }

    /// Where what is for dpkg itself is unpacked.
    fn control(&self, package: &str, name: &str) -> String {
        fs::read_to_string(self.tree(package).join("DEBIAN").join(name)).unwrap_or_default()
    }
}

fn file_in(folder: &Path, package: &str) -> PathBuf {
    let mut found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
    });
    let file = found.next().unwrap_or_else(|| panic!("{package} was not built"));
    assert_eq!(found.next(), None, "{package} was built twice");
    file
}

fn package(to: &Path) {
    let mut command = cargo();
    command.args(["xtask", "package", "--dev", "--to"]).arg(to);
    Outcome::of(&mut command).unwrap().expect_code(&[0]).unwrap();
}

fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        rig::programs();
        let built = Built { folder: tempfile::tempdir().unwrap() };
        package(built.folder.path());
        for name in NAMES {
            fs::create_dir_all(built.tree(name)).unwrap();
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("--raw-extract").arg(built.file(name)).arg(built.tree(name));
            Outcome::of(&mut unpack).unwrap().expect_code(&[0]).unwrap();
        }
        built
    })
}

/// Packages are Debian's: elsewhere nothing builds them.
fn lacks_dpkg(test: &str) -> bool {
    !rig::has_or_skipped(test, &["dpkg-deb", "dpkg-shlibdeps"])
}

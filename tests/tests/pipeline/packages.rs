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
use pipeline_tests::machine::{cargo, target_folder};

use crate::rig;

const NAMES: [&str; 3] = ["firn-client", "firn-server", "firn-drill"];

/// The packages, built once, and unpacked.
pub(crate) struct Built {
    folder: PathBuf,
}

impl Built {
    /// Where the three lie, and nothing else.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.join("debs")
    }

    pub(crate) fn file(&self, package: &str) -> PathBuf {
        file_in(&self.folder(), package)
    }

    /// Their version, as their names have it.
    pub(crate) fn version(&self) -> String {
        let file = self.file("firn-client");
        file.file_name().unwrap().to_str().unwrap().split('_').nth(1).unwrap().to_owned()
    }

    /// Where its files are unpacked.
    fn tree(&self, package: &str) -> PathBuf {
        self.folder.join("trees").join(package)
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

pub(crate) fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        rig::programs();
        let built = Built { folder: own_folder(&target_folder().join("packages")) };
        package(&built.folder());
        for name in NAMES {
            fs::create_dir_all(built.tree(name)).unwrap();
            let mut unpack = Command::new("dpkg-deb");
            unpack.arg("--raw-extract").arg(built.file(name)).arg(built.tree(name));
            Outcome::of(&mut unpack).unwrap().expect_code(&[0]).unwrap();
        }
        built
    })
}

/// A folder of this process. It stays when the process ends, and is removed by the next one.
fn own_folder(all: &Path) -> PathBuf {
    let own = all.join(std::process::id().to_string());
    fs::create_dir_all(all).unwrap();
    for entry in fs::read_dir(all).unwrap().map(|entry| entry.unwrap()) {
        if entry.path() == own || !Path::new("/proc").join(entry.file_name()).exists() {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    fs::create_dir(&own).unwrap();
    own
}

/// Packages are Debian's: elsewhere nothing builds them.
fn lacks_dpkg(test: &str) -> bool {
    !rig::has_or_skipped(test, &["dpkg-deb", "dpkg-shlibdeps"])
}

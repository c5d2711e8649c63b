//! `cargo xtask package`: the three Debian packages, from the programs, `systemd/` and `packages/`. Built twice from the same programs and the same
//! commit, they have the same bytes.

mod contents;
mod control;
mod manual;
mod release;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use pipeline_tests::machine::target_folder;
use pipeline_tests::needs::Purpose;
use pipeline_tests::outcome::Outcome;
use pipeline_tests::{Profile, Programs};

use crate::args::PackageArgs;
use crate::trouble::Result;
use crate::{build, needs};
use contents::{PACKAGES, Package};
use release::Release;
use tree::Tree;

pub(crate) fn run(args: &PackageArgs) -> Result<ExitCode> {
    needs::bring(&[Purpose::Build, Purpose::Package])?;
    let profile = if args.dev { Profile::Dev } else { Profile::Release };
    let programs = build::programs(profile)?;
    let release = Release::of_this_machine(profile)?;
    let to = args.to.clone().unwrap_or_else(|| target_folder().join("packages"));
    fs::create_dir_all(&to)?;
    let scratch = Scratch::new(&to)?;
    for package in PACKAGES {
        let made = make(package, &programs, &release, profile, &scratch.0)?;
        let file = to.join(release.file_name(package.name));
        fs::rename(&made, &file)?;
        println!("{} ({} KiB)", file.display(), fs::metadata(&file)?.len().div_ceil(1024));
    }
    Ok(ExitCode::SUCCESS)
}

fn make(
    package: &Package,
    programs: &Programs,
    release: &Release,
    profile: Profile,
    scratch: &Path,
) -> Result<PathBuf> {
    let mut tree = Tree::new(&scratch.join(package.name))?;
    contents::lay(package, programs, release, &mut tree)?;
    control::write(package, programs, release, &mut tree)?;
    tree.settle(release.seconds)?;
    let file = scratch.join(format!("{}.deb", package.name));
    let mut command = Command::new("dpkg-deb");
    // What the tests build is large, and soon gone.
    command.args(match profile {
        Profile::Dev => ["-Zgzip", "-z1"],
        Profile::Release => ["-Zxz", "-z6"],
    });
    command.args(["--root-owner-group", "--build"]).arg(tree.top()).arg(&file);
    command.env("SOURCE_DATE_EPOCH", release.seconds.to_string());
    Outcome::of(&mut command)?.expect_code(&[0])?;
    Ok(file)
}

/// A folder beside the packages, so that a finished one only has to be renamed. Gone when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(to: &Path) -> Result<Scratch> {
        let folder = to.join(format!(".making-{}", std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

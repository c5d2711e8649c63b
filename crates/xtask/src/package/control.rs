//! What dpkg reads of a package: control, conffiles, sums, scripts.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pipeline_tests::Programs;
use pipeline_tests::machine::workspace;
use pipeline_tests::outcome::Outcome;

use super::contents::Package;
use super::release::Release;
use super::tree::Tree;
use crate::trouble::{Result, Trouble};

/// Who to ask. A distribution puts its own there.
pub(crate) const MAINTAINER: &str = "The Firn contributors <firn@localhost>";

/// Where control texts ask for the libraries that programs were linked to.
const SHLIBS: &str = "${shlibs:Depends}";

/// The scripts a package may have.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Lays `DEBIAN/`. All other files are laid by now.
pub(crate) fn write(
    package: &Package,
    programs: &Programs,
    release: &Release,
    tree: &mut Tree,
) -> Result<()> {
    let folder = workspace().join("packages").join(package.name);
    let text = fs::read_to_string(folder.join("control"))?;
    let libraries = libraries(package, programs, tree)?;
    let control = control(&text, &libraries, release, tree.installed_kib()?)?;
    let sums = tree.sums()?;
    let conffiles: String = tree
        .installed()
        .iter()
        .filter(|path| path.starts_with("etc/"))
        .map(|path| format!("/{path}\n"))
        .collect();
    tree.file("DEBIAN/control", control.as_bytes(), 0o644)?;
    tree.file("DEBIAN/md5sums", sums.as_bytes(), 0o644)?;
    if !conffiles.is_empty() {
        tree.file("DEBIAN/conffiles", conffiles.as_bytes(), 0o644)?;
    }
    for script in SCRIPTS {
        let source = folder.join(script);
        if source.is_file() {
            tree.copy(&format!("DEBIAN/{script}"), &source, 0o755)?;
        }
    }
    Ok(())
}

fn control(text: &str, libraries: &str, release: &Release, installed_kib: u64) -> Result<String> {
    let (head, description) = text
        .split_once("Description:")
        .filter(|_| text.contains(SHLIBS))
        .ok_or_else(|| Trouble::new(format!("a control text lacks Description or {SHLIBS}")))?;
    Ok(format!(
        "{}Source: firn\nVersion: {}\nArchitecture: {}\nInstalled-Size: {installed_kib}\nMaintainer: {MAINTAINER}\nDescription:{}\n .\n Built on {}.\n",
        head.replace(SHLIBS, libraries),
        release.version,
        release.architecture,
        description.trim_end(),
        release.built_on,
    ))
}

/// The packages of the libraries that its programs were linked to, with the versions they need: what Debian's own tool finds.
fn libraries(package: &Package, programs: &Programs, tree: &Tree) -> Result<String> {
    // It wants to run beside a source package.
    let folder = tree.top().with_extension("source");
    fs::create_dir_all(folder.join("debian"))?;
    fs::write(
        folder.join("debian/control"),
        format!("Source: firn\n\nPackage: {}\nArchitecture: any\n", package.name),
    )?;
    let paths: Vec<PathBuf> = package.programs.iter().map(|program| programs.path(program)).collect();
    let mut command = Command::new("dpkg-shlibdeps");
    command.arg("-O").args(paths).current_dir(&folder).env("LC_ALL", "C");
    let said = Outcome::of(&mut command)?.expect_code(&[0])?.stdout;
    let found = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    found.map(str::to_owned).ok_or_else(|| Trouble::new(format!("dpkg-shlibdeps names nothing: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> Release {
        Release {
            version: "0.1.0+deb12".to_owned(),
            architecture: "amd64".to_owned(),
            seconds: 0,
            date: String::new(),
            built_on: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        }
    }

    #[test]
    fn a_control_file_says_what_it_needs_and_where_it_was_built() {
        let text =
            "Package: firn-x\nDepends: ${shlibs:Depends}, passwd\nDescription: a package\n More of it.\n";
        let control = control(text, "libc6 (>= 2.34)", &release(), 12).unwrap();
        assert!(control.contains("\nDepends: libc6 (>= 2.34), passwd\n"), "{control}");
        assert!(
            control.contains("\nVersion: 0.1.0+deb12\nArchitecture: amd64\nInstalled-Size: 12\n"),
            "{control}"
        );
        assert!(
            control.ends_with(" More of it.\n .\n Built on Debian GNU/Linux 12 (bookworm).\n"),
            "{control}"
        );
    }

    #[test]
    fn a_control_file_that_asks_for_no_libraries_is_refused() {
        assert!(control("Package: x\nDescription: y\n", "libc6", &release(), 1).is_err());
    }
}

//! What is built: version, machine, Debian, time.

use std::fs;
use std::process::Command;

use pipeline_tests::Profile;
use pipeline_tests::machine::workspace;
use pipeline_tests::outcome::Outcome;

use crate::trouble::{Result, Trouble};

/// One release, as it is built here.
#[derive(Debug)]
pub(crate) struct Release {
    /// Debian's version: ours, and the Debian whose libraries it needs.
    pub(crate) version: String,
    /// Debian's name of the machine: `amd64`.
    pub(crate) architecture: String,
    /// The time of all files, in seconds since 1970.
    pub(crate) seconds: u64,
    /// The same for a changelog.
    pub(crate) date: String,
    /// The system it was built on, for people.
    pub(crate) built_on: String,
}

impl Release {
    /// Asks git, dpkg and the system.
    pub(crate) fn of_this_machine(profile: Profile) -> Result<Release> {
        let system = fs::read_to_string("/etc/os-release")?;
        let seconds = seconds()?;
        let architecture = said(Command::new("dpkg").arg("--print-architecture"))?;
        let mut date = Command::new("date");
        date.args(["--utc", "--rfc-email", "--date"]).arg(format!("@{seconds}")).env("LC_ALL", "C");
        Ok(Release {
            version: version(env!("CARGO_PKG_VERSION"), profile, &system),
            architecture,
            seconds,
            date: said(&mut date)?,
            built_on: field(&system, "PRETTY_NAME").unwrap_or_else(|| "an unknown system".to_owned()),
        })
    }

    pub(crate) fn file_name(&self, package: &str) -> String {
        format!("{package}_{}_{}.deb", self.version, self.architecture)
    }
}

/// `0.1.0+deb12`: a package of a newer Debian replaces it. What is built for tests is older than what is built well.
fn version(own: &str, profile: Profile, system: &str) -> String {
    let dev = match profile {
        Profile::Dev => "~dev",
        Profile::Release => "",
    };
    let name = field(system, "ID").unwrap_or_else(|| "linux".to_owned());
    let name = if name == "debian" { "deb".to_owned() } else { name };
    format!("{own}{dev}+{name}{}", field(system, "VERSION_ID").unwrap_or_default())
}

/// A value of os-release.
fn field(system: &str, key: &str) -> Option<String> {
    let value = system.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

/// `SOURCE_DATE_EPOCH`, or the time of the commit.
fn seconds() -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let mut git = Command::new("git");
            git.args(["log", "-1", "--format=%ct"]).current_dir(workspace());
            said(&mut git)
                .map_err(|why| Trouble::new(format!("set SOURCE_DATE_EPOCH: git knows no commit\n{why}")))?
        }
    };
    text.trim().parse().map_err(|_| Trouble::new(format!("SOURCE_DATE_EPOCH is no number: {text}")))
}

fn said(command: &mut Command) -> Result<String> {
    Ok(Outcome::of(command)?.expect_code(&[0])?.stdout.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_names_the_debian_it_was_built_on() {
        let system = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
        assert_eq!(version("0.1.0", Profile::Release, system), "0.1.0+deb12");
        assert_eq!(version("0.1.0", Profile::Dev, system), "0.1.0~dev+deb12");
        assert_eq!(
            version("0.1.0", Profile::Release, "ID=ubuntu\nVERSION_ID=\"24.04\"\n"),
            "0.1.0+ubuntu24.04"
        );
        assert_eq!(version("0.1.0", Profile::Release, "ID=debian\n"), "0.1.0+deb");
    }

    #[test]
    fn what_is_built_for_tests_is_replaced_by_what_is_built_well() {
        let newer = |new: &str, old: &str| {
            let mut dpkg = Command::new("dpkg");
            Outcome::of(dpkg.args(["--compare-versions", new, "gt", old])).unwrap().code == 0
        };
        assert!(newer("0.1.0+deb12", "0.1.0~dev+deb12"));
        assert!(newer("0.1.0+deb13", "0.1.0+deb12"));
        assert!(!newer("0.1.0~dev+deb12", "0.1.0+deb12"));
    }
}

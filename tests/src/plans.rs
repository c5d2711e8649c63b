//! Plans of a prune that have waited: a test cannot wait for days, and sets no clock.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::error::{At, Result, RigError};
use crate::keys::end_agent;
use crate::outcome::Outcome;

const WRITTEN: &str = "\"written\":\"";

/// Gives every plan in this folder another time, and signs it with the server's key in `signing`. By GnuPG: this library may need no C library, as
/// the programs do that sign.
///
/// # Errors
/// If a plan is none, or GnuPG fails.
pub fn date(plans: &Path, signing: &Path, time: &str) -> Result<()> {
    // Short: GnuPG makes a socket in it.
    let home = std::env::temp_dir().join(format!("firn-plans-{}", std::process::id()));
    fs::create_dir(&home).at("create", &home)?;
    let dated = fs::set_permissions(&home, fs::Permissions::from_mode(0o700))
        .at("change the mode of", &home)
        .and_then(|()| date_with(&home, plans, signing, time));
    end_agent(&home);
    let removed = fs::remove_dir_all(&home).at("remove", &home);
    dated.and(removed)
}

fn date_with(home: &Path, plans: &Path, signing: &Path, time: &str) -> Result<()> {
    let gpg = |words: &[&str], file: &Path| {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(home).args(["--batch", "--quiet"]).args(words).arg(file);
        Outcome::of(&mut command)?.expect_code(&[0])
    };
    gpg(&["--import"], &signing.join("signing-key.pgp"))?;
    for entry in fs::read_dir(plans).at("list", plans)? {
        let path = entry.at("list", plans)?.path();
        if path.extension().is_none_or(|end| end != "plan") {
            continue;
        }
        let signed = fs::read_to_string(&path).at("read", &path)?;
        let text = dated(&signed, time)
            .ok_or_else(|| RigError::State(format!("{}: no signed plan", path.display())))?;
        let file = home.join("text");
        fs::write(&file, text).at("write", &file)?;
        let signed = gpg(&["--clear-sign", "--output", "-"], &file)?.stdout;
        fs::write(&path, signed).at("write", &path)?;
    }
    Ok(())
}

/// What was signed, written at another time.
fn dated(signed: &str, time: &str) -> Option<String> {
    let text = signed.lines().find(|line| line.starts_with('{'))?;
    let (before, rest) = text.split_once(WRITTEN)?;
    let (_, after) = rest.split_once('"')?;
    Some(format!("{before}{WRITTEN}{time}\"{after}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_dated_back_and_nothing_else_of_it_changes() {
        let plan =
            "-----BEGIN\n\n{\"format\":\"x\",\"written\":\"2026-01-02T03:04:05Z\",\"line\":3}\n-----END\n";
        let old = "{\"format\":\"x\",\"written\":\"2025-12-29T03:04:05Z\",\"line\":3}\n";
        assert_eq!(dated(plan, "2025-12-29T03:04:05Z").unwrap(), old);
        assert_eq!(dated("{}", "2025-12-29T03:04:05Z"), None);
    }
}

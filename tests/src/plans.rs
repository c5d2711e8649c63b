//! Plans of a prune that have waited: a test cannot wait for days, and sets no clock.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use signing::Signer;

use crate::error::RigError;

const WRITTEN: &str = "\"written\":\"";

/// Gives every plan in this folder another time, and signs it as the server does, with the key in `signing`.
pub fn date(plans: &Path, signing: &Path, time: &str) -> Result<(), RigError> {
    let failed = |step, path: &Path| {
        let path = path.to_owned();
        move |source| RigError::File { step, path, source }
    };
    let signer =
        Signer::open(signing).map_err(std::io::Error::other).map_err(failed("open the key in", signing))?;
    for entry in fs::read_dir(plans).map_err(failed("list", plans))? {
        let path = entry.map_err(failed("list", plans))?.path();
        if path.extension().is_none_or(|end| end != "plan") {
            continue;
        }
        let signed = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let dated = dated(&signed, time).ok_or_else(|| std::io::Error::other("it is no signed plan"));
        let dated = dated.map_err(failed("read", &path))?;
        let signed = signer.sign(dated.as_bytes(), SystemTime::now()).map_err(std::io::Error::other);
        fs::write(&path, signed.map_err(failed("sign", &path))?).map_err(failed("write", &path))?;
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

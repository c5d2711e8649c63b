//! What this machine calls itself, and where it thinks it is.

use std::fs;
use std::io;
use std::path::Path;

use formats::limits::ZONE_BYTES;

/// The machine's name, as the kernel has it.
pub(crate) fn name() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/hostname")?.trim_end().to_owned())
}

/// The IANA name of the time zone; `UTC` where the machine does not tell.
pub(crate) fn zone() -> String {
    let from_environment = std::env::var("TZ").ok().map(|zone| zone.trim_start_matches(':').to_owned());
    let found = from_environment.filter(|zone| fits(zone)).or_else(from_link).or_else(from_file);
    found.unwrap_or_else(|| "UTC".to_owned())
}

fn from_link() -> Option<String> {
    let target = fs::read_link("/etc/localtime").ok()?;
    let (_, zone) = target.to_str()?.split_once("zoneinfo/")?;
    fits(zone).then(|| zone.to_owned())
}

fn from_file() -> Option<String> {
    let text = fs::read_to_string(Path::new("/etc/timezone")).ok()?;
    let zone = text.trim();
    fits(zone).then(|| zone.to_owned())
}

fn fits(zone: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_+/-".contains(&b);
    !zone.is_empty() && zone.len() <= ZONE_BYTES && !zone.starts_with('/') && zone.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_an_iana_name_or_nothing() {
        for good in ["UTC", "Europe/Berlin", "Etc/GMT+1", "America/Port-au-Prince"] {
            assert!(fits(good), "{good}");
        }
        for bad in ["", "/etc/localtime", "a b", "CET-1CEST,M3.5.0", &"x".repeat(65)] {
            assert!(!fits(bad), "{bad}");
        }
        assert!(fits(&zone()));
    }

    #[test]
    fn the_machine_has_a_name() {
        assert!(!name().unwrap().is_empty());
    }
}

//! A rate as it is typed: `2MiB/s`.

use std::num::NonZeroU64;

/// Slower than this a push of anything does not end, and the server gives it up.
const LEAST: u64 = 16 * 1024;
const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

/// Bytes in a second.
pub(super) fn parse(text: &str) -> Result<NonZeroU64, String> {
    let found = text.strip_suffix("/s").and_then(|amount| {
        UNITS.iter().find_map(|(unit, bytes)| Some((amount.strip_suffix(unit)?.trim_end(), *bytes)))
    });
    let number =
        |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok())?;
    let bytes = found.and_then(|(digits, unit)| number(digits)?.checked_mul(unit));
    match bytes.filter(|bytes| *bytes >= LEAST).and_then(NonZeroU64::new) {
        Some(bytes) => Ok(bytes),
        None => Err("must be as \"2MiB/s\", in B, KiB, MiB or GiB, and 16KiB/s or more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_a_unit_and_a_second() {
        for (text, bytes) in
            [("2MiB/s", 2 << 20), ("16384B/s", 16_384), ("512 KiB/s", 512 << 10), ("1GiB/s", 1 << 30)]
        {
            assert_eq!(parse(text).map(NonZeroU64::get), Ok(bytes), "{text}");
        }
        for bad in [
            "",
            "2",
            "2MiB",
            "2 MB/s",
            "-2MiB/s",
            "+2MiB/s",
            "1.5MiB/s",
            "0B/s",
            "15KiB/s",
            "99999999999999999999GiB/s",
            "MiB/s",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

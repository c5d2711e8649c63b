//! The two or three lines of credentials, read without a library: a parser keeps copies that nobody wipes.

use std::io::{self, Read};

use zeroize::Zeroizing;

use super::Credentials;

/// Longest answer of a file or a command.
const BYTES_MAX: usize = 16 * 1024;

/// All of `from`, in one piece of memory that is wiped. `ready` is asked before each read.
pub(super) fn read(
    mut from: impl Read,
    mut ready: impl FnMut() -> io::Result<()>,
) -> io::Result<Zeroizing<Vec<u8>>> {
    // All the room at once: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; BYTES_MAX + 1]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        ready()?;
        match from.read(rest) {
            Ok(0) => {
                bytes.truncate(filled);
                return Ok(bytes);
            }
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than credentials are"))
}

/// Lines `key = "value"`, each key once; empty lines and lines that begin with `#` are passed over. None for anything else.
pub(super) fn parse(bytes: &[u8]) -> Option<Credentials> {
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in std::str::from_utf8(bytes).ok()?.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=')?;
        let place = match key.trim_end() {
            "access_key_id" => &mut id,
            "secret_access_key" => &mut secret,
            "session_token" => &mut token,
            _ => return None,
        };
        if place.replace(quoted(value.trim_start())?).is_some() {
            return None;
        }
    }
    Some(Credentials { access_key_id: id?, secret_access_key: secret?, session_token: token })
}

/// What stands in quotes, in memory of its own that is wiped. No provider's credentials need a backslash.
fn quoted(value: &str) -> Option<Zeroizing<String>> {
    let (quote, inside) = value.split_at_checked(1)?;
    let inside = inside.strip_suffix(quote)?;
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\');
    let is_whole = matches!(quote, "\"" | "'") && !inside.is_empty() && inside.bytes().all(plain);
    is_whole.then(|| Zeroizing::new(inside.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_one_way_and_nothing_else_is() {
        let good = "# made by hand\n\naccess_key_id=\"AK\"\n  secret_access_key =  'hush/+='  \r\nsession_token = \"t\"";
        let read = parse(good.as_bytes()).unwrap();
        assert_eq!((read.access_key_id.as_str(), read.secret_access_key.as_str()), ("AK", "hush/+="));
        assert_eq!(read.session_token.as_ref().unwrap().as_str(), "t");
        let pair = "access_key_id = \"AK\"\nsecret_access_key = ";
        for bad in [
            "hush",
            "\"hush",
            "hush\"",
            "\"\"",
            "\"",
            "",
            "'hush\"",
            "\"hu sh\"",
            "\"hu\\nsh\"",
            "\"hush\" # no",
        ] {
            assert!(parse(format!("{pair}{bad}\n").as_bytes()).is_none(), "{bad}");
        }
        let whole = format!("{pair}\"hush\"\n");
        assert!(parse(whole.as_bytes()).is_some());
        for bad in ["access_key_id = \"AK\"\n", "[table]\n", "other = \"a\"\n", "session_token\n", "\u{e9}\n"]
        {
            assert!(parse(format!("{whole}{bad}").as_bytes()).is_none(), "{bad}");
        }
        assert!(parse(b"\xff").is_none() && parse(b"").is_none());
    }

    #[test]
    fn what_is_too_long_is_refused_and_what_fits_is_whole() {
        let never = || Ok(());
        assert_eq!(read(&vec![b'x'; BYTES_MAX][..], never).unwrap().len(), BYTES_MAX);
        assert!(read(&vec![b'x'; BYTES_MAX + 1][..], never).is_err());
        assert!(read(io::repeat(b'x'), never).is_err());
    }
}

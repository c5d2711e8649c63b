//! Text from outside, made safe for a terminal and a log line.

use std::fmt::Write as _;

/// Bytes from outside as text that cannot steer a terminal or forge a line.
///
/// What is printable UTF-8 stays. Control characters, marks that reorder or hide text, and bytes that are no UTF-8 become `\xNN`, byte
/// by byte; a backslash becomes `\\`. So two different inputs never look the same, and the original can be worked out.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c if steers(c) => escape(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => out.push(c),
            }
        }
        escape(&mut out, chunk.invalid());
    }
    out
}

/// Our own sentence, which may hold text that [`shown`] has already escaped: only what steers a terminal is escaped again.
#[must_use]
pub fn tame(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { escape(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()) } else { out.push(c) }
    }
    out
}

fn escape(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\x{byte:02x}");
    }
}

/// Controls (C0, DEL, C1), line and paragraph separators, and the marks that reorder or hide what is on the screen.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_names_stay_as_they_are() {
        assert_eq!(shown("etc/Grüße 日本.txt".as_bytes()), "etc/Grüße 日本.txt");
    }

    #[test]
    fn nothing_that_steers_a_terminal_comes_through() {
        assert_eq!(shown(b"a\x1b[2Jb\nc\r\x07\x7f"), "a\\x1b[2Jb\\x0ac\\x0d\\x07\\x7f");
        assert_eq!(shown("\u{9b}31m".as_bytes()), "\\xc2\\x9b31m");
        assert_eq!(shown("gpj.\u{202e}exe".as_bytes()), "gpj.\\xe2\\x80\\xaeexe");
        for c in (0..=0x10_ffff).filter_map(char::from_u32).filter(|c| c.is_control()) {
            assert!(shown(c.to_string().as_bytes()).is_ascii());
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_one_by_one() {
        assert_eq!(shown(b"a\xff\xc3b\xe2\x82"), "a\\xff\\xc3b\\xe2\\x82");
        assert_eq!(shown(b""), "");
    }

    #[test]
    fn two_different_names_never_look_the_same() {
        assert_ne!(shown(b"\\x1b"), shown(b"\x1b"));
        assert_ne!(shown(b"\\\\"), shown(b"\\"));
    }

    #[test]
    fn a_sentence_with_a_shown_name_keeps_it_and_stays_one_line() {
        let sentence = format!("{}: no such file\n", shown(b"a\x1b"));
        assert_eq!(tame(&sentence), "a\\x1b: no such file\\x0a");
    }
}

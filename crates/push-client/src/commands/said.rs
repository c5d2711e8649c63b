//! What commands say, passed on to the journal: cleaned, in lines, and not without end.

use std::io::{self, Write};

/// Most lines of one command.
const LINES_MAX: u32 = 200;
/// Most bytes of one line.
const LINE_BYTES_MAX: usize = 512;

/// What one command says.
#[derive(Debug)]
pub(super) struct Said {
    /// Before each line.
    whose: String,
    line: Vec<u8>,
    lines: u32,
    unsaid: u64,
}

impl Said {
    pub(super) fn by(whose: String) -> Self {
        Self { whose, line: Vec::new(), lines: 0, unsaid: 0 }
    }

    pub(super) fn take(&mut self, bytes: &[u8], to: &mut impl Write) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end_line(to),
                byte if self.line.len() < LINE_BYTES_MAX => self.line.push(*byte),
                _ => {}
            }
        }
    }

    pub(super) fn finish(mut self, to: &mut impl Write) {
        self.end_line(to);
        if self.unsaid > 0 {
            tell(to, &format!("{}: {} more lines", self.whose, self.unsaid));
        }
    }

    fn end_line(&mut self, to: &mut impl Write) {
        if self.line.is_empty() {
            return;
        }
        if self.lines < LINES_MAX {
            self.lines += 1;
            tell(to, &format!("{}: {}", self.whose, cli::shown(&self.line)));
        } else {
            self.unsaid += 1;
        }
        self.line.clear();
    }
}

/// One line of ours.
pub(super) fn say(text: &str) {
    tell(&mut io::stderr().lock(), text);
}

fn tell(to: &mut impl Write, text: &str) {
    // Nobody may listen.
    let _ = to.write_all(format!("{text}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_bounded_and_clean() {
        let mut to = Vec::new();
        let mut said = Said::by("dump 1 (x)".to_owned());
        said.take(b"fine\n\n\x1b[31mred", &mut to);
        said.take(b" and on\n", &mut to);
        said.take(&[b'y'; 100_000], &mut to);
        said.take(b"\n", &mut to);
        (0..1_000).for_each(|_| said.take(b"again\n", &mut to));
        said.take(b"the end without a line", &mut to);
        said.finish(&mut to);
        let text = String::from_utf8(to).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "dump 1 (x): fine");
        assert!(!text.contains('\x1b') && lines[1].contains("[31mred and on"), "{}", lines[1]);
        assert!(lines[2].len() < LINE_BYTES_MAX + 20);
        assert_eq!(lines.len(), LINES_MAX as usize + 1);
        assert_eq!(lines.last(), Some(&"dump 1 (x): 804 more lines"));
    }
}

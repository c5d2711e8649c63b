//! What a child says on one of its pipes. `Command::output` of the standard library ends in a panic where a pipe cannot be read.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};

/// No child of ours says more: the longest is a table of all accounts.
const SAID_BYTES: u64 = 64 << 20;

/// How a child ended, and what it said until then.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    text: Vec<u8>,
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

/// What this says on standard output; its standard error stays where it is.
pub(crate) fn output(command: &mut Command) -> io::Result<Said> {
    output_of(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
}

/// The same of one that was started with a pipe for its output.
pub(crate) fn output_of(mut child: Child) -> io::Result<Said> {
    drop(child.stdin.take());
    let pipe = child.stdout.take();
    heard(child, pipe)
}

/// What this says on standard error, and nothing else.
pub(crate) fn complaint(command: &mut Command) -> io::Result<Said> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let pipe = child.stderr.take();
    heard(child, pipe)
}

fn heard(mut child: Child, pipe: Option<impl Read>) -> io::Result<Said> {
    let mut text = Vec::new();
    let read = pipe.map_or(Ok(0), |pipe| pipe.take(SAID_BYTES).read_to_end(&mut text));
    // The pipe is closed by now, so that it ends even if it has more to say.
    let status = child.wait()?;
    read?;
    Ok(Said { status, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        command
    }

    #[test]
    fn a_child_is_heard_on_the_pipe_that_is_asked_for() {
        let said = output(&mut shell("echo out; exec 2>&-; exit 3")).unwrap();
        assert_eq!((said.text().as_str(), said.status.code()), ("out\n", Some(3)));
        let said = complaint(&mut shell("echo out; echo err >&2")).unwrap();
        assert_eq!((said.text().as_str(), said.status.code()), ("err\n", Some(0)));
    }

    #[test]
    fn a_pipe_that_cannot_be_read_is_an_error_and_the_child_is_waited_for() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        let child = shell("exit 0").spawn().unwrap();
        let place = format!("/proc/{}", child.id());
        assert_eq!(heard(child, Some(Broken)).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(!std::path::Path::new(&place).exists(), "nobody waited for it");
    }
}

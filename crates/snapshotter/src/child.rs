//! What a child says on one of its pipes. `Command::output` of the standard library ends in a panic where a pipe cannot be read.

use std::io::{self, ErrorKind, Read, Write};
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

/// What this says on standard output once it has been asked this, whole, on standard input.
pub(crate) fn answer(command: &mut Command, question: &[u8]) -> io::Result<Said> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let told = child.stdin.take().map_or(Err(ErrorKind::BrokenPipe.into()), |mut to| to.write_all(question));
    match told {
        Ok(()) => output_of(child),
        // One that ended before it read says why by its code.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            output_of(child).and_then(|said| if said.status.success() { Err(error) } else { Ok(said) })
        }
        Err(error) => {
            // It waits for the rest, and has done nothing.
            child.kill()?;
            child.wait()?;
            Err(error)
        }
    }
}

fn output_of(mut child: Child) -> io::Result<Said> {
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
    fn a_child_that_did_not_listen_says_why_and_is_no_success() {
        let question = vec![b'x'; 1 << 20];
        let said = answer(&mut shell("tr -d y | wc -c"), &question).unwrap();
        assert_eq!((said.text().trim(), said.status.code()), ("1048576", Some(0)));
        let said = answer(&mut shell("echo no; exec 0<&-; exit 7"), &question).unwrap();
        assert_eq!((said.text().as_str(), said.status.code()), ("no\n", Some(7)));
        assert_eq!(answer(&mut shell("exit 0"), &question).unwrap_err().kind(), ErrorKind::BrokenPipe);
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

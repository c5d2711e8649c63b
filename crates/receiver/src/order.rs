//! What the command line asks for. Nothing on it comes from the network: sshd passes what a client asked to run as the word
//! after `-c`, and that word is not read.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::serve;

const HELP: &str = "\
Receives one push of one host into its jail. Started by sshd, not by hand.

usage:
  receiver -c ANYTHING     as the login shell of a chrooted account: the jail is /
  receiver --jail DIR      as the forced command of a key: the jail is DIR
  receiver --help | --version

It speaks the session protocol on standard input and output, and reads nothing but the jail:
spool/incoming and spool/sealed (written), state (read). No environment variable is read.

example, in an authorized_keys file:
  restrict,command=\"/usr/lib/firn/receiver --jail /srv/firn/jails/web01\" ssh-ed25519 AAAA...

It ends with 0 after a whole session, else with the exit code of its refusal (docs/exit-codes.md).
";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Serve one session in this jail.
    Serve(PathBuf),
    /// Print this and end.
    Print(&'static str),
    /// The command line is wrong.
    Usage,
}

impl Order {
    /// Reads the command line; the first word is the program's own name.
    pub(crate) fn of(args: impl IntoIterator<Item = OsString>) -> Self {
        let mut args = args.into_iter();
        let shell = args.next().is_some_and(|name| name.as_bytes().starts_with(b"-"));
        let Some(first) = args.next() else {
            return if shell { Order::Serve(PathBuf::from("/")) } else { Order::Usage };
        };
        match (first.as_bytes(), args.next(), args.next()) {
            // As a login shell: whatever follows came from the other side.
            (b"-c", _, _) => Order::Serve(PathBuf::from("/")),
            (b"--jail", Some(dir), None) if dir.as_bytes().starts_with(b"/") => {
                Order::Serve(PathBuf::from(dir))
            }
            (b"--version", None, None) => Order::Print(concat!("receiver ", env!("CARGO_PKG_VERSION"), "\n")),
            (b"--help" | b"-h", None, None) => Order::Print(HELP),
            _ => Order::Usage,
        }
    }

    /// Does it, and tells how it ended.
    pub(crate) fn obey(self) -> ExitCode {
        match self {
            Order::Serve(jail) => serve::serve(&jail),
            Order::Print(text) => match std::io::stdout().write_all(text.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::from(4),
            },
            Order::Usage => {
                // Nobody may be listening; the exit code says it too.
                let _ = std::io::stderr()
                    .write_all(b"receiver: usage: receiver --jail /DIR; see receiver --help\n");
                ExitCode::from(2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(args: &[&str]) -> Order {
        Order::of(args.iter().map(OsString::from))
    }

    #[test]
    fn a_login_shell_serves_the_root_whatever_the_client_asked_for() {
        let root = || Order::Serve(PathBuf::from("/"));
        for asked in ["", "id", "--jail", "--help", "-c", "/etc", "rm -rf /"] {
            assert_eq!(order(&["receiver", "-c", asked]), root(), "{asked:?}");
            assert_eq!(order(&["receiver", "-c", asked, "--jail", "/etc"]), root(), "{asked:?}");
        }
        assert_eq!(order(&["receiver", "-c"]), root());
        assert_eq!(order(&["-receiver"]), root());
    }

    #[test]
    fn a_jail_is_named_only_by_the_first_word() {
        assert_eq!(order(&["receiver", "--jail", "/j"]), Order::Serve(PathBuf::from("/j")));
        for wrong in [
            &["receiver"][..],
            &["receiver", "--jail"],
            &["receiver", "--jail", "j"],
            &["receiver", "--jail", ""],
            &["receiver", "--jail", "/j", "more"],
            &["receiver", "/j"],
            &["receiver", "x", "--jail", "/j"],
            &["receiver", "--version", "--jail"],
        ] {
            assert_eq!(order(wrong), Order::Usage, "{wrong:?}");
        }
    }
}

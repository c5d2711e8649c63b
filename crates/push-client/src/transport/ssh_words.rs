//! What OpenSSH says when it ends. Its status is that of the far program, or 255 for all that it has to say itself; which of those it was
//! stands in its words alone. A server that has let us in can make it say anything: words choose between messages, and nothing else.

use super::ending::Ending;
use super::ssh_options::ALIAS;

/// The status for whatever went wrong between us and the far program.
const ITS_OWN: i32 = 255;
/// The part of a line that tells, and what it tells. The first that is found counts.
const TELLING: [(&str, Ending); 21] = [
    ("bad configuration option", Ending::Asked),
    ("extra arguments at end of line", Ending::Asked),
    ("user config file", Ending::Asked),
    ("unsupported option", Ending::Asked),
    ("unknown key type", Ending::Asked),
    ("bad ssh2 cipher spec", Ending::Asked),
    ("bad owner or permissions", Ending::Asked),
    ("host key verification failed", Ending::HostKey),
    ("host key is known for", Ending::HostKey),
    ("permission denied", Ending::Login),
    ("too many authentication failures", Ending::Login),
    ("no supported authentication methods", Ending::Login),
    ("unable to negotiate", Ending::Agreement),
    ("could not resolve hostname", Ending::Unreachable),
    ("connect to host", Ending::Unreachable),
    ("connect to address", Ending::Unreachable),
    // What follows when a jump host has said one of the above.
    ("banner exchange", Ending::Agreement),
    ("kex_exchange_identification", Ending::Agreement),
    ("not responding", Ending::Stalled),
    ("open failed", Ending::Channel),
    ("exec request failed", Ending::Channel),
];
/// Most bytes of a line that are passed on.
const LINE_BYTES_MAX: usize = 400;

/// Whose words they can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whose {
    /// There is no configuration file: nothing stands between ssh and the server.
    Alone,
    /// A jump host may stand between, whose ssh speaks too; what is said of the server names this address.
    Address(String),
}

/// How it ended, and the line that tells.
pub(super) fn told(code: i32, words: &[u8], whose: &Whose) -> (Ending, Vec<u8>) {
    match code {
        0 => (Ending::Done, Vec::new()),
        ITS_OWN => of_words(words, whose),
        code => match u8::try_from(code).ok().and_then(of_wrapper) {
            Some(ending) => (ending, last_line(words)),
            None => (Ending::Remote, format!("it ended with status {code}").into_bytes()),
        },
    }
}

/// Codes of the process that was to become ssh.
fn of_wrapper(code: u8) -> Option<Ending> {
    [Ending::Handover, Ending::Confinement].into_iter().find(|ending| ending.code() == code)
}

fn of_words(words: &[u8], whose: &Whose) -> (Ending, Vec<u8>) {
    let lines = || words.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let found = TELLING
        .into_iter()
        .find_map(|(part, ending)| lines().find(|line| has(line, part)).map(|line| (ending, line)));
    let Some((ending, line)) = found else { return (Ending::Lost, last_line(words)) };
    let ours = match (ending, whose) {
        (_, Whose::Alone) => true,
        (Ending::HostKey, _) => lines().any(|line| has(line, ALIAS)),
        (Ending::Login | Ending::Unreachable, Whose::Address(address)) => has(line, address),
        _ => true,
    };
    // Else it was said of whoever stands between, and our server was never reached.
    (if ours { ending } else { Ending::Between }, cut(line))
}

fn has(line: &[u8], part: &str) -> bool {
    let (line, part) = (line.to_ascii_lowercase(), part.to_ascii_lowercase());
    line.windows(part.len()).any(|window| window == part.as_bytes())
}

fn last_line(words: &[u8]) -> Vec<u8> {
    cut(words.trim_ascii().rsplit(|b| *b == b'\n').next().unwrap_or_default().trim_ascii())
}

fn cut(line: &[u8]) -> Vec<u8> {
    line.get(..LINE_BYTES_MAX).unwrap_or(line).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_openssh_are_understood() {
        let cases: [(&str, Ending); 11] = [
            ("ssh: connect to host 127.0.0.1 port 1: Connection refused\r\n", Ending::Unreachable),
            ("ssh: Could not resolve hostname nowhere: Name or service not known\r\n", Ending::Unreachable),
            ("firn-web01@10.0.0.1: Permission denied (publickey).\r\n", Ending::Login),
            (
                "@@@@@\r\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nPlease contact your system administrator.\r\n\
                 Host key for firn-backup-server has changed and you have requested strict checking.\r\nHost key verification failed.\r\n",
                Ending::HostKey,
            ),
            (
                "No ED25519 host key is known for firn-backup-server and you have requested strict checking.\r\nHost key verification failed.\r\n",
                Ending::HostKey,
            ),
            (
                "Unable to negotiate with 127.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa\r\n",
                Ending::Agreement,
            ),
            ("kex_exchange_identification: read: Connection reset by peer\r\n", Ending::Agreement),
            ("command-line: line 0: Bad configuration option: colour\r\n", Ending::Asked),
            ("Timeout, server 10.0.0.1 not responding.\r\n", Ending::Stalled),
            ("client_loop: send disconnect: Broken pipe\r\n", Ending::Lost),
            ("", Ending::Lost),
        ];
        for (words, ending) in cases {
            assert_eq!(told(255, words.as_bytes(), &Whose::Alone).0, ending, "{words}");
        }
        assert_eq!(told(1, b"Host key verification failed.", &Whose::Alone).0, Ending::Remote);
        assert_eq!(told(0, b"", &Whose::Alone).0, Ending::Done);
    }

    #[test]
    fn what_is_said_of_a_jump_host_is_not_said_of_the_server() {
        let whose = Whose::Address("10.0.0.1".to_owned());
        for line in [
            "root@jump: Permission denied (publickey).",
            "ssh: connect to host jump port 22: Connection refused",
            "ssh: Could not resolve hostname jump: Name or service not known",
            "No ED25519 host key is known for jump and you have requested strict checking.\r\nHost key verification failed.",
        ] {
            let words =
                format!("{line}\r\nkex_exchange_identification: Connection closed by remote host\r\n");
            assert_eq!(told(255, words.as_bytes(), &whose).0, Ending::Between, "{line}");
        }
        let ours = b"firn-web01@10.0.0.1: Permission denied (publickey).";
        assert_eq!(told(255, ours, &whose).0, Ending::Login);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let (ending, line) = told(255, &[b'y'; 100_000], &Whose::Alone);
        assert_eq!((ending, line.len()), (Ending::Lost, LINE_BYTES_MAX));
    }
}

//! Where the settings say nothing, and ssh is our choice.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{SSH, assert_pushed, pushes, ssh_of, until};
use crate::commands::{run, text};
use crate::powers::without_landlock;
use crate::sshd::Sshd;

/// Nothing is said.
const NONE: &str = "# no transport\n";

/// None where ssh is nobody's choice.
fn sshd(test: &str) -> Option<Sshd> {
    if !sandbox::Landlock::is_there() || !Path::new("/usr/bin/ssh").exists() {
        println!("SKIPPED: {test}: there is no ssh or no Landlock");
        return None;
    }
    Sshd::start(test)
}

#[test]
fn a_key_that_openssh_does_not_read_is_the_librarys_and_told_who_names_ssh() {
    let Some(sshd) = sshd("a_key_that_openssh_does_not_read_is_the_librarys_and_told_who_names_ssh") else {
        return;
    };
    // Control: ssh takes it as ssh-keygen wrote it.
    assert_pushed(&pushes(&sshd, &sshd.settings(&format!("{NONE}{}", sshd.key_line()))));
    let carrier = |settings: &str| {
        // At a port where nobody answers; it is known before.
        let words = fs::read_to_string(settings).unwrap();
        let nobody =
            sshd.written("nobody.toml", &words.replace(&format!("port = {}\n", sshd.port), "port = 1\n"));
        let said = text(&run(&["check", "--json", "--config", &nobody]).stdout);
        ["ssh", "ssh2"].into_iter().find(|way| said.contains(&format!("\"transport\":\"{way}\"")))
    };
    assert_eq!(carrier(&sshd.settings(&format!("{NONE}{}", sshd.key_line()))), Some("ssh"));
    let key = fs::read_to_string(sshd.at("key")).unwrap();
    sshd.written("key", &key.replace('\n', "\r\n"));
    fs::remove_dir_all(sshd.at("state")).unwrap();
    let settings = sshd.settings(&format!("{NONE}{}", sshd.key_line()));
    assert_eq!(carrier(&settings), Some("ssh2"));
    assert_pushed(&pushes(&sshd, &settings));
    let named = sshd.settings(&format!("{SSH}{}", sshd.key_line()));
    for verb in ["check", "run"] {
        let done = run(&[verb, "--config", &named]);
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{verb}: {said}");
        assert!(said.contains("ssh does not take it") && said.contains("sed -i"), "{verb}: {said}");
    }
}

#[test]
fn a_key_that_needs_somebody_is_told_before_anything_is_reached() {
    let Some(sshd) = sshd("a_key_that_needs_somebody_is_told_before_anything_is_reached") else { return };
    for (name, arguments, advice) in [
        ("locked", ["-t", "ed25519", "-N", "secret"], "ssh-keygen -p"),
        ("kind", ["-t", "ecdsa", "-N", ""], "ssh-keygen -t ed25519"),
    ] {
        let mut made = Command::new("ssh-keygen");
        let made = made.arg("-q").args(arguments).arg("-f").arg(sshd.at(name)).status().unwrap();
        assert!(made.success());
        let key = format!("key = {:?}\n", sshd.at(name));
        for verb in ["check", "run"] {
            let done = run(&[verb, "--config", &sshd.settings(&format!("{NONE}{key}"))]);
            let said = text(&done.stderr);
            assert_eq!(done.status.code(), Some(2), "{name}, {verb}: {said}");
            assert!(said.contains(advice), "{name}, {verb}: {said}");
            // Control: who names ssh may have an agent for it.
            let done = run(&[verb, "--config", &sshd.settings(&format!("{SSH}{key}"))]);
            assert_eq!(done.status.code(), Some(19), "{name}, {verb}: {}", text(&done.stderr));
        }
    }
}

#[test]
fn it_is_called_without_an_agent_and_marks_no_packets() {
    let Some(sshd) = sshd("it_is_called_without_an_agent_and_marks_no_packets") else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = sshd.written("ssh_config", "Host *\n");
    let called = |more: &str| {
        let settings = sshd.settings(more);
        let port = format!("port = {}\n", silent.local_addr().unwrap().port());
        let words = fs::read_to_string(&settings).unwrap();
        let settings = sshd.written("push.toml", &words.replace(&format!("port = {}\n", sshd.port), &port));
        let mut client = Command::new(env!("CARGO_BIN_EXE_push-client"))
            .args(["run", "--config", &settings])
            .env("SSH_AUTH_SOCK", "/of/the/shell")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let proc = Path::new("/proc").join(until(|| ssh_of(&client)).to_string());
        let words = [proc.join("cmdline"), proc.join("environ")].map(|path| fs::read(path).unwrap());
        client.kill().unwrap();
        client.wait().unwrap();
        let [line, environment] = words.map(|words| text(&words));
        (line.contains("\0IPQoS=none\0"), environment.contains("SSH_AUTH_SOCK=/of/the/shell\0"))
    };
    let key = sshd.key_line();
    assert_eq!(called(&format!("{NONE}{key}")), (true, false));
    // Controls: who names ssh has the agent of the shell, and with a file of its own its marks.
    assert_eq!(called(&format!("{SSH}{key}")), (true, true));
    assert_eq!(called(&format!("{SSH}{key}[server.ssh]\nconfig = {config:?}\n")), (false, true));
}

#[test]
fn where_it_does_not_take_what_it_is_told_the_library_is_named() {
    let Some(sshd) = sshd("where_it_does_not_take_what_it_is_told_the_library_is_named") else { return };
    let advice = "transport = \"ssh2\"";
    for (said, expected) in [(NONE, true), (SSH, false)] {
        let settings = sshd.settings(&format!("{said}{}ciphers = [\"nonsense\"]\n", sshd.key_line()));
        let done = run(&["run", "--config", &settings]);
        let words = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{words}");
        assert!(words.contains("ssh does not take what it was told"), "{words}");
        assert_eq!(words.contains(advice), expected, "{words}");
    }
}

#[test]
fn without_landlock_it_is_not_started_where_that_was_asked_for() {
    let become_ssh = |more: &[&str]| {
        let words = [&["become-ssh"], more, &["--", "/bin/echo", "started"]].concat();
        let done = without_landlock(words.into_iter().map(str::to_owned).collect());
        (done.status.success(), text(&done.stdout), text(&done.stderr))
    };
    let (began, out, error) = become_ssh(&["--confined"]);
    assert_eq!((began, out.as_str()), (false, ""), "{error}");
    assert!(error.contains("landlock"), "{error}");
    // Control.
    assert_eq!(become_ssh(&[]), (true, "started\n".to_owned(), String::new()));
}

//! The system's ssh as a transport, against a real sshd.

mod ours;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::commands::{run, text};
use crate::server::Server;
use crate::sshd::{Sshd, key};

const SSH: &str = "transport = \"ssh\"\n";

/// A name, a change of the settings, what is then said, and what to do.
type Case<'a> = (&'a str, &'a dyn Fn(String) -> String, &'a str, &'a str);

/// A file that tries to let anybody be the server.
const LOOSE: &str = "Host *\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nGlobalKnownHostsFile /dev/null\n\
    HostKeyAlias other\nNoHostAuthenticationForLocalhost yes\nHostKeyAlgorithms +ssh-rsa,ecdsa-sha2-nistp256\nCheckHostIP no\n\
    VerifyHostKeyDNS yes\nRequestTTY force\nRemoteCommand none\nLogLevel QUIET\nPasswordAuthentication yes\n";

fn pushes(sshd: &Sshd, settings: &str) -> Output {
    let mut server = Server::new();
    let done = std::thread::scope(|scope| {
        let serving = scope.spawn(|| sshd.serve(&mut server));
        let done = run(&["run", "--config", settings]);
        if done.status.code() != Some(18) {
            // Nobody came: an end for the one who waits.
            drop(std::net::TcpStream::connect(sshd.behind()));
        }
        serving.join().unwrap();
        done
    });
    if done.status.code() == Some(18) {
        let judged = server.newest(&[]);
        let name = sshd.at("data/file").to_str().unwrap().trim_start_matches('/').to_owned();
        assert_eq!(judged.content(&name), b"what is pushed");
    }
    done
}

fn assert_pushed(done: &Output) {
    assert_eq!(done.status.code(), Some(18), "{}{}", text(&done.stdout), text(&done.stderr));
}

#[test]
fn a_push_goes_through_either_transport() {
    for transport in ["ssh2", "ssh"] {
        let Some(sshd) = Sshd::start("a_push_goes_through_either_transport") else { return };
        let settings = sshd.settings(&format!("transport = {transport:?}\n{}", sshd.key_line()));
        assert_pushed(&pushes(&sshd, &settings));
    }
}

#[test]
fn each_transport_fails_with_the_same_code_and_says_what_to_do() {
    let Some(sshd) = Sshd::start("each_transport_fails_with_the_same_code_and_says_what_to_do") else {
        return;
    };
    key(&sshd.at("strange"));
    let strange = fs::read_to_string(sshd.at("strange.pub")).unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let talker = TcpListener::bind("127.0.0.1:0").unwrap();
    let talks = talker.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = talker.accept() {
            let _ = std::io::Write::write_all(&mut stream, b"220 mail.example.org ESMTP\r\n");
        }
    });
    let key_line = sshd.key_line();
    let port = format!("port = {}\n", sshd.port);
    let other = sshd.host_key();
    let cases: [Case<'_>; 5] = [
        (
            "host key",
            &|s| s.replace(&other, strange.trim()),
            "is not the pinned one; nothing was sent",
            "somebody stands between",
        ),
        ("login", &|s| s.replace("/key\"", "/strange\""), "does not let us in", "snapshotter host add"),
        (
            "account",
            &|s| s.replace("account = \"", "account = \"no-"),
            "does not let us in",
            "snapshotter host add",
        ),
        ("nobody", &|s| s.replace(&port, &format!("port = {nobody}\n")), "connect", "`server.port`"),
        (
            "no sshd",
            &|s| s.replace(&port, &format!("port = {talks}\n")),
            "no agreement",
            "is it sshd that listens there?",
        ),
    ];
    for transport in ["ssh2", "ssh"] {
        for (name, change, what, advice) in &cases {
            let settings = sshd.settings(&format!("transport = {transport:?}\n{key_line}"));
            let changed = change(fs::read_to_string(&settings).unwrap());
            let settings = sshd.written("push.toml", &changed);
            let done = run(&["run", "--config", &settings]);
            let said = text(&done.stderr);
            assert_eq!(done.status.code(), Some(19), "{transport}, {name}: {said}");
            let what = if transport == "ssh" {
                what.replace("connect", "cannot be reached")
            } else {
                (*what).to_owned()
            };
            assert!(said.contains(&what) && said.contains(advice), "{transport}, {name}: {said}");
        }
    }
}

#[test]
fn no_configuration_file_loosens_who_the_server_must_be() {
    let Some(sshd) = Sshd::start("no_configuration_file_loosens_who_the_server_must_be") else { return };
    key(&sshd.at("strange"));
    let strange = fs::read_to_string(sshd.at("strange.pub")).unwrap();
    let echo = format!("KnownHostsCommand /bin/echo other {}\n", sshd.host_key());
    let config = sshd.written("ssh_config", &format!("{LOOSE}{echo}"));
    // Control: with this file, ssh by itself lets the server be anybody.
    let free = Command::new("ssh")
        .args([
            "-F",
            &config,
            "-N",
            "-o",
            "BatchMode=yes",
            "-p",
            &sshd.port.to_string(),
            "-l",
            "nobody-at-all",
        ])
        .args(["-i", sshd.at("key").to_str().unwrap(), "-o", "LogLevel=ERROR", "127.0.0.1"])
        .output()
        .unwrap();
    assert!(text(&free.stderr).contains("Permission denied"), "control: {}", text(&free.stderr));
    let more = format!("{SSH}{}[server.ssh]\nconfig = {config:?}\n", sshd.key_line());
    let settings = sshd.settings(&more);
    let changed = fs::read_to_string(&settings).unwrap().replace(&sshd.host_key(), strange.trim());
    let settings = sshd.written("push.toml", &changed);
    let done = run(&["run", "--config", &settings]);
    assert_eq!(done.status.code(), Some(19), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("is not the pinned one"), "{}", text(&done.stderr));
    // And with the right key it is let through, whatever the file says.
    assert_pushed(&pushes(&sshd, &sshd.settings(&more)));
}

#[test]
fn a_push_goes_through_a_jump_host() {
    let Some(sshd) = Sshd::start("a_push_goes_through_a_jump_host") else { return };
    sshd.written("jump_hosts", &format!("jump {}\n", sshd.host_key()));
    let folder = sshd.folder.path().display().to_string();
    let config = format!(
        "Host jump\nHostName 127.0.0.1\nPort {}\nUser {}\nIdentityFile {folder}/key\nIdentitiesOnly yes\nHostKeyAlias jump\n\
         UserKnownHostsFile {folder}/jump_hosts\nStrictHostKeyChecking yes\nBatchMode yes\nHost 127.0.0.1\nProxyJump jump\n",
        sshd.port,
        crate::sshd::user(),
    );
    let config = sshd.written("ssh_config", &config);
    let known = sshd.at("jump_hosts");
    let more = format!("{SSH}{}[server.ssh]\nconfig = {config:?}\npaths = [{known:?}]\n", sshd.key_line());
    assert_pushed(&pushes(&sshd, &sshd.settings(&more)));
    // One that is not who it should be is not mistaken for the server.
    fs::write(&known, "").unwrap();
    let done = run(&["run", "--config", &sshd.settings(&more)]);
    assert_eq!(done.status.code(), Some(19));
    let said = text(&done.stderr);
    assert!(
        said.contains("what ssh goes through to the server failed") && said.contains("ProxyJump"),
        "{said}"
    );
}

#[test]
fn the_key_may_be_in_an_agent_alone() {
    let Some(sshd) = Sshd::start("the_key_may_be_in_an_agent_alone") else { return };
    let socket = sshd.at("agent");
    let mut agent =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    let added = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let mut add = Command::new("ssh-add");
        add.arg("-q").arg(sshd.at("key")).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null());
        add.status().unwrap().success()
    });
    fs::remove_file(sshd.at("key")).unwrap();
    let settings = |key: &str| sshd.settings(&format!("{SSH}{key}[server.ssh]\nagent = {socket:?}\n"));
    let by_none = pushes(&sshd, &settings(""));
    fs::remove_dir_all(sshd.at("state")).unwrap();
    let by_public = pushes(&sshd, &settings(&format!("key = {:?}\n", sshd.at("key.pub"))));
    agent.kill().unwrap();
    agent.wait().unwrap();
    let without = run(&["run", "--config", &settings("")]);
    assert!(added);
    assert_pushed(&by_none);
    assert_pushed(&by_public);
    assert_eq!(without.status.code(), Some(19), "control: {}", text(&without.stderr));
}

/// The child of `parent` that has become ssh.
fn ssh_of(parent: &Child) -> Option<u32> {
    let id = parent.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    let is_ssh =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "ssh\n");
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(is_ssh)
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match look() {
            Some(found) => return found,
            None => assert!(Instant::now() < end, "waited in vain"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ssh_has_no_power_and_ends_with_us() {
    let Some(sshd) = Sshd::start("ssh_has_no_power_and_ends_with_us") else { return };
    let config = sshd.written("ssh_config", "Host *\nProxyCommand sleep 60\n");
    let settings = sshd.settings(
        &format!("{SSH}{}[server.ssh]\nconfig = {config:?}\n", sshd.key_line())
            .replace("connect_seconds = 10", ""),
    );
    let mut client = Command::new(env!("CARGO_BIN_EXE_push-client"))
        .args(["run", "--config", &settings])
        .env("FIRN_SECRET", "of the caller")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ssh = until(|| ssh_of(&client));
    let proc = Path::new("/proc").join(ssh.to_string());
    let status = fs::read_to_string(proc.join("status")).unwrap();
    for line in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.contains(&format!("{line}:\t0000000000000000")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let environment = fs::read(proc.join("environ")).unwrap();
    assert!(!text(&environment).contains("FIRN_SECRET"));
    client.kill().unwrap();
    client.wait().unwrap();
    until(|| (!proc.exists()).then_some(()));
}

#[test]
fn ssh_reads_what_it_was_shown_and_writes_nothing() {
    let Some(sshd) = Sshd::start("ssh_reads_what_it_was_shown_and_writes_nothing") else { return };
    let folder = sshd.folder.path().display().to_string();
    sshd.written("secret", "of the host");
    sshd.written("shown", "for ssh");
    let probe = format!(
        "r=no; cat {folder}/secret >/dev/null 2>&1 && r=yes\ns=no; cat {folder}/shown >/dev/null 2>&1 && s=yes\n\
         w=no; (: >> {folder}/shown) 2>/dev/null && w=yes\nm=no; (: > {folder}/state/made) 2>/dev/null && m=yes\n\
         echo \"permission denied: secret=$r shown=$s changed=$w made=$m\" >&2\n"
    );
    let probe = sshd.written("probe", &probe);
    let control = Command::new("sh").arg(&probe).output().unwrap();
    assert!(text(&control.stderr).contains("secret=yes shown=yes changed=yes"), "{}", text(&control.stderr));
    let config = sshd.written("ssh_config", &format!("Host *\nProxyCommand sh {probe}\n"));
    let paths = format!("paths = [{probe:?}, {:?}]\n", sshd.at("shown"));
    let settings =
        sshd.settings(&format!("{SSH}{}[server.ssh]\nconfig = {config:?}\n{paths}", sshd.key_line()));
    let done = run(&["run", "--config", &settings]);
    let said = text(&done.stderr);
    assert!(said.contains("secret=no shown=yes changed=no made=no"), "{said}");
}

#[test]
fn settings_that_ssh_would_misread_are_refused() {
    let Some(sshd) = Sshd::start("settings_that_ssh_would_misread_are_refused") else { return };
    let config = sshd.written("ssh_config", "Host *\n");
    fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let good = sshd.settings(&format!("{SSH}{}", sshd.key_line()));
    let good = fs::read_to_string(good).unwrap();
    let nonsense = sshd.written("nonsense", "Host *\nColour blue\n");
    let cases = [
        (good.replace("127.0.0.1", "-oProxyCommand=id"), "`server.address` must be"),
        (good.replace("127.0.0.1", "me@127.0.0.1"), "`server.address` must be"),
        (good.replace("127.0.0.1", "ssh://127.0.0.1"), "`server.address` must be"),
        (good.replace("account = \"", "account = \"-"), "`server.account` must be"),
        (good.replace("/key\"", "/%d/key\""), "`server.key` must be"),
        (good.replace("/state\"", "/a state\""), "`state` must be"),
        (format!("{good}[server.ssh]\nconfig = {config:?}\n"), "others may change what ssh is told"),
        (format!("{good}[server.ssh]\nconfig = \"/nowhere\"\n"), "there is no such file"),
        (format!("{good}[server.ssh]\nconfig = {nonsense:?}\n"), "ssh does not take what it was told"),
        (format!("{good}[server.ssh]\noptions = []\n"), "unknown key `options`"),
        (good.replace("\"ssh\"", "\"rsh\""), "unknown variant"),
        (good.replace(SSH, "") + "[server.ssh]\n", "`server.ssh` is of use"),
        (good.replace(&sshd.key_line(), "").replace(SSH, ""), "`server.key` must be set"),
    ];
    for (settings, expected) in cases {
        let settings = sshd.written("push.toml", &settings);
        let done = run(&["run", "--config", &settings]);
        let said = text(&done.stderr);
        assert!(said.contains(expected), "{expected}: {said}");
        assert_eq!(done.status.code(), Some(2), "{expected}: {said}");
    }
}

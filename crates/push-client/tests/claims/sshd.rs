//! A real sshd of the user that runs the test. Whoever it lets in speaks to a server of the test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::Server;

pub(crate) struct Sshd {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    listener: TcpListener,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The name of the user that runs the test: the only one that such an sshd can let in.
pub(crate) fn user() -> String {
    let done = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

pub(crate) fn key(path: &Path) -> String {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path).status();
    assert!(made.unwrap().success());
    fs::read_to_string(path.with_extension("pub")).unwrap()
}

impl Sshd {
    /// Lets in `key`, made in its folder; none where there is no sshd.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::start_with(test, |folder| format!("ForceCommand /bin/bash {}/receiver\n", folder.display()))
    }

    /// With `more` at the end of its configuration.
    pub(crate) fn start_with(test: &str, more: impl Fn(&Path) -> String) -> Option<Self> {
        let Some(program) =
            ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|p| Path::new(p).exists())
        else {
            println!("SKIPPED: {test}: there is no sshd");
            return None;
        };
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        key(&at("host"));
        fs::write(at("authorized"), key(&at("key"))).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let behind = listener.local_addr().unwrap().port();
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{behind}\ncat <&0 >&3 &\nexec cat <&3\n");
        fs::write(at("receiver"), script).unwrap();
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let config = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {0}/host\nPidFile none\nUsePAM no\nStrictModes no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
                 AuthorizedKeysFile {0}/authorized\nPubkeyAcceptedAlgorithms ssh-ed25519\n{1}",
                folder.path().display(),
                more(folder.path()),
            );
            fs::write(at("sshd_config"), config).unwrap();
            let mut command = Command::new(program);
            command.arg("-D").arg("-E").arg(at("log")).arg("-f").arg(at("sshd_config"));
            let mut child = command.stdin(Stdio::null()).spawn().unwrap();
            let until = Instant::now() + Duration::from_secs(10);
            while Instant::now() < until && child.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Some(Self { folder, port, listener, child });
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("sshd does not start");
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn host_key(&self) -> String {
        fs::read_to_string(self.at("host.pub")).unwrap().split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Where those that it lets in come to.
    pub(crate) fn behind(&self) -> std::net::SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// One that it lets in.
    pub(crate) fn accept(&self) -> TcpStream {
        self.listener.accept().unwrap().0
    }

    /// Serves one session that it lets in.
    pub(crate) fn serve(&self, server: &mut Server) {
        server.serve(self.accept());
    }

    /// Settings for it, with one root; `more` goes to the end, in the table `[server]`.
    pub(crate) fn settings(&self, more: &str) -> String {
        fs::create_dir_all(self.at("data")).unwrap();
        fs::write(self.at("data/file"), "what is pushed").unwrap();
        // Which of them is taken where nothing is said depends on the machine.
        let transport = if more.contains("transport") { "" } else { "transport = \"ssh2\"\n" };
        let text = format!(
            "host = \"web01\"\nroots = [{:?}]\nstate = {:?}\nverdict_wait_seconds = 0\n[server]\naddress = \"127.0.0.1\"\n\
             port = {}\naccount = \"{}\"\nhost_key = \"{}\"\nconnect_seconds = 10\n{transport}{more}\n",
            self.at("data"),
            self.at("state"),
            self.port,
            user(),
            self.host_key(),
        );
        self.written("push.toml", &text)
    }

    /// A file of 0600; its path.
    pub(crate) fn written(&self, name: &str, text: &str) -> String {
        let path = self.at(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `key = ...` of the key that it lets in.
    pub(crate) fn key_line(&self) -> String {
        format!("key = {:?}\n", self.at("key"))
    }
}

//! moto's S3 server, which we did not write: a Python program in an environment of its own, on loopback, all in memory, without access control.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{At, Result, RigError};
use crate::machine::target_folder;
use crate::outcome::Outcome;

/// What docs/vaults.md says about it was measured with this one.
const VERSION: &str = "5.2.5";
/// Debian's: what else is called so in the path may have no `venv`.
const PYTHON: &str = "/usr/bin/python3";
/// How long it may take to come up.
const START: Duration = Duration::from_secs(60);

/// A running server. It ends, and all in it is gone, when it is dropped.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    /// On loopback.
    pub port: u16,
}

impl Moto {
    /// Makes the environment, if this target folder has none yet, and starts an empty server.
    ///
    /// # Errors
    /// If Python cannot make the environment, or the server does not come up.
    pub fn start() -> Result<Moto> {
        let environment = environment()?;
        // Another process may take the port before it is used: then the start fails, and says so.
        let held = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = held.at("find a port on", "127.0.0.1")?.port();
        let log = environment.join(format!("server-{port}.log"));
        let out = File::create(&log).at("create", &log)?;
        let err = out.try_clone().at("open", &log)?;
        let mut command = Command::new(environment.join("bin/moto_server"));
        command
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err);
        let child = command
            .spawn()
            .map_err(|source| RigError::Start { program: "moto_server".to_owned(), source })?;
        let mut moto = Moto { child, port };
        let until = Instant::now() + START;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = !matches!(moto.child.try_wait(), Ok(None));
            if ended || Instant::now() > until {
                let said = fs::read_to_string(&log).unwrap_or_default();
                return Err(RigError::State(format!("moto did not come up:\n{said}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = fs::remove_file(&log);
        Ok(moto)
    }

    /// `http://127.0.0.1:port`
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the environment, made once. A file in it says that it is whole.
fn environment() -> Result<PathBuf> {
    let folder = target_folder().join(format!("moto-{VERSION}"));
    let lock = target_folder().join("moto.lock");
    fs::create_dir_all(target_folder()).at("create", target_folder())?;
    let held = File::create(&lock).at("create", &lock)?;
    held.lock().at("lock", &lock)?;
    if !folder.join("whole").is_file() {
        make(&folder)?;
    }
    Ok(folder)
}

fn make(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).at("remove", folder)?;
    }
    Outcome::of(Command::new(PYTHON).args(["-m", "venv"]).arg(folder))?.expect_code(&[0])?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", &format!("moto[server]=={VERSION}")]);
    Outcome::of(&mut pip)?.expect_code(&[0])?;
    File::create(folder.join("whole")).at("create", folder.join("whole")).map(drop)
}

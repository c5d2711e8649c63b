//! Push files made of folders, by push-client, in a folder that nobody but its owner reaches.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cli::{Exit, Failed};
use durable::{Dir, Name, Stat};
use formats::HostId;

use crate::child;
use crate::trouble::Trouble;

const SETTINGS: Name<'static> = Name::literal("push.toml");
const PUSHED: Name<'static> = Name::literal("made.push");
/// No server is called; what is said of it has to be whole all the same.
const NO_SERVER: &str = "[server]\nkey = \"/nonexistent\"\naddress = \"localhost\"\nhost_key = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n";

/// Where push-client works for one host.
#[derive(Debug)]
pub(crate) struct Scratch {
    host: HostId,
    parent: Dir,
    dir: Dir,
    path: PathBuf,
    push_client: PathBuf,
}

/// Whether something was taken over before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Nothing was.
    First,
    /// It needs what push-client remembers of the first.
    Further,
}

/// What became a push file.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Root of the state it brings.
    pub(crate) root: String,
    /// What could not be read, as far as it is named.
    pub(crate) left_out: Vec<String>,
    /// How much.
    pub(crate) left_out_count: u64,
}

impl Scratch {
    /// Opens or makes the folder. An import that goes on needs what the first part of it remembered.
    pub(crate) fn open(
        top: &Path,
        host: &HostId,
        part: Part,
        push_client: Option<&Path>,
    ) -> Result<Self, Trouble> {
        let at = || Trouble::folder("opening the folder in which push-client works");
        let top = std::path::absolute(top).map_err(Trouble::stream("finding the scratch folder"))?;
        let path = top.join(host.as_str());
        if part == Part::Further && path.join("state").symlink_metadata().is_err() {
            return Err(Trouble::Usage {
                what: "the beginning of this import was made with another scratch folder".to_owned(),
                advice: Some("name that one with --scratch".to_owned()),
            });
        }
        if let (Some(above), Some(name)) = (top.parent(), top.file_name()) {
            let name = Name::new(name.as_bytes()).map_err(at())?;
            Dir::open_root(above).and_then(|above| above.make_dir_or_open(name, 0o700)).map_err(at())?;
        }
        let parent = Dir::open_root(&top).map_err(at())?;
        let name = Name::new(host.as_str().as_bytes()).map_err(at())?;
        let dir = parent.make_dir_or_open(name, 0o700).map_err(at())?;
        let facts = Stat::of(&dir).map_err(at())?;
        let shown = cli::shown(path.as_os_str().as_bytes());
        if facts.owner != rustix::process::geteuid().as_raw() || facts.mode & 0o077 != 0 {
            let what = format!("{shown} is not ours alone");
            return Err(Trouble::Usage {
                what,
                advice: Some("name another folder with --scratch".to_owned()),
            });
        }
        let push_client = match push_client {
            Some(path) => std::path::absolute(path),
            None => std::env::current_exe().map(|own| own.with_file_name("push-client")),
        };
        let push_client = push_client.map_err(Trouble::stream("finding push-client"))?;
        Ok(Self { host: host.clone(), parent, dir, path, push_client })
    }

    /// Writes the push file of the folder `files`, which is called `name`, against the state with this root.
    pub(crate) fn push(&self, files: &Path, name: &str, accepted: Option<&str>) -> Result<Pushed, Failed> {
        self.done()?;
        let text = self.settings(files)?;
        let written = self.dir.write_whole(SETTINGS, text.as_bytes(), 0o600);
        written.map_err(Trouble::folder("writing push-client's settings"))?;
        let mut command = Command::new(&self.push_client);
        command.arg("--config").arg(self.path.join("push.toml")).args(["--json", "run", "--to-file"]);
        command.arg(self.path.join("made.push"));
        if let Some(root) = accepted {
            command.args(["--accepted", root]);
        }
        let shown = cli::shown(self.push_client.as_os_str().as_bytes());
        let said = child::output(&mut command);
        let said = said.map_err(Trouble::stream(format!("running {shown} (package firn-client)")))?;
        let sealed = i32::from(Exit::PENDING.code());
        let report = said.text();
        let report = report.lines().last().and_then(|line| serde_json::from_str(line).ok());
        match report.as_ref().and_then(pushed) {
            Some(pushed) if said.status.code() == Some(sealed) => Ok(pushed),
            _ => {
                let what = format!(
                    "push-client could not read {name} ({}); nothing of it was taken over",
                    said.status
                );
                Err(Trouble::Machine { what }.into())
            }
        }
    }

    /// The push file, open.
    pub(crate) fn pushed(&self) -> Result<File, Trouble> {
        self.dir.open_read(PUSHED).map_err(Trouble::folder("opening the push file"))
    }

    /// The folder, as root knows it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder, held.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The push file is not needed any more.
    pub(crate) fn done(&self) -> Result<(), Trouble> {
        match self.dir.unlink(PUSHED) {
            Err(error) if !error.is_not_found() => Err(Trouble::folder("removing the push file")(error)),
            _ => Ok(()),
        }
    }

    /// All is taken over.
    pub(crate) fn remove(self) -> Result<(), Trouble> {
        let removed = Name::new(self.host.as_str().as_bytes()).and_then(|name| self.parent.remove_tree(name));
        removed.map_err(Trouble::folder("removing the scratch folder of the import"))
    }

    fn settings(&self, files: &Path) -> Result<String, Trouble> {
        let wrong = |path: &Path| Trouble::Usage {
            what: format!("{} cannot stand in a settings file", cli::shown(path.as_os_str().as_bytes())),
            advice: None,
        };
        let text = |path: &Path| {
            let text =
                path.to_str().filter(|text| !text.contains(['"', '\\']) && !text.contains(char::is_control));
            text.map(str::to_owned).ok_or_else(|| wrong(path))
        };
        Ok(format!(
            "host = \"{}\"\nstate = \"{}\"\nrehash_days = 0\none_file_system = true\n[[root]]\npath = \"/\"\nread_at = \"{}\"\n{NO_SERVER}",
            self.host,
            text(&self.path.join("state"))?,
            text(files)?,
        ))
    }
}

/// What the report of push-client says.
fn pushed(report: &serde_json::Value) -> Option<Pushed> {
    let root = report.pointer("/details/root")?.as_str()?.to_owned();
    let left_out = report.get("left_out").and_then(|list| list.as_array()).cloned().unwrap_or_default();
    let named = left_out.iter().filter_map(|entry| Some(entry.get("path")?.as_str()?.to_owned())).collect();
    let count = report.pointer("/counts/left_out").and_then(serde_json::Value::as_u64).unwrap_or(0);
    Some(Pushed { root, left_out: named, left_out_count: count.max(left_out.len() as u64) })
}

//! What lies where in each package.

use std::process::Command;

use pipeline_tests::Programs;
use pipeline_tests::machine::workspace;
use pipeline_tests::outcome::Outcome;

use super::manual;
use super::release::Release;
use super::tree::Tree;
use crate::trouble::{Result, Trouble};

/// One package.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    /// In /usr/bin, with pages and completions.
    pub(crate) programs: &'static [&'static str],
    pub(crate) items: &'static [Item],
}

/// One thing in it beside its programs.
#[derive(Debug)]
pub(crate) enum Item {
    /// A file of systemd/, by its name there and where it is installed.
    Unit(&'static str),
    /// A file of the sources and where it goes.
    File { from: &'static str, to: &'static str },
    /// An empty folder with its mode.
    Folder(&'static str, u32),
    /// The static receiver, which is copied into jails.
    Receiver,
    /// The static program that is copied into outboxes.
    Outbox,
    /// What snapshotter says a whole sshd_config must be.
    SshdConfig,
}

/// All of them.
pub(crate) const PACKAGES: &[Package] = &[
    Package {
        name: "firn-client",
        programs: &["push-client"],
        items: &[
            Item::Unit("firn-push.service"),
            Item::Unit("firn-push.timer"),
            Item::File {
                from: "packages/firn-client/push.toml.example",
                to: "usr/share/doc/firn-client/examples/push.toml.example",
            },
            Item::File {
                from: "systemd/firn-push-commands.conf",
                to: "usr/lib/firn/firn-push-commands.conf",
            },
            Item::Folder("etc/firn", 0o755),
            Item::Folder("var/lib/firn/push", 0o700),
        ],
    },
    Package {
        name: "firn-server",
        programs: &["snapshotter", "iceboxer"],
        items: &[
            Item::Receiver,
            Item::Outbox,
            Item::Unit("firn-sshd.service"),
            Item::Unit("firn-ingest.service"),
            Item::Unit("firn-prune.service"),
            Item::Unit("firn-prune.timer"),
            Item::Unit("firn-take.service"),
            Item::Unit("firn-take.timer"),
            Item::Unit("firn-verify.service"),
            Item::Unit("firn-verify.timer"),
            Item::Unit("firn-status.service"),
            Item::Unit("firn-status.timer"),
            Item::Unit("firn-grants.service"),
            Item::Unit("firn-grants.timer"),
            Item::Unit("firn-ice.service"),
            Item::Unit("firn-ice.timer"),
            Item::Unit("firn-rendezvous@.service"),
            Item::File { from: "systemd/firn-server.sysusers", to: "usr/lib/sysusers.d/firn-server.conf" },
            Item::File { from: "systemd/firn-server.tmpfiles", to: "usr/lib/tmpfiles.d/firn-server.conf" },
            Item::File { from: SERVER_SETTINGS, to: "etc/firn/server.toml" },
            Item::SshdConfig,
            Item::File {
                from: "packages/firn-server/ice.toml.example",
                to: "usr/share/doc/firn-server/examples/ice.toml.example",
            },
        ],
    },
    Package {
        name: "firn-drill",
        programs: &["restore-drill"],
        items: &[
            Item::File {
                from: "packages/firn-drill/drill.toml.example",
                to: "usr/share/doc/firn-drill/examples/drill.toml.example",
            },
            Item::Folder("etc/firn", 0o755),
            Item::Folder("var/lib/firn/drill/quarantine", 0o700),
            Item::Folder("var/lib/firn/drill/records", 0o700),
        ],
    },
];

const SERVER_SETTINGS: &str = "packages/firn-server/server.toml";

/// Lays all files of `package` but those of dpkg itself.
pub(crate) fn lay(package: &Package, programs: &Programs, release: &Release, tree: &mut Tree) -> Result<()> {
    for program in package.programs {
        let path = programs.path(program);
        tree.copy(&format!("usr/bin/{program}"), &path, 0o755)?;
        manual::lay(&path, tree)?;
    }
    for item in package.items {
        match item {
            Item::Unit(name) => {
                let source = workspace().join("systemd").join(name);
                tree.copy(&format!("usr/lib/systemd/system/{name}"), &source, 0o644)?;
            }
            Item::File { from, to } => tree.copy(to, &workspace().join(from), 0o644)?,
            Item::Folder(path, mode) => tree.folder(path, *mode)?,
            Item::Receiver => tree.copy("usr/lib/firn/receiver", programs.receiver(), 0o755)?,
            Item::Outbox => tree.copy("usr/lib/firn/outbox", &programs.outbox(), 0o755)?,
            Item::SshdConfig => {
                tree.file("etc/firn/sshd_config", sshd_config(programs)?.as_bytes(), 0o644)?
            }
        }
    }
    let doc = format!("usr/share/doc/{}", package.name);
    tree.copy(&format!("{doc}/copyright"), &workspace().join("packages/copyright"), 0o644)?;
    tree.file(&format!("{doc}/changelog"), changelog(release)?.as_bytes(), 0o644)?;
    tree.compress()
}

fn sshd_config(programs: &Programs) -> Result<String> {
    let settings = workspace().join(SERVER_SETTINGS);
    let mut command = Command::new(programs.path("snapshotter"));
    command.args(["host", "sshd-config", "--dedicated", "--config"]).arg(&settings);
    let text = Outcome::of(&mut command)?.expect_code(&[0])?.stdout;
    // It names what lies beside its settings, and those will lie elsewhere.
    let here = settings.parent().unwrap_or(&settings).to_string_lossy().into_owned();
    let text = text.replace(&here, "/etc/firn");
    for line in ["Include /etc/firn/sshd_config.d/*.conf", "HostKey /etc/firn/ssh_host_ed25519_key"] {
        if !text.lines().any(|found| found == line) {
            return Err(Trouble::new(format!("snapshotter host sshd-config --dedicated lacks {line}")));
        }
    }
    Ok(text)
}

/// The heads of what is new, in Debian's form.
fn changelog(release: &Release) -> Result<String> {
    let mut heads = Vec::new();
    for entry in std::fs::read_dir(workspace().join("changelog/unreleased"))? {
        let text = std::fs::read_to_string(entry?.path())?;
        heads.extend(text.lines().next().map(|head| format!("  * {head}\n")));
    }
    heads.sort_unstable();
    Ok(format!(
        "firn ({}) unstable; urgency=medium\n\n{}\n -- {}  {}\n",
        release.version,
        heads.concat(),
        super::control::MAINTAINER,
        release.date
    ))
}

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pipeline_tests::Outcome;
use tempfile::TempDir;

use super::{built, lacks_dpkg};
use crate::rig;

/// A folder that dpkg takes for a machine of its own. The scripts of packages run on this machine, and are told of the folder.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// None if dpkg cannot do that here; tells that `test` did not run.
    fn new(test: &str) -> Option<Machine> {
        let programs = ["systemd-sysusers", "systemd-tmpfiles", "ssh-keygen"];
        if lacks_dpkg(test) || !rig::is_root_or_skipped(test) || !rig::has_or_skipped(test, &programs) {
            return None;
        }
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        for folder in
            ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log", "etc/systemd/system/timers.target.wants"]
        {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        fs::write(machine.path("var/lib/dpkg/status"), "").unwrap();
        Some(machine)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn dpkg(&self, words: &[&str], file: Option<&Path>) -> Outcome {
        let mut command = Command::new("dpkg");
        command.arg("--root").arg(self.folder.path());
        // What it needs is on this machine, and not in the folder.
        command.args(["--force-script-chrootless", "--force-depends", "--force-confdef", "--force-confold"]);
        command.args(words).args(file).env("LC_ALL", "C");
        Outcome::of(&mut command).unwrap().expect_code(&[0]).unwrap()
    }

    fn install(&self, package: &str) {
        self.dpkg(&["--install"], Some(&built().file(package)));
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// Type, mode and owner by name, as the folder's own accounts have it.
    fn stands(&self, path: &str) -> String {
        let meta = fs::symlink_metadata(self.path(path)).unwrap();
        let name = |file: &str, number: u32| {
            let text = self.read(file);
            let found = text.lines().find(|line| line.split(':').nth(2) == Some(&number.to_string()));
            found.map_or("root".to_owned(), |line| line.split(':').next().unwrap().to_owned())
        };
        format!(
            "{:o} {}:{}",
            meta.mode() & 0o7777,
            name("etc/passwd", meta.uid()),
            name("etc/group", meta.gid())
        )
    }
}

/// What the package makes, on this very machine. Other accounts come and go with other tests.
fn accounts_here() -> Vec<String> {
    let own = |line: &&str| ["firn:", "firn-ice:", "firn-read:"].iter().any(|name| line.starts_with(name));
    let files = ["/etc/passwd", "/etc/group"].map(|file| fs::read_to_string(file).unwrap());
    files.iter().flat_map(|text| text.lines().filter(own)).map(str::to_owned).collect()
}

#[test]
fn installing_the_server_makes_its_accounts_folders_and_key_and_enables_nothing() {
    let Some(machine) = Machine::new("installing_the_server_makes_its_accounts_folders_and_key") else {
        return;
    };
    let before = accounts_here();
    machine.install("firn-server");
    assert_eq!(before, accounts_here(), "this machine's own");
    for (path, expected) in [
        ("etc/firn/keys", "755 root:root"),
        ("etc/firn/hosts", "755 root:root"),
        ("etc/firn/credentials", "700 root:root"),
        ("etc/firn/rendezvous", "700 root:root"),
        ("srv/firn/jails", "755 root:root"),
        ("srv/firn/history", "2750 firn:firn-read"),
        ("srv/firn/views", "2750 firn:firn-read"),
        ("srv/firn/signing", "755 firn:firn-read"),
        ("var/lib/firn/ice", "700 firn-ice:firn-ice"),
        ("var/lib/firn/ice-standing", "755 firn-ice:firn-ice"),
        ("etc/firn/ssh_host_ed25519_key", "600 root:root"),
    ] {
        assert_eq!(machine.stands(path), expected, "{path}");
    }
    let group = machine.read("etc/group");
    assert!(
        group.lines().any(|line| line.starts_with("firn-read:") && line.ends_with(":firn-ice")),
        "{group}"
    );
    for account in ["firn:", "firn-ice:"] {
        let passwd = machine.read("etc/passwd");
        let line = passwd.lines().find(|line| line.starts_with(account)).unwrap();
        assert!(line.ends_with("/nologin"), "{line}");
    }
    let enabled = fs::read_dir(machine.path("etc/systemd/system/timers.target.wants")).unwrap().count();
    assert_eq!(enabled, 0);
}

#[test]
fn an_upgrade_keeps_settings_that_were_changed_and_the_key_of_the_server() {
    let Some(machine) = Machine::new("an_upgrade_keeps_settings_that_were_changed") else { return };
    machine.install("firn-server");
    let key = machine.read("etc/firn/ssh_host_ed25519_key");
    let changed = machine.read("etc/firn/server.toml") + "hours = [3, 15]\n";
    fs::write(machine.path("etc/firn/server.toml"), &changed).unwrap();
    fs::set_permissions(
        machine.path("var/lib/firn/ice-standing"),
        std::os::unix::fs::PermissionsExt::from_mode(0o711),
    )
    .unwrap();
    // The same with a newer version and newer settings.
    let newer = machine.path("newer");
    let mut copy = Command::new("cp");
    Outcome::of(copy.arg("-a").arg(built().tree("firn-server")).arg(&newer))
        .unwrap()
        .expect_code(&[0])
        .unwrap();
    let control = fs::read_to_string(newer.join("DEBIAN/control")).unwrap();
    let version = control.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap();
    fs::write(newer.join("DEBIAN/control"), control.replace(version, "9.9.9")).unwrap();
    fs::write(newer.join("etc/firn/server.toml"), "# new\n").unwrap();
    fs::write(newer.join("etc/firn/sshd_config"), "# new\n").unwrap();
    let file = machine.path("newer.deb");
    let mut build = Command::new("dpkg-deb");
    build.args(["-Znone", "--root-owner-group", "--build"]).arg(&newer).arg(&file);
    Outcome::of(&mut build).unwrap().expect_code(&[0]).unwrap();
    machine.dpkg(&["--install"], Some(&file));
    assert!(machine.read("var/lib/dpkg/status").contains("Version: 9.9.9"));
    assert_eq!(machine.read("etc/firn/server.toml"), changed);
    assert_eq!(machine.read("etc/firn/server.toml.dpkg-dist"), "# new\n");
    // The positive control: what nobody changed is new.
    assert_eq!(machine.read("etc/firn/sshd_config"), "# new\n");
    assert!(!key.is_empty() && machine.read("etc/firn/ssh_host_ed25519_key") == key);
    assert_eq!(
        machine.stands("var/lib/firn/ice-standing"),
        "711 firn-ice:firn-ice",
        "as its administrator made it"
    );
}

#[test]
fn a_purge_removes_configuration_and_never_a_backup() {
    let Some(machine) = Machine::new("a_purge_removes_configuration_and_never_a_backup") else { return };
    let kept = [
        "srv/firn/jails/web01/spool/sealed/push",
        "srv/firn/history/web01/log",
        "var/lib/firn/ice/ledger/web01",
        "var/lib/firn/ice-standing/standing.json",
        "var/lib/firn/push/base",
        "var/lib/firn/drill/records/web01",
        "etc/firn/keys/firn-web01",
        "etc/firn/hosts/web01.toml",
        "etc/firn/credentials/aws",
        "etc/firn/ice.toml",
        "etc/firn/push.toml",
        "etc/firn/push_ed25519",
    ];
    let links =
        ["firn-push.timer", "firn-status.timer", "firn-ice.timer", "firn-prune.timer", "firn-verify.timer"];
    let all = ["firn-server", "firn-client", "firn-drill"];
    all.iter().for_each(|package| machine.install(package));
    kept.iter().for_each(|path| rig::file(&machine.path(path), b"kept"));
    let wants = machine.path("etc/systemd/system/timers.target.wants");
    for link in links {
        std::os::unix::fs::symlink(format!("/usr/lib/systemd/system/{link}"), wants.join(link)).unwrap();
    }
    machine.dpkg(&["--remove", "firn-server", "firn-client", "firn-drill"], None);
    assert!(!machine.path("usr/bin/snapshotter").exists());
    assert!(
        machine.path("etc/firn/sshd_config").exists()
            && machine.path("etc/firn/ssh_host_ed25519_key").exists()
    );
    assert_eq!(fs::read_dir(&wants).unwrap().count(), links.len(), "installed again, it goes on");
    machine.dpkg(&["--purge", "firn-server", "firn-client", "firn-drill"], None);
    for gone in [
        "etc/firn/server.toml",
        "etc/firn/sshd_config",
        "etc/firn/ssh_host_ed25519_key",
        "etc/firn/ssh_host_ed25519_key.pub",
    ] {
        assert!(!machine.path(gone).exists(), "{gone}");
    }
    assert_eq!(fs::read_dir(&wants).unwrap().count(), 0);
    for path in kept {
        assert_eq!(machine.read(path), "kept", "{path}");
    }
    assert!(machine.read("etc/passwd").contains("firn-ice:"), "accounts whose files stay, stay");
}

#[test]
fn no_script_enables_starts_or_reaches_for_backups() {
    if lacks_dpkg("no_script_enables_starts_or_reaches_for_backups") {
        return;
    }
    let mut seen = 0;
    for package in super::NAMES {
        for script in ["preinst", "postinst", "prerm", "postrm"] {
            let text = built().control(package, script);
            if text.is_empty() {
                continue;
            }
            seen += 1;
            for word in [" enable", "systemctl start", "rm -r", "/srv", "/var/lib", "userdel", "groupdel"] {
                assert!(!text.contains(word), "{package}: {script}: {word}");
            }
            let path = built().tree(package).join("DEBIAN").join(script);
            let said = Outcome::of(Command::new("sh").arg("-n").arg(&path)).unwrap();
            assert_eq!(said.code, 0, "{package}: {script}: {}", said.said());
        }
    }
    assert_eq!(seen, 6);
}

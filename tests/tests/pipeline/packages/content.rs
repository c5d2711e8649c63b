use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use pipeline_tests::Outcome;

use super::{NAMES, built, file_in, lacks_dpkg, package};
use crate::rig;
use crate::units::{unit, values};

/// What must be there, with its mode.
const EXPECTED: [(&str, &[(&str, &str)]); 3] = [
    (
        "firn-client",
        &[
            ("./usr/bin/push-client", "-rwxr-xr-x"),
            ("./usr/lib/systemd/system/firn-push.service", "-rw-r--r--"),
            ("./usr/lib/systemd/system/firn-push.timer", "-rw-r--r--"),
            ("./usr/share/man/man1/push-client-run.1.gz", "-rw-r--r--"),
            ("./usr/share/bash-completion/completions/push-client", "-rw-r--r--"),
            ("./usr/share/zsh/vendor-completions/_push-client", "-rw-r--r--"),
            ("./usr/share/fish/vendor_completions.d/push-client.fish", "-rw-r--r--"),
            ("./usr/share/doc/firn-client/examples/push.toml.example", "-rw-r--r--"),
            ("./usr/lib/firn/firn-push-commands.conf", "-rw-r--r--"),
            ("./var/lib/firn/push/", "drwx------"),
        ],
    ),
    (
        "firn-server",
        &[
            ("./usr/bin/snapshotter", "-rwxr-xr-x"),
            ("./usr/bin/iceboxer", "-rwxr-xr-x"),
            ("./usr/lib/firn/receiver", "-rwxr-xr-x"),
            ("./usr/lib/firn/outbox", "-rwxr-xr-x"),
            ("./usr/lib/systemd/system/firn-sshd.service", "-rw-r--r--"),
            ("./usr/lib/systemd/system/firn-ingest.service", "-rw-r--r--"),
            ("./usr/lib/systemd/system/firn-status.timer", "-rw-r--r--"),
            ("./usr/lib/systemd/system/firn-prune.timer", "-rw-r--r--"),
            ("./usr/lib/systemd/system/firn-take.timer", "-rw-r--r--"),
            ("./usr/lib/systemd/system/firn-verify.timer", "-rw-r--r--"),
            ("./usr/lib/systemd/system/firn-ice.timer", "-rw-r--r--"),
            ("./usr/lib/systemd/system/firn-rendezvous@.service", "-rw-r--r--"),
            ("./usr/lib/sysusers.d/firn-server.conf", "-rw-r--r--"),
            ("./usr/lib/tmpfiles.d/firn-server.conf", "-rw-r--r--"),
            ("./usr/share/man/man1/snapshotter-host-add.1.gz", "-rw-r--r--"),
            ("./usr/share/man/man1/iceboxer.1.gz", "-rw-r--r--"),
            ("./etc/firn/server.toml", "-rw-r--r--"),
            ("./etc/firn/sshd_config", "-rw-r--r--"),
        ],
    ),
    (
        "firn-drill",
        &[
            ("./usr/bin/restore-drill", "-rwxr-xr-x"),
            ("./usr/share/man/man1/restore-drill-verify.1.gz", "-rw-r--r--"),
            ("./var/lib/firn/drill/records/", "drwx------"),
        ],
    ),
];

fn dpkg_deb(words: &[&str], file: &Path) -> String {
    let mut command = Command::new("dpkg-deb");
    Outcome::of(command.args(words).arg(file)).unwrap().expect_code(&[0]).unwrap().stdout
}

/// Path and mode of all that a package holds.
fn listed(name: &str) -> BTreeMap<String, String> {
    let text = dpkg_deb(&["--contents"], &built().file(name));
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], "root/root", "{line}");
        found.insert(words[5].to_owned(), words[0].to_owned());
    }
    found
}

#[test]
fn packages_hold_what_they_should_owned_by_root() {
    if lacks_dpkg("packages_hold_what_they_should_owned_by_root") {
        return;
    }
    for (name, expected) in EXPECTED {
        let found = listed(name);
        for (path, mode) in expected {
            assert_eq!(found.get(*path).map(String::as_str), Some(*mode), "{name}: {path}");
        }
        for (path, mode) in &found {
            let usual = ["./usr/", "./etc/", "./var/lib/"]
                .iter()
                .any(|top| path.starts_with(top) || top.starts_with(path.as_str()));
            assert!(usual && !path.starts_with("./usr/local"), "{name}: {path}");
            assert!(!mode.contains(['s', 't']) && !mode[7..].contains('w'), "{name}: {path} {mode}");
        }
        for file in ["copyright", "changelog.gz"] {
            assert!(found.contains_key(&format!("./usr/share/doc/{name}/{file}")), "{name}: {file}");
        }
        // Nothing is enabled by being there.
        assert!(!found.keys().any(|path| path.contains(".wants/")), "{name}");
    }
    let conffiles = |name| built().control(name, "conffiles");
    assert_eq!(conffiles("firn-server"), "/etc/firn/server.toml\n/etc/firn/sshd_config\n");
    assert_eq!(conffiles("firn-client") + &conffiles("firn-drill"), "");
}

#[test]
fn built_twice_packages_have_the_same_bytes() {
    if lacks_dpkg("built_twice_packages_have_the_same_bytes") {
        return;
    }
    let again = tempfile::tempdir().unwrap();
    package(again.path());
    for name in NAMES {
        let (first, second) = (built().file(name), file_in(again.path(), name));
        assert_eq!(first.file_name(), second.file_name());
        assert!(fs::read(first).unwrap() == fs::read(second).unwrap(), "{name} differs");
    }
}

#[test]
fn a_package_says_what_it_needs_and_where_it_was_built() {
    if lacks_dpkg("a_package_says_what_it_needs_and_where_it_was_built") {
        return;
    }
    for (name, library) in
        [("firn-client", "libssl"), ("firn-server", "libnettle"), ("firn-drill", "libhogweed")]
    {
        let control = built().control(name, "control");
        let depends = values_of(&control, "Depends");
        assert!(depends.contains("libc6 (>= ") && depends.contains(library), "{name}: {depends}");
        assert!(control.contains("\n Built on "), "{control}");
        assert!(values_of(&control, "Version").contains('+'), "{control}");
        assert!(values_of(&control, "Installed-Size").parse::<u64>().unwrap() > 100, "{control}");
    }
    let server = built().control("firn-server", "control");
    for need in ["openssh-server", "passwd", "systemd (>= 252)"] {
        assert!(values_of(&server, "Depends").contains(need), "{need}");
    }
}

fn values_of<'a>(control: &'a str, key: &str) -> &'a str {
    control.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).unwrap()
}

/// Whether a program asks for a loader: the segment PT_INTERP of its ELF header.
fn asks_for_a_loader(program: &Path) -> bool {
    let bytes = fs::read(program).unwrap();
    assert_eq!(bytes[..5], *b"\x7fELF\x02");
    let number = |at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (first, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    assert!(count > 0);
    (0..count).any(|index| number(first + index * size, 4) == 3)
}

#[test]
fn the_receiver_runs_in_an_empty_chroot() {
    if lacks_dpkg("the_receiver_runs_in_an_empty_chroot") {
        return;
    }
    let server = built().tree("firn-server");
    assert!(!asks_for_a_loader(&server.join("usr/lib/firn/receiver")));
    // The positive control.
    assert!(asks_for_a_loader(&server.join("usr/bin/snapshotter")));
}

/// Of which each has a page, at least.
const SNAPSHOTTER_VERBS: &str = "host host-add host-list host-sshd-config hold ingest list show find diff restore prune release status verify";

#[test]
fn every_verb_has_a_page_and_every_page_that_is_named_is_there() {
    if lacks_dpkg("every_verb_has_a_page_and_every_page_that_is_named_is_there") {
        return;
    }
    let mut pages = Vec::new();
    for name in NAMES {
        let folder = built().tree(name).join("usr/share/man/man1");
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let page = Outcome::of(Command::new("gzip").args(["-dc"]).arg(&path))
                .unwrap()
                .expect_code(&[0])
                .unwrap();
            let file = path.file_name().unwrap().to_string_lossy().replace(".1.gz", "");
            assert!(page.stdout.contains(&format!(".TH {file} 1")), "{file}");
            pages.push((file, page.stdout));
        }
    }
    let is_there = |wanted: &str| pages.iter().any(|(page, _)| page == wanted);
    for (program, verbs) in [
        ("push-client", vec!["run", "check", "schedule", "status"]),
        ("snapshotter", SNAPSHOTTER_VERBS.split(' ').collect()),
        ("iceboxer", vec!["run", "status", "preflight", "prove-lock"]),
        ("restore-drill", vec!["list", "verify", "restore"]),
    ] {
        assert!(is_there(program), "{program}");
        verbs.iter().for_each(|verb| assert!(is_there(&format!("{program}-{verb}")), "{program} {verb}"));
    }
    for (page, text) in &pages {
        assert!(!page.contains("-help"), "{page}");
        for line in text.lines().filter_map(|line| line.strip_suffix("(1)")) {
            let named = line.replace("\\-", "-");
            assert!(is_there(&named), "{page} names {named}");
        }
    }
    let units = [
        "firn-push.service",
        "firn-push.timer",
        "firn-sshd.service",
        "firn-ingest.service",
        "firn-status.service",
        "firn-status.timer",
        "firn-prune.service",
        "firn-prune.timer",
        "firn-take.service",
        "firn-take.timer",
        "firn-verify.service",
        "firn-verify.timer",
        "firn-grants.service",
        "firn-grants.timer",
        "firn-ice.service",
        "firn-ice.timer",
        "firn-rendezvous@.service",
    ];
    for name in units {
        for named in values(&unit(name), "Documentation").iter().flat_map(|line| line.split(' ')) {
            let named = named.strip_prefix("man:").unwrap();
            // ssh's own comes with what firn-server depends on.
            if let Some(page) = named.strip_suffix("(1)").filter(|page| *page != "ssh") {
                assert!(is_there(page), "{name} names {named}");
            }
        }
    }
}

#[test]
fn what_the_units_start_is_in_the_package_that_brings_them() {
    if lacks_dpkg("what_the_units_start_is_in_the_package_that_brings_them") {
        return;
    }
    let mut seen = 0;
    for name in NAMES {
        let tree = built().tree(name);
        for path in listed(name).keys().filter(|path| path.ends_with(".service")) {
            let text = fs::read_to_string(tree.join(path)).unwrap();
            for line in values(&text, "ExecStart") {
                let program = line.split(' ').next().unwrap().trim_start_matches('/');
                let others = ["usr/sbin/sshd", "usr/bin/ssh"];
                assert!(tree.join(program).is_file() || others.contains(&program), "{path}: {program}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 10);
}

#[test]
fn the_examples_are_settings_that_the_programs_read() {
    if lacks_dpkg("the_examples_are_settings_that_the_programs_read") {
        return;
    }
    let programs = rig::programs();
    for (package, file, program, verb) in [
        ("firn-client", "usr/share/doc/firn-client/examples/push.toml.example", "push-client", "check"),
        ("firn-server", "usr/share/doc/firn-server/examples/ice.toml.example", "iceboxer", "status"),
        ("firn-drill", "usr/share/doc/firn-drill/examples/drill.toml.example", "restore-drill", "list"),
        ("firn-server", "etc/firn/server.toml", "snapshotter", "host sshd-config"),
    ] {
        let settings = built().tree(package).join(file);
        let ask = |settings: &Path| {
            let mut command = Command::new(programs.path(program));
            Outcome::of(command.args(verb.split(' ')).arg("--config").arg(settings)).unwrap()
        };
        let said = ask(&settings);
        // Keys and folders that it names are not on this machine; push-client says so after its settings.
        let read = said.code != 2 || said.stdout.contains("settings    good");
        assert!(read && said.code != 1, "{file}: {} {}", said.code, said.said());
        // The positive control.
        let folder = tempfile::tempdir().unwrap();
        let wrong = folder.path().join("settings.toml");
        fs::write(&wrong, format!("no_such_key = 1\n{}", fs::read_to_string(&settings).unwrap())).unwrap();
        let said = ask(&wrong);
        assert!(said.code == 2 && !said.stdout.contains("settings    good"), "{file}: {}", said.said());
    }
}

#[test]
fn the_sshd_configuration_of_the_package_is_one_that_sshd_takes() {
    let test = "the_sshd_configuration_of_the_package_is_one_that_sshd_takes";
    if lacks_dpkg(test)
        || !rig::is_root_or_skipped(test)
        || !rig::has_or_skipped(test, &["sshd", "ssh-keygen"])
    {
        return;
    }
    let text = fs::read_to_string(built().tree("firn-server").join("etc/firn/sshd_config")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let file = folder.path().join("sshd_config");
    fs::write(&file, text.replace("/etc/firn/ssh_host_ed25519_key", &key.to_string_lossy())).unwrap();
    fs::create_dir_all("/run/sshd").unwrap();
    let mut sshd = Command::new("/usr/sbin/sshd");
    let said = Outcome::of(sshd.args(["-T", "-C", "user=firn-web01,host=h,addr=10.0.0.1", "-f"]).arg(&file))
        .unwrap();
    assert_eq!(said.code, 0, "{}", said.said());
    for line in ["port 2222", "disableforwarding yes", "permittty no", "forcecommand receive"] {
        assert!(said.stdout.lines().any(|found| found.eq_ignore_ascii_case(line)), "{line}: {}", said.stdout);
    }
    assert!(text.contains("Include /etc/firn/sshd_config.d/*.conf"), "{text}");
}

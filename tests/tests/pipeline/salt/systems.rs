//! Names on systems that are not the image's. Their states are rendered whole and looked at; only Debian 12's are run.

use pipeline_tests::machine::workspace;

use super::deploy::World;

/// System, its grains, names that must stand in its states, and names that must not.
const SYSTEMS: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "Debian 12",
        "{os: Debian, os_family: Debian, osmajorrelease: 12}",
        &["libssl3", "libnettle8", "cron", "openssh-client"],
        &["libssl3t64", "cronie"],
    ),
    (
        "Debian 13",
        "{os: Debian, os_family: Debian, osmajorrelease: 13}",
        &["libssl3t64", "libnettle8t64", "cron", "openssh-client"],
        &["libssl3", "cronie"],
    ),
    (
        "Ubuntu 24.04",
        "{os: Ubuntu, os_family: Debian, osmajorrelease: 24}",
        &["libssl3t64", "libnettle8t64", "cron", "openssh-client"],
        &["libssl3", "cronie"],
    ),
    (
        "Rocky 9",
        "{os: Rocky, os_family: RedHat, osmajorrelease: 9}",
        &["openssl-libs", "nettle", "cronie", "crond", "openssh-clients"],
        &["libssl3", "openssh-client"],
    ),
];
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHYgd6V5/EB898lAR5g29aPAWqwY2caFuljddCAcG1F+";
/// Any machine but the master, which is no backup server.
const MACHINE: &str = "mail";

pub(super) fn names_are_those_of_each_system(world: &World) {
    let write = |name: &str, text: &str| {
        world.fleet.write(MACHINE, &format!("/run/map/{name}"), "0644", text).unwrap()
    };
    world.fleet.push_file(MACHINE, &workspace().join("salt"), "/run/map/salt").unwrap();
    let minute = crc32fast::hash(b"backup1") % 60;
    write("pillar/top.sls", "base: {'*': [all]}\n");
    write(
        "pillar/all.sls",
        &format!(
            "backup_minute: {minute}\nfirn:\n  packages: {{place: repository}}\n  server: {{minion: backup1, address: backup1, host_key: {KEY}}}\n  push: {{roots: [/etc]}}\n  drill: {{settings: {{quarantine: /q}}}}\n"
        ),
    );
    for (system, grains, there, absent) in SYSTEMS {
        write(
            "etc/minion",
            &format!(
                "id: backup1\nfile_client: local\nroot_dir: /run/map/root\nfile_roots: {{base: [/run/map/salt]}}\npillar_roots: {{base: [/run/map/pillar]}}\ngrains: {grains}\n"
            ),
        );
        let call = "salt-call -c /run/map/etc --log-level=quiet --out=json";
        let line = format!(
            "{call} saltutil.sync_all >/dev/null; for role in push-client backup-server drill-host; do {call} state.show_sls firn.$role || exit 1; done"
        );
        let said = world.said(MACHINE, &line);
        let has = |name: &&&str| said.contains(&format!("\"{name}\""));
        let lacking: Vec<_> = there.iter().filter(|name| !has(name)).collect();
        let wrong: Vec<_> = absent.iter().filter(has).collect();
        assert!(lacking.is_empty() && wrong.is_empty(), "{system} lacks {lacking:?}, has {wrong:?}\n{said}");
        println!("{system}: states rendered{}", if *system == "Debian 12" { "" } else { ", not run" });
    }
    world.said(MACHINE, "rm -rf /run/map");
}

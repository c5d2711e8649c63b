//! What a Salt master serves, as salt/README.md says it: the formula, the packages, the pillar, its own settings.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pipeline_tests::machine::workspace;
use pipeline_tests::{Fleet, Outcome};
use tempfile::TempDir;

use crate::packages::built;
use crate::rig;

/// The Salt master, which is no backup server.
pub(crate) const MASTER: &str = "master";
/// How long minions may take to find their master.
const ANSWER: Duration = Duration::from_secs(180);

/// The folder that the master sees as `/srv`, with `files` of a test's own in it.
pub(crate) fn srv(files: &[(&str, String)]) -> TempDir {
    let srv = tempfile::tempdir().unwrap();
    copy(&workspace().join("salt"), &srv.path().join("salt"));
    copy(&built().folder(), &srv.path().join("salt/firn/packages"));
    rig::file(&srv.path().join("salt/top.sls"), b"base:\n  '*': [firn]\n");
    serve(srv.path(), files);
    srv
}

/// Writes files for the master. The folder of a test is its maker's alone; in the machine it is the master's.
pub(crate) fn serve(srv: &Path, files: &[(&str, String)]) {
    for (name, text) in files {
        rig::file(&srv.join(name), text.as_bytes());
    }
    let mut open = Command::new("chmod");
    Outcome::of(open.args(["-R", "a+rX"]).arg(srv)).unwrap().expect_code(&[0]).unwrap();
}

/// The master's settings: `pillars` are external ones beside the minute of each host.
pub(crate) fn master(pillars: &str) -> String {
    format!(
        "extension_modules: /srv/salt\next_pillar:\n  - backup_minute: {{}}\n{pillars}auto_accept: True\n"
    )
}

/// Waits until all these minions answer the master.
pub(crate) fn minions_answer(fleet: &Fleet, minions: &[&str]) {
    let line = format!("salt --out=txt -L '{}' test.ping", minions.join(","));
    let until = Instant::now() + ANSWER;
    loop {
        let said = fleet.sh(MASTER, &line).unwrap().stdout;
        if said.matches("True").count() == minions.len() {
            return;
        }
        assert!(Instant::now() < until, "not every minion answers: {said}");
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn copy(from: &Path, to: &Path) {
    Outcome::of(Command::new("cp").arg("-r").args([from, to])).unwrap().expect_code(&[0]).unwrap();
}

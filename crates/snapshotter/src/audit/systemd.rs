//! What systemd says about units.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::command::run;

const SECONDS_MAX: u64 = 10;

/// True where systemd runs the machine.
pub(super) fn is_here() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// These properties of a unit; none where systemd does not answer.
pub(super) fn show(unit: &str, properties: &[&str]) -> Option<BTreeMap<String, String>> {
    if !is_here() {
        return None;
    }
    let mut command = Command::new("systemctl");
    command.args(["show", "--no-pager", &format!("--property={}", properties.join(",")), "--", unit]);
    let ran = run(&mut command, SECONDS_MAX).ok().filter(|ran| ran.code == Some(0))?;
    Some(parse(&String::from_utf8_lossy(&ran.out)))
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn properties_are_read_as_systemctl_writes_them() {
        let told = parse(
            "ActiveState=active\nExecMainStatus=0\nNextElapseUSecRealtime=Sat 2026-11-21 18:40:00 UTC\nA=b=c\n\n",
        );
        assert_eq!(told.get("ActiveState").map(String::as_str), Some("active"));
        assert_eq!(told.get("A").map(String::as_str), Some("b=c"));
        assert_eq!(told.len(), 4);
    }
}

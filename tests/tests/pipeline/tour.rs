//! The tour of the README, line by line, on a machine of its own: a namespace in which `/etc` is a copy, `/opt`, `/root`, `/srv` and
//! `/var/lib` are written elsewhere, and every process ends with the test.

use std::fs;
use std::path::Path;
use std::process::Command;

use pipeline_tests::Outcome;
use pipeline_tests::machine::workspace;

use crate::rig;

/// Makes the namespace a machine, whose loopback nobody else has ports of. The workspace stays where it is, also below `/srv`. Account numbers come
/// from a range that no other test uses: the rig ends processes by them.
const STAGE: &str = r#"
set -eu
ip link set lo up
stage=$1
mount -t tmpfs tmpfs "$stage"
for folder in /opt /root /var/lib; do
    name=$(echo "$folder" | tr / _)
    mkdir -p "$stage/$name.up" "$stage/$name.work"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$stage/$name.up,workdir=$stage/$name.work" "$folder"
done
mkdir "$stage/srv" "$stage/etc" "$stage/workspace"
workspace=$(pwd -P)
mount --bind "$workspace" "$stage/workspace"
mount --bind "$stage/srv" /srv
case $workspace in /srv/*)
    mkdir -p "$workspace"
    mount --bind "$stage/workspace" "$workspace"
    cd "$workspace"
esac
cp -a /etc/. "$stage/etc"
mount --bind "$stage/etc" /etc
sed -i '/^SYS_[UG]ID_M/d' /etc/login.defs
printf 'SYS_UID_MIN 59000\nSYS_UID_MAX 59099\nSYS_GID_MIN 59000\nSYS_GID_MAX 59099\n' >> /etc/login.defs
"#;

/// The blocks marked `sh`, in order.
fn blocks(text: &str) -> Vec<&str> {
    let parts = text.split("\n```sh\n").skip(1);
    parts.map(|part| part.split("\n```").next().unwrap()).collect()
}

fn run(folder: &Path, script: &str) -> Outcome {
    fs::write(folder.join("script"), format!("{STAGE}\n{script}\n")).unwrap();
    fs::create_dir_all(folder.join("stage")).unwrap();
    let mut command = Command::new("unshare");
    command.arg("--net").arg(rig::unshared().get_program()).args(rig::unshared().get_args());
    command.arg(folder.join("script")).arg(folder.join("stage")).current_dir(workspace());
    if let Some(cargo) = std::env::var_os("CARGO") {
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", Path::new(&cargo).parent().unwrap().display()));
    }
    Outcome::of(&mut command).unwrap()
}

#[test]
fn the_tour_and_the_disaster_card_of_the_readme_do_what_they_say() {
    let test = "the_tour_and_the_disaster_card_of_the_readme_do_what_they_say";
    if !rig::is_root_or_skipped(test) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    if run(folder.path(), "true").code != 0 {
        rig::skipped(test, "there are no namespaces and overlays here");
        return;
    }
    // The control: a line that does not do what it says ends the tour.
    assert_ne!(run(folder.path(), "diff -r /etc /opt > /dev/null").code, 0);
    rig::programs();
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 7, "{} blocks", blocks.len());
    let tour = blocks.join("\n").replace("--to /opt/firn", "--to /opt/firn --dev");
    let outcome = run(folder.path(), &format!("set -x\n{tour}\necho The tour has ended well"));
    assert_eq!(outcome.code, 0, "{}", outcome.said());
    assert!(outcome.stdout.ends_with("The tour has ended well\n"), "{}", outcome.said());
}

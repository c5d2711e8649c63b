//! What the demo says before it begins and after it held.

use std::path::Path;

use pipeline_tests::Power;

/// What is about to run, and how it differs from a real server.
pub(crate) fn what_runs(power: Power) -> &'static str {
    match power {
        Power::Root => {
            "\nA scratch server starts: its own sshd on a loopback port, an account and a chroot for each host. All of it goes at the end.\n"
        }
        Power::User => {
            "\nYou are not root, so the scratch server differs from a real one:\n\
             - sshd runs as you, and both hosts share your account; a forced command takes the place of their own login shells\n\
             - Landlock keeps each receiver in its jail, without the chroot around it\n\
             - files you may not read are not backed up, and owners are all you\n"
        }
    }
}

/// What has been shown, and what to try next.
pub(crate) fn what_held(power: Power, kept: Option<&Path>) -> String {
    let mut text = "Everything held: what was pushed came back from the encrypted ice byte for byte, with Firn and without it.\n".to_owned();
    if power == Power::User {
        text.push_str("Run as root, it also shows accounts of their own, chroots and true owners.\n");
    }
    text.push_str("\nTry next:\n");
    match kept {
        Some(folder) => {
            let folder = folder.display();
            text.push_str(&format!(
                "  {folder}/bin/restore-drill --config {folder}/etc/drill.toml list\n\
                 \x20 {folder}/bin/restore-drill --config {folder}/etc/drill.toml restore web01/latest --to /tmp/web01\n\
                 \x20 ls {folder}/history/web01/*/tree\n\
                 The folder holds copies of what was backed up. When you have seen it: rm -rf {folder}\n"
            ));
        }
        None => text.push_str(
            "  cargo xtask demo --path FOLDER      the same with a folder of yours, which is copied first\n\
             \x20 cargo xtask demo --keep             leaves the server's folder to look around in\n\
             \x20 the tour in README.md               a server and a host of your own\n",
        ),
    }
    text
}

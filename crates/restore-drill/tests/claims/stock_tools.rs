//! Images that stock tools make, and tools that read what is kept.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::disk::{rsync_changes, walk};
use super::ices::{Machine, ice_of, seal, snapshots};
use super::images;
use super::keys::key;
use super::tree::{noise, small};

/// An image of mksquashfs, with the links and shared blocks that our own writer does not make.
#[test]
fn an_image_of_mksquashfs_is_proved_and_restored() {
    let machine = Machine::new();
    let source = machine.path("source");
    fs::create_dir_all(source.join("top/folder")).unwrap();
    fs::write(source.join("top/file"), noise(500_001)).unwrap();
    fs::write(source.join("top/same"), noise(500_001)).unwrap();
    fs::write(source.join("top/folder/small"), "small").unwrap();
    fs::hard_link(source.join("top/file"), source.join("top/folder/linked")).unwrap();
    std::os::unix::fs::symlink("file", source.join("top/link")).unwrap();
    let tree = walk(&source);
    let snapshots = snapshots(std::slice::from_ref(&tree));
    let stage = machine.path("stage");
    fs::create_dir_all(stage.join("manifests")).unwrap();
    fs::create_dir_all(stage.join("snapshots")).unwrap();
    fs::write(stage.join(format!("manifests/{}.manifest", images::name(1))), tree.manifest().0).unwrap();
    let copied =
        Command::new("cp").arg("-a").arg(&source).arg(stage.join("snapshots").join(images::name(1))).status();
    assert!(copied.unwrap().success());
    let image = machine.path("image");
    let made = Command::new("mksquashfs")
        .arg(&stage)
        .arg(&image)
        .args(["-comp", "zstd", "-noappend", "-quiet", "-no-progress", "-no-xattrs"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    machine.lay(&seal(&snapshots, &fs::read(&image).unwrap(), 100_000, key()));
    machine.verify().ends_with(0);
    machine.restore().ends_with(0);
    assert_eq!(rsync_changes(&source.join("top"), &machine.out().join("top")), "");
}

#[test]
fn a_kept_image_is_the_one_that_stock_tools_open() {
    let tree = small();
    let machine = Machine::with(&ice_of(&tree));
    let kept = machine.path("kept.squashfs");
    let arguments = ["verify", "web01/latest", "--keep-image", kept.to_str().unwrap()];
    machine.open(&arguments).ends_with(0);
    assert_eq!(fs::read(&kept).unwrap(), images::write(&images::names(&snapshots(&[tree]))));
    let unpacked = machine.path("unpacked");
    let unsquashed =
        Command::new("unsquashfs").args(["-n", "-d"]).arg(&unpacked).arg(&kept).output().unwrap();
    assert!(unsquashed.status.success(), "{}", String::from_utf8_lossy(&unsquashed.stderr));
    let hosts = unpacked.join("snapshots").join(images::name(1)).join("etc/hosts");
    assert_eq!(fs::read(hosts).unwrap(), b"127.0.0.1 localhost\n");
    machine.assert_nothing_left();
    // Never over something that is there.
    machine.open(&arguments).ends_with(2).because("failed to keep the image");
}

#[test]
fn an_image_that_is_not_whole_is_not_kept() {
    let mut ice = ice_of(&small());
    ice.segments[1][5_000] ^= 1;
    let machine = Machine::with(&ice);
    let kept = machine.path("kept.squashfs");
    machine.open(&["verify", "web01/latest", "--keep-image", kept.to_str().unwrap()]).ends_with(42);
    assert!(!kept.exists());
}

/// The line of the README that begins so, without its indent.
fn line_of_the_readme(begins: &str) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    readme.lines().map(str::trim_start).find(|line| line.starts_with(begins)).unwrap().to_owned()
}

fn shell(folder: &Path, script: &str) -> String {
    let output = Command::new("sh").args(["-euc", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_disaster_card_takes_the_newest_ice_that_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    for (name, is_whole) in [
        // A clock was ahead once; an upload was cut short; one snapshot was sealed many times.
        ("20270101T000000Z-0000000007", true),
        ("20260102T030405Z-0000000008", true),
        ("20260102T030405Z-0000000008.2", true),
        ("20260102T030405Z-0000000008.10", true),
        ("20260103T030405Z-0000000009", false),
    ] {
        fs::create_dir(folder.path().join(name)).unwrap();
        if is_whole {
            fs::write(folder.path().join(name).join("ice.json"), "{}\n").unwrap();
        }
    }
    let line = line_of_the_readme("newest=").replace("/srv/vault/objects/ice/web01", ".");
    let newest = shell(folder.path(), &format!("{line}; echo $newest"));
    assert_eq!(newest, "20260102T030405Z-0000000008.10\n");
}

#[test]
fn the_disaster_card_reads_names_and_versions_from_a_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    let mut ice = ice_of(&small());
    let mut expected = String::new();
    for (number, segment) in ice.record["segments"].as_array_mut().unwrap().iter_mut().enumerate() {
        segment["version"] = format!("3sL4kq.{number}").into();
        expected.push_str(&format!("{} 3sL4kq.{number}\n", segment["object"].as_str().unwrap()));
    }
    // The bytes are those of the record as the program writes it, in the order of its fields.
    let record: formats::records::ice::IceRecord = serde_json::from_value(ice.record).unwrap();
    let line = formats::records::Record::to_line(&record).unwrap();
    fs::write(folder.path().join("catalogue"), line).unwrap();
    shell(folder.path(), &line_of_the_readme("grep -o '\"object\":\"[^\"]*\",\"version\""));
    assert_eq!(fs::read_to_string(folder.path().join("list")).unwrap(), expected);
}

//! A source with a file of every kind that comes back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FileType;

use super::disk::{bytes, device, fifo, is_root, set_attribute, touch};
use super::ices::Machine;
use super::tree::noise;

/// Real files of every kind that comes back, each with something odd about it.
pub(crate) fn source(machine: &Machine) -> PathBuf {
    let root = machine.path("source");
    let top = root.join("top");
    fs::create_dir_all(top.join("deep/er/est")).unwrap();
    fs::write(top.join("text"), "hello\n").unwrap();
    fs::write(top.join("empty"), "").unwrap();
    fs::write(top.join("large"), noise(3_000_000)).unwrap();
    fs::write(top.join("deep/er/est/leaf"), "leaf").unwrap();
    let sparse = fs::File::create(top.join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"end", 40_000_000).unwrap();
    fs::hard_link(top.join("text"), top.join("deep/second name")).unwrap();
    fs::hard_link(top.join("text"), top.join("a first")).unwrap();
    for odd in [
        &b"new\nline"[..],
        b"\xff\xfe",
        "Gr\u{fc}\u{df}e".as_bytes(),
        b"-n",
        b" ",
        b"*",
        b"...",
        b"\\x41",
        &[b'n'; 255],
    ] {
        fs::write(top.join(bytes(odd)), odd).unwrap();
    }
    symlink("text", top.join("link")).unwrap();
    symlink("/nonexistent/\n", top.join("dangling")).unwrap();
    symlink("t".repeat(1_000), top.join("long link")).unwrap();
    symlink("deep", top.join("link to a folder")).unwrap();
    fifo(&top.join("fifo"));
    for (name, mode) in [("secret", 0o000), ("sticky", 0o1777), ("setid", 0o6755), ("read only", 0o444)] {
        fs::write(top.join(name), name).unwrap();
        fs::set_permissions(top.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(top.join("closed")).unwrap();
    fs::write(top.join("closed/in"), "in").unwrap();
    set_attribute(&top.join("read only"), "user.note", b"kept although read only");
    set_attribute(&top.join("deep"), "user.folder", b"\0\xff");
    let acl = Command::new("setfacl").args(["-m", "u:12345:rw,g:54321:r"]).arg(top.join("large")).status();
    assert!(acl.unwrap().success());
    let acl = Command::new("setfacl").args(["-d", "-m", "u:12345:rwx"]).arg(top.join("deep")).status();
    assert!(acl.unwrap().success());
    touch(&top.join("empty"), -300_000_000, 5);
    touch(&top.join("link"), 1_234_567_890, 987_654_321);
    touch(&top.join("dangling"), -1, 999_999_999);
    touch(&top.join("large"), 4_400_000_000, 1);
    if is_root() {
        of_root(&top);
    }
    fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o500)).unwrap();
    for folder in ["closed", "deep/er/est", "deep/er", "deep", ""] {
        touch(&top.join(folder), 1_000_000_000, 42);
    }
    root
}

fn of_root(top: &Path) {
    device(&top.join("null"), FileType::CharacterDevice, 1, 3);
    device(&top.join("disk"), FileType::BlockDevice, 259, 70_000);
    chown(top.join("setid"), Some(12_345), Some(54_321)).unwrap();
    // A change of owner clears them.
    fs::set_permissions(top.join("setid"), fs::Permissions::from_mode(0o6755)).unwrap();
    chown(top.join("closed"), Some(4_294_967_294), Some(1)).unwrap();
    std::os::unix::fs::lchown(top.join("link"), Some(7), Some(8)).unwrap();
    fs::write(top.join("capable"), "x").unwrap();
    chown(top.join("capable"), Some(7), Some(8)).unwrap();
    set_attribute(&top.join("capable"), "security.capability", &capability());
    set_attribute(&top.join("fifo"), "trusted.fifo", b"1");
    set_attribute(&top.join("dangling"), "trusted.link", b"2");
}

/// `cap_net_bind_service=ep`, as the kernel stores it (revision 2).
fn capability() -> Vec<u8> {
    [0x0200_0001u32, 1 << 10, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect()
}

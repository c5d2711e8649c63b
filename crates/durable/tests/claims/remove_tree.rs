use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;

use durable::{Dir, FileKind, Name};

use crate::again::{again, folder};
use crate::scratch::{is_root, mount_tmpfs, name, scratch};

/// `nobody` on every Linux.
const NOBODY: u32 = 65_534;

#[test]
fn a_tree_goes_and_what_its_links_name_stays() {
    let s = scratch();
    fs::create_dir_all(s.at("tree/sub/empty")).unwrap();
    fs::create_dir(s.at("victim")).unwrap();
    fs::write(s.at("victim/file"), "precious").unwrap();
    symlink(s.at("victim"), s.at("tree/to-folder")).unwrap();
    symlink(s.at("victim/file"), s.at("tree/sub/to-file")).unwrap();
    symlink("..", s.at("tree/sub/up")).unwrap();
    fs::hard_link(s.at("victim/file"), s.at("tree/sub/hard")).unwrap();
    assert!(s.at("tree/to-folder/file").exists(), "control: whoever follows the link reaches the victim");

    s.dir.remove_tree(name("tree")).unwrap();
    assert!(!s.at("tree").exists());
    assert_eq!(fs::read(s.at("victim/file")).unwrap(), b"precious");
    assert_eq!(s.dir.names().unwrap(), [b"victim"]);
}

#[test]
fn each_name_below_a_tree_is_shown_before_it_goes_and_a_folder_when_it_is_empty() {
    let s = scratch();
    fs::create_dir_all(s.at("tree/sub/empty")).unwrap();
    fs::write(s.at("tree/sub/file"), "x").unwrap();
    let mut shown = Vec::new();
    let seen = s.dir.remove_tree_seen(name("tree"), &mut |folder, name, inode| {
        let stat = folder.stat(name)?;
        assert_eq!(inode, (stat.kind == FileKind::File).then_some(stat.inode));
        shown.push(String::from_utf8(name.as_bytes().to_vec()).unwrap());
        Ok(())
    });
    seen.unwrap();
    assert_eq!(shown.pop().as_deref(), Some("sub"));
    shown.sort();
    assert_eq!(shown, ["empty", "file"]);
    assert!(!s.at("tree").exists());
}

#[test]
fn a_link_or_a_file_given_as_the_tree_is_removed_itself() {
    let s = scratch();
    fs::create_dir(s.at("victim")).unwrap();
    fs::write(s.at("victim/file"), "x").unwrap();
    symlink("victim", s.at("link")).unwrap();
    s.dir.remove_tree(name("link")).unwrap();
    assert_eq!(s.dir.names().unwrap(), [b"victim"]);
    assert!(s.at("victim/file").exists());
    s.dir.open_dir(name("victim")).unwrap().remove_tree(name("file")).unwrap();
    assert!(s.dir.remove_tree(name("none")).unwrap_err().is_not_found());
}

#[test]
fn a_tree_deeper_than_descriptors_or_stack_goes() {
    let s = scratch();
    let mut here = s.dir.make_dir(name("tree"), 0o700).unwrap();
    for level in 0..5_000 {
        if level % 100 == 0 {
            here.create_new(name("file"), 0o600).unwrap();
            here.make_dir(name("side"), 0o700).unwrap().create_new(name("file"), 0o600).unwrap();
        }
        here = here.make_dir(name("a-folder-with-a-long-name"), 0o700).unwrap();
    }
    drop(here);
    s.dir.remove_tree(name("tree")).unwrap();
    assert!(s.dir.names().unwrap().is_empty());
}

#[test]
fn a_tree_that_holds_the_names_under_which_its_folders_are_moved_up_goes() {
    let s = scratch();
    let tree = s.dir.make_dir(name("tree"), 0o700).unwrap();
    // Whoever made the tree may have guessed the process id; the counter starts at 0.
    for count in 0..1_000 {
        let taken = format!(".unfinished-{}-{count}", std::process::id());
        tree.create_new(Name::new(taken.as_bytes()).unwrap(), 0o600).unwrap();
    }
    for count in 0..50 {
        let mut here = tree.make_dir(Name::new(format!("{count}").as_bytes()).unwrap(), 0o700).unwrap();
        for _ in 0..40 {
            here = here.make_dir(name("deeper"), 0o700).unwrap();
        }
    }
    s.dir.remove_tree(name("tree")).unwrap();
    assert!(s.dir.names().unwrap().is_empty());
}

#[test]
fn a_folder_with_more_names_than_one_reading_goes() {
    let s = scratch();
    let tree = s.dir.make_dir(name("tree"), 0o700).unwrap();
    for count in 0..5_000 {
        let child = format!("{count}");
        if count % 10 == 0 {
            tree.make_dir(Name::new(child.as_bytes()).unwrap(), 0o700).unwrap();
        } else {
            tree.create_new(Name::new(child.as_bytes()).unwrap(), 0o600).unwrap();
        }
    }
    s.dir.remove_tree(name("tree")).unwrap();
    assert!(s.dir.names().unwrap().is_empty());
}

#[test]
fn folders_closed_to_their_owner_go_too() {
    const TEST: &str = "remove_tree::folders_closed_to_their_owner_go_too";
    if let Some(folder) = folder() {
        assert!(fs::read_dir(folder.join("tree/none")).is_err(), "control: closed to this user");
        assert!(fs::remove_file(folder.join("tree/read/file")).is_err(), "control: not removable as it is");
        Dir::open_root(&folder).unwrap().remove_tree(name("tree")).unwrap();
        return;
    }
    // Root passes every permission, so the work is done as nobody, in a folder which nobody can reach.
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    for (sub, _) in MODES {
        fs::create_dir_all(root.join("tree").join(sub)).unwrap();
        fs::write(root.join("tree").join(sub).join("file"), "x").unwrap();
        fs::create_dir(root.join("tree").join(sub).join("inner")).unwrap();
    }
    let mut child = again::<&str>(&[], TEST, root);
    if is_root() {
        let everything =
            ["tree/none/inner", "tree/none/file", "tree/read/inner", "tree/read/file", "tree/search/inner"];
        let more = ["tree/search/file", "tree/none", "tree/read", "tree/search", "tree", "."];
        for path in everything.iter().chain(&more) {
            chown(root.join(path), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        child.uid(NOBODY).gid(NOBODY);
    }
    for (sub, mode) in MODES {
        fs::set_permissions(root.join("tree").join(sub), fs::Permissions::from_mode(mode)).unwrap();
    }
    let done = child.output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(!root.join("tree").exists());
}

const MODES: [(&str, u32); 3] = [("none", 0), ("read", 0o400), ("search", 0o100)];

#[test]
fn a_mount_beneath_a_tree_is_left_alone() {
    let s = scratch();
    fs::create_dir_all(s.at("tree/mount")).unwrap();
    let Some(_mounted) = mount_tmpfs(&s.at("tree/mount"), 65_536) else {
        println!("SKIPPED: a_mount_beneath_a_tree_is_left_alone: mounting is not allowed here");
        return;
    };
    fs::write(s.at("tree/mount/file"), "precious").unwrap();
    assert!(s.dir.remove_tree(name("tree")).unwrap_err().is_escape());
    assert_eq!(fs::read(s.at("tree/mount/file")).unwrap(), b"precious");
    // Without the guard: the standard library walks in and empties it.
    assert!(fs::remove_dir_all(s.at("tree")).is_err());
    assert!(!s.at("tree/mount/file").exists());
}

//! Somebody else changes the folder while it is restored into.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use cli::Task;
use formats::{ContentHash, Kind};
use restore::{Ground, Place, Powers, Selection};

use crate::tree::{Tree, is_root, run, skipped};

/// Things outside of the folder, which must stay as they are.
struct Outside {
    folder: PathBuf,
    file: PathBuf,
}

type Facts = (u32, u32, u32, i64, i64, u64);

fn facts(path: &Path) -> Facts {
    let stat = fs::symlink_metadata(path).unwrap();
    (stat.mode(), stat.uid(), stat.gid(), stat.mtime(), stat.mtime_nsec(), stat.ino())
}

impl Outside {
    fn new(scratch: &Path) -> Self {
        let folder = scratch.join("outside");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("file");
        fs::write(&file, "outside").unwrap();
        Outside { folder, file }
    }

    fn facts(&self) -> [Facts; 2] {
        [facts(&self.folder), facts(&self.file)]
    }
}

fn tree() -> Tree {
    let mut tree = Tree::default();
    tree.folder("d").mode = 0o777;
    tree.file("d/one", b"first");
    tree.folder("d/e").mode = 0o777;
    tree.file("d/e/two", b"second");
    tree.file("d/three", b"third");
    tree.add("z", Kind::Symlink { target: b"anywhere".to_vec() }, 0o777);
    tree
}

/// Restores, and before each entry and before the end lets the meddler do its work; says how much was left out.
fn restore_with(to: &Path, meddle: &mut dyn FnMut(Option<&str>)) -> u64 {
    restore_tree_with(&tree(), to, meddle)
}

fn restore_tree_with(tree: &Tree, to: &Path, meddle: &mut dyn FnMut(Option<&str>)) -> u64 {
    let mut run = run();
    let ground = Ground::prepare(to).unwrap();
    let mut place = Place::new(&mut run, ground, tree.survey(Selection::All), Powers::Restored);
    for entry in tree.entries.values() {
        meddle(Some(std::str::from_utf8(entry.path.as_bytes()).unwrap()));
        place.entry(entry, &mut tree.held(&entry.path), &Task::silent()).unwrap();
    }
    meddle(None);
    place.finish(tree).unwrap();
    drop(place);
    run.report().left_out()
}

#[test]
fn a_folder_that_became_a_link_leads_nowhere() {
    for before in [Some("d/one"), Some("d/e"), Some("d/e/two"), Some("d/three"), None] {
        let scratch = tempfile::tempdir().unwrap();
        let (outside, to) = (Outside::new(scratch.path()), scratch.path().join("to"));
        let untouched = outside.facts();
        let left_out = restore_with(&to, &mut |at| {
            if at == before {
                fs::rename(to.join("d"), to.join("moved")).unwrap();
                symlink(&outside.folder, to.join("d")).unwrap();
            }
        });
        assert_eq!(outside.facts(), untouched, "{before:?}");
        assert_eq!(fs::read_dir(&outside.folder).unwrap().count(), 1, "{before:?}");
        assert!(left_out > 0, "{before:?}: nobody was told");
    }
}

#[test]
fn a_folder_that_was_exchanged_gets_no_metadata() {
    let scratch = tempfile::tempdir().unwrap();
    let (outside, to) = (Outside::new(scratch.path()), scratch.path().join("to"));
    let untouched = facts(&outside.file);
    let before = fs::metadata(&outside.folder).unwrap().mode();
    let left_out = restore_with(&to, &mut |at| {
        if at.is_none() {
            fs::rename(to.join("d"), to.join("moved")).unwrap();
            fs::rename(&outside.folder, to.join("d")).unwrap();
        }
    });
    assert_eq!(facts(&to.join("d/file")), untouched);
    assert_eq!(fs::metadata(to.join("d")).unwrap().mode(), before, "its mode is its own");
    assert!(left_out >= 1);
}

#[test]
fn names_that_appear_meanwhile_are_neither_followed_nor_replaced() {
    let scratch = tempfile::tempdir().unwrap();
    let (outside, to) = (Outside::new(scratch.path()), scratch.path().join("to"));
    let untouched = outside.facts();
    let left_out = restore_with(&to, &mut |at| match at {
        Some("d/one") => symlink(&outside.file, to.join("d/one")).unwrap(),
        Some("d/e") => symlink(&outside.folder, to.join("d/e")).unwrap(),
        Some("z") => fs::hard_link(&outside.file, to.join("z")).unwrap(),
        _ => {}
    });
    fs::remove_file(to.join("z")).unwrap();
    assert_eq!(outside.facts(), untouched);
    assert_eq!(fs::read(&outside.file).unwrap(), b"outside");
    // d/one, d/e, what is in it, and z.
    assert_eq!(left_out, 4);
}

#[test]
fn a_first_name_that_was_exchanged_gets_no_second_one() {
    let scratch = tempfile::tempdir().unwrap();
    let (outside, to) = (Outside::new(scratch.path()), scratch.path().join("to"));
    let mut tree = tree();
    tree.link("d/two", "d/one");
    let untouched = outside.facts();
    let left_out = restore_tree_with(&tree, &to, &mut |at| {
        if at == Some("d/two") {
            fs::remove_file(to.join("d/one")).unwrap();
            fs::hard_link(&outside.file, to.join("d/one")).unwrap();
        }
    });
    assert!(!to.join("d/two").exists() && left_out >= 1);
    fs::remove_file(to.join("d/one")).unwrap();
    assert_eq!(outside.facts(), untouched);
}

#[test]
fn what_was_exchanged_gets_no_flags() {
    let test = "what_was_exchanged_gets_no_flags";
    let scratch = tempfile::tempdir().unwrap();
    let (outside, to) = (Outside::new(scratch.path()), scratch.path().join("to"));
    let mut tree = tree();
    // Not to be dumped: a flag that everybody may set.
    let nodump = formats::Flags::kept_of(0x40).unwrap();
    tree.file("d/flagged", b"x").attributes = vec![nodump.attribute()];
    let flags = |path: &Path| {
        rustix::fs::ioctl_getflags(fs::File::open(path).unwrap()).map(|flags| flags.bits() & 0x40)
    };
    let control = scratch.path().join("control");
    if restore_tree_with(&tree, &control, &mut |_| {}) > 0 || flags(&control.join("d/flagged")) != Ok(0x40) {
        return skipped(test, "this file system keeps no inode flags");
    }
    let left_out = restore_tree_with(&tree, &to, &mut |at| {
        if at.is_none() {
            fs::remove_file(to.join("d/flagged")).unwrap();
            fs::hard_link(&outside.file, to.join("d/flagged")).unwrap();
        }
    });
    assert_eq!((flags(&outside.file), left_out), (Ok(0), 1));
}

#[test]
fn a_host_cannot_foresee_the_names_that_files_are_written_under() {
    let mut tree = Tree::default();
    for number in 0..4 {
        tree.file(&format!(".firn-restoring-{number}"), b"planted");
    }
    tree.file("x", b"content");
    let scratch = tempfile::tempdir().unwrap();
    let to = scratch.path().join("to");
    fs::create_dir(&to).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut ours = Watched { tree: &tree, to: &to, seen: &mut seen };
    ours.restore();
    assert_eq!(seen.len(), tree.entries.len(), "a name was used twice: {seen:?}");
    assert_eq!(fs::read_dir(&to).unwrap().count(), tree.entries.len());
}

/// Looks at the names there are while a content is read.
struct Watched<'a> {
    tree: &'a Tree,
    to: &'a Path,
    seen: &'a mut std::collections::BTreeSet<String>,
}

impl Watched<'_> {
    fn restore(&mut self) {
        let mut run = run();
        let ground = Ground::prepare(self.to).unwrap();
        let mut place = Place::new(&mut run, ground, self.tree.survey(Selection::All), Powers::Withheld);
        for entry in self.tree.entries.values() {
            let content = self.tree.contents.get(&entry.path).unwrap();
            let mut held = Looking { content, to: self.to, seen: self.seen };
            place.entry(entry, &mut held, &Task::silent()).unwrap();
        }
    }
}

struct Looking<'a> {
    content: &'a [u8],
    to: &'a Path,
    seen: &'a mut std::collections::BTreeSet<String>,
}

impl restore::Held for Looking<'_> {
    fn differs(&self, _kind: &Kind) -> Option<&'static str> {
        None
    }

    fn content(&mut self, _: &ContentHash) -> Result<Box<dyn std::io::Read + '_>, restore::Trouble> {
        let names =
            fs::read_dir(self.to).unwrap().map(|name| name.unwrap().file_name().into_string().unwrap());
        self.seen.extend(names.filter(|name| name.len() > ".firn-restoring-0000".len()));
        Ok(Box::new(self.content))
    }
}

/// As fast as they can, one thread restores and another exchanges names; whoever wins, nothing outside is touched.
#[test]
fn a_race_for_the_names_changes_nothing_outside() {
    let test = "a_race_for_the_names_changes_nothing_outside";
    if !is_root() {
        return skipped(test, "an owner that is another can only be set by root");
    }
    let scratch = tempfile::tempdir().unwrap();
    let outside = Outside::new(scratch.path());
    let untouched = outside.facts();
    let rounds = if std::env::var_os("FIRN_LONG").is_some() { 2_000 } else { 60 };
    let mut exchanged = 0;
    for round in 0..rounds {
        let to = scratch.path().join(format!("to-{round}"));
        fs::create_dir(&to).unwrap();
        exchanged += race(&to, &outside);
        assert_eq!(outside.facts(), untouched);
        assert_eq!(fs::read_dir(&outside.folder).unwrap().count(), 1);
        fs::remove_dir_all(&to).unwrap();
    }
    println!("names exchanged: {exchanged}");
    assert!(exchanged > 0, "the race was never on");
}

/// Returns how often a name was exchanged.
fn race(to: &Path, outside: &Outside) -> usize {
    let mut tree = tree();
    for name in ["d/p", "d/q", "p", "q"] {
        tree.add(name, Kind::Symlink { target: b"x".to_vec() }, 0o777).owner = 4711;
    }
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let meddler = scope.spawn(|| {
            let mut exchanged = 0;
            while !is_done.load(std::sync::atomic::Ordering::SeqCst) {
                for name in ["d", "d/e", "d/p", "d/q", "p", "q"] {
                    let here = to.join(name);
                    if fs::rename(&here, to.join("away")).is_err() {
                        continue;
                    }
                    let done = match name.ends_with(['d', 'e']) {
                        true => symlink(&outside.folder, &here),
                        // A second name of something of value, which a link's owner must not be given to.
                        false => fs::hard_link(&outside.file, &here),
                    };
                    exchanged += usize::from(done.is_ok());
                    let _ = fs::remove_dir_all(to.join("away"));
                    let _ = fs::remove_file(to.join("away"));
                }
            }
            exchanged
        });
        let mut run = run();
        let ground = Ground::prepare(to).unwrap();
        let mut place = Place::new(&mut run, ground, tree.survey(Selection::All), Powers::Restored);
        for entry in tree.entries.values() {
            place.entry(entry, &mut tree.held(&entry.path), &Task::silent()).unwrap();
        }
        place.finish(&tree).unwrap();
        is_done.store(true, std::sync::atomic::Ordering::SeqCst);
        meddler.join().unwrap()
    })
}

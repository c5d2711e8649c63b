//! The attempts in `raw.c`: calls that no safe Rust function makes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use sandbox::Threads;

use crate::prisoner::{CELLS, Cell, enter, held};
use crate::world::{World, is_root, text, users};

/// In the prisoner: confine, then call what `raw.c` put in the C library's place.
pub(crate) fn child(cell: Cell) {
    let held = held();
    let _ = enter(cell, &held, Threads::One);
    std::thread::yield_now();
}

fn compile(folder: &Path) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/claims/raw.c");
    let library = folder.join("raw.so");
    let cc = std::env::var_os("CC").unwrap_or("cc".into());
    let done =
        Command::new(cc).args(["-shared", "-fPIC", "-w", "-o"]).arg(&library).arg(source).output().ok()?;
    assert!(done.status.success(), "{}", text(&done.stderr));
    Some(library)
}

fn attempt_all(world: &World, library: &Path, word: &str) -> BTreeMap<String, i32> {
    let mut prisoner = world.prisoner(&["raw", word]);
    prisoner.env("LD_PRELOAD", library).env("FIRN_RAW_FILE", world.at("inside/spare"));
    let done = prisoner.output().unwrap();
    assert!(done.status.success(), "{word}: {:?} {}", done.status, text(&done.stderr));
    let said = text(&done.stdout);
    said.lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, errno)| (name.to_owned(), errno.parse().unwrap()))
        .collect()
}

pub(crate) fn every_attempt() {
    // Not in the world: there the prisoner's user owns everything, and the loader must find it.
    let folder = tempfile::tempdir().unwrap();
    open_to_all(folder.path());
    let Some(library) = compile(folder.path()) else {
        println!("SKIPPED: every_raw_attempt: no C compiler here");
        return;
    };
    let (mut refused, mut controls, mut wrong) = (0, 0, Vec::new());
    for user in users() {
        let free = attempt_all(&World::new(user), &library, "free");
        for (word, cell) in CELLS.into_iter().filter(|(_, cell)| *cell != Cell::Free) {
            let confined = attempt_all(&World::new(user), &library, word);
            assert_eq!(confined.len(), free.len(), "{cell:?} as {user:?} ended early");
            for (name, errno) in confined {
                let must_work = name.ends_with("(must work)");
                if (errno == libc::EPERM) == must_work || (must_work && errno != 0) {
                    wrong.push(format!("{user:?} {word} {name}: errno {errno}"));
                }
                refused += u32::from(errno == libc::EPERM);
            }
        }
        // Free, the kernel looks at the arguments and finds another fault, or none; some of it only for root.
        let reached = free.values().filter(|errno| **errno != libc::EPERM).count();
        println!(
            "as {user:?}: {reached} of {} raw attempts reach the kernel's own code when free",
            free.len()
        );
        let least =
            if is_root() && user == crate::world::User::Same { free.len() - 3 } else { free.len() / 2 };
        assert!(reached >= least, "the control was refused too: {free:?}");
        controls += reached;
    }
    println!("{refused} raw refusals, {controls} controls without confinement");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

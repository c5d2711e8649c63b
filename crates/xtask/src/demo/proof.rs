//! The proof that needs no Firn: decrypt with GnuPG, unpack with squashfs-tools, compare with diff.

use pipeline_tests::stock::{self, below};
use pipeline_tests::{Outcome, Scratch};

use super::cast::Actor;
use super::story::Told;
use crate::screen::Step;
use crate::table::bytes;
use crate::trouble::{Result, Trouble};

pub(crate) fn stock(scratch: &Scratch, actor: &Actor) -> Result<Told> {
    let name = actor.name();
    let folder = scratch.folder.join("drill").join(format!("{name}-without-firn"));
    std::fs::create_dir(&folder)?;
    let (image, files) = (folder.join("image.squashfs"), folder.join("files"));
    let segments = stock::segments(&scratch.folder.join("vault"), name)?;
    let total = segments.iter().filter_map(|segment| segment.metadata().ok()).map(|meta| meta.len()).sum();
    {
        let step = Step::bytes("  gpg --decrypt", total);
        stock::decrypt(scratch, &segments, &image, &mut |written| step.at(written))?;
    }
    {
        let _step = Step::spinner("  unsquashfs");
        stock::unsquash(&image, &files)?;
    }
    let _step = Step::spinner("  diff -r --no-dereference");
    let snapshot = only_entry(&files.join("snapshots"))?;
    for root in &actor.host()?.roots {
        let differences = stock::diff(root, &below(&snapshot, root))?;
        if !differences.is_empty() {
            return Err(Trouble::new(format!("diff finds differences:\n{differences}")));
        }
    }
    let size = image.metadata()?.len();
    // The space is of no more use.
    Outcome::of(std::process::Command::new("rm").arg("-rf").arg(&folder))?.expect_code(&[0])?;
    Ok(Told::new(format!("{} segments, image of {}", segments.len(), bytes(size)), "no difference"))
}

fn only_entry(folder: &std::path::Path) -> Result<std::path::PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    match entries.as_slice() {
        [only] => Ok(only.clone()),
        several => Err(Trouble::new(format!("the image holds {} snapshots, not 1", several.len()))),
    }
}

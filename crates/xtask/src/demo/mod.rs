//! `cargo xtask demo`: a backup server in one folder, two hosts, real files; there and back again, judged by tools that know nothing of Firn.

mod cast;
mod change;
mod close;
mod proof;
mod steps;
mod story;

use std::process::ExitCode;

use pipeline_tests::needs::Purpose;
use pipeline_tests::scratch::usual_parent;
use pipeline_tests::{Leave, Options, Power, Profile, Scratch};

use crate::args::DemoArgs;
use crate::janitor::Janitor;
use crate::trouble::Result;
use crate::{build, needs};
use cast::Cast;
use story::Story;

pub(crate) fn run(args: &DemoArgs) -> Result<ExitCode> {
    let cast = Cast::from_paths(&args.paths)?;
    needs::bring(&[Purpose::Build, Purpose::Server])?;
    let programs = build::programs(if args.dev { Profile::Dev } else { Profile::Release })?;
    let power = Power::here();
    eprintln!("{}", close::what_runs(power));
    let _janitor = Janitor::hire(&usual_parent(power), None)?;
    let leave = if args.keep { Leave::Folder } else { Leave::Nothing };
    let mut scratch = Scratch::new(&programs, &Options { leave, ..Options::default() })?;
    eprintln!("It lies in {}", scratch.folder.display());
    let mut story = Story::default();
    let ended = act(&mut scratch, cast, &mut story);
    let folder = scratch.folder.clone();
    drop(scratch);
    println!("\n{}", story.table());
    if let Err(trouble) = ended {
        println!("{trouble}\nThe demo failed.");
        return Ok(ExitCode::FAILURE);
    }
    println!("{}", close::what_held(power, args.keep.then_some(folder.as_path())));
    Ok(ExitCode::SUCCESS)
}

/// Every step must hold; the first that does not ends the demo.
fn act(scratch: &mut Scratch, mut cast: Cast, story: &mut Story) -> Result<()> {
    story.tell("scratch server", "sshd, two jailed hosts, a throwaway OpenPGP key", || {
        steps::hosts(scratch, &mut cast)
    })?;
    for actor in &cast.actors {
        story
            .tell(&format!("{}: first push", actor.name()), &actor.given(), || steps::push(scratch, actor))?;
    }
    for actor in &mut cast.actors {
        story.tell(
            &format!("{}: change some files", actor.name()),
            "a copy; your own files stay as they are",
            || steps::change(actor),
        )?;
    }
    for actor in &cast.actors {
        story.tell(&format!("{}: second push", actor.name()), "only what changed travels", || {
            steps::push(scratch, actor)
        })?;
    }
    for actor in &cast.actors {
        story.tell(
            &format!("{}: history", actor.name()),
            "snapshotter verify; the old version is still there",
            || steps::history(scratch, actor),
        )?;
    }
    story.tell("ice", "squashfs, encrypted by OpenPGP, locked for 92 days", || steps::ice(scratch))?;
    for actor in &cast.actors {
        story.tell(
            &format!("{}: drill", actor.name()),
            "fetch, decrypt, compare all with the manifest",
            || steps::drill(scratch, actor),
        )?;
        story.tell(&format!("{}: restore", actor.name()), "judged by rsync -naHAXi --checksum", || {
            steps::restore(scratch, actor)
        })?;
        story.tell(
            &format!("{}: without Firn", actor.name()),
            "gpg --decrypt, unsquashfs, diff -r",
            || proof::stock(scratch, actor),
        )?;
    }
    Ok(())
}

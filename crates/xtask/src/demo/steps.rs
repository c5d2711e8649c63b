//! The steps, each by the program that does it in earnest.

use std::time::Duration;

use pipeline_tests::stock::{self, below};
use pipeline_tests::verbs::Hear;
use pipeline_tests::{Outcome, Power, Scratch, settings};

use super::cast::{Actor, Cast};
use super::change;
use super::story::Told;
use crate::screen::Step;
use crate::table::{bytes, grouped};
use crate::trouble::{Result, Trouble};

/// How long a push waits until it knows that it is accepted.
const VERDICT_SECONDS: u32 = 600;
/// A file touched within two seconds of a push is read and sent again by the next one; the copies just made must not look like that.
const SETTLE: Duration = Duration::from_secs(3);
/// Exit codes of restore-drill: whole, and whole but for what this user may not restore.
const RESTORED: [i32; 2] = [0, 3];

pub(crate) fn hosts(scratch: &mut Scratch, cast: &mut Cast) -> Result<Told> {
    let mut unread = 0;
    for actor in &mut cast.actors {
        let disk = scratch.folder.join("hosts").join(actor.name()).join("disk");
        let (roots, left) = actor.copy(&disk)?;
        unread += left;
        actor.becomes(scratch.add_host(actor.name(), &roots)?);
    }
    std::thread::sleep(SETTLE);
    for actor in &cast.actors {
        let push = settings::Push { verdict_wait_seconds: VERDICT_SECONDS, ..settings::Push::default() };
        settings::write_push(scratch, actor.host()?, &push)?;
    }
    let mut figures = format!("{} hosts", cast.actors.len());
    if unread > 0 {
        figures
            .push_str(&format!("; {} files this user may not read were not copied", grouped(unread as u64)));
    }
    Ok(Told::new(figures, "up"))
}

/// Pushes until it is accepted: the server ingests meanwhile.
pub(crate) fn push(scratch: &Scratch, actor: &Actor) -> Result<Told> {
    let (push, ingest) = scratch.push_and_ingest(actor.host()?, Hear::Shown)?;
    if let Some(ingest) = ingest {
        ingest.expect_code(&[0])?;
    }
    let push = push.expect_code(&[0])?;
    let figures =
        format!("{} entries, {} sent", grouped(push.count("entries")), bytes(push.count("sent_bytes")));
    Ok(Told::new(figures, "accepted"))
}

pub(crate) fn change(actor: &mut Actor) -> Result<Told> {
    let mut count = 0;
    for root in actor.host()?.roots.clone() {
        let changes = change::change(&root)?;
        count += changes.count;
        actor.before.push(changes.edited);
    }
    Ok(Told::new(format!("{count} changes"), "done"))
}

/// Two snapshots, sound, and the first still holds what the second has no more.
pub(crate) fn history(scratch: &Scratch, actor: &Actor) -> Result<Told> {
    let name = actor.name();
    Outcome::of(&mut scratch.snapshotter(&["verify", name]))?.expect_code(&[0])?;
    let folder = scratch.history(name);
    let mut snapshots: Vec<_> =
        std::fs::read_dir(&folder)?.flatten().map(|entry| entry.path().join("tree")).collect();
    snapshots.retain(|tree| tree.is_dir());
    snapshots.sort();
    let [first, second] = snapshots.as_slice() else {
        return Err(Trouble::new(format!("{name} has {} snapshots, not 2", snapshots.len())));
    };
    for (file, before) in &actor.before {
        if std::fs::read(below(first, file))? != *before {
            return Err(Trouble::new(format!(
                "the first snapshot of {name} lost the old version of {}",
                file.display()
            )));
        }
        if std::fs::read(below(second, file))? != std::fs::read(file)? {
            return Err(Trouble::new(format!(
                "the second snapshot of {name} has not the new version of {}",
                file.display()
            )));
        }
    }
    let both = Outcome::of(std::process::Command::new("du").args(["-sb"]).arg(first).arg(second))?
        .expect_code(&[0])?;
    let sizes: Vec<u64> =
        both.stdout.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    // du counts a file with several names once, so the second line is what the second snapshot costs.
    let [whole, more] = sizes.as_slice() else { return Err(Trouble::new("du does not tell two sizes")) };
    Ok(Told::new(format!("2 snapshots, {} + {}", bytes(*whole), bytes(*more)), "sound"))
}

pub(crate) fn ice(scratch: &Scratch) -> Result<Told> {
    let outcome = Outcome::shown(&mut scratch.iceboxer(&["run"]))?.expect_code(&[0])?;
    let figures = format!(
        "{} images, {}, {} in the vault",
        outcome.count("ices"),
        bytes(outcome.count("image_bytes")),
        bytes(outcome.count("put_bytes"))
    );
    Ok(Told::new(figures, "locked"))
}

pub(crate) fn drill(scratch: &Scratch, actor: &Actor) -> Result<Told> {
    let ice = format!("{}/latest", actor.name());
    let outcome = Outcome::shown(&mut scratch.restore_drill(&["verify", &ice]))?.expect_code(&[0])?;
    let figures = format!(
        "{} entries, {} files, {}",
        grouped(outcome.count("entries")),
        grouped(outcome.count("files")),
        bytes(outcome.count("content_bytes"))
    );
    Ok(Told::new(figures, "proved"))
}

/// Restores, and lets rsync compare everything it knows of: bytes, owners, modes, times, links, attributes.
pub(crate) fn restore(scratch: &Scratch, actor: &Actor) -> Result<Told> {
    let target = scratch.folder.join("drill").join(actor.name());
    let mut command = scratch.restore_drill(&["restore", &format!("{}/latest", actor.name()), "--to"]);
    let codes = if scratch.power == Power::Root { RESTORED.get(..1).unwrap_or_default() } else { &RESTORED };
    let outcome = Outcome::shown(command.arg(&target))?.expect_code(codes)?;
    let _step = Step::spinner("  comparing with rsync");
    for root in &actor.host()?.roots {
        let differences = stock::rsync_differences(root, &below(&target, root))?;
        if !differences.is_empty() {
            return Err(Trouble::new(format!(
                "rsync finds differences in the restored files:\n{differences}"
            )));
        }
    }
    let figures =
        format!("{} files, {}", grouped(outcome.count("files")), bytes(outcome.count("content_bytes")));
    Ok(Told::new(figures, "no difference"))
}

use crate::attempts::{ATTEMPTS, Outcome, Who};
use crate::prisoner::{CELLS, Cell};
use crate::world::{User, World, is_root, text, users};

/// Each attempt in each profile, as each user: refused unless the profile is meant to allow it, and then it must work.
/// And each without confinement, where it must succeed.
pub(crate) fn every_attempt() {
    let (mut refused, mut worked, mut controls, mut wrong) = (0, 0, 0, Vec::new());
    for user in users() {
        for attempt in ATTEMPTS {
            let privileged = user == User::Same && is_root();
            for (word, cell) in CELLS {
                // A fresh world each time: nothing an attempt did can help or hinder the next.
                let world = World::new(user);
                let done = world.run(&["attempt", word, attempt.name]);
                let outcome = Outcome::parse(&text(&done.stdout));
                let expected = match cell {
                    Cell::Free if attempt.who == Who::Root && !privileged => continue,
                    Cell::Free => Outcome::Done,
                    // What takes root's power takes it within a profile too.
                    _ if attempt.who == Who::Root && !privileged => Outcome::Refused,
                    cell if cell.profile().is_some_and(|p| attempt.allowed.contains(&p)) => Outcome::Done,
                    _ => Outcome::Refused,
                };
                if outcome != Some(expected) {
                    wrong.push(format!(
                        "{user:?} {word} {}: {:?} {}",
                        attempt.name,
                        outcome,
                        text(&done.stdout)
                    ));
                }
                *match (cell, expected) {
                    (Cell::Free, _) => &mut controls,
                    (_, Outcome::Refused) => &mut refused,
                    _ => &mut worked,
                } += 1;
            }
        }
    }
    let kinds = ATTEMPTS.len();
    println!(
        "{kinds} attempts: {refused} refusals, {worked} allowed by profile, {controls} controls without confinement"
    );
    assert!(wrong.is_empty(), "{} surprises:\n{}", wrong.len(), wrong.join("\n"));
    assert!(kinds >= 40 && controls >= kinds / 2, "too little was tried");
}

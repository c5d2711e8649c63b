//! Who types: what root was before it was root, as far as the machine can tell.
//!
//! The kernel keeps the number of the login (`pam_loginuid`), and sudo says who called it. Both are proof among people who keep to the rules, and
//! neither against one who does not: whoever is root can be anybody.

use std::fs;

use formats::records::grant::Person;

use crate::account::{account_of, getent};
use crate::trouble::Trouble;

const ROOT: u32 = 0;

/// The person at the keyboard.
pub(crate) fn here() -> Result<Person, Trouble> {
    let login = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    let sudo = std::env::var("SUDO_UID").unwrap_or_default();
    let user = user(&login, &sudo).unwrap_or_else(|| rustix::process::getuid().as_raw());
    let number = user.to_string();
    let text = getent("passwd", &[&number])?;
    let name = account_of(text.trim_end()).map_or(number, |(name, _)| name.to_owned());
    Ok(Person { user, name })
}

/// The login counts, and where there is none the caller of sudo.
fn user(login: &str, sudo: &str) -> Option<u32> {
    let set = |text: &str| text.trim().parse().ok().filter(|user| *user != u32::MAX);
    set(login).or_else(|| set(sudo))
}

/// Refuses a second person who is the first, or who could be anybody. `table` of the settings says that there have to be two.
pub(crate) fn require_two(first: &Person, second: &Person, table: &str) -> Result<(), Trouble> {
    let alone = format!("for a single administrator set `two_persons = false` in [{table}]");
    let refused = |what: String, advice: String| Err(Trouble::Usage { what, advice: Some(advice) });
    for person in [first, second] {
        if person.user == ROOT {
            return refused(
                "root itself is no person: two are needed, and nobody can tell who this is".to_owned(),
                format!("log in under accounts of your own and use sudo; {alone}"),
            );
        }
    }
    if first.user == second.user {
        return refused(format!("{} asked for it, and another person has to approve it", first.name), alone);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_counts_and_where_there_is_none_who_called_sudo() {
        assert_eq!(user("1000\n", "1001"), Some(1000));
        assert_eq!(user("4294967295\n", "1001"), Some(1001));
        assert_eq!(user("", "1001"), Some(1001));
        assert_eq!(
            user("0", "1001"),
            Some(0),
            "who logged in as root is root, whatever the environment says"
        );
        assert_eq!(user("4294967295", ""), None);
        assert_eq!(user("x", "-1"), None);
    }

    #[test]
    fn one_person_or_root_are_not_two_persons() {
        let person = |user| Person { user, name: user.to_string() };
        assert!(require_two(&person(1000), &person(1001), "grants").is_ok());
        for (first, second) in [(1000, 1000), (0, 1000), (1000, 0), (0, 0)] {
            let Err(Trouble::Usage { advice: Some(advice), .. }) =
                require_two(&person(first), &person(second), "redact")
            else {
                panic!("{first} {second}");
            };
            assert!(advice.ends_with("`two_persons = false` in [redact]"), "{advice}");
        }
    }
}

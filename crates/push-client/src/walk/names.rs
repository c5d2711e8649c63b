//! Names of users and groups, read once from the two files. Asked of no service: a walk must not depend on one.

use std::collections::HashMap;
use std::fs;

use formats::{Attribute, Tag};

/// Longest name that is kept; longer ones are left to the numbers.
const NAME_BYTES_MAX: usize = 255;

/// Numbers to names.
#[derive(Debug, Default)]
pub struct Names {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
}

impl Names {
    /// Of this machine. A file that is not there holds no names.
    pub fn load() -> Self {
        let read = |path| parse(&fs::read(path).unwrap_or_default());
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    /// Both names as attributes, in the order of entries.
    pub fn attributes(&self, owner: u32, group: u32) -> Vec<Attribute> {
        let named = |tag, name: Option<&Vec<u8>>| {
            name.map(|name| Attribute { tag, name: Vec::new(), value: name.clone() })
        };
        let user = named(Tag::OwnerName, self.users.get(&owner));
        let group = named(Tag::GroupName, self.groups.get(&group));
        user.into_iter().chain(group).collect()
    }

    /// True if `attributes` begin with exactly the names of these numbers.
    pub fn agree(&self, attributes: &[Attribute], owner: u32, group: u32) -> bool {
        let value = |wanted| attributes.iter().find(|a| a.tag == wanted).map(|a| &a.value);
        value(Tag::OwnerName) == self.users.get(&owner) && value(Tag::GroupName) == self.groups.get(&group)
    }
}

/// `name:x:number:...`; the first line of a number counts.
fn parse(text: &[u8]) -> HashMap<u32, Vec<u8>> {
    let mut names = HashMap::new();
    for line in text.split(|b| *b == b'\n') {
        let mut fields = line.split(|b| *b == b':');
        let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else { continue };
        let number = std::str::from_utf8(number).ok().and_then(|text| text.parse::<u32>().ok());
        if let Some(number) = number
            && (1..=NAME_BYTES_MAX).contains(&name.len())
        {
            names.entry(number).or_insert_with(|| name.to_vec());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_a_number_counts_and_broken_lines_do_not() {
        let names =
            parse(b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0\n# comment\n:x:5:5\na:x:-1:\nb:x:7\nc:x:\n");
        assert_eq!(names.len(), 2);
        assert_eq!(names[&0], b"root");
        assert_eq!(names[&7], b"b");
    }

    #[test]
    fn a_number_without_a_name_has_no_attribute() {
        let names = Names { users: parse(b"web:x:33:33\n"), groups: parse(b"") };
        let attributes = names.attributes(33, 33);
        assert_eq!(attributes.len(), 1);
        assert_eq!((attributes[0].tag, attributes[0].value.as_slice()), (Tag::OwnerName, b"web".as_slice()));
        assert!(names.agree(&attributes, 33, 33));
        assert!(!names.agree(&attributes, 34, 33));
        assert!(!names.agree(&[], 33, 33));
    }
}

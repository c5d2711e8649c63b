//! The slots of a jail: hard links to files that all jails share. See decision 0015.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use durable::{Dir, Linked, Name, Stat};

use crate::trouble::Trouble;

/// Where the files are that the jails share: no id of a host begins with a dot.
pub(super) const POOL: &str = ".slots";
/// More names than a folder of slots has.
const NAMES_MAX: usize = 4_096;
/// Locking needs no more than reading, and nobody writes.
const MODE: u32 = 0o444;

/// The slots of one jail.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    /// The folder of the shared files.
    pub(super) pool: PathBuf,
    /// The folder in the jail.
    pub(super) jail: PathBuf,
    /// How many.
    pub(super) count: u32,
}

impl Slots {
    /// In words that fit after "make".
    pub(super) fn describe(&self) -> String {
        format!("the {} slots in {}, shared by all jails", self.count, shown(&self.jail))
    }

    fn names(&self) -> Vec<Vec<u8>> {
        (0..self.count).map(|number| format!("{number:04}").into_bytes()).collect()
    }

    /// Whether the folder has exactly these, each the same file as in the pool.
    pub(super) fn are_there(&self) -> Result<bool, Trouble> {
        let at = || Trouble::folder(format!("looking at the slots in {}", shown(&self.jail)));
        let (Some(pool), Some(jail)) = (open(&self.pool).map_err(at())?, open(&self.jail).map_err(at())?)
        else {
            return Ok(false);
        };
        let names = jail.names_at_most(NAMES_MAX).map_err(at())?;
        if names != self.names() {
            return Ok(false);
        }
        for name in &names {
            let name = Name::new(name).map_err(at())?;
            let own = jail.stat(name).map_err(at())?;
            if own.mode != MODE || !is_shared(&pool, name, &own).map_err(at())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes it so; the folders are there. The pool only ever grows: a file that was taken out and made anew would be another than the one that
    /// some jails still have.
    pub(super) fn make(&self) -> Result<(), Trouble> {
        let at = || Trouble::folder(format!("making the slots in {}", shown(&self.jail)));
        let pool = Dir::open_root(&self.pool).map_err(at())?;
        let jail = Dir::open_root(&self.jail).map_err(at())?;
        let names = self.names();
        let mut there = Vec::new();
        for name in jail.names_at_most(NAMES_MAX).map_err(at())? {
            let known = Name::new(&name).map_err(at())?;
            let own = jail.stat(known).map_err(at())?;
            if names.contains(&name) && is_shared(&pool, known, &own).map_err(at())? {
                there.push(name);
            } else {
                jail.remove_tree(known).map_err(at())?;
            }
        }
        for name in &names {
            let known = Name::new(name).map_err(at())?;
            let file = match pool.create_new(known, MODE) {
                Err(error) if error.is_exists() => pool.open_read(known).map_err(at())?,
                file => file.map_err(at())?,
            };
            // Whatever the umask: accounts that cannot open a slot could never take it.
            let set = file.set_permissions(Permissions::from_mode(MODE));
            set.map_err(Trouble::stream(format!("making the slots in {}", shown(&self.jail))))?;
            if !there.contains(name) && pool.link(known, &jail, known).map_err(at())? == Linked::Full {
                let what = format!("{}: the file system gives a file no more names", shown(&self.pool));
                return Err(Trouble::Machine { what });
            }
        }
        pool.sync().map_err(at())?;
        jail.sync().map_err(at())
    }
}

fn is_shared(pool: &Dir, name: Name<'_>, own: &Stat) -> durable::Result<bool> {
    match pool.stat(name) {
        Ok(shared) => Ok(own.is_same_file(&shared)),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> durable::Result<Option<Dir>> {
    match Dir::open_root(path) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn shown(path: &Path) -> String {
    cli::shown(path.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn slots(top: &Path, host: &str, count: u32) -> Slots {
        let (pool, jail) = (top.join(POOL), top.join(host));
        fs::create_dir_all(&pool).unwrap();
        fs::create_dir_all(&jail).unwrap();
        Slots { pool, jail, count }
    }

    fn inodes(slots: &Slots) -> Vec<u64> {
        slots
            .names()
            .iter()
            .map(|name| fs::metadata(slots.jail.join(std::str::from_utf8(name).unwrap())).unwrap().ino())
            .collect()
    }

    #[test]
    fn jails_share_their_slots_also_after_the_number_was_changed_and_changed_back() {
        let top = tempfile::tempdir().unwrap();
        let (one, two) = (slots(top.path(), "web01", 3), slots(top.path(), "web02", 3));
        assert!(!one.are_there().unwrap());
        for slots in [&one, &two] {
            slots.make().unwrap();
            assert!(slots.are_there().unwrap());
        }
        assert_eq!(inodes(&one), inodes(&two));
        let before = inodes(&one);
        let fewer = Slots { count: 1, ..one.clone() };
        assert!(!fewer.are_there().unwrap());
        fewer.make().unwrap();
        assert_eq!(fs::read_dir(&one.jail).unwrap().count(), 1);
        let more = Slots { count: 5, ..one };
        more.make().unwrap();
        assert_eq!(inodes(&more)[..3], before, "the jail that was left alone has the same");
        assert!(two.are_there().unwrap());
    }

    #[test]
    fn what_is_no_slot_of_the_pool_is_replaced() {
        let top = tempfile::tempdir().unwrap();
        let own = slots(top.path(), "web01", 2);
        own.make().unwrap();
        let spoil: [fn(&Path); 5] = [
            |jail| fs::write(jail.join("0002"), b"").unwrap(),
            |jail| fs::remove_file(jail.join("0001")).unwrap(),
            |jail| fs::create_dir(jail.join("folder")).unwrap(),
            |jail| {
                fs::remove_file(jail.join("0000")).unwrap();
                fs::write(jail.join("0000"), b"another file").unwrap();
                fs::set_permissions(jail.join("0000"), Permissions::from_mode(MODE)).unwrap();
            },
            |jail| fs::set_permissions(jail.join("0001"), Permissions::from_mode(0o400)).unwrap(),
        ];
        for (number, spoil) in spoil.iter().enumerate() {
            spoil(&own.jail);
            assert!(!own.are_there().unwrap(), "{number}");
            own.make().unwrap();
            assert!(own.are_there().unwrap(), "{number}");
        }
    }
}

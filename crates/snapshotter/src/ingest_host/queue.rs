//! The sealed push files of one jail. The folder is the host account's: nothing in it is believed, not even that it holds files.

use std::fs::File;
use std::io::Seek;
use std::os::fd::AsFd;

use durable::{Dir, FileKind, Name, Stat};
use formats::HostId;
use formats::session::Role;

use crate::trouble::Trouble;

/// More names than any server lets wait.
const NAMES_MAX: usize = 10_000;

/// What waits, in the order of the names, which the receiver makes ascend.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Push files.
    pub(crate) files: Vec<Vec<u8>>,
    /// Names that are no regular files; no receiver makes those.
    pub(crate) foreign: Vec<Vec<u8>>,
}

/// The push file that is being judged, held open.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// In the jail; none if it came by other means.
    name: Option<Vec<u8>>,
    file: File,
    facts: Stat,
}

impl Queue {
    /// Looks. A name that begins with a dot is still being written by somebody.
    pub(crate) fn read(sealed: &Dir, host: &HostId) -> Result<Self, Trouble> {
        let at = || Trouble::folder(format!("looking at the sealed pushes of {host}"));
        let mut queue = Self::default();
        for name in sealed.names_at_most(NAMES_MAX).map_err(at())? {
            if name.starts_with(b".") {
                continue;
            }
            match sealed.stat(Name::new(&name).map_err(at())?) {
                Ok(stat) if stat.kind == FileKind::File => queue.files.push(name),
                Ok(_) => queue.foreign.push(name),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(at()(error)),
            }
        }
        Ok(queue)
    }

    /// Opens the oldest push file; none if nothing waits.
    pub(crate) fn oldest(&self, sealed: &Dir, host: &HostId) -> Result<Option<Sealed>, Trouble> {
        let at = || Trouble::folder(format!("opening a sealed push of {host}"));
        let Some(name) = self.files.first() else { return Ok(None) };
        let file = sealed.open_read(Name::new(name).map_err(at())?).map_err(at())?;
        let facts = Stat::of(&file).map_err(at())?;
        Ok(Some(Sealed { name: Some(name.clone()), file, facts }))
    }
}

impl Sealed {
    /// What standard input is: a regular file, read from its start.
    pub(crate) fn of_input() -> Result<Self, Trouble> {
        let at = || Trouble::stream("opening the push file");
        let mut file = File::from(std::io::stdin().as_fd().try_clone_to_owned().map_err(at())?);
        let facts = Stat::of(&file).map_err(Trouble::folder("opening the push file"))?;
        if facts.kind != FileKind::File {
            let what = "what --from names is not a regular file".to_owned();
            return Err(Trouble::Usage { what, advice: None });
        }
        file.rewind().map_err(at())?;
        Ok(Self { name: None, file, facts })
    }

    /// Not brought by other means.
    pub(crate) fn is_of_jail(&self) -> bool {
        self.name.is_some()
    }

    /// A second descriptor of the same file, for the decoder.
    pub(crate) fn descriptor(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }

    /// What the receiver admitted it as: the name says it. The account could have changed that, of its own pushes alone.
    pub(crate) fn role(&self) -> Role {
        match &self.name {
            Some(name) if name.ends_with(b".emergency") => Role::Emergency,
            _ => Role::Usual,
        }
    }

    /// Its length.
    pub(crate) fn bytes(&self) -> u64 {
        self.facts.size
    }

    /// Removes it, for good: its verdict is in the log and published. What is not the jail's stays. If its name stands for another file by now, that one stays.
    pub(crate) fn remove(&self, sealed: &Dir) -> durable::Result<()> {
        let Some(name) = &self.name else { return Ok(()) };
        let name = Name::new(name)?;
        match sealed.stat(name) {
            Ok(now) if now.is_same_file(&self.facts) => sealed.unlink(name)?,
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        sealed.sync()
    }
}

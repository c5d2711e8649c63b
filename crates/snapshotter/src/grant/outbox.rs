//! The outbox of one host: an account of its own, a chroot with one program, and in it the archive and the mark that it was fetched.
//!
//!     <outboxes>/<host>/bin/outbox      root 0755: the login shell
//!     <outboxes>/<host>/out/            root:<account> 0750: `files.tar` and `until`, which the account reads and cannot change
//!     <outboxes>/<host>/mark/           <account> 0700: `fetched`, which the account makes

use std::os::fd::AsFd;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use durable::{Dir, Name, Unfinished};
use formats::HostId;

use crate::account::account;
use crate::host::account_name::account_name;
use crate::host::key::PublicKey;
use crate::host::record::HostRecord;
use crate::host::sessions;
use crate::host::step::Step;
use crate::host::steps::{missing_parents, program};
use crate::settings::Settings;
use crate::trouble::Trouble;

const SHELL: &str = "/bin/outbox";
const ARCHIVE: Name<'static> = Name::literal("files.tar");
const UNTIL: Name<'static> = Name::literal("until");
const FETCHED: Name<'static> = Name::literal("fetched");
/// Root's, and read by the group of the account.
const FILE_MODE: u32 = 0o640;

/// Where all of it is.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) account: String,
    pub(crate) folder: PathBuf,
    pub(crate) key_file: PathBuf,
    host: HostId,
}

impl Outbox {
    pub(crate) fn of(settings: &Settings, host: &HostId) -> Result<Self, Trouble> {
        let prefix = &settings.grants.account_prefix;
        let account = host.account(prefix).ok_or_else(|| Trouble::Usage {
            what: format!("no account can be named for the outbox of {host}"),
            advice: Some("choose a shorter `account_prefix` in [grants]".to_owned()),
        })?;
        let folder = settings.grants.outboxes.join(host.as_str());
        Ok(Self { key_file: settings.keys.join(&account), account, folder, host: host.clone() })
    }

    /// Account, folders and program. No key yet: nobody can come in.
    pub(super) fn make(&self, settings: &Settings) -> Result<(), Trouble> {
        let own = |user: &str, group: &str| Some((user.to_owned(), group.to_owned()));
        let roots = |path: PathBuf| Step::Folder { path, owner: own("root", "root"), mode: 0o755 };
        let mut steps: Vec<Step> =
            missing_parents(&settings.grants.outboxes).into_iter().map(roots).collect();
        steps.push(Step::HostAccount {
            name: self.account.clone(),
            home: self.folder.clone(),
            shell: SHELL,
            comment: self.comment(),
        });
        steps.extend([self.folder.clone(), self.folder.join("bin")].map(roots));
        let source = program(&settings.grants.program(&settings.receiver))?;
        steps.push(Step::Receiver { path: self.folder.join("bin/outbox"), source });
        let (path, owner) = (self.folder.join("out"), own("root", &self.account));
        steps.push(Step::Folder { path, owner, mode: 0o750 });
        let (path, owner) = (self.folder.join("mark"), own(&self.account, &self.account));
        steps.push(Step::Folder { path, owner, mode: 0o700 });
        steps.iter().try_for_each(|step| step.run().map(drop))
    }

    fn comment(&self) -> String {
        format!("firn outbox {}", self.host)
    }

    /// The folder of the archive, without what a run that was killed has left half-written. For whoever is alone with the grant.
    pub(super) fn out(&self) -> Result<Dir, Trouble> {
        let out = Dir::open_root(&self.folder.join("out")).map_err(self.at())?;
        out.remove_unfinished().map_err(self.at())?;
        Ok(out)
    }

    /// A file that the account will read, once it has its name.
    pub(super) fn begin<'a>(&self, out: &'a Dir) -> Result<Unfinished<'a>, Trouble> {
        let unfinished = out.begin_whole(FILE_MODE).map_err(self.at())?;
        let group = account(&self.account)?.map(|account| account.group);
        let given = std::os::unix::fs::fchown(unfinished.file().as_fd(), Some(0), group);
        given.map_err(Trouble::stream(format!("giving the archive to {}", self.account)))?;
        Ok(unfinished)
    }

    /// The archive and its end get their names; then the key is let in, last of all.
    pub(super) fn open(
        &self,
        archive: Unfinished<'_>,
        out: &Dir,
        (key, record): (&PublicKey, &HostRecord),
        until: DateTime<Utc>,
    ) -> Result<(), Trouble> {
        let end = self.begin(out)?;
        let written =
            std::io::Write::write_all(&mut end.file(), format!("{}\n", until.timestamp()).as_bytes());
        written.map_err(Trouble::stream("writing until when the grant lasts"))?;
        end.place(UNTIL).map_err(self.at())?;
        archive.place(ARCHIVE).map_err(self.at())?;
        let bytes = key.fetching(&record.from, until).into_bytes();
        Step::File { path: self.key_file.clone(), bytes, owner: Some(0) }.run()?;
        Ok(())
    }

    /// Whether the host has taken all of it.
    pub(crate) fn is_fetched(&self) -> bool {
        self.folder.join("mark").join("fetched").symlink_metadata().is_ok()
    }

    /// Nothing half-written is left, where anything ever was. For whoever is alone with a grant that is not open.
    pub(super) fn tidy(&self) -> Result<(), Trouble> {
        match Dir::open_root(&self.folder.join("out")) {
            Err(error) if error.is_not_found() => Ok(()),
            out => out.and_then(|out| out.remove_unfinished()).map(drop).map_err(self.at()),
        }
    }

    /// Nobody can come in any more.
    pub(super) fn shut(&self) -> Result<(), Trouble> {
        let (Some(folder), Some(name)) = (self.key_file.parent(), self.key_file.file_name()) else {
            return Ok(());
        };
        let folder = Dir::open_root(folder).map_err(self.at())?;
        remove(&folder, Name::new(name.as_encoded_bytes()).map_err(self.at())?).map_err(self.at())
    }

    /// Nobody can come in, nobody is in, nothing is there; in this order. Whatever of it is so already stays so.
    pub(super) fn close(&self) -> Result<(), Trouble> {
        self.shut()?;
        // Only an outbox's own account: one of another use that has its name keeps its processes.
        if let Some(found) = account(&self.account)?.filter(|found| found.comment == self.comment()) {
            sessions::end(found.user)?;
        }
        match Dir::open_root(&self.folder.join("out")) {
            Err(error) if error.is_not_found() => Ok(()),
            out => out.and_then(|out| {
                out.remove_unfinished()?;
                remove(&out, ARCHIVE)?;
                remove(&out, UNTIL)
            }),
        }
        .map_err(self.at())
    }

    /// The last trace: that it was fetched.
    pub(super) fn forget(&self) -> Result<(), Trouble> {
        match Dir::open_root(&self.folder.join("mark")) {
            Err(error) if error.is_not_found() => Ok(()),
            mark => mark.and_then(|mark| remove(&mark, FETCHED)),
        }
        .map_err(self.at())
    }

    fn at(&self) -> impl FnOnce(durable::Error) -> Trouble + use<> {
        Trouble::folder(format!("the outbox of {}", self.host))
    }
}

/// The key with which the host pushes, which fetches too; none of a host that pushes no more.
pub(super) fn key(settings: &Settings, host: &HostId, record: &HostRecord) -> Result<PublicKey, Trouble> {
    let refused =
        |what: String| Trouble::Usage { what, advice: Some("see `snapshotter host list`".to_owned()) };
    if record.retired.is_some() {
        return Err(refused(format!("host {host} is retired: restore on the server instead")));
    }
    let given = PublicKey::given(&settings.keys.join(account_name(settings, host)?))?;
    given.and_then(|(_, key)| key).ok_or_else(|| refused(format!("host {host} has no key to fetch with")))
}

fn remove(folder: &Dir, name: Name<'_>) -> durable::Result<()> {
    match folder.unlink(name) {
        Err(error) if error.is_not_found() => Ok(()),
        removed => removed.and_then(|()| folder.sync()),
    }
}

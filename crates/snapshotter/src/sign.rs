//! What the server's key says: up to where a log is as this server wrote it ([`heads`]), and when a plan of a prune was made.
//!
//! The key is held by a process apart, which is started by whoever wrote to a log. It reads logs and no more of what a host sent, it writes nothing but
//! the signed heads, and it can write nowhere else. It signs no log that does not go on from the line it signed last, and no plan that was not made now.

pub(crate) mod heads;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use cli::{Console, Exit, Failed, Monitor};
use durable::{Dir, Lock, Name};
use formats::HostId;
use formats::records::Record;
use formats::records::plan::PrunePlan;
use history::History;
use rustix::fs::Mode;
use sandbox::{Confinement, Profile, Threads};
use serde::{Deserialize, Serialize};
use signing::{Certificate, Signer};

use crate::clerk::{Clerk, serve};
use crate::settings::Settings;
use crate::trouble::Trouble;
use heads::Heads;

/// The hidden verb.
const VERB: &str = "sign";
/// Of the one who makes the key, or writes heads.
const LOCK: Name<'static> = Name::literal(".lock");
/// How long it is waited for another one.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// So long ago a plan may have been made that is to be signed: surveying a history takes a while.
const PLAN_AGE_SECONDS_MAX: i64 = 900;
/// So far ahead of the clock it may be.
const PLAN_AHEAD_SECONDS_MAX: i64 = 5;

/// The process with the key, seen from those that write.
#[derive(Debug)]
pub(crate) struct Signing {
    clerk: Clerk,
}

/// Why something was not signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) why: String,
    pub(crate) kind: Kind,
}

/// What kind of reason that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// The log is not what was signed before.
    Damage,
    /// It could not be done.
    Moment,
}

#[derive(Debug, Serialize, Deserialize)]
enum Question {
    /// Is the key there?
    Key,
    /// Whose log.
    Log(HostId),
    Plan(Box<PrunePlan>),
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Done,
    Signed(String),
    Refused(Refused),
}

impl Signing {
    /// Starts it, and waits until it has its key; makes one, the first time.
    pub(crate) fn start(settings: &Settings) -> Result<Self, Refused> {
        let clerk = Clerk::start(settings, VERB).map_err(moment)?;
        let mut signing = Self { clerk };
        signing.ask(&Question::Key)?;
        Ok(signing)
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.clerk.id()
    }

    /// Has the log of this host signed, as far as it is new.
    pub(crate) fn log(&mut self, host: &HostId) -> Result<(), Refused> {
        self.ask(&Question::Log(host.clone())).map(|_| ())
    }

    /// The plan as a signed text.
    pub(crate) fn plan(&mut self, plan: &PrunePlan) -> Result<Vec<u8>, Refused> {
        match self.ask(&Question::Plan(Box::new(plan.clone())))? {
            Answer::Signed(text) => Ok(text.into_bytes()),
            _ => Err(moment("it was not answered")),
        }
    }

    /// Lets it go.
    pub(crate) fn finish(self) {
        self.clerk.finish();
    }

    fn ask(&mut self, question: &Question) -> Result<Answer, Refused> {
        match self.clerk.ask(question) {
            Ok(Answer::Refused(refused)) => Err(refused),
            Ok(answer) => Ok(answer),
            Err(error) => Err(moment(error)),
        }
    }
}

fn moment(why: impl ToString) -> Refused {
    Refused { why: why.to_string(), kind: Kind::Moment }
}

/// Has the logs of these hosts signed by a process of its own. What cannot be is told, and made up for by whoever writes to that log next.
pub(crate) fn logs<'a>(console: &Console, settings: &Settings, hosts: impl Iterator<Item = &'a HostId>) {
    let mut hosts = hosts.peekable();
    if hosts.peek().is_none() {
        return;
    }
    let mut signing = match Signing::start(settings) {
        Ok(signing) => signing,
        Err(Refused { why, .. }) => {
            console.warn(&format!("what was added to the logs is not signed: {why}"));
            return;
        }
    };
    for host in hosts {
        if let Err(Refused { why, .. }) = signing.log(host) {
            console.warn(&format!("{host}: its log is not signed: {why}"));
        }
    }
    signing.finish();
}

/// The process itself.
pub(crate) fn child(settings: &Settings) -> Result<Exit, Failed> {
    // Certificate and heads are for everybody.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let at = || Trouble::folder("opening the folder of the server's key");
    let folder = folder(&settings.signing).map_err(at())?;
    let alone = lock(&folder)?;
    let signer = Signer::open(&settings.signing)?;
    drop(alone);
    let certificate = certificate(settings)?;
    let heads = Heads::make(&folder).map_err(at())?;
    let dir =
        Dir::open_root(&settings.history).map_err(Trouble::folder("opening the folder of histories"))?;
    let history = History::open(&settings.history).map_err(Trouble::Histories)?;
    let confinement = Confinement::new(Profile::Ingest).landlock(settings.landlock()).threads(Threads::One);
    let confinement = confinement.read_beneath(&dir).write_files_beneath(heads.dir());
    let _in_force = confinement.apply().map_err(Trouble::from)?;
    serve(|question| {
        let answered = match question {
            Question::Key => Ok(Answer::Done),
            Question::Log(host) => {
                sign_log(&history, &host, &heads, &signer, &certificate).map(|()| Answer::Done)
            }
            Question::Plan(plan) => sign_plan(&plan, &signer).map(Answer::Signed),
        };
        answered.unwrap_or_else(|failed| {
            let kind = if failed.exit() == Exit::DAMAGED { Kind::Damage } else { Kind::Moment };
            Answer::Refused(Refused { why: failed.chain(), kind })
        })
    })?;
    Ok(Exit::WHOLE)
}

/// What plans are signed with, and read by.
pub(crate) fn for_plans(settings: &Settings) -> Result<(Signing, Certificate), Trouble> {
    let wrong =
        |refused: Refused| Trouble::Machine { what: format!("plans cannot be signed: {}", refused.why) };
    let signing = Signing::start(settings).map_err(wrong)?;
    Ok((signing, certificate(settings)?))
}

/// That of the key, which was made.
fn certificate(settings: &Settings) -> Result<Certificate, Trouble> {
    let read = Certificate::beside(&settings.signing);
    let read = read.map_err(|error| Trouble::Machine { what: cli::chain(&error) })?;
    read.ok_or_else(|| Trouble::Machine { what: "the server's key has no certificate".to_owned() })
}

/// The folder; made where the one above it belongs to this account.
fn folder(path: &Path) -> durable::Result<Dir> {
    match Dir::open_root(path) {
        Err(error) if error.is_not_found() => {
            let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
            Dir::open_root(above)?.make_dir_or_open(Name::new(name.as_encoded_bytes())?, 0o755)
        }
        answer => answer,
    }
}

fn lock(dir: &Dir) -> Result<Lock, Trouble> {
    let began = Instant::now();
    loop {
        let lock = dir.try_lock(LOCK).map_err(Trouble::folder("locking what is signed"))?;
        match lock {
            Some(lock) => return Ok(lock),
            None if began.elapsed() > PATIENCE => {
                let what = "another process holds the lock of what is signed".to_owned();
                return Err(Trouble::Machine { what });
            }
            None => std::thread::sleep(LOOK_EVERY),
        }
    }
}

fn sign_log(
    history: &History,
    host: &HostId,
    heads: &Heads,
    signer: &Signer,
    certificate: &Certificate,
) -> Result<(), Failed> {
    let _alone = lock(heads.dir())?;
    let place = history.host(host).map_err(Trouble::history(host))?;
    let before = heads.read(host, certificate)?;
    let Some(head) = heads::newest(&place, before.as_ref())? else { return Ok(()) };
    let text = head.to_line().map_err(|error| Failed::bug("writing the head of a log", error))?;
    heads.write(host, &signer.sign(&text, SystemTime::now())?)?;
    Ok(())
}

/// One that names nothing removes nothing, whenever it was made; one that names something begins to wait now.
fn sign_plan(plan: &PrunePlan, signer: &Signer) -> Result<String, Failed> {
    let wrong = |why: &str| Trouble::Plan {
        host: plan.host.clone(),
        name: plan.written.clone(),
        why: why.to_owned(),
    };
    let written = DateTime::parse_from_rfc3339(&plan.written).map_err(|_| wrong("its time is none"))?;
    let age = (Utc::now() - written.to_utc()).num_seconds();
    if !plan.remove.is_empty() && !(-PLAN_AHEAD_SECONDS_MAX..=PLAN_AGE_SECONDS_MAX).contains(&age) {
        return Err(wrong("it was not made now, so it is not signed").into());
    }
    let text = plan.to_line().map_err(|error| Failed::bug("writing a plan", error))?;
    let signed = signer.sign(&text, SystemTime::now())?;
    String::from_utf8(signed).map_err(|error| Failed::bug("signing a plan", error))
}

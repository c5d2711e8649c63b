//! Our side of a round.

use std::path::{Path, PathBuf};

use pipeline_tests::{Host, Outcome, settings};

use super::Bench;
use super::peer::Peer;
use super::runner::{Took, Transport};
use super::subject::Subject;
use crate::trouble::Result;

/// Sealed, and no verdict was waited for.
const SEALED: i32 = 18;
/// Accepted already: nothing was left to wait for.
const WHOLE: i32 = 0;

/// A host of ours, which comes by one transport.
pub(crate) struct Ours {
    pub(crate) transport: Transport,
    pub(crate) host: Host,
    name: String,
    source: PathBuf,
    /// So many hosts began with nothing before this one.
    before: u32,
}

impl Ours {
    /// A host of a subject; with an accepted push if nothing of it is to change.
    pub(crate) fn prepare(bench: &mut Bench, subject: Subject, transport: Transport) -> Result<Ours> {
        let source = bench.source(subject).to_owned();
        let ours = Ours::new(bench, subject.name(), &source, transport)?;
        if subject.is_unchanged() {
            ours.push(bench)?;
            ours.ingest(bench)?;
            // Beyond the time within which a change could go unseen, all is remembered.
            ours.push(bench)?;
            ours.ingest(bench)?;
        }
        Ok(ours)
    }

    pub(crate) fn new(bench: &mut Bench, name: &str, source: &Path, transport: Transport) -> Result<Ours> {
        let by = match transport {
            Transport::Ssh2 => "ssh2",
            Transport::Ssh => "ssh",
        };
        let name = format!("bench-{name}-{by}");
        // The folder of data belongs to no host; the host's own lies beside it.
        let host = bench.scratch.add_host(&name, &[source.to_owned()])?;
        let ours = Ours { transport, host, name, source: source.to_owned(), before: 0 };
        ours.write_settings(bench)?;
        Ok(ours)
    }

    /// One push and its snapshot. A first push is one of a new host, whose history goes again.
    pub(crate) fn run(&mut self, bench: &mut Bench, peer: &Peer, subject: Subject) -> Result<Took> {
        if !subject.is_unchanged() {
            self.before += 1;
            let name = format!("{}-{}", self.name, self.before);
            self.host = bench.scratch.add_host(&name, std::slice::from_ref(&self.source))?;
            peer.let_in(&mut bench.scratch)?;
        }
        let took = self.push_to_snapshot(bench)?;
        if !subject.is_unchanged() {
            std::fs::remove_dir_all(bench.scratch.history(&self.host.name))?;
            std::fs::remove_dir_all(self.host.state())?;
        }
        Ok(took)
    }

    /// One push, and its ingest.
    pub(crate) fn push_to_snapshot(&self, bench: &Bench) -> Result<Took> {
        Ok(self.pushed(bench)?.0)
    }

    /// The same, with the report of the push.
    pub(crate) fn pushed(&self, bench: &Bench) -> Result<(Took, Outcome)> {
        self.write_settings(bench)?;
        bench.disk.flush()?;
        let pushed = self.push(bench)?;
        let ingested = self.ingest(bench)?;
        let took = Took { sealed: pushed.took, snapshot: Some(pushed.took + ingested.took) };
        Ok((took, pushed))
    }

    /// One push, up to `sealed`.
    pub(crate) fn push(&self, bench: &Bench) -> Result<Outcome> {
        Ok(bench.scratch.push(&self.host)?.expect_code(&[SEALED, WHOLE])?)
    }

    /// Its snapshot.
    pub(crate) fn ingest(&self, bench: &Bench) -> Result<Outcome> {
        let mut ingest = bench.scratch.snapshotter(&["ingest", &self.host.name]);
        Ok(Outcome::of(&mut ingest)?.expect_code(&[WHOLE])?)
    }

    fn write_settings(&self, bench: &Bench) -> Result<()> {
        let server = match self.transport {
            Transport::Ssh2 => "transport = \"ssh2\"\n",
            Transport::Ssh => "transport = \"ssh\"\n",
        };
        let push = settings::Push { server: server.to_owned(), ..settings::Push::default() };
        Ok(settings::write_push(&bench.scratch, &self.host, &push)?)
    }
}

//! Reading the output of a retrieval, a chunk at a time. A body that breaks off is asked for again from where it ended; at the end, the tree hash of
//! all that came is compared with the archive's.
//!
//! Whoever wants to read a short archive without having asked for it gets it asked for: ice records and catalogues are needed to know what else to
//! thaw. What lies beside it and is short is asked for with it.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_glacier::primitives::ByteStream;
use bytes::Bytes;
use tokio::runtime::Handle;

use super::GlacierVault;
use super::index::Archive;
use super::jobs::Progress;
use super::store::Store;
use super::tree::TreeHasher;
use crate::s3::fault::Fault;
use crate::{ObjectRef, Result, Tier, VaultError};

/// How often in a row a body may break off without a byte having come.
const BREAKS_MAX: u32 = 5;
/// How long nothing may come before it counts as broken off.
const SILENCE: Duration = Duration::from_secs(60);
const BREAK_WAIT: Duration = Duration::from_millis(500);

struct Reader {
    store: Arc<Store>,
    handle: Handle,
    archive: Archive,
    job: String,
    body: Option<ByteStream>,
    chunk: Bytes,
    /// Bytes received so far.
    at: u64,
    /// None after the end.
    tree: Option<TreeHasher>,
    breaks: u32,
}

pub(super) fn fetch(vault: &GlacierVault, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
    let store = Arc::clone(&vault.store);
    vault.wait(store.known())?;
    let archive = store.index.archive(object)?;
    let job = vault.wait(store.ready_job(&archive))?;
    let body = vault.wait(store.open(&archive, &job, 0))?;
    Ok(Box::new(Reader {
        handle: vault.runtime.handle().clone(),
        job,
        body: Some(body),
        chunk: Bytes::new(),
        at: 0,
        tree: Some(TreeHasher::default()),
        breaks: 0,
        store,
        archive,
    }))
}

impl Store {
    /// The id of the finished job of an archive.
    async fn ready_job(&self, archive: &Archive) -> Result<String> {
        let frozen = || VaultError::Frozen { object: archive.name.clone() };
        match self.job_of(archive).await? {
            Some(job) if matches!(job.progress, Progress::Ready { .. }) => return Ok(job.id),
            Some(_) => return Err(frozen()),
            None => {}
        }
        if archive.bytes <= self.small_bytes {
            self.begin_small(archive).await?;
        }
        Err(frozen())
    }

    /// Asks for an archive, and for the short ones beside it that nobody has asked for.
    async fn begin_small(&self, archive: &Archive) -> Result<()> {
        let asked: Vec<_> = self.jobs().await?.into_iter().filter_map(|job| job.archive).collect();
        let beside = self.index.beside(&archive.name, self.small_bytes)?;
        let beside = beside.iter().filter(|other| other.id != archive.id && !asked.contains(&other.id));
        for one in std::iter::once(archive).chain(beside) {
            self.begin_retrieval(one, Tier::Standard).await?;
        }
        Ok(())
    }

    /// The output from byte `at` on.
    async fn open(&self, archive: &Archive, job: &str, at: u64) -> Result<ByteStream> {
        let call = self.client.get_job_output().account_id("-").vault_name(&self.vault).job_id(job);
        let call =
            if at > 0 { call.range(format!("bytes={at}-{}", archive.bytes.saturating_sub(1))) } else { call };
        let got = call.send().await.map_err(Fault::from).map_err(|fault| match fault.status {
            // The output was there for a day.
            Some(404) => VaultError::Frozen { object: archive.name.clone() },
            _ => fault.on("fetch", &archive.name, "glacier:GetJobOutput"),
        })?;
        Ok(got.body)
    }
}

impl Reader {
    /// The next bytes; none at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        let handle = self.handle.clone();
        while self.at < self.archive.bytes {
            let broke = match self.body.as_mut() {
                Some(body) => {
                    match handle.block_on(async { tokio::time::timeout(SILENCE, body.next()).await }) {
                        Ok(Some(Ok(chunk))) if chunk.is_empty() => continue,
                        Ok(Some(Ok(chunk))) => return self.take(chunk),
                        Ok(Some(Err(error))) => io::Error::other(error),
                        Ok(None) => io::ErrorKind::UnexpectedEof.into(),
                        Err(_) => io::ErrorKind::TimedOut.into(),
                    }
                }
                None => io::ErrorKind::UnexpectedEof.into(),
            };
            self.resume(broke)?;
        }
        match self.tree.take().map(TreeHasher::finish) {
            Some(tree) if tree != self.archive.tree => {
                Err(wrong("the tree hash of what came is not the archive's"))
            }
            _ => Ok(Bytes::new()),
        }
    }

    fn take(&mut self, chunk: Bytes) -> io::Result<Bytes> {
        self.at += chunk.len() as u64;
        self.breaks = 0;
        if self.at > self.archive.bytes {
            return Err(wrong("the store gives more bytes than the archive has"));
        }
        if let Some(tree) = &mut self.tree {
            tree.update(&chunk);
        }
        Ok(chunk)
    }

    fn resume(&mut self, broke: io::Error) -> io::Result<()> {
        self.body = None;
        self.breaks += 1;
        if self.breaks > BREAKS_MAX {
            return Err(broke);
        }
        let wait = BREAK_WAIT * self.breaks;
        let (store, archive, job, at) = (&self.store, &self.archive, &self.job, self.at);
        let body = self.handle.block_on(async {
            tokio::time::sleep(wait).await;
            store.open(archive, job, at).await
        });
        self.body = Some(body.map_err(io::Error::other)?);
        Ok(())
    }
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && !buffer.is_empty() {
            self.chunk = self.next()?;
        }
        let length = self.chunk.len().min(buffer.len());
        let piece = self.chunk.split_to(length);
        if let Some(to) = buffer.get_mut(..length) {
            to.copy_from_slice(&piece);
        }
        Ok(length)
    }
}

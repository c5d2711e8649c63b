//! Reading one generation, a chunk at a time. A body that breaks off is asked for again from where it ended.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RANGE};
use reqwest::{Method, Response};
use tokio::runtime::Handle;

use super::GsVault;
use super::client::Call;
use super::fault::Fault;
use super::store::Store;
use crate::{ObjectName, ObjectRef, Result};

/// How often in a row a body may break off without a byte having come.
const BREAKS_MAX: u32 = 5;
/// How long nothing may come before it counts as broken off.
const SILENCE: Duration = Duration::from_secs(60);
const BREAK_WAIT: Duration = Duration::from_millis(500);

struct Reader {
    store: Arc<Store>,
    handle: Handle,
    name: ObjectName,
    generation: i64,
    body: Option<Response>,
    chunk: Bytes,
    /// Bytes received so far, and bytes that the object has.
    at: u64,
    bytes: u64,
    breaks: u32,
}

pub(super) fn fetch(vault: &GsVault, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
    let store = Arc::clone(&vault.store);
    let generation = vault.wait(store.version_of(object))?;
    let (body, bytes) = vault.wait(store.open(&object.name, generation, 0))?;
    Ok(Box::new(Reader {
        handle: vault.runtime.handle().clone(),
        name: object.name.clone(),
        body: Some(body),
        chunk: Bytes::new(),
        at: 0,
        breaks: 0,
        store,
        generation,
        bytes,
    }))
}

impl Store {
    /// The body from byte `at` on, and how many bytes it has.
    async fn open(&self, name: &ObjectName, generation: i64, at: u64) -> Result<(Response, u64)> {
        let mut call = Call::new(Method::GET, self.object_url(name, generation, &[("alt", "media")])?);
        if at > 0 {
            call = call.header(RANGE, &format!("bytes={at}-"));
        }
        let failed = |fault: Fault| fault.on("fetch", name, "storage.objects.get");
        let body = self.client.ask_open(&call).await.map_err(failed)?;
        if at > 0 && body.status().as_u16() != 206 {
            return Err(failed(Fault::of_nonsense("the store gives other bytes than were asked for")));
        }
        let bytes = body.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let unknown = || failed(Fault::of_nonsense("the store does not say how long it is"));
        Ok((body, bytes.ok_or_else(unknown)?))
    }
}

impl Reader {
    /// The next bytes; none at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        let handle = self.handle.clone();
        while self.at < self.bytes {
            let broke = match self.body.as_mut() {
                Some(body) => {
                    match handle.block_on(async { tokio::time::timeout(SILENCE, body.chunk()).await }) {
                        Ok(Ok(Some(chunk))) if chunk.is_empty() => continue,
                        Ok(Ok(Some(chunk))) => return self.take(chunk),
                        Ok(Ok(None)) => io::ErrorKind::UnexpectedEof.into(),
                        Ok(Err(error)) => io::Error::other(error.without_url()),
                        Err(_) => io::ErrorKind::TimedOut.into(),
                    }
                }
                None => io::ErrorKind::UnexpectedEof.into(),
            };
            self.resume(broke)?;
        }
        Ok(Bytes::new())
    }

    fn take(&mut self, chunk: Bytes) -> io::Result<Bytes> {
        self.at += chunk.len() as u64;
        self.breaks = 0;
        if self.at > self.bytes {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the store gives more bytes than it announced",
            ));
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
        let (store, name, generation, at) = (&self.store, &self.name, self.generation, self.at);
        let (body, rest) = self
            .handle
            .block_on(async {
                tokio::time::sleep(wait).await;
                store.open(name, generation, at).await
            })
            .map_err(io::Error::other)?;
        if at.checked_add(rest) != Some(self.bytes) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the store now says another length than before",
            ));
        }
        self.body = Some(body);
        Ok(())
    }
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

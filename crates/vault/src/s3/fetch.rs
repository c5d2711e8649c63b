//! Reading one version, a chunk at a time. A body that breaks off is asked for again from where it ended.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use tokio::runtime::Handle;

use super::S3Vault;
use super::fault::Fault;
use super::store::Store;
use crate::{ObjectName, ObjectRef, Result, VersionId};

/// How often in a row a body may break off without a byte having come.
const BREAKS_MAX: u32 = 5;
/// How long nothing may come before it counts as broken off.
const SILENCE: Duration = Duration::from_secs(60);
const BREAK_WAIT: Duration = Duration::from_millis(500);

struct Reader {
    store: Arc<Store>,
    handle: Handle,
    name: ObjectName,
    version: VersionId,
    body: Option<ByteStream>,
    chunk: Bytes,
    /// Bytes received so far, and bytes that the object has.
    at: u64,
    bytes: u64,
    breaks: u32,
}

pub(super) fn fetch(vault: &S3Vault, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
    let store = Arc::clone(&vault.store);
    let version = vault.wait(store.version_of(object))?;
    let (body, bytes) = vault.wait(store.open(&object.name, &version, 0))?;
    Ok(Box::new(Reader {
        handle: vault.runtime.handle().clone(),
        name: object.name.clone(),
        body: Some(body),
        chunk: Bytes::new(),
        at: 0,
        breaks: 0,
        store,
        version,
        bytes,
    }))
}

impl Store {
    /// The body from byte `at` on, and how many bytes it has.
    async fn open(&self, name: &ObjectName, version: &VersionId, at: u64) -> Result<(ByteStream, u64)> {
        let call =
            self.client.get_object().bucket(&self.bucket).key(self.key(name)?).version_id(version.as_str());
        let call = if at > 0 { call.range(format!("bytes={at}-")) } else { call };
        let got = call.send().await;
        let got = got.map_err(|error| Fault::from(error).on("fetch", name, "s3:GetObjectVersion"))?;
        let bytes = got.content_length().and_then(|length| u64::try_from(length).ok());
        let bytes = bytes.ok_or_else(|| {
            let source = io::Error::other("the store does not say how long it is");
            crate::VaultError::Unreachable { step: format!("fetch {name}"), source }
        })?;
        Ok((got.body, bytes))
    }
}

impl Reader {
    /// The next bytes; none at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        let handle = self.handle.clone();
        while self.at < self.bytes {
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
        let (store, name, version, at) = (&self.store, &self.name, &self.version, self.at);
        let (body, rest) = self
            .handle
            .block_on(async {
                tokio::time::sleep(wait).await;
                store.open(name, version, at).await
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

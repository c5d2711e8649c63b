//! A resumable upload: one part after another, each as far as the store says it has it. Memory holds the part under way and the one being read.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;
use http::header::{LOCATION, RANGE};
use reqwest::{Method, Url};

use super::GsVault;
use super::checksum::Crc;
use super::client::{Answer, Call};
use super::fault::Fault;
use super::put::{Order, Sent};
use super::retry::Tries;
use super::store::Store;
use crate::content::Incoming;

const X_GOOG_HASH: HeaderName = HeaderName::from_static("x-goog-hash");
const X_UPLOAD_LENGTH: HeaderName = HeaderName::from_static("x-upload-content-length");
const RESUME_INCOMPLETE: u16 = 308;

/// An upload under way.
struct Session {
    store: Arc<Store>,
    url: Url,
    /// The whole object's.
    bytes: u64,
}

/// How far the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It has so many bytes, from the first on.
    Has(u64),
    /// It has all of them, and made them an object.
    Done,
}

/// Sends the bytes of a [put](super::put). If it fails before the last part is sent, nothing of them is left there.
pub(super) fn send(vault: &GsVault, order: &Order, incoming: Incoming<'_, '_>) -> crate::Result<Sent> {
    let session = vault.wait(begin(&vault.store, order))?;
    let sent = send_parts(vault, order, &session, incoming);
    if sent.is_err() {
        // Best effort: what is never ended is forgotten there after a week, shown to nobody and paid for by nobody.
        let cancel = Call::new(Method::DELETE, session.url.clone());
        let _ = vault.wait(vault.store.client.once(&cancel));
    }
    sent
}

async fn begin(store: &Arc<Store>, order: &Order) -> crate::Result<Arc<Session>> {
    let query = [("uploadType", "resumable"), ("name", order.key.as_str()), ("ifGenerationMatch", "0")];
    let call = Call::new(Method::POST, store.upload_url(&query))
        .json(&order.document(store.class))
        .header(X_UPLOAD_LENGTH, &order.bytes.to_string());
    let answer = store.client.ask(&call).await.map_err(|fault| order.failed(fault))?;
    let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let url = location.and_then(|location| store.session_url(location)).ok_or_else(|| {
        order.failed(Fault::of_nonsense(
            "the store does not say where the upload goes on, or names another server",
        ))
    })?;
    Ok(Arc::new(Session { store: Arc::clone(store), url, bytes: order.bytes }))
}

fn send_parts(
    vault: &GsVault,
    order: &Order,
    session: &Arc<Session>,
    mut incoming: Incoming<'_, '_>,
) -> crate::Result<Sent> {
    let length = vault.store.part_bytes;
    let mut crc = Crc::new();
    let mut at = 0;
    let mut part = incoming.piece(length)?;
    while incoming.rest() > 0 {
        crc.update(&part);
        let end = at + part.len() as u64;
        let task = {
            let session = Arc::clone(session);
            vault.runtime.spawn(async move { session.push(at, part, None).await })
        };
        // Read while the one before it is on its way.
        let next = incoming.piece(length);
        let pushed = vault.join(task)?.map_err(|fault| order.failed(fault))?;
        if pushed == Progress::Done {
            let fault = Fault::of_nonsense("the store ended the upload before its end");
            return Err(order.failed(fault));
        }
        (at, part) = (end, next?);
    }
    crc.update(&part);
    incoming.finish()?;
    let crc = crc.text();
    match vault.wait(session.push(at, part, Some(&crc))) {
        Ok(Progress::Done) => Ok(Sent::Done(crc)),
        Ok(Progress::Has(_)) => {
            Ok(Sent::Unknown(crc, Fault::of_nonsense("the store has all bytes and makes no object of them")))
        }
        Err(fault) if matches!(fault.status, Some(400 | 401 | 403)) => Err(order.failed(fault)),
        Err(fault) => Ok(Sent::Unknown(crc, fault)),
    }
}

impl Session {
    /// Sends one part, which begins at byte `at`, until the store has it. The last one carries the checksum of the whole.
    async fn push(&self, at: u64, part: Bytes, crc: Option<&str>) -> Result<Progress, Fault> {
        let end = at + part.len() as u64;
        let mut from = at;
        let mut tries = Tries::default();
        loop {
            let rest = part.slice(usize::try_from(from - at).unwrap_or(usize::MAX).min(part.len())..);
            match self.once(from, rest, crc).await {
                Ok(Progress::Done) => return Ok(Progress::Done),
                Ok(Progress::Has(has)) => {
                    let has = within(has, at, end)?;
                    if has == end && end != self.bytes {
                        return Ok(Progress::Has(end));
                    }
                    // It may keep less than it was sent; that it keeps nothing must not go on for ever.
                    if has > from {
                        tries.reset();
                    } else {
                        tries
                            .wait(Fault::of_silence(io::Error::other("the store keeps nothing it is sent")))
                            .await?;
                    }
                    from = has;
                }
                Err(fault) => {
                    tries.wait(fault).await?;
                    match self.ask(&mut tries).await? {
                        Progress::Done => return Ok(Progress::Done),
                        Progress::Has(has) => from = within(has, at, end)?,
                    }
                    if from == end && end != self.bytes {
                        return Ok(Progress::Has(end));
                    }
                }
            }
        }
    }

    /// One try of sending what is left of a part.
    async fn once(&self, from: u64, rest: Bytes, crc: Option<&str>) -> Result<Progress, Fault> {
        let total = self.bytes;
        let range = match (from + rest.len() as u64).checked_sub(1) {
            Some(last) if !rest.is_empty() => format!("bytes {from}-{last}/{total}"),
            _ => format!("bytes */{total}"),
        };
        let mut call = Call::new(Method::PUT, self.url.clone()).part(&range, rest);
        if let Some(crc) = crc {
            call = call.header(X_GOOG_HASH, &format!("crc32c={crc}"));
        }
        progress(&self.store.client.once(&call).await?)
    }

    /// Asks how far the store is.
    async fn ask(&self, tries: &mut Tries) -> Result<Progress, Fault> {
        let query =
            Call::new(Method::PUT, self.url.clone()).part(&format!("bytes */{}", self.bytes), Bytes::new());
        loop {
            match self.store.client.once(&query).await.and_then(|answer| progress(&answer)) {
                Ok(progress) => return Ok(progress),
                Err(fault) => tries.wait(fault).await?,
            }
        }
    }
}

fn progress(answer: &Answer) -> Result<Progress, Fault> {
    match answer.status {
        RESUME_INCOMPLETE => {
            let Some(range) = answer.headers.get(RANGE) else { return Ok(Progress::Has(0)) };
            let last =
                range.to_str().ok().and_then(|text| text.strip_prefix("bytes=0-")?.parse::<u64>().ok());
            let has = last.and_then(|last| last.checked_add(1));
            let nonsense = || Fault::of_nonsense("the store does not say how far the upload is");
            has.map(Progress::Has).ok_or_else(nonsense)
        }
        _ if answer.is_success() => Ok(Progress::Done),
        _ => Err(answer.fault()),
    }
}

/// Bytes once confirmed are no longer in memory: a store that forgets them ends the upload.
fn within(has: u64, at: u64, end: u64) -> Result<u64, Fault> {
    if (at..=end).contains(&has) {
        return Ok(has);
    }
    Err(Fault::of_nonsense("the store has more or fewer bytes than it was sent"))
}

//! Resumable uploads.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::answer::Answer;
use crate::document::text;
use crate::fault::Fault;
use crate::insert::{Wish, insert};
use crate::refusal::Refusal;
use crate::route::Turn;

/// The least that a part has, but for the last, and what the store keeps by.
const STEP: u64 = 256 * 1024;

/// An upload under way.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) bucket: String,
    pub(crate) key: String,
    wish: Wish,
    data: Vec<u8>,
    /// How many bytes are to come, if that was said.
    announced: Option<u64>,
    /// What became of it.
    done: Option<Value>,
    begun: DateTime<Utc>,
}

/// `bytes a-b/total`, `bytes */total`, `bytes a-b/*` or `bytes */*`.
struct Range {
    from: Option<(u64, u64)>,
    total: Option<u64>,
}

fn range(text: &str) -> Option<Range> {
    let (span, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let from = match span {
        "*" => None,
        span => {
            let (first, last) = span.split_once('-')?;
            Some((first.parse().ok()?, last.parse().ok()?))
        }
    };
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some(Range { from, total })
}

/// `POST ...?uploadType=resumable`
pub(crate) fn begin(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let document: Value = if turn.body.is_empty() {
        Value::Object(Default::default())
    } else {
        serde_json::from_slice(&turn.body).map_err(|_| Refusal::invalid("Parse Error"))?
    };
    let key = turn.call.parameter("name").or(text(&document, "name")).unwrap_or_default().to_owned();
    let bucket = turn.bucket.clone();
    let wish = Wish::read(turn, &key, &document)?;
    wish.check(turn, &bucket, &key)?;
    let announced = turn.call.header("x-upload-content-length").and_then(|length| length.parse().ok());
    let id = format!("session-{}", turn.store.next_generation(turn.now));
    let session = Session { bucket, key, wish, data: Vec::new(), announced, done: None, begun: turn.now };
    let host = match turn.faults.strikes(Fault::Elsewhere) {
        true => "127.0.0.1:1".to_owned(),
        false => turn.address.to_string(),
    };
    let place =
        format!("http://{host}/upload/storage/v1/b/{}/o?uploadType=resumable&upload_id={id}", turn.bucket);
    turn.store.sessions.insert(id, session);
    Ok(Answer::new(200).with("location", place))
}

/// `PUT` to a session: a part, or the question how far it is. `DELETE` ends it.
pub(crate) fn go_on(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let gone = || Refusal::new(404, "notFound", "The resumable upload session does not exist.");
    let id = turn.call.parameter("upload_id").unwrap_or_default().to_owned();
    if turn.call.method == "DELETE" {
        return turn.store.sessions.remove(&id).map(|_| Answer::new(499)).ok_or_else(gone);
    }
    let mut session = turn.store.sessions.remove(&id).ok_or_else(gone)?;
    if turn.now - session.begun > chrono::TimeDelta::days(7) {
        return Err(Refusal::new(410, "gone", "The resumable upload session is over."));
    }
    let answer = session.part(turn);
    turn.store.sessions.insert(id, session);
    answer
}

impl Session {
    fn part(&mut self, turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
        if let Some(done) = &self.done {
            return Ok(Answer::json(done));
        }
        if !self.data.is_empty() && turn.faults.strikes(Fault::ForgetUpload) {
            self.data.clear();
            return Ok(self.so_far());
        }
        let range = turn.call.header("content-range").and_then(range);
        let range = range.ok_or_else(|| Refusal::invalid("Invalid Content-Range"))?;
        self.announced = self.announced.or(range.total);
        if range.total.is_some() && range.total != self.announced {
            return Err(Refusal::invalid("The upload is of another length than was announced."));
        }
        if let Some((first, last)) = range.from {
            self.keep(turn, first, last, range.total)?;
        }
        let has = self.data.len() as u64;
        // A question about an upload of which all bytes came ends it too.
        if self.announced != Some(has) || turn.was_cut {
            return Ok(self.so_far());
        }
        self.finish(turn)
    }

    fn keep(
        &mut self,
        turn: &mut Turn<'_>,
        first: u64,
        last: u64,
        total: Option<u64>,
    ) -> Result<(), Refusal> {
        let length = last.checked_sub(first).map(|less| less + 1).unwrap_or_default();
        if !turn.was_cut && length != turn.body.len() as u64 {
            return Err(Refusal::invalid("The body is not as long as Content-Range says."));
        }
        if total.is_some_and(|total| last >= total) {
            return Err(Refusal::invalid("Content-Range ends behind the end."));
        }
        let is_last = total == Some(last + 1);
        if !is_last && length < STEP {
            return Err(Refusal::invalid(format!(
                "Invalid request.  The number of bytes uploaded is required to be equal or greater than {STEP}, except for the final request. The received request contained {length} bytes, which does not meet this requirement."
            )));
        }
        if first != self.data.len() as u64 {
            return Err(Refusal::new(
                503,
                "backendError",
                "Content-Range does not begin where the upload is.",
            ));
        }
        let mut body: Bytes = turn.body.clone();
        if let Some(Fault::KeepLess(bytes)) = turn.faults.strike(Fault::KeepLess(0)) {
            body.truncate(bytes);
        }
        if !is_last || (body.len() as u64) < length {
            // Only whole steps are kept before the end.
            body.truncate(body.len() - body.len() % usize::try_from(STEP).unwrap_or(1));
        }
        self.data.extend_from_slice(&body);
        Ok(())
    }

    fn finish(&mut self, turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
        self.wish.check(turn, &self.bucket, &self.key)?;
        if let Some(hash) = turn.call.header("x-goog-hash") {
            self.wish.crc32c = hash.strip_prefix("crc32c=").map(str::to_owned);
        }
        let data = Bytes::from(std::mem::take(&mut self.data));
        let document = insert(turn, &self.bucket, &self.key, &self.wish, data)?;
        self.done = Some(document.clone());
        Ok(Answer::json(&document))
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.is_some()
    }

    fn so_far(&self) -> Answer {
        let answer = Answer::new(308);
        match self.data.len() {
            0 => answer,
            has => answer.with("range", format!("bytes=0-{}", has - 1)),
        }
    }
}

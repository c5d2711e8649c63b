//! What an answer shows.

use super::super::fault::UNKNOWN_SENDER;
use super::ask::Answer;

/// What one answer comes to, whatever was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Done,
    Denied,
    /// The store does not have this call.
    NotBuilt,
    /// There is nothing that it could be done to.
    Nothing,
    /// The store or the way to it failed, or does not know the sender: no answer to what was asked.
    Failed,
    /// It was understood as something else than a question of permission.
    Other,
}

pub(super) fn weigh(answer: &Answer) -> Weight {
    let code = answer.code.as_str();
    match answer.status {
        // A batch says for each object what came of it.
        200 if answer.body.windows(7).any(|seen| seen == b"<Error>") => match code {
            "AccessDenied" => Weight::Denied,
            "InternalError" | "SlowDown" | "ServiceUnavailable" => Weight::Failed,
            _ => Weight::Other,
        },
        200..300 => Weight::Done,
        _ if UNKNOWN_SENDER.contains(&code) => Weight::Failed,
        // Without the store's word for it, it may come from something in between, which a thief would not pass.
        401 | 403 if code.is_empty() => Weight::Other,
        401 | 403 => Weight::Denied,
        405 | 501 => Weight::NotBuilt,
        404 if code == "NoSuchBucket" => Weight::Failed,
        404 => Weight::Nothing,
        408 | 429 | 500.. => Weight::Failed,
        status if status < 400 => Weight::Failed,
        // Taken for CreateBucket: a setting that the store has never heard of.
        409 if matches!(code, "BucketAlreadyExists" | "BucketAlreadyOwnedByYou") => Weight::NotBuilt,
        _ => Weight::Other,
    }
}

/// True for answers that speak of the lock although their status is not 403.
pub(super) fn is_lock_speaking(answer: &Answer) -> bool {
    answer.status == 409
        || matches!(answer.code.as_str(), "InvalidRequest" | "ObjectLocked" | "InvalidObjectState")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, code: &str, body: &'static str) -> Answer {
        Answer { status, code: code.to_owned(), body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn only_an_answer_about_permission_is_a_denial() {
        assert_eq!(weigh(&answer(403, "AccessDenied", "")), Weight::Denied);
        assert_eq!(weigh(&answer(403, "", "")), Weight::Other, "a proxy's");
        for code in UNKNOWN_SENDER {
            assert_eq!(weigh(&answer(403, code, "")), Weight::Failed, "{code}");
        }
        for status in [100, 301, 307, 408, 429, 500, 502, 503, 504, 599] {
            assert_eq!(weigh(&answer(status, "", "")), Weight::Failed, "{status}");
        }
        assert_eq!(weigh(&answer(501, "NotImplemented", "")), Weight::NotBuilt);
        assert_eq!(weigh(&answer(400, "MalformedXML", "")), Weight::Other);
        assert_eq!(weigh(&answer(404, "NoSuchBucket", "")), Weight::Failed);
    }

    #[test]
    fn a_batch_is_done_unless_it_says_otherwise() {
        let denied = "<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code></Error></DeleteResult>";
        let deleted = "<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>";
        assert_eq!(weigh(&answer(200, "AccessDenied", denied)), Weight::Denied);
        assert_eq!(weigh(&answer(200, "", deleted)), Weight::Done);
        assert_eq!(weigh(&answer(200, "", "")), Weight::Done);
        assert_eq!(weigh(&answer(204, "", "")), Weight::Done);
    }
}

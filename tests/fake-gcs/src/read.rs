//! Reading: metadata, bytes, lists.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::document::add;
use crate::fault::Fault;
use crate::fields::select;
use crate::refusal::Refusal;
use crate::route::Turn;

const PAGE_MAX: usize = 1_000;

/// `GET .../o/KEY`
pub(crate) fn object(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.call.only(&["generation", "fields", "alt", "prettyPrint"])?;
    turn.asker.must("storage.objects.get")?;
    let generation = turn.call.number("generation")?;
    let (bucket, key) = (turn.bucket.clone(), turn.key.clone());
    let missing = turn.missing();
    let is_media = turn.call.parameter("alt") == Some("media");
    let fields = turn.call.parameter("fields").map(str::to_owned);
    let range = turn.call.header("range").map(str::to_owned);
    let is_cut = is_media && turn.faults.strikes(Fault::CutBody);
    let shelf = turn.shelf(&bucket)?;
    let version = shelf.version(&key, generation).ok_or(missing)?;
    if !is_media {
        return Ok(Answer::json(&select(shelf.document(&bucket, &key, version), fields.as_deref())?));
    }
    let whole = version.data.len();
    let answer = match range {
        None => Answer::new(200).body(version.data.clone()),
        Some(range) => {
            let unmet = || Refusal::new(416, "requestedRangeNotSatisfiable", "Request range not satisfiable");
            let (first, last) = span(&range, whole).ok_or_else(unmet)?;
            Answer::new(206)
                .body(version.data.slice(first..last + 1))
                .with("content-range", format!("bytes {first}-{last}/{whole}"))
        }
    };
    let answer = if is_cut { answer.breaking_off() } else { answer };
    Ok(answer
        .with("content-type", version.content_type.clone())
        .with("x-goog-generation", version.generation.to_string())
        .with("x-goog-metageneration", version.metageneration.to_string())
        .with("x-goog-storage-class", version.class.clone())
        .with("x-goog-stored-content-length", whole.to_string())
        .with("x-goog-stored-content-encoding", "identity")
        .with("x-goog-hash", format!("crc32c={}", version.crc32c)))
}

/// `bytes=a-b` or `bytes=a-` of so many bytes.
fn span(text: &str, whole: usize) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first: usize = first.parse().ok()?;
    let end = whole.checked_sub(1)?;
    let last = if last.is_empty() { end } else { last.parse::<usize>().ok()?.min(end) };
    (first <= last).then_some((first, last))
}

/// `GET .../o`
pub(crate) fn list(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.call.only(&["prefix", "versions", "pageToken", "maxResults", "fields", "prettyPrint"])?;
    turn.asker.must("storage.objects.list")?;
    let bucket = turn.bucket.clone();
    let prefix = turn.call.parameter("prefix").unwrap_or_default().to_owned();
    let is_all = turn.call.parameter("versions") == Some("true");
    let asked = turn.call.number("maxResults")?.and_then(|most| usize::try_from(most).ok());
    let most = asked.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let after = turn.call.parameter("pageToken").map(mark).transpose()?;
    let fields = turn.call.parameter("fields").map(str::to_owned);
    let is_empty = turn.faults.strikes(Fault::EmptyList);
    let shelf = turn.shelf(&bucket)?;
    let all = shelf.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && !is_empty);
    let all = all.flat_map(|(key, versions)| versions.iter().map(move |version| (key, version)));
    let shown = all.filter(|(_, version)| is_all || version.noncurrent.is_none());
    let mut rest = shown.filter(|(key, version)| {
        after
            .as_ref()
            .is_none_or(|(last, generation)| (key.as_str(), version.generation) > (last, *generation))
    });
    let page: Vec<_> = rest.by_ref().take(most).collect();
    let mut document = json!({ "kind": "storage#objects" });
    if let (Some((key, version)), true) = (page.last(), rest.next().is_some()) {
        let token = URL_SAFE_NO_PAD.encode(format!("{} {key}", version.generation));
        add(&mut document, "nextPageToken", token);
    }
    if !page.is_empty() {
        let items: Vec<Value> =
            page.into_iter().map(|(key, version)| shelf.document(&bucket, key, version)).collect();
        add(&mut document, "items", items);
    }
    Ok(Answer::json(&select(document, fields.as_deref())?))
}

/// What came last on the page before.
fn mark(token: &str) -> Result<(String, i64), Refusal> {
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (generation, key) = text.split_once(' ')?;
        Some((key.to_owned(), generation.parse().ok()?))
    };
    read().ok_or_else(|| Refusal::invalid("Invalid pageToken"))
}

//! Settings of buckets and objects that are kept and shown as they came, and do nothing here: whoever may write them is refused or not, and that is
//! what tests ask for.

use crate::access::Context;
use crate::answer::Answer;
use crate::read;
use crate::refusal::Refusal;
use crate::store::Version;
use crate::turn::Turn;
use crate::xml;

/// The query parameter of each, and the name of its document.
const KINDS: [(&str, &str); 14] = [
    ("accelerate", "AccelerateConfiguration"),
    ("acl", "AccessControlPolicy"),
    ("analytics", "AnalyticsConfiguration"),
    ("cors", "CORSConfiguration"),
    ("intelligent-tiering", "IntelligentTieringConfiguration"),
    ("inventory", "InventoryConfiguration"),
    ("logging", "BucketLoggingStatus"),
    ("metrics", "MetricsConfiguration"),
    ("notification", "NotificationConfiguration"),
    ("ownershipControls", "OwnershipControls"),
    ("replication", "ReplicationConfiguration"),
    ("requestPayment", "RequestPaymentConfiguration"),
    ("tagging", "Tagging"),
    ("website", "WebsiteConfiguration"),
];

fn kind(turn: &Turn<'_>) -> Result<(&'static str, &'static str), Refusal> {
    let asked = |(mark, _): &&(&str, &str)| turn.call.parameter(mark).is_some();
    KINDS.iter().find(asked).copied().ok_or_else(|| Refusal::not_built("this document"))
}

/// The document of the request, if it is one of its kind.
fn given(turn: &Turn<'_>, root: &str) -> Result<String, Refusal> {
    let bytes = turn.body.data.to_vec();
    xml::read(
        &bytes,
        |node| if node.tag_name().name() == root { Ok(()) } else { Err(Refusal::malformed_xml()) },
    )?;
    String::from_utf8(bytes).map_err(|_| Refusal::malformed_xml())
}

fn absent() -> Refusal {
    Refusal::new(404, "NoSuchConfiguration", "The specified configuration does not exist.")
}

pub(crate) fn get(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let (mark, _) = kind(turn)?;
    turn.shelf()?.documents.get(mark).cloned().map(Answer::xml).ok_or_else(absent)
}

pub(crate) fn put(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let (mark, root) = kind(turn)?;
    let document = given(turn, root)?;
    turn.shelf()?.documents.insert(mark, document);
    Ok(Answer::new(200))
}

pub(crate) fn delete(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let (mark, _) = kind(turn)?;
    turn.shelf()?.documents.remove(mark);
    Ok(Answer::new(204))
}

/// Asks for the permission that an object's document needs, which is another one for a version that is named; finds the version.
fn version<'a>(turn: &'a mut Turn<'_>, verb: &str) -> Result<(&'static str, &'a mut Version), Refusal> {
    let (mark, _) = kind(turn)?;
    let of_version = if turn.call.filled("versionId").is_some() { "Version" } else { "" };
    let what = if mark == "acl" { "Acl" } else { "Tagging" };
    turn.permit(&format!("s3:{verb}Object{of_version}{what}"), &Context::new())?;
    let id = read::version_of(turn)?.id.clone();
    let key = turn.call.key.clone();
    let versions = turn.shelf()?.objects.get_mut(&key).into_iter().flatten();
    let found = versions.into_iter().find(|version| version.id == id).ok_or_else(Refusal::no_such_key)?;
    Ok((mark, found))
}

pub(crate) fn get_of_object(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let (mark, version) = version(turn, "Get")?;
    version.attributes.documents.get(mark).cloned().map(Answer::xml).ok_or_else(absent)
}

pub(crate) fn put_of_object(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let (_, root) = kind(turn)?;
    version(turn, "Put")?;
    let document = given(turn, root)?;
    let (mark, version) = version(turn, "Put")?;
    version.attributes.documents.insert(mark, document);
    Ok(Answer::new(200))
}

pub(crate) fn delete_of_object(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let (mark, version) = version(turn, "Delete")?;
    version.attributes.documents.remove(mark);
    Ok(Answer::new(204))
}

//! A bucket's settings: object lock, policy, lifecycle, encryption, public access.

use bytes::Bytes;

use crate::access::Statement;
use crate::answer::Answer;
use crate::refusal::Refusal;
use crate::retention;
use crate::store::Versioning;
use crate::turn::Turn;
use crate::xml::{self, Xml};

const POLICY_BYTES_MAX: u64 = 20 << 10;

pub(crate) fn get_lock(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let Some(default) = turn.shelf()?.lock else {
        let text = "Object Lock configuration does not exist for this bucket";
        return Err(Refusal::new(404, "ObjectLockConfigurationNotFoundError", text));
    };
    let mut document = Xml::new("ObjectLockConfiguration");
    document.text("ObjectLockEnabled", "Enabled");
    if let Some(default) = default {
        document.open("Rule").open("DefaultRetention").text("Mode", default.mode.name());
        match default.in_years {
            true => document.text("Years", default.days / 365),
            false => document.text("Days", default.days),
        };
        document.close("DefaultRetention").close("Rule");
    }
    Ok(Answer::xml(document.end("ObjectLockConfiguration")))
}

pub(crate) fn put_lock(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.must_be_protected()?;
    let default = retention::configuration(&turn.body.data.to_vec())?;
    let shelf = turn.shelf()?;
    if shelf.versioning != Versioning::Enabled {
        let text = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
        return Err(Refusal::new(409, "InvalidBucketState", text));
    }
    shelf.lock = Some(default);
    Ok(Answer::new(200))
}

pub(crate) fn get_policy(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let Some((text, _)) = &turn.shelf()?.policy else {
        return Err(Refusal::new(404, "NoSuchBucketPolicy", "The bucket policy does not exist"));
    };
    let text = Bytes::from(text.clone());
    Ok(Answer::new(200).with("content-type", "application/json").body(text))
}

pub(crate) fn put_policy(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.must_be_protected()?;
    let malformed = |text: String| Refusal::new(400, "MalformedPolicy", text);
    if turn.body.data.length() > POLICY_BYTES_MAX {
        return Err(malformed("Policies must not be longer than 20 KB".to_owned()));
    }
    let text = String::from_utf8(turn.body.data.to_vec())
        .map_err(|_| malformed("the policy is no text".to_owned()))?;
    let statements = Statement::from_policy(&text).map_err(|error| malformed(error.to_string()))?;
    if statements.iter().any(|statement| statement.principals.is_empty()) {
        return Err(malformed("Missing required field Principal".to_owned()));
    }
    turn.shelf()?.policy = Some((text, statements));
    Ok(Answer::new(204))
}

pub(crate) fn delete_policy(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.shelf()?.policy = None;
    Ok(Answer::new(204))
}

/// Public is a policy that lets everybody in on no condition.
pub(crate) fn policy_status(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let Some((_, statements)) = &turn.shelf()?.policy else {
        return Err(Refusal::new(404, "NoSuchBucketPolicy", "The bucket policy does not exist"));
    };
    let is_public = statements.iter().any(Statement::lets_everybody_in);
    let mut document = Xml::new("PolicyStatus");
    document.text("IsPublic", is_public);
    Ok(Answer::xml(document.end("PolicyStatus")))
}

pub(crate) fn get_public_access(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let text = "The public access block configuration was not found";
    document(turn, "public access", Refusal::new(404, "NoSuchPublicAccessBlockConfiguration", text))
}

pub(crate) fn put_public_access(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.must_be_protected()?;
    keep(turn, "public access", "PublicAccessBlockConfiguration")
}

pub(crate) fn delete_public_access(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.shelf()?.documents.remove("public access");
    Ok(Answer::new(204))
}

pub(crate) fn get_lifecycle(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let text = "The lifecycle configuration does not exist";
    document(turn, "lifecycle", Refusal::new(404, "NoSuchLifecycleConfiguration", text))
}

pub(crate) fn put_lifecycle(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.must_be_protected()?;
    keep(turn, "lifecycle", "LifecycleConfiguration")
}

pub(crate) fn delete_lifecycle(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.shelf()?.documents.remove("lifecycle");
    Ok(Answer::new(204))
}

/// Every bucket of AWS is encrypted, by default with its own keys.
pub(crate) fn get_encryption(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    if turn.shelf()?.documents.contains_key("encryption") {
        return document(turn, "encryption", Refusal::denied());
    }
    let mut document = Xml::new("ServerSideEncryptionConfiguration");
    document.open("Rule").open("ApplyServerSideEncryptionByDefault").text("SSEAlgorithm", "AES256");
    document.close("ApplyServerSideEncryptionByDefault").text("BucketKeyEnabled", false).close("Rule");
    Ok(Answer::xml(document.end("ServerSideEncryptionConfiguration")))
}

pub(crate) fn put_encryption(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.must_be_protected()?;
    keep(turn, "encryption", "ServerSideEncryptionConfiguration")
}

pub(crate) fn delete_encryption(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.shelf()?.documents.remove("encryption");
    Ok(Answer::new(204))
}

fn document(turn: &mut Turn<'_>, name: &'static str, absent: Refusal) -> Result<Answer, Refusal> {
    turn.shelf()?.documents.get(name).cloned().map(Answer::xml).ok_or(absent)
}

fn keep(turn: &mut Turn<'_>, name: &'static str, root: &str) -> Result<Answer, Refusal> {
    let bytes = turn.body.data.to_vec();
    xml::read(
        &bytes,
        |node| if node.tag_name().name() == root { Ok(()) } else { Err(Refusal::malformed_xml()) },
    )?;
    let text = String::from_utf8(bytes).map_err(|_| Refusal::malformed_xml())?;
    turn.shelf()?.documents.insert(name, text);
    Ok(Answer::new(200))
}

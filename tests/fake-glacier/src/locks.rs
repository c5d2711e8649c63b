//! The vault's lock, its policy, and its other settings.

use serde_json::{Value, json};

use crate::answer::{Answer, Refusal};
use crate::archives::iso;
use crate::policy::Policy;
use crate::route::Turn;

/// How far a vault's lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// It can be given up for 24 hours.
    InProgress,
    /// For good.
    Locked,
}

/// The policy under which nobody deletes an archive that is younger.
pub fn deny_delete_below(days: u32) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "keep", "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "glacier:DeleteArchive",
        "Resource": "*",
        "Condition": {"NumericLessThan": {"glacier:ArchiveAgeInDays": days.to_string()}},
    }]})
    .to_string()
}

/// `{"Policy": "..."}`
fn policy(turn: &Turn<'_>) -> Result<Policy, Refusal> {
    let body: Value =
        serde_json::from_slice(&turn.call.body).map_err(|_| Refusal::invalid("the policy is no JSON"))?;
    let text = body.get("Policy").or_else(|| body.get("policy")?.get("Policy")).and_then(Value::as_str);
    text.and_then(Policy::read).ok_or_else(|| Refusal::invalid("Invalid policy"))
}

pub(crate) fn read(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let now = turn.now;
    let (state, policy, _) =
        turn.shelf()?.lock.as_ref().ok_or_else(|| Refusal::missing("The vault lock was"))?;
    let state = match state {
        LockState::InProgress => "InProgress",
        LockState::Locked => "Locked",
    };
    Ok(Answer::json(&json!({"Policy": policy.text, "State": state, "CreationDate": iso(now)})))
}

fn settled(turn: &mut Turn<'_>) -> Result<(), Refusal> {
    match turn.shelf()?.lock {
        Some((LockState::Locked, ..)) => {
            Err(Refusal::new(400, "InvalidParameterValueException", "The vault is locked"))
        }
        _ => Ok(()),
    }
}

pub(crate) fn begin(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    settled(turn)?;
    let policy = policy(turn)?;
    let id = turn.store.next_id("lock");
    turn.shelf()?.lock = Some((LockState::InProgress, policy, id.clone()));
    Ok(Answer::new(201).with("x-amz-lock-id", id))
}

pub(crate) fn complete(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let id = turn.id.clone();
    match &mut turn.shelf()?.lock {
        Some((state, _, known)) if *known == id => *state = LockState::Locked,
        _ => return Err(Refusal::missing("The lock ID was")),
    }
    Ok(Answer::new(204))
}

pub(crate) fn abort(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    settled(turn)?;
    turn.shelf()?.lock = None;
    Ok(Answer::new(204))
}

pub(crate) fn read_access(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let policy =
        turn.shelf()?.access_policy.as_ref().ok_or_else(|| Refusal::missing("The access policy was"))?;
    Ok(Answer::json(&json!({"Policy": policy.text})))
}

pub(crate) fn set_access(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let policy = policy(turn)?;
    turn.shelf()?.access_policy = Some(policy);
    Ok(Answer::new(204))
}

pub(crate) fn delete_access(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.shelf()?.access_policy = None;
    Ok(Answer::new(204))
}

pub(crate) fn read_notifications(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let text =
        turn.shelf()?.notifications.clone().ok_or_else(|| Refusal::missing("The notifications were"))?;
    Ok(Answer::new(200).body(text.into()))
}

pub(crate) fn set_notifications(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let body = turn.call.body.clone();
    let value: Value = serde_json::from_slice(&body).map_err(|_| Refusal::invalid("no JSON"))?;
    let topic = value.get("SNSTopic").and_then(Value::as_str).unwrap_or_default();
    if !topic.starts_with("arn:aws:sns:") {
        return Err(Refusal::invalid("Invalid SNS topic"));
    }
    turn.shelf()?.notifications = Some(value.to_string());
    Ok(Answer::new(204))
}

pub(crate) fn delete_notifications(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    turn.shelf()?.notifications = None;
    Ok(Answer::new(204))
}

pub(crate) fn read_retrieval(_: &mut Turn<'_>) -> Result<Answer, Refusal> {
    Ok(Answer::json(&json!({"Policy": {"Rules": [{"Strategy": "None", "BytesPerHour": null}]}})))
}

pub(crate) fn set_retrieval(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let value: Value = serde_json::from_slice(&turn.call.body).map_err(|_| Refusal::invalid("no JSON"))?;
    let rules = value.get("Policy").and_then(|policy| policy.get("Rules")).and_then(Value::as_array);
    let known = ["None", "FreeTier", "BytesPerHour"];
    let strategy = |rule: &Value| rule.get("Strategy").and_then(Value::as_str).map(|s| known.contains(&s));
    match rules {
        Some(rules) if rules.iter().all(|rule| strategy(rule) == Some(true)) => Ok(Answer::new(204)),
        _ => Err(Refusal::invalid("Invalid data retrieval policy")),
    }
}

pub(crate) fn tags(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let value: Value = serde_json::from_slice(&turn.call.body).map_err(|_| Refusal::invalid("no JSON"))?;
    let pairs = value.get("Tags").and_then(Value::as_object);
    for (name, value) in pairs.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default().to_owned();
        turn.shelf()?.tags.insert(name.clone(), value);
    }
    Ok(Answer::new(204))
}

//! Policies as JSON documents, read strictly: what would not be enforced is refused.

use serde_json::Value;

use crate::access::{Condition, Effect, Operator, Statement};

/// Why a policy is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError(String);

impl std::fmt::Display for PolicyError {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}

impl std::error::Error for PolicyError {}

const MEMBERS: [&str; 7] = ["Sid", "Effect", "Action", "Resource", "Condition", "Principal", "Id"];

impl Statement {
    /// The statements of a policy document, of a user or of a bucket.
    pub fn from_policy(document: &str) -> Result<Vec<Self>, PolicyError> {
        let value: Value =
            serde_json::from_str(document).map_err(|_| wrong("this policy contains invalid Json"))?;
        let statements = match value.get("Statement") {
            Some(Value::Array(list)) => list.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err(wrong("Missing required field Statement")),
        };
        statements.into_iter().map(statement).collect()
    }
}

fn wrong(text: impl Into<String>) -> PolicyError {
    PolicyError(text.into())
}

fn statement(value: &Value) -> Result<Statement, PolicyError> {
    let members = value.as_object().ok_or_else(|| wrong("a statement is no object"))?;
    if let Some(unknown) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(wrong(format!("this server cannot enforce {unknown}")));
    }
    let effect = match value.get("Effect").and_then(Value::as_str) {
        Some("Allow") => Effect::Allow,
        Some("Deny") => Effect::Deny,
        _ => return Err(wrong("Missing required field Effect")),
    };
    let named = |name: &str| {
        value.get(name).map(texts).ok_or_else(|| wrong(format!("Missing required field {name}")))?
    };
    let principals = match value.get("Principal") {
        None => Vec::new(),
        Some(Value::Object(kinds)) => kinds.values().map(texts).collect::<Result<Vec<_>, _>>()?.concat(),
        Some(other) => texts(other)?,
    };
    let conditions = value.get("Condition").map(conditions).transpose()?.unwrap_or_default();
    Ok(Statement { effect, actions: named("Action")?, resources: named("Resource")?, conditions, principals })
}

/// One text or a list of them; numbers and truths become texts.
fn texts(value: &Value) -> Result<Vec<String>, PolicyError> {
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Number(number) => Ok(vec![number.to_string()]),
        Value::Bool(truth) => Ok(vec![truth.to_string()]),
        Value::Array(list) => Ok(list.iter().map(texts).collect::<Result<Vec<_>, _>>()?.concat()),
        _ => Err(wrong("a text or a list of texts is missing")),
    }
}

fn conditions(value: &Value) -> Result<Vec<Condition>, PolicyError> {
    let mut found = Vec::new();
    for (name, keys) in value.as_object().ok_or_else(|| wrong("Condition is no object"))? {
        let (plain, if_exists) =
            name.strip_suffix("IfExists").map_or((name.as_str(), false), |plain| (plain, true));
        let operator = match plain {
            "NumericLessThan" => Operator::NumericLessThan,
            "NumericLessThanEquals" => Operator::NumericLessThanEquals,
            "NumericGreaterThan" => Operator::NumericGreaterThan,
            "NumericGreaterThanEquals" => Operator::NumericGreaterThanEquals,
            "StringEquals" => Operator::StringEquals,
            "StringNotEquals" => Operator::StringNotEquals,
            "Null" => Operator::Null,
            "Bool" => Operator::Bool,
            _ => return Err(wrong(format!("Invalid Condition type : {name}"))),
        };
        for (key, values) in keys.as_object().ok_or_else(|| wrong("a condition is no object"))? {
            found.push(Condition { operator, if_exists, key: key.clone(), values: texts(values)? });
        }
    }
    Ok(found)
}

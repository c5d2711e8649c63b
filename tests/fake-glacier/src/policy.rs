//! Policies of a vault: read strictly, what would not be enforced is refused.

use serde_json::Value;

/// What a statement can test.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Compare {
    LessThan(f64),
    LessThanEquals(f64),
    GreaterThan(f64),
}

#[derive(Debug, Clone)]
struct Statement {
    is_deny: bool,
    principals: Vec<String>,
    actions: Vec<String>,
    /// Tests of `glacier:ArchiveAgeInDays`; all must hold.
    ages: Vec<Compare>,
}

/// The document, and what it means.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) text: String,
    statements: Vec<Statement>,
}

impl Policy {
    /// None for what is no policy that this server can enforce.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let statements = match value.get("Statement")? {
            Value::Array(list) => list.iter().map(statement).collect::<Option<_>>()?,
            one => vec![statement(one)?],
        };
        Some(Self { text: text.to_owned(), statements })
    }

    /// Whether a statement denies this to that user; `age_days` is that of the archive, if it is about one.
    pub(crate) fn denies(&self, user: &str, action: &str, age_days: Option<i64>) -> bool {
        self.statements.iter().any(|one| one.is_deny && one.applies(user, action, age_days))
    }
}

impl Statement {
    fn applies(&self, user: &str, action: &str, age_days: Option<i64>) -> bool {
        self.principals.iter().any(|one| one == "*" || one.ends_with(&format!("user/{user}")))
            && self.actions.iter().any(|one| fits(one, action))
            && self.ages.iter().all(|test| {
                let Some(age) = age_days else { return false };
                let age = age as f64;
                match *test {
                    Compare::LessThan(than) => age < than,
                    Compare::LessThanEquals(than) => age <= than,
                    Compare::GreaterThan(than) => age > than,
                }
            })
    }
}

/// A right as users have it: a name, or its beginning and `*`.
pub(crate) fn fits(pattern: &str, action: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => action.starts_with(begin),
        None => pattern == action,
    }
}

fn statement(value: &Value) -> Option<Statement> {
    let known = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
    if value.as_object()?.keys().any(|name| !known.contains(&name.as_str())) {
        return None;
    }
    let mut ages = Vec::new();
    for (operator, keys) in value.get("Condition").and_then(Value::as_object).into_iter().flatten() {
        for (key, than) in keys.as_object()? {
            let than = than.as_f64().or_else(|| than.as_str()?.parse().ok())?;
            ages.push(match (operator.as_str(), key.as_str()) {
                ("NumericLessThan", "glacier:ArchiveAgeInDays") => Compare::LessThan(than),
                ("NumericLessThanEquals", "glacier:ArchiveAgeInDays") => Compare::LessThanEquals(than),
                ("NumericGreaterThan", "glacier:ArchiveAgeInDays") => Compare::GreaterThan(than),
                _ => return None,
            });
        }
    }
    let principals = match value.get("Principal")? {
        Value::Object(kinds) => kinds.values().flat_map(texts).collect(),
        other => texts(other),
    };
    let is_deny = value.get("Effect")?.as_str()? == "Deny";
    Some(Statement { is_deny, principals, actions: texts(value.get("Action")?), ages })
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deny_delete_below;

    #[test]
    fn a_young_archive_is_denied_to_everybody_and_an_old_one_is_not() {
        let policy = Policy::read(&deny_delete_below(90)).unwrap();
        let denies = |action, age| policy.denies("anybody", action, age);
        assert!(denies("glacier:DeleteArchive", Some(0)) && denies("glacier:DeleteArchive", Some(89)));
        assert!(!denies("glacier:DeleteArchive", Some(90)), "the day has come");
        assert!(!denies("glacier:DeleteArchive", None), "there is no such archive");
        assert!(!denies("glacier:UploadArchive", Some(0)));
        let one = deny_delete_below(90).replace(r#"{"AWS":"*"}"#, r#""arn:aws:iam::1:user/eve""#);
        let policy = Policy::read(&one).unwrap();
        assert!(policy.denies("eve", "glacier:DeleteArchive", Some(1)));
        assert!(!policy.denies("bob", "glacier:DeleteArchive", Some(1)));
    }

    #[test]
    fn what_would_not_be_enforced_is_refused() {
        let good = deny_delete_below(90);
        for bad in [
            good.replace("Sid", "NotAction"),
            good.replace("glacier:ArchiveAgeInDays", "glacier:ResourceTag/hold"),
            good.replace("NumericLessThan", "StringLike"),
            "{".to_owned(),
            "{}".to_owned(),
        ] {
            assert!(Policy::read(&bad).is_none(), "{bad}");
        }
    }
}

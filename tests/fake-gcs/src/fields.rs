//! The parameter `fields`: what is not named in it is not in the answer.

use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// Leaves of a document what `fields` names: `a,b(c,d)`.
pub(crate) fn select(document: Value, fields: Option<&str>) -> Result<Value, Refusal> {
    let Some(fields) = fields else { return Ok(document) };
    let bad = || Refusal::new(400, "invalidParameter", format!("Invalid field selection {fields}"));
    let (named, rest) = list(fields).ok_or_else(bad)?;
    if rest.is_empty() { Ok(pruned(document, &named)) } else { Err(bad()) }
}

type Named<'a> = Vec<(&'a str, Option<Vec<&'a str>>)>;

fn list(text: &str) -> Option<(Named<'_>, &str)> {
    let mut named = Named::new();
    let mut rest = text;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return None;
        }
        let inner = match after.strip_prefix('(') {
            Some(inner) => {
                let (inner, after) = inner.split_once(')')?;
                rest = after;
                Some(inner.split(',').collect())
            }
            None => {
                rest = after;
                None
            }
        };
        named.push((name, inner));
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some((named, rest)),
        }
    }
}

fn pruned(document: Value, named: &Named<'_>) -> Value {
    match document {
        Value::Array(items) => Value::Array(items.into_iter().map(|item| pruned(item, named)).collect()),
        Value::Object(mut fields) => {
            let mut kept = Map::new();
            for (name, inner) in named {
                let Some(value) = fields.remove(*name) else { continue };
                let value = match inner {
                    Some(inner) => pruned(value, &inner.iter().map(|name| (*name, None)).collect()),
                    None => value,
                };
                kept.insert((*name).to_owned(), value);
            }
            Value::Object(kept)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_named_is_answered() {
        let whole = json!({"a": 1, "b": 2, "items": [{"name": "x", "size": "1"}]});
        let chosen = select(whole.clone(), Some("a,items(name)")).unwrap();
        assert_eq!(chosen, json!({"a": 1, "items": [{"name": "x"}]}));
        assert_eq!(select(whole.clone(), None).unwrap(), whole);
        for bad in ["", ",", "a,", "a(b", "a b"] {
            assert!(select(whole.clone(), Some(bad)).is_err(), "{bad}");
        }
    }
}

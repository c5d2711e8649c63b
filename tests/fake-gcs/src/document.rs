//! Fields of JSON documents.

use serde_json::Value;

/// The text of a field, if it is one.
pub(crate) fn text<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    document.get(name)?.as_str()
}

/// Adds a field to an object.
pub(crate) fn add(document: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(fields) = document.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
}

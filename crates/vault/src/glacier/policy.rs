//! What a Vault Lock policy promises: for how many days it keeps everybody from deleting an archive. Anything but the one shape that says so plainly
//! promises nothing.

use serde_json::Value;

/// Longest policy: AWS takes 20 KB.
const BYTES_MAX: usize = 64 * 1024;
/// A hundred years.
const DAYS_MAX: u32 = 36_500;
const MEMBERS: [&str; 6] = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];

/// The days for which no archive of `vault` can be deleted, by anybody; none if the policy does not say so.
pub(super) fn kept_days(policy: &str, vault: &str) -> Option<u32> {
    if policy.len() > BYTES_MAX {
        return None;
    }
    let policy: Value = serde_json::from_str(policy).ok()?;
    let statements = match policy.get("Statement")? {
        Value::Array(list) => list.iter().collect(),
        one => vec![one],
    };
    // What one statement denies, no other can allow.
    statements.into_iter().filter_map(|statement| denied_days(statement, vault)).max()
}

fn denied_days(statement: &Value, vault: &str) -> Option<u32> {
    let members = statement.as_object()?;
    let is_plain = members.keys().all(|name| MEMBERS.contains(&name.as_str()));
    let is_deny = statement.get("Effect")?.as_str()? == "Deny";
    let principal = match statement.get("Principal")? {
        Value::Object(kinds) => kinds.get("AWS")?,
        other => other,
    };
    let for_all = texts(principal).any(|one| one == "*");
    let deletes = texts(statement.get("Action")?)
        .any(|action| matches!(action, "glacier:DeleteArchive" | "glacier:Delete*" | "glacier:*" | "*"));
    let own = format!(":vaults/{vault}");
    let here = texts(statement.get("Resource")?)
        .any(|one| one == "*" || (one.starts_with("arn:aws") && !one.contains('*') && one.ends_with(&own)));
    let days = only(only(statement.get("Condition")?, "NumericLessThan")?, "glacier:ArchiveAgeInDays")?;
    let days = match days {
        Value::Number(days) => u32::try_from(days.as_u64()?).ok()?,
        Value::String(days) if days.bytes().all(|b| b.is_ascii_digit()) => days.parse().ok()?,
        _ => return None,
    };
    let fits = (1..=DAYS_MAX).contains(&days);
    (is_plain && is_deny && for_all && deletes && here && fits).then_some(days)
}

/// The one member of an object, if it has this name.
fn only<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    members.get(name)
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let (one, list) = match value {
        Value::Array(list) => (None, list.as_slice()),
        one => (Some(one), &[][..]),
    };
    one.into_iter().chain(list).filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"keep","Principal":{"AWS":"*"},"Effect":"Deny","Action":["glacier:DeleteArchive"],"Resource":["arn:aws:glacier:eu-central-1:111122223333:vaults/ice"],"Condition":{"NumericLessThan":{"glacier:ArchiveAgeInDays":"365"}}}]}"#;

    #[test]
    fn the_shape_that_aws_documents_is_understood() {
        assert_eq!(kept_days(GOOD, "ice"), Some(365));
        for same in [
            GOOD.replace(r#"{"AWS":"*"}"#, r#""*""#),
            GOOD.replace(r#""365""#, "365"),
            GOOD.replace(r#"["glacier:DeleteArchive"]"#, r#""glacier:*""#),
            GOOD.replace(r#"["arn:aws:glacier:eu-central-1:111122223333:vaults/ice"]"#, r#""*""#),
            GOOD.replace("[{", "{").replace("}]}", "}}"),
        ] {
            assert_eq!(kept_days(&same, "ice"), Some(365), "{same}");
        }
    }

    #[test]
    fn whatever_is_not_that_shape_promises_nothing() {
        for bad in [
            GOOD.replace("Deny", "Allow"),
            GOOD.replace(r#"{"AWS":"*"}"#, r#"{"AWS":"arn:aws:iam::111122223333:root"}"#),
            GOOD.replace("\"Principal\"", "\"NotPrincipal\""),
            GOOD.replace("\"Action\"", "\"NotAction\""),
            GOOD.replace("glacier:DeleteArchive", "glacier:DeleteVault"),
            GOOD.replace("vaults/ice", "vaults/other"),
            GOOD.replace("vaults/ice", "vaults/*"),
            GOOD.replace("NumericLessThan", "NumericGreaterThan"),
            GOOD.replace("NumericLessThan", "NumericLessThanIfExists"),
            GOOD.replace("glacier:ArchiveAgeInDays", "glacier:ResourceTag/LegalHold"),
            GOOD.replace(r#""365"}"#, r#""365"},"StringLike":{"glacier:ResourceTag/Hold":"on"}"#),
            GOOD.replace(r#""365""#, r#"["1","365"]"#),
            GOOD.replace("365", "0"),
            GOOD.replace("365", "-1"),
            GOOD.replace("365", "36501"),
            GOOD.replace("365", "3.5"),
            GOOD.replace("Statement", "Statements"),
            "{".to_owned(),
            String::new(),
            format!("{GOOD}{}", " ".repeat(70_000)),
        ] {
            assert_eq!(kept_days(&bad, "ice"), None, "{bad:.300}");
        }
    }

    #[test]
    fn of_two_promises_the_longer_holds() {
        let two = GOOD.replace(
            "}]}",
            &format!("}},{}]}}", &GOOD[GOOD.find('[').unwrap() + 1..GOOD.len() - 2].replace("365", "400")),
        );
        assert_eq!(kept_days(&two, "ice"), Some(400));
    }
}

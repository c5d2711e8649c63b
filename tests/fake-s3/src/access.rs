//! Who may do what: statements, and how they decide.

/// What a statement does to the actions it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Permits, unless any statement denies.
    Allow,
    /// Refuses, whatever allows.
    Deny,
}

/// How a condition compares the request's value with its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// The request's number is below.
    NumericLessThan,
    /// Below or equal.
    NumericLessThanEquals,
    /// Above.
    NumericGreaterThan,
    /// Above or equal.
    NumericGreaterThanEquals,
    /// Equal, as text; one of the values is enough.
    StringEquals,
    /// Equal to none of the values. True for a key the request does not have.
    StringNotEquals,
    /// The values are `true` or `false`: whether the request lacks the key.
    Null,
    /// The values are `true` or `false`, and so is the request's.
    Bool,
}

/// One test of a request. All conditions of a statement must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// How to compare.
    pub operator: Operator,
    /// Whether a key that the request lacks counts as a test passed (`...IfExists`).
    pub if_exists: bool,
    /// `s3:object-lock-remaining-retention-days`, for instance.
    pub key: String,
    /// What to compare with; one that fits is enough.
    pub values: Vec<String>,
}

/// One rule of a user or a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Allow or deny.
    pub effect: Effect,
    /// Names such as `s3:PutObject`; `*` and `?` are wildcards.
    pub actions: Vec<String>,
    /// `arn:aws:s3:::bucket/key` with wildcards.
    pub resources: Vec<String>,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Whom it is about, in a bucket's policy: `*`, a user's name or its ARN. Empty in a user's own statements.
    pub principals: Vec<String>,
}

impl Statement {
    /// Permits these actions everywhere.
    pub fn allow(actions: &[&str]) -> Self {
        Self::new(Effect::Allow, actions)
    }

    /// Refuses these actions everywhere.
    pub fn deny(actions: &[&str]) -> Self {
        Self::new(Effect::Deny, actions)
    }

    fn new(effect: Effect, actions: &[&str]) -> Self {
        Self {
            effect,
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resources: vec!["*".to_owned()],
            conditions: Vec::new(),
            principals: Vec::new(),
        }
    }

    /// Only on this resource, such as `arn:aws:s3:::bucket/ice/*`.
    #[must_use]
    pub fn on(mut self, resource: &str) -> Self {
        self.resources.retain(|known| known != "*");
        self.resources.push(resource.to_owned());
        self
    }

    /// Only if this holds too.
    #[must_use]
    pub fn when(mut self, operator: Operator, key: &str, value: &str) -> Self {
        let (key, values) = (key.to_owned(), vec![value.to_owned()]);
        self.conditions.push(Condition { operator, if_exists: false, key, values });
        self
    }

    pub(crate) fn lets_everybody_in(&self) -> bool {
        let is_for_all = self.principals.iter().any(|principal| principal == "*");
        self.effect == Effect::Allow && self.conditions.is_empty() && is_for_all
    }

    fn applies(&self, asked: &Asked<'_>) -> bool {
        self.actions
            .iter()
            .any(|pattern| fits(&pattern.to_ascii_lowercase(), &asked.action.to_ascii_lowercase()))
            && self.resources.iter().any(|pattern| pattern == "*" || fits(pattern, &asked.resource))
            && (self.principals.is_empty()
                || self.principals.iter().any(|principal| is_for(principal, asked.user)))
            && self.conditions.iter().all(|condition| condition.holds(asked.context))
    }
}

fn is_for(principal: &str, user: &str) -> bool {
    principal == "*"
        || principal == user
        || principal.rsplit_once("user/").is_some_and(|(_, name)| name == user)
}

/// Facts about a request that conditions can test, by the name of their key without its prefix.
pub(crate) type Context = Vec<(&'static str, String)>;

impl Condition {
    fn holds(&self, context: &Context) -> bool {
        let key = self.key.strip_prefix("s3:").or_else(|| self.key.strip_prefix("aws:")).unwrap_or(&self.key);
        let found = context.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        match (found, self.operator) {
            (_, Operator::Null) => self.values.iter().any(|value| (value == "true") == found.is_none()),
            (None, Operator::StringNotEquals) => true,
            (None, _) => self.if_exists,
            (Some(found), Operator::StringNotEquals) => self.values.iter().all(|value| value != found),
            (Some(found), Operator::StringEquals | Operator::Bool) => {
                self.values.iter().any(|value| value == found)
            }
            (Some(found), operator) => self.values.iter().any(|value| numeric(operator, found, value)),
        }
    }
}

fn numeric(operator: Operator, found: &str, value: &str) -> bool {
    let (Ok(found), Ok(value)) = (found.parse::<f64>(), value.parse::<f64>()) else { return false };
    match operator {
        Operator::NumericLessThan => found < value,
        Operator::NumericLessThanEquals => found <= value,
        Operator::NumericGreaterThan => found > value,
        Operator::NumericGreaterThanEquals => found >= value,
        _ => false,
    }
}

/// A question put to the statements.
pub(crate) struct Asked<'a> {
    pub(crate) user: &'a str,
    pub(crate) action: &'a str,
    /// The whole ARN.
    pub(crate) resource: String,
    pub(crate) context: &'a Context,
}

/// Whether something allows and nothing denies.
pub(crate) fn is_allowed<'a>(statements: impl Iterator<Item = &'a Statement>, asked: &Asked<'_>) -> bool {
    let mut allowed = false;
    for statement in statements.filter(|statement| statement.applies(asked)) {
        match statement.effect {
            Effect::Deny => return false,
            Effect::Allow => allowed = true,
        }
    }
    allowed
}

/// Wildcards: `*` stands for any letters, `?` for one.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == letter => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((place, from)) = star else { return false };
                star = Some((place, from + 1));
                at = place + 1;
                seen = from + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_any_letters() {
        for (pattern, text, expected) in [
            ("s3:*", "s3:PutObject", true),
            ("s3:Put*Retention", "s3:PutObjectRetention", true),
            ("s3:PutObject", "s3:PutObjectRetention", false),
            ("a/*b*c", "a/xbybc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}

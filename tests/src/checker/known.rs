//! What was seen or acknowledged earlier. One look at a history cannot tell what is missing from it; this can.

use std::path::Path;

use serde_json::Value;

use super::history::Found;
use super::{Breach, Invariant, spool};

/// What must still hold. As text, one a line: `sealed PUSH`, `accepted PUSH`, `snapshot NAME ROOT`, `head LINE HASH`, `floor N`.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Pushes of which a host was told that they are sealed.
    pub sealed: Vec<String>,
    /// Pushes that were reported as accepted.
    pub accepted: Vec<String>,
    /// Names and roots of snapshots that were there.
    pub snapshots: Vec<(String, String)>,
    /// A line of the log, and the hash of its bytes.
    pub head: Option<(usize, String)>,
    /// So many snapshots no prune goes below.
    pub floor: usize,
}

impl Known {
    /// Reads the text.
    ///
    /// # Errors
    /// The first line that is none of these.
    pub fn parse(text: &str) -> Result<Known, String> {
        let mut known = Known::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let wrong = || format!("not understood: {line}");
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["sealed", push] => known.sealed.push((*push).to_owned()),
                ["accepted", push] => known.accepted.push((*push).to_owned()),
                ["snapshot", name, root] => known.snapshots.push(((*name).to_owned(), (*root).to_owned())),
                ["head", number, hash] => {
                    known.head = Some((number.parse().map_err(|_| wrong())?, (*hash).to_owned()));
                }
                ["floor", number] => known.floor = number.parse().map_err(|_| wrong())?,
                _ => return Err(wrong()),
            }
        }
        Ok(known)
    }

    /// What is to be known of this history from now on.
    #[must_use]
    pub fn of(found: &Found) -> Known {
        let snapshots = found.snapshots.iter().map(|one| (one.name.clone(), one.root.clone())).collect();
        let head = found.heads.last().map(|head| (found.heads.len(), head.clone()));
        Known { snapshots, head, ..Known::default() }
    }

    /// The same as text.
    #[must_use]
    pub fn told(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.sealed.iter().map(|push| format!("sealed {push}\n")));
        lines.extend(self.accepted.iter().map(|push| format!("accepted {push}\n")));
        lines.extend(self.snapshots.iter().map(|(name, root)| format!("snapshot {name} {root}\n")));
        lines.extend(self.head.iter().map(|(line, hash)| format!("head {line} {hash}\n")));
        lines.extend((self.floor > 0).then(|| format!("floor {}\n", self.floor)));
        lines.concat()
    }

    /// What of it does not hold in `found`, and in `jail` if one is given.
    #[must_use]
    pub fn broken(&self, found: &Found, jail: Option<&Path>) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        let of_kind = |kind: &str| {
            found
                .events
                .iter()
                .filter(|event| text(event, "kind").as_deref() == Some(kind))
                .collect::<Vec<_>>()
        };
        let (mut accepted, rejects, prunes) = (of_kind("ingest"), of_kind("reject"), of_kind("prune"));
        accepted.extend(of_kind("unchanged"));
        let names = |events: &[&Value], push: &str| {
            events.iter().any(|event| text(event, "push").as_deref() == Some(push))
        };
        let lost = |what: String, found: &str| Breach::new(Invariant::Durable, what, found);
        for push in self.accepted.iter().filter(|push| !names(&accepted, push)) {
            breaches.push(lost(format!("push {push}"), "was accepted, and is in no line of the log"));
        }
        let waiting = jail.map(spool::sealed).unwrap_or_default();
        for push in self.sealed.iter().filter(|push| !names(&accepted, push) && !names(&rejects, push)) {
            if jail.is_some() && !waiting.contains(push) {
                breaches
                    .push(lost(format!("push {push}"), "was sealed, and is neither in the spool nor judged"));
            }
        }
        for (name, root) in &self.snapshots {
            let is_there = found.snapshots.iter().any(|one| (&one.name, &one.root) == (name, root));
            let is_pruned = prunes.iter().any(|event| text(event, "name").as_ref() == Some(name));
            if !is_there && !is_pruned {
                let gone = "was there, and no prune removed it";
                breaches.push(Breach::new(Invariant::Immutable, name.clone(), gone));
            }
        }
        if let Some((line, hash)) = &self.head
            && line.checked_sub(1).and_then(|line| found.heads.get(line)) != Some(hash)
        {
            let other = "is not the line that was seen before";
            breaches.push(Breach::new(Invariant::Chained, format!("log line {line}"), other));
        }
        if !prunes.is_empty() && found.snapshots.len() < self.floor {
            let few = format!("{} snapshots are left of at least {}", found.snapshots.len(), self.floor);
            breaches.push(Breach::new(Invariant::Floor, "log", few));
        }
        breaches
    }
}

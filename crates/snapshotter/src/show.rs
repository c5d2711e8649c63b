//! Shows one snapshot.

use cli::{Exit, Failed, Run};
use formats::entry::{Body, Entry, Kind};
use formats::{ContentHash, HostId};

use crate::list::{facts, open};
use crate::settings::Settings;
use crate::trouble::Trouble;
use crate::when::When;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What the log says.
    Facts,
    /// The entries of the manifest too.
    Entries,
}

/// Runs the verb.
pub(crate) fn run(
    run: &mut Run,
    settings: &Settings,
    host: &HostId,
    when: &When,
    depth: Depth,
) -> Result<Exit, Failed> {
    let at = || Trouble::history(host);
    let place = open(settings)?.host(host).map_err(at())?;
    let log = place.log().map_err(at())?;
    let snapshot = when.find(&log)?;
    let facts = facts(host, &log, snapshot);
    for (key, value) in facts.as_object().into_iter().flatten() {
        match value {
            serde_json::Value::Null => run.line(&format!("{key:<13} none")),
            serde_json::Value::String(text) => run.line(&format!("{key:<13} {text}")),
            other => run.line(&format!("{key:<13} {other}")),
        }
    }
    run.report().detail("snapshot", facts);
    if depth == Depth::Entries {
        let broken = |source| history::Error::Manifest { name: snapshot.name.to_string(), source };
        for entry in place.open_manifest(snapshot).map_err(at())? {
            let entry = entry.map_err(broken).map_err(at())?;
            run.report().count("entries", 1);
            run.line(&line(&entry, &|content| log.redacted().of(content, snapshot.sequence).is_some()));
        }
    }
    Ok(Exit::WHOLE)
}

fn line(entry: &Entry, is_redacted: &dyn Fn(&ContentHash) -> bool) -> String {
    let path = cli::shown(entry.path.as_bytes());
    let node = match &entry.body {
        Body::Link(first) => {
            return format!("hard link                       {path} => {}", cli::shown(first.as_bytes()));
        }
        Body::Node(node) => node,
    };
    let (kind, size, more) = match &node.kind {
        Kind::File { size, content } if is_redacted(content) => ('-', *size, "  (redacted)".to_owned()),
        Kind::File { size, .. } => ('-', *size, String::new()),
        Kind::Folder => ('d', 0, String::new()),
        Kind::Symlink { target } => ('l', target.len() as u64, format!(" -> {}", cli::shown(target))),
        Kind::Fifo => ('p', 0, String::new()),
        Kind::Socket => ('s', 0, String::new()),
        Kind::CharDevice { major, minor } => ('c', 0, format!(" ({major}:{minor})")),
        Kind::BlockDevice { major, minor } => ('b', 0, format!(" ({major}:{minor})")),
    };
    let meta = &node.meta;
    format!("{kind}{:04o} {:>5}:{:<5} {size:>12} {path}{more}", meta.mode, meta.owner, meta.group)
}

//! Manifests and contents as literals, and a run to restore them in.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use cli::{Common, Failed, Run, Task};
use formats::{Attribute, Body, ContentHash, Entry, Kind, Meta, Mtime, Node, RelPath, Tag};
use restore::{Counts, Entries, Ground, Held, Place, Powers, Selection, Source, Survey, Trouble};

/// One state of one host.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) entries: BTreeMap<RelPath, Entry>,
    pub(crate) contents: BTreeMap<RelPath, Vec<u8>>,
}

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn skipped(test: &str, why: &str) {
    println!("SKIPPED: {test}: {why}");
}

pub(crate) fn extended(name: &str, value: &[u8]) -> Attribute {
    Attribute { tag: Tag::Extended, name: name.as_bytes().to_vec(), value: value.to_vec() }
}

impl Tree {
    pub(crate) fn add(&mut self, name: &str, kind: Kind, mode: u32) -> &mut Meta {
        let (owner, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let mtime = Mtime { seconds: 1_700_000_000, nanos: 123_456_789 };
        let meta = Meta { mode, owner, group, mtime, links: 1, attributes: Vec::new() };
        let entry = Entry { path: path(name), body: Body::Node(Node { meta, kind }) };
        self.entries.insert(path(name), entry);
        let Body::Node(node) = &mut self.entries.get_mut(&path(name)).unwrap().body else { unreachable!() };
        &mut node.meta
    }

    pub(crate) fn folder(&mut self, name: &str) -> &mut Meta {
        self.add(name, Kind::Folder, 0o755)
    }

    pub(crate) fn file(&mut self, name: &str, content: &[u8]) -> &mut Meta {
        self.contents.insert(path(name), content.to_vec());
        self.add(name, Kind::File { size: content.len() as u64, content: ContentHash::of(content) }, 0o644)
    }

    pub(crate) fn link(&mut self, name: &str, first: &str) {
        let Body::Node(node) = &mut self.entries.get_mut(&path(first)).unwrap().body else { unreachable!() };
        node.meta.links += 1;
        if let Some(content) = self.contents.get(&path(first)).cloned() {
            self.contents.insert(path(name), content);
        }
        self.entries.insert(path(name), Entry { path: path(name), body: Body::Link(path(first)) });
    }

    pub(crate) fn survey(&self, selection: Selection) -> Survey {
        let mut survey = Survey::new(selection);
        self.entries.values().for_each(|entry| survey.gather(entry));
        survey
    }

    pub(crate) fn held(&self, path: &RelPath) -> InMemory<'_> {
        InMemory(self.contents.get(path).map(Vec::as_slice))
    }

    /// Restores all of it; says what was made, and how much was left out and differed.
    pub(crate) fn restore(&self, to: &Path, powers: Powers) -> (Counts, u64, u64) {
        let mut run = run();
        let ground = Ground::prepare(to).unwrap();
        let mut place = Place::new(&mut run, ground, self.survey(Selection::All), powers);
        for entry in self.entries.values() {
            place.entry(entry, &mut self.held(&entry.path), &Task::silent()).unwrap();
        }
        place.finish(self).unwrap();
        let (counts, differences) = (place.counts, place.differences.total);
        (counts, run.report().left_out(), differences)
    }
}

pub(crate) fn run() -> Run {
    Run::new("restore", "test", &Common::default())
}

impl Source for Tree {
    fn entries(&self) -> Result<Entries<'_>, Failed> {
        Ok(Box::new(self.entries.values().cloned().map(Ok)))
    }
}

pub(crate) struct InMemory<'a>(Option<&'a [u8]>);

impl Held for InMemory<'_> {
    fn differs(&self, _kind: &Kind) -> Option<&'static str> {
        None
    }

    fn content(&mut self, _: &ContentHash) -> Result<Box<dyn Read + '_>, Trouble> {
        Ok(Box::new(self.0.ok_or(Trouble::Differs("it is missing"))?))
    }
}

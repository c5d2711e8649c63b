//! ListObjectVersions.

use crate::answer::Answer;
use crate::clock::iso;
use crate::list::{self, Page};
use crate::refusal::Refusal;
use crate::turn::Turn;
use crate::xml::Xml;

pub(crate) fn list(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let page = Page::read(turn, "max-keys")?;
    let hidden = list::hidden(turn)?;
    let call = turn.call;
    let key_marker = call.filled("key-marker").unwrap_or_default();
    let version_marker = call.filled("version-id-marker");
    if version_marker.is_some() && key_marker.is_empty() {
        return Err(Refusal::argument("A version-id marker cannot be specified without a key marker."));
    }
    let shelf = turn.shelf()?;
    let all = shelf.objects.iter().flat_map(|(key, versions)| {
        let newest = versions.iter().rev().filter(|version| !hidden.contains(&version.serial));
        newest.enumerate().map(move |(place, version)| (key.clone(), (version, place == 0)))
    });
    // Without a version the page starts after the key; with one, after that version of it.
    let mut passed = false;
    let rest = all.filter(|(key, (version, _))| match (key.as_str().cmp(key_marker), version_marker) {
        (std::cmp::Ordering::Greater, _) => true,
        (std::cmp::Ordering::Equal, Some(marker)) => {
            let is_after = passed;
            passed |= version.id == marker;
            is_after
        }
        _ => false,
    });
    let cut = page.cut(rest, key_marker);
    let mut document = Xml::new("ListVersionsResult");
    document.text("Name", &call.bucket);
    page.write_head(&mut document, "MaxKeys", cut.is_truncated);
    document.text("KeyMarker", page.shown(key_marker));
    document.text("VersionIdMarker", version_marker.unwrap_or_default());
    if cut.is_truncated {
        document.text("NextKeyMarker", page.shown(cut.last()));
        if let Some((key, (version, _))) = cut.entries.last()
            && key == cut.last()
        {
            document.text("NextVersionIdMarker", &version.id);
        }
    }
    for (key, (version, is_latest)) in &cut.entries {
        let element = if version.is_marker { "DeleteMarker" } else { "Version" };
        document
            .open(element)
            .text("Key", page.shown(key))
            .text("VersionId", &version.id)
            .text("IsLatest", is_latest);
        if version.is_marker {
            document.text("LastModified", iso(version.modified));
        } else {
            list::facts(&mut document, version);
        }
        document.close(element);
    }
    page.write_groups(&mut document, &cut.groups);
    Ok(Answer::xml(document.end("ListVersionsResult")))
}

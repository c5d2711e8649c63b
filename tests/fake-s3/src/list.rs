//! ListObjectsV2, its older form, and what all lists share: prefix, delimiter, pages, names as they may stand in XML.

use std::collections::HashSet;

use crate::answer::Answer;
use crate::checksum::hex;
use crate::clock::iso;
use crate::fault::Fault;
use crate::refusal::Refusal;
use crate::request::encoded;
use crate::store::Version;
use crate::turn::Turn;
use crate::xml::Xml;

const PAGE_MAX: usize = 1000;

/// What a list asks for.
pub(crate) struct Page {
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    pub(crate) most: usize,
    pub(crate) is_encoded: bool,
}

impl Page {
    /// `most` is the name of the parameter that bounds the page.
    pub(crate) fn read(turn: &Turn<'_>, most: &str) -> Result<Self, Refusal> {
        let call = turn.call;
        Ok(Self {
            prefix: call.parameter("prefix").unwrap_or_default().to_owned(),
            delimiter: call.filled("delimiter").map(str::to_owned),
            most: call.number(most)?.unwrap_or(PAGE_MAX).min(PAGE_MAX),
            is_encoded: call.parameter("encoding-type") == Some("url"),
        })
    }

    /// A name as this list shows it.
    pub(crate) fn shown(&self, name: &str) -> String {
        if self.is_encoded { encoded(name, "/") } else { name.to_owned() }
    }

    /// The common prefix under which a key is hidden.
    fn group(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter.as_ref()?;
        let rest = key.strip_prefix(&self.prefix)?;
        let end = rest.find(delimiter.as_str())? + delimiter.len();
        Some(format!("{}{}", self.prefix, rest.get(..end)?))
    }

    /// Cuts one page out of what comes in order. `after` is the key to start after; entries of one key stay in their order.
    pub(crate) fn cut<T>(&self, entries: impl Iterator<Item = (String, T)>, after: &str) -> Cut<T> {
        let mut cut = Cut { entries: Vec::new(), groups: Vec::new(), is_truncated: false };
        for (key, entry) in entries.filter(|(key, _)| key.starts_with(&self.prefix)) {
            let group = self.group(&key);
            if group.as_ref().is_some_and(|group| group.as_str() <= after || cut.groups.last() == Some(group))
            {
                continue;
            }
            if cut.entries.len() + cut.groups.len() >= self.most {
                cut.is_truncated = self.most > 0;
                break;
            }
            match group {
                Some(group) => cut.groups.push(group),
                None => cut.entries.push((key, entry)),
            }
        }
        cut
    }

    pub(crate) fn write_groups(&self, document: &mut Xml, groups: &[String]) {
        for group in groups {
            document.open("CommonPrefixes").text("Prefix", self.shown(group)).close("CommonPrefixes");
        }
    }

    pub(crate) fn write_head(&self, document: &mut Xml, most: &str, is_truncated: bool) {
        document
            .text("Prefix", self.shown(&self.prefix))
            .text(most, self.most)
            .text("IsTruncated", is_truncated);
        if let Some(delimiter) = &self.delimiter {
            document.text("Delimiter", self.shown(delimiter));
        }
        if self.is_encoded {
            document.text("EncodingType", "url");
        }
    }
}

/// One page.
pub(crate) struct Cut<T> {
    pub(crate) entries: Vec<(String, T)>,
    pub(crate) groups: Vec<String>,
    pub(crate) is_truncated: bool,
}

impl<T> Cut<T> {
    /// The last name on the page, key or common prefix.
    pub(crate) fn last(&self) -> &str {
        let key = self.entries.last().map_or("", |(key, _)| key.as_str());
        key.max(self.groups.last().map_or("", String::as_str))
    }
}

/// Serial numbers that a stale list does not show.
pub(crate) fn hidden(turn: &mut Turn<'_>) -> Result<HashSet<u64>, Refusal> {
    if turn.shelf()?.objects.is_empty() {
        return Ok(HashSet::new());
    }
    let count = match turn.strikes(Fault::StaleList(0)) {
        Some(Fault::StaleList(count)) => count,
        _ => 0,
    };
    Ok(turn.shelf()?.newest(count))
}

pub(crate) fn objects(turn: &mut Turn<'_>) -> Result<Answer, Refusal> {
    let page = Page::read(turn, "max-keys")?;
    let hidden = hidden(turn)?;
    let call = turn.call;
    let is_second = call.parameter("list-type") == Some("2");
    let token = call.filled("continuation-token").filter(|_| is_second);
    let after = match token {
        Some(token) => from_token(token)
            .ok_or_else(|| Refusal::argument("The continuation token provided is incorrect"))?,
        None => call.filled(if is_second { "start-after" } else { "marker" }).unwrap_or_default().to_owned(),
    };
    let shelf = turn.shelf()?;
    let shown = shelf.objects.iter().filter(|(key, _)| key.as_str() > after.as_str()).filter_map(
        |(key, versions)| {
            let version = versions.iter().rfind(|version| !hidden.contains(&version.serial))?;
            (!version.is_marker).then(|| (key.clone(), version))
        },
    );
    let cut = page.cut(shown, &after);
    let mut document = Xml::new("ListBucketResult");
    document.text("Name", &call.bucket);
    page.write_head(&mut document, "MaxKeys", cut.is_truncated);
    if is_second {
        document.text("KeyCount", cut.entries.len() + cut.groups.len());
        if let Some(token) = token {
            document.text("ContinuationToken", token);
        }
        if cut.is_truncated {
            document.text("NextContinuationToken", hex(cut.last().as_bytes()));
        }
    } else {
        document.text("Marker", page.shown(&after));
        if cut.is_truncated {
            document.text("NextMarker", page.shown(cut.last()));
        }
    }
    for (key, version) in &cut.entries {
        document.open("Contents").text("Key", page.shown(key));
        facts(&mut document, version);
        document.close("Contents");
    }
    page.write_groups(&mut document, &cut.groups);
    Ok(Answer::xml(document.end("ListBucketResult")))
}

/// What every list tells about a version that is no marker.
pub(crate) fn facts(document: &mut Xml, version: &Version) {
    document.text("LastModified", iso(version.modified)).text("ETag", format!("\"{}\"", version.etag));
    document.text("Size", version.data.length()).text("StorageClass", &version.attributes.class);
    if let Some(checksum) = &version.checksum {
        document
            .text("ChecksumAlgorithm", checksum.algorithm.name())
            .text("ChecksumType", checksum.kind.name());
    }
}

fn from_token(token: &str) -> Option<String> {
    let bytes =
        token.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

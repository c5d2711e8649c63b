//! Names and versions. Everything is found by listing versions: a listing of names shows what whoever put last wants shown.

use std::collections::VecDeque;
use std::io;

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::EncodingType;

use super::S3Vault;
use super::fault::Fault;
use super::store::Store;
use crate::{Names, ObjectFolder, ObjectName, Result, VaultError, VersionId};

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Marker {
    key: Option<String>,
    version: Option<String>,
}

impl Store {
    /// One page of versions, and where the next begins.
    async fn page(
        &self,
        prefix: &str,
        marker: &Marker,
    ) -> Result<(ListObjectVersionsOutput, Option<Marker>)> {
        let call = self.client.list_object_versions().bucket(&self.bucket).prefix(prefix);
        // Without it, one key with a character that XML cannot carry would end every listing.
        let call = call.encoding_type(EncodingType::Url);
        let call = call.set_key_marker(marker.key.clone()).set_version_id_marker(marker.version.clone());
        let page = call.send().await.map_err(|error| {
            Fault::from(error).into_error("list the versions of", prefix, "s3:ListBucketVersions")
        })?;
        if page.is_truncated() != Some(true) {
            return Ok((page, None));
        }
        let key = page.next_key_marker().map(decoded);
        let next = Marker { key, version: page.next_version_id_marker().map(str::to_owned) };
        if next.key.is_none() || next == *marker {
            let source = io::Error::other("the list does not go on where it ended");
            return Err(VaultError::Unreachable { step: format!("list the versions of {prefix}"), source });
        }
        Ok((page, Some(next)))
    }

    /// The first version ever stored under a name; none if there is none. Versions come newest first.
    pub(super) async fn first_version(&self, name: &ObjectName) -> Result<Option<VersionId>> {
        let key = self.key(name)?;
        let mut first = None;
        let mut marker = Some(Marker::default());
        while let Some(from) = marker {
            let (page, next) = self.page(&key, &from).await?;
            marker = next;
            for version in page.versions() {
                if version.key().is_some_and(|found| decoded(found) == key) {
                    first = Some(version.version_id().unwrap_or("null").to_owned());
                }
            }
            // The key itself comes before all keys that only begin like it.
            let is_past = |found: Option<&str>| found.is_some_and(|found| decoded(found) != key);
            if page.versions().iter().any(|one| is_past(one.key()))
                || page.delete_markers().iter().any(|one| is_past(one.key()))
            {
                break;
            }
        }
        match first.map(|id| id.parse()) {
            None => Ok(None),
            Some(Ok(id)) => Ok(Some(id)),
            Some(Err(error)) => {
                Err(VaultError::failed("list the versions of", &key)(io::Error::other(error)))
            }
        }
    }
}

/// Undoes the provider's `encoding-type=url`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let hex = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, tail) {
            (b'%', [high, low, beyond @ ..]) if let (Some(high), Some(low)) = (hex(*high), hex(*low)) => {
                bytes.push(high * 16 + low);
                rest = beyond;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A listing under way.
struct Listing<'a> {
    vault: &'a S3Vault,
    prefix: String,
    page: VecDeque<ObjectName>,
    next: Option<Marker>,
    last: Option<ObjectName>,
}

pub(super) fn list<'a>(vault: &'a S3Vault, folder: &ObjectFolder) -> Result<Names<'a>> {
    let prefix = vault.store.folder(folder);
    let page = VecDeque::new();
    let mut listing = Listing { vault, prefix, page, next: Some(Marker::default()), last: None };
    // The first page now: a vault that cannot be listed says so at once.
    listing.turn()?;
    Ok(Box::new(listing))
}

impl Listing<'_> {
    fn turn(&mut self) -> Result<()> {
        let Some(marker) = self.next.take() else { return Ok(()) };
        let store = &self.vault.store;
        let (page, next) = self.vault.wait(store.page(&self.prefix, &marker))?;
        let keys = page.versions().iter().filter_map(|version| version.key());
        // What is no object by its name was not put there by a vault, and is passed over.
        let names = keys.filter_map(|key| store.name(&decoded(key)));
        for name in names {
            // Versions of one name come one after the other.
            if self.last.as_ref() != Some(&name) {
                self.last = Some(name.clone());
                self.page.push_back(name);
            }
        }
        self.next = next;
        Ok(())
    }
}

impl Iterator for Listing<'_> {
    type Item = Result<ObjectName>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() && self.next.is_some() {
            if let Err(error) = self.turn() {
                return Some(Err(error));
            }
        }
        self.page.pop_front().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn what_a_provider_encodes_is_decoded_and_nonsense_stays() {
        for (text, plain) in [
            ("ice%2Fweb01/a", "ice/web01/a"),
            ("a+b", "a b"),
            ("%", "%"),
            ("%2", "%2"),
            ("%zz", "%zz"),
            ("%01", "\u{1}"),
        ] {
            assert_eq!(decoded(text), plain);
        }
    }
}

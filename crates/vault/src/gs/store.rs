//! One bucket: where things are, and what every call of it has in common.

use std::io;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use reqwest::{Method, Url};

use super::client::{Call, Client};
use super::key::Account;
use super::model::Policy;
use crate::clock::SeenClock;
use crate::inspection::Support;
use crate::pace::Pace;
use crate::settings::Settings;
use crate::{ObjectFolder, ObjectName, Result, VaultError};

const GOOGLE: &str = "https://storage.googleapis.com";
/// Longest name of an object.
const KEY_BYTES: usize = 1_024;
/// The parts of an upload, but for the last, are multiples of this.
const PART_STEP: u64 = 256 * 1024;

/// One bucket, or the part of it under a prefix.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) client: Client,
    base: Url,
    pub(super) bucket: String,
    /// Before every name: empty, or with `/` at its end.
    pub(super) prefix: String,
    pub(super) class: &'static str,
    pub(super) part_bytes: u64,
    clock: Arc<SeenClock>,
    /// The bucket's policy, once it was seen locked: from then on it can only grow.
    pub(super) locked_policy: OnceLock<Policy>,
    /// Whether locks can be moved, once it is known.
    pub(super) locks_move: OnceLock<Support>,
}

impl Store {
    /// Must be called inside a runtime.
    pub(super) fn new(settings: &Settings, bucket: &str, prefix: &str) -> Result<Store> {
        settings.check_gs()?;
        let wrong = || VaultError::Setting { key: "endpoint", what: "is no address".to_owned() };
        let base = settings.endpoint.as_deref().unwrap_or(GOOGLE);
        let base = Url::parse(base).ok().filter(|url| url.path() == "/").ok_or_else(wrong)?;
        let clock = Arc::new(SeenClock::default());
        let pace = settings.upload_bytes_per_second.map(|rate| Arc::new(Pace::new(rate)));
        let account = Account::load(settings.source()?)?;
        let client = Client::new(account, Arc::clone(&clock), pace)
            .map_err(|error| VaultError::failed("start", "its client")(io::Error::other(error)))?;
        Ok(Store {
            client,
            base,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            class: settings.class().as_str(),
            part_bytes: settings.part_bytes.next_multiple_of(PART_STEP),
            clock,
            locked_policy: OnceLock::new(),
            locks_move: OnceLock::new(),
        })
    }

    /// The address of something, one component a word.
    pub(super) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url.query_pairs_mut().extend_pairs(query);
        url
    }

    pub(super) fn bucket_url(&self, query: &[(&str, &str)]) -> Url {
        self.url(&["storage", "v1", "b", &self.bucket], query)
    }

    pub(super) fn list_url(&self, query: &[(&str, &str)]) -> Url {
        self.url(&["storage", "v1", "b", &self.bucket, "o"], query)
    }

    pub(super) fn upload_url(&self, query: &[(&str, &str)]) -> Url {
        self.url(&["upload", "storage", "v1", "b", &self.bucket, "o"], query)
    }

    /// The address of a name, whatever generation is on top of it.
    pub(super) fn name_url(&self, name: &ObjectName, query: &[(&str, &str)]) -> Result<Url> {
        let key = self.key(name)?;
        Ok(self.url(&["storage", "v1", "b", &self.bucket, "o", &key], query))
    }

    /// The address of one generation of an object.
    pub(super) fn object_url(
        &self,
        name: &ObjectName,
        generation: i64,
        query: &[(&str, &str)],
    ) -> Result<Url> {
        let mut url = self.name_url(name, query)?;
        url.query_pairs_mut().append_pair("generation", &generation.to_string());
        Ok(url)
    }

    /// Where an upload goes on, as the store says: at the store itself, or nowhere.
    pub(super) fn session_url(&self, location: &str) -> Option<Url> {
        Url::parse(location).ok().filter(|url| url.origin() == self.base.origin())
    }

    /// The provider's time, from an answer that it gives now.
    pub(super) async fn ask_clock(&self) -> Result<DateTime<Utc>> {
        let url = self.list_url(&[("maxResults", "1"), ("fields", "kind"), ("prefix", &self.prefix)]);
        let asked = self.client.ask(&Call::new(Method::GET, url)).await;
        asked.map_err(|fault| {
            fault.into_error("look into the bucket", &self.bucket, "storage.objects.list")
        })?;
        self.clock_now()
    }

    /// The provider's time, by the answers it gave so far.
    pub(super) fn clock_now(&self) -> Result<DateTime<Utc>> {
        self.clock.now().ok_or_else(|| {
            let source = io::Error::other("the store's answer has no date");
            VaultError::Unreachable { step: "read the store's clock".to_owned(), source }
        })
    }

    pub(super) fn key(&self, name: &ObjectName) -> Result<String> {
        let key = format!("{}{name}", self.prefix);
        if key.len() > KEY_BYTES {
            return Err(VaultError::Setting {
                key: "url",
                what: format!("has a prefix too long for {name}"),
            });
        }
        Ok(key)
    }

    /// What all keys in `folder` begin with.
    pub(super) fn folder(&self, folder: &ObjectFolder) -> String {
        format!("{}{}", self.prefix, folder.as_str())
    }

    /// The name of an object from its key; none if a vault put nothing under such a key.
    pub(super) fn name(&self, key: &str) -> Option<ObjectName> {
        key.strip_prefix(&self.prefix)?.parse().ok()
    }
}

//! From a request to the one function that answers it.

use std::net::SocketAddr;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::access::Asker;
use crate::answer::Answer;
use crate::fault::Faults;
use crate::refusal::Refusal;
use crate::request::Call;
use crate::store::{Shelf, Store};
use crate::{bucket, change, insert, read, session};

/// What a handler works with. The store is locked for as long as it lives.
pub(crate) struct Turn<'a> {
    pub(crate) call: &'a Call,
    pub(crate) store: &'a mut Store,
    pub(crate) faults: &'a Faults,
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    pub(crate) now: DateTime<Utc>,
    pub(crate) asker: Asker,
    pub(crate) bucket: String,
    /// Empty for a request about the bucket itself.
    pub(crate) key: String,
    pub(crate) body: Bytes,
    /// The connection was closed before all of the body came.
    pub(crate) was_cut: bool,
}

impl Turn<'_> {
    pub(crate) fn shelf(&mut self, bucket: &str) -> Result<&mut Shelf, Refusal> {
        self.store.buckets.get_mut(bucket).ok_or_else(Refusal::no_bucket)
    }

    /// What a request for something absent hears: only who may list learns that it is absent.
    pub(crate) fn missing(&self) -> Refusal {
        match self.asker.must("storage.objects.list") {
            Ok(()) => Refusal::no_object(&self.bucket, &self.key),
            Err(refusal) => refusal,
        }
    }
}

type Handler = fn(&mut Turn<'_>) -> Result<Answer, Refusal>;

/// An operation, and what it is about.
pub(crate) struct Route {
    pub(crate) name: &'static str,
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) handler: Handler,
}

impl Route {
    pub(crate) fn of(call: &Call) -> Option<Route> {
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        let kind = call.parameter("uploadType");
        let is_session = call.parameter("upload_id").is_some();
        let (name, handler, bucket, key): (&'static str, Handler, &str, &str) =
            match (call.method.as_str(), path.as_slice()) {
                ("GET", ["storage", "v1", "b", bucket]) => ("buckets.get", bucket::get, bucket, ""),
                ("PATCH", ["storage", "v1", "b", bucket]) => ("buckets.patch", bucket::patch, bucket, ""),
                ("DELETE", ["storage", "v1", "b", bucket]) => ("buckets.delete", bucket::delete, bucket, ""),
                ("POST", ["storage", "v1", "b", bucket, "lockRetentionPolicy"]) => {
                    ("buckets.lockRetentionPolicy", bucket::lock, bucket, "")
                }
                ("GET", ["storage", "v1", "b", bucket, "iam", "testPermissions"]) => {
                    ("buckets.testIamPermissions", bucket::test_permissions, bucket, "")
                }
                ("GET", ["storage", "v1", "b", bucket, "o"]) => ("objects.list", read::list, bucket, ""),
                ("GET", ["storage", "v1", "b", bucket, "o", key]) => match call.parameter("alt") {
                    Some("media") => ("objects.media", read::object, bucket, key),
                    _ => ("objects.get", read::object, bucket, key),
                },
                ("PATCH", ["storage", "v1", "b", bucket, "o", key]) => {
                    ("objects.patch", change::patch, bucket, key)
                }
                ("DELETE", ["storage", "v1", "b", bucket, "o", key]) => {
                    ("objects.delete", change::delete, bucket, key)
                }
                ("PUT" | "DELETE", ["upload", "storage", "v1", "b", bucket, "o"]) if is_session => {
                    ("objects.insert.part", session::go_on, bucket, "")
                }
                ("POST", ["upload", "storage", "v1", "b", bucket, "o"]) if kind == Some("resumable") => (
                    "objects.insert.begin",
                    session::begin,
                    bucket,
                    call.parameter("name").unwrap_or_default(),
                ),
                ("POST", ["upload", "storage", "v1", "b", bucket, "o"]) if kind == Some("media") => {
                    ("objects.insert", insert::media, bucket, call.parameter("name").unwrap_or_default())
                }
                _ => return None,
            };
        Some(Route { name, handler, bucket: bucket.to_owned(), key: key.to_owned() })
    }
}

//! What the credentials could do, asked without doing it: every question is about a name that was never used, and a provider says whether one may
//! before it looks whether there is something.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::fault::Fault;
use super::inspect::asking;
use super::store::Store;
use crate::ObjectFolder;
use crate::inspection::{Access, Fact};

/// Under this folder of a vault everything lies.
const FOLDER: &str = "ice/";
/// The version of what was put without versions: a well-formed id that a name never used does not have.
const NO_VERSION: &str = "null";
/// An ETag that nothing has. It keeps a provider that knows conditional deletes from laying even a delete marker.
const NO_ETAG: &str = "\"00000000000000000000000000000000\"";
/// An upload that was never begun.
const NO_UPLOAD: &str = "firn-preflight-never-begun";

impl Store {
    /// What all keys of this vault begin with.
    pub(super) fn place(&self) -> String {
        let root = FOLDER.parse::<ObjectFolder>();
        root.map_or_else(|_| FOLDER.to_owned(), |folder| self.folder(&folder))
    }

    /// A key that nobody has used or will use; none if the system gives no random bytes.
    fn unused_key(&self) -> Option<String> {
        let mut bytes = [0; 16];
        let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        (filled == Ok(bytes.len()))
            .then(|| format!("{}firn-preflight/{:032x}", self.place(), u128::from_le_bytes(bytes)))
    }

    /// Rights by which objects are removed or hidden.
    pub(super) async fn destructive_rights(&self) -> Vec<(&'static str, Fact<Access>)> {
        let Some(key) = self.unused_key() else { return Vec::new() };
        let delete = || self.client.delete_object().bucket(&self.bucket).key(&key);
        let by_version = delete().version_id(NO_VERSION).customize().config_override(asking()).send().await;
        let by_name = delete().if_match(NO_ETAG).customize().config_override(asking()).send().await;
        vec![("s3:DeleteObjectVersion", access(by_version)), ("s3:DeleteObject", access(by_name))]
    }

    /// Rights without which a vault does not work, as far as they can be seen without putting anything.
    pub(super) async fn needed_rights(&self) -> Vec<(&'static str, Fact<Access>)> {
        let Some(key) = self.unused_key() else { return Vec::new() };
        let (client, bucket) = (&self.client, &self.bucket);
        let names = client.list_objects_v2().bucket(bucket).prefix(&key).max_keys(1);
        let names = access(names.customize().config_override(asking()).send().await);
        let versions = client.list_object_versions().bucket(bucket).prefix(&key).max_keys(1);
        let versions = access(versions.customize().config_override(asking()).send().await);
        let uploads = client.list_multipart_uploads().bucket(bucket).prefix(&key).max_uploads(1);
        let uploads = access(uploads.customize().config_override(asking()).send().await);
        let abort = client.abort_multipart_upload().bucket(bucket).key(&key).upload_id(NO_UPLOAD);
        let abort = access(abort.customize().config_override(asking()).send().await);
        let read = client.get_object().bucket(bucket).key(&key).version_id(NO_VERSION);
        let read = access(read.customize().config_override(asking()).send().await);
        let lock = client.get_object_retention().bucket(bucket).key(&key).version_id(NO_VERSION);
        let lock = access(lock.customize().config_override(asking()).send().await);
        // To those who may not list, what is absent looks forbidden.
        let seen = |fact| match (&names, fact) {
            (Fact::Seen(Access::Refused), Fact::Seen(Access::Refused)) => {
                Fact::Hidden { permission: "s3:ListBucket" }
            }
            (_, fact) => fact,
        };
        vec![
            ("s3:GetObjectVersion", seen(read)),
            ("s3:GetObjectRetention", seen(lock)),
            ("s3:ListBucket", names),
            ("s3:ListBucketVersions", versions),
            ("s3:ListBucketMultipartUploads", uploads),
            ("s3:AbortMultipartUpload", abort),
        ]
    }
}

/// Refused is refused; any other answer was given to somebody who may, unless it says nothing about who asks.
fn access<T, E>(answer: Result<T, SdkError<E, HttpResponse>>) -> Fact<Access>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match answer.map_err(Fault::from) {
        Ok(_) => Fact::Seen(Access::Granted),
        Err(fault) => match fault.status {
            _ if fault.is_no_answer() => Fact::Unanswered { why: fault.seen() },
            Some(401 | 403) => Fact::Seen(Access::Refused),
            Some(200..500) if !fault.is_unsupported() => Fact::Seen(Access::Granted),
            _ => Fact::Unanswered { why: fault.seen() },
        },
    }
}

//! One request's turn at the store: who asks, for what, when, and what he may.

use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};

use chrono::{DateTime, Utc};

use crate::access::{Asked, Context, is_allowed};
use crate::body::Received;
use crate::fault::{Fault, Faults};
use crate::refusal::Refusal;
use crate::request::Call;
use crate::store::{Shelf, Store};

/// What a handler works with. The store is locked for as long as it lives.
pub(crate) struct Turn<'a> {
    pub(crate) call: &'a Call,
    pub(crate) store: &'a mut Store,
    pub(crate) now: DateTime<Utc>,
    pub(crate) body: Received,
    pub(crate) access: String,
    pub(crate) region: &'a str,
    pub(crate) faults: &'a Faults,
    /// Faults that struck in this turn already: one request is one hit.
    pub(crate) struck: HashSet<Discriminant<Fault>>,
}

impl Turn<'_> {
    pub(crate) fn shelf(&mut self) -> Result<&mut Shelf, Refusal> {
        self.store.buckets.get_mut(&self.call.bucket).ok_or_else(Refusal::no_such_bucket)
    }

    /// Whether a fault strikes now; counted once a request.
    pub(crate) fn strikes(&mut self, fault: Fault) -> Option<Fault> {
        if self.struck.contains(&discriminant(&fault)) {
            return Some(fault);
        }
        let armed = self.faults.strike(fault)?;
        self.struck.insert(discriminant(&fault));
        Some(armed)
    }

    /// Lets a refusal pass if the fault that excuses it strikes.
    pub(crate) fn unless(&mut self, fault: Fault, refusal: Refusal) -> Result<(), Refusal> {
        if self.strikes(fault).is_some() { Ok(()) } else { Err(refusal) }
    }

    /// Refuses what the statements of the user and of the bucket do not allow, on the bucket and key of the call.
    pub(crate) fn permit(&mut self, action: &str, context: &Context) -> Result<(), Refusal> {
        let (bucket, key) = (self.call.bucket.clone(), self.call.key.clone());
        self.permit_on(action, &bucket, &key, context)
    }

    pub(crate) fn permit_on(
        &mut self,
        action: &str,
        bucket: &str,
        key: &str,
        context: &Context,
    ) -> Result<(), Refusal> {
        if self.is_allowed(action, bucket, key, context) {
            return Ok(());
        }
        match excuse(action) {
            Some(fault) => self.unless(fault, Refusal::denied()),
            None => Err(Refusal::denied()),
        }
    }

    pub(crate) fn is_allowed(&self, action: &str, bucket: &str, key: &str, context: &Context) -> bool {
        let Some(user) = self.store.users.get(&self.access) else { return false };
        let resource = if key.is_empty() { bucket.to_owned() } else { format!("{bucket}/{key}") };
        let resource = format!("arn:aws:s3:::{resource}");
        let policy = self.store.buckets.get(bucket).and_then(|shelf| shelf.policy.as_ref());
        let statements = user.statements.iter().chain(policy.iter().flat_map(|(_, statements)| statements));
        is_allowed(statements, &Asked { user: &user.name, action, resource, context })
    }

    /// What a request for something absent hears: only who may list learns that it is absent.
    pub(crate) fn missing(&self) -> Refusal {
        if self.is_allowed("s3:ListBucket", &self.call.bucket, "", &Context::new()) {
            Refusal::no_such_key()
        } else {
            Refusal::denied()
        }
    }

    /// Requests that change settings or locks must carry a checksum.
    pub(crate) fn must_be_protected(&self) -> Result<(), Refusal> {
        if self.body.is_protected() {
            return Ok(());
        }
        Err(Refusal::invalid("Missing required header for this request: Content-MD5 OR x-amz-checksum-*"))
    }
}

/// The fault under which an action is done although it is not permitted.
fn excuse(action: &str) -> Option<Fault> {
    Some(match action {
        "s3:DeleteObject" => Fault::DeleteAllowed,
        "s3:DeleteObjectVersion" => Fault::DeleteVersionAllowed,
        "s3:BypassGovernanceRetention" => Fault::BypassAllowed,
        "s3:PutBucketPolicy" | "s3:DeleteBucketPolicy" => Fault::PolicyWritable,
        "s3:PutLifecycleConfiguration" => Fault::LifecycleWritable,
        "s3:PutBucketVersioning" => Fault::VersioningSuspendable,
        _ => return None,
    })
}

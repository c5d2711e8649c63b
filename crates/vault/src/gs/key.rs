//! The key of a service account, as Google hands it out, and the tokens made with it.
//!
//! The tokens are signed here and sent to the store alone: no other server is asked for them.

use std::fmt;

use google_cloud_auth::credentials::service_account::{AccessSpecifier, Builder};
use google_cloud_auth::credentials::{CacheableResource, Credentials};
use http::{Extensions, HeaderMap};
use serde_json::Value;

use super::fault::Fault;
use crate::VaultError;
use crate::secret::{Form, Source, load};

/// To change an object's retention, Google asks for this one; what the account may do is for its roles to say.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.full_control";
const FORM: Form<Key> = Form { what: "it must be the JSON key of a service account", parse };
/// What a key must say.
const FIELDS: [&str; 4] = ["client_email", "private_key_id", "private_key", "project_id"];

struct Key(Value);

fn parse(bytes: &[u8]) -> Option<Key> {
    let key: Value = serde_json::from_slice(bytes).ok()?;
    let text = |field: &str| key.get(field)?.as_str().filter(|text| !text.is_empty());
    let whole = text("type")? == "service_account" && FIELDS.iter().all(|field| text(field).is_some());
    whole.then_some(Key(key))
}

/// Whoever has these may use the vault.
pub(super) struct Account(Credentials);

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account(..)")
    }
}

impl Account {
    /// Reads the key. Must be called inside a runtime, in which the token is renewed.
    pub(super) fn load(source: Source<'_>) -> crate::Result<Account> {
        let Key(key) = load(source, &FORM)?;
        let scopes = AccessSpecifier::from_scopes([SCOPE]);
        let built = Builder::new(key).with_access_specifier(scopes).build();
        // The error may quote the key.
        let wrong = |_| VaultError::Credentials { from: "the key".to_owned(), what: FORM.what, source: None };
        built.map(Account).map_err(wrong)
    }

    /// The headers that show who asks.
    pub(super) async fn headers(&self) -> Result<HeaderMap, Fault> {
        match self.0.headers(Extensions::new()).await {
            Ok(CacheableResource::New { data, .. }) => Ok(data),
            Ok(CacheableResource::NotModified) => Err(Fault::of_key()),
            Err(_) => Err(Fault::of_key()),
        }
    }
}

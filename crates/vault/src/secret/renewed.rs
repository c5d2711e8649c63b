//! Credentials for the SDK. Those for good are read once; those with a session token run out, and are read again every few minutes.

use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_s3::config::Credentials as AwsCredentials;

use super::{Credentials, SourceBuf};
use crate::Result;
use crate::settings::Settings;

/// How long credentials with a token are used: a role's live for a quarter of an hour at least.
const LIFE: Duration = Duration::from_secs(300);

/// What the settings name, read now: what is wrong with it shows at once.
pub(crate) fn provider(settings: &Settings) -> Result<SharedCredentialsProvider> {
    let source = settings.source()?;
    let first = Credentials::load(source)?;
    Ok(match first.session_token {
        None => SharedCredentialsProvider::new(known(&first, None)),
        Some(_) => SharedCredentialsProvider::new(Renewed { source: source.to_owned(), life: LIFE }),
    })
}

#[derive(Debug)]
pub(crate) struct Renewed {
    pub(crate) source: SourceBuf,
    pub(crate) life: Duration,
}

impl ProvideCredentials for Renewed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let (source, life) = (self.source.clone(), self.life);
        future::ProvideCredentials::new(async move {
            let read = tokio::task::spawn_blocking(move || Credentials::load(source.borrowed())).await;
            let read = read.map_err(CredentialsError::provider_error)?;
            let read = read.map_err(CredentialsError::provider_error)?;
            Ok(known(&read, SystemTime::now().checked_add(life)))
        })
    }
}

/// The SDK wipes its copies when it drops them.
fn known(read: &Credentials, until: Option<SystemTime>) -> AwsCredentials {
    let token = read.session_token.as_ref().map(|token| token.to_string());
    AwsCredentials::new(read.access_key_id.as_str(), read.secret_access_key.as_str(), token, until, "firn")
}

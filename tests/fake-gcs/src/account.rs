//! Service accounts: their keys, and the proof of who signed a token.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::access::{Asker, Grant};
use crate::clock::Skew;
use crate::document::text;
use crate::refusal::Refusal;

/// What must be among the scopes of a token.
const SCOPES: [&str; 3] = [
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/devstorage.full_control",
    "https://www.googleapis.com/auth/devstorage.read_write",
];
/// The longest life of a token, and how far clocks may be apart.
const LIFE_SECONDS: i64 = 3_600;
const SKEW_SECONDS: i64 = 60;

/// Someone with a key.
#[derive(Debug)]
pub(crate) struct Account {
    email: String,
    key_id: String,
    public_key: Vec<u8>,
    grants: Vec<Grant>,
}

impl Account {
    /// An account, and its key as Google hands it out.
    pub(crate) fn new(name: &str, number: usize, grants: Vec<Grant>) -> Result<(Account, String), String> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|error| error.to_string())?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|error| error.to_string())?;
        let email = format!("{name}@example-project.iam.gserviceaccount.com");
        let key_id = format!("{number:040x}");
        let key = json!({
            "type": "service_account",
            "project_id": "example-project",
            "private_key_id": key_id,
            "private_key": pem(der.as_ref()),
            "client_email": email,
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        });
        let public_key = pair.public_key().as_ref().to_vec();
        Ok((Account { email, key_id, public_key, grants }, key.to_string()))
    }
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Who asks, by the token that he signed himself.
pub(crate) fn prove(
    header: Option<&str>,
    accounts: &[Account],
    now: DateTime<Utc>,
    skew: Skew,
) -> Result<Asker, Refusal> {
    let refused = |what: &str| Refusal::new(401, "authError", format!("Invalid Credentials: {what}"));
    let Some(token) = header.and_then(|header| header.strip_prefix("Bearer ")) else {
        let text = "Anonymous caller does not have storage access to the Google Cloud Storage object.";
        return Err(Refusal::new(401, "required", text));
    };
    let (signed, signature) = token.rsplit_once('.').ok_or_else(|| refused("no token"))?;
    let (head, claims) = signed.split_once('.').ok_or_else(|| refused("no token"))?;
    let document =
        |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    let (head, claims) =
        document(head).zip(document(claims)).ok_or_else(|| refused("the token cannot be read"))?;
    if text(&head, "alg") != Some("RS256") {
        return Err(refused("the token is not signed with RS256"));
    }
    let account = accounts.iter().find(|one| text(&head, "kid") == Some(&one.key_id));
    let account = account.ok_or_else(|| refused("no such key"))?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refused("no signature"))?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &account.public_key)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| refused("the signature is wrong"))?;
    if text(&claims, "iss") != Some(&account.email) || text(&claims, "sub") != Some(&account.email) {
        return Err(refused("the token is another account's"));
    }
    let second = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
    let (from, to, at) = (second("iat"), second("exp"), now.timestamp());
    let is_now = from <= at + SKEW_SECONDS && at <= to && to - from <= LIFE_SECONDS + SKEW_SECONDS;
    if skew == Skew::Checked && !is_now {
        return Err(refused("the token is not valid now"));
    }
    let scopes: Vec<&str> = text(&claims, "scope").unwrap_or_default().split(' ').collect();
    let has = |known: &[&str]| scopes.iter().any(|scope| known.contains(scope));
    if !has(&SCOPES) {
        return Err(Refusal::new(403, "insufficientPermissions", "Provided scope(s) are not authorized"));
    }
    let has_full_control = SCOPES.get(..2).is_some_and(has);
    Ok(Asker { email: account.email.clone(), grants: account.grants.clone(), has_full_control })
}

//! Signature version 4, in headers: who asks, and that nobody changed the asking.

use chrono::{DateTime, NaiveDateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::answer::Refusal;
use crate::request::Call;
use crate::tree::hex;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SKEW_SECONDS_MAX: i64 = 15 * 60;

/// Proves a request, and gives back the access key. `secret` finds the secret of one; `now` is none where clients' clocks are not held against it.
pub(crate) fn verify(
    call: &Call,
    now: Option<DateTime<Utc>>,
    secret: impl FnOnce(&str) -> Option<String>,
) -> Result<String, Refusal> {
    let missing = || {
        Refusal::new(403, "MissingAuthenticationTokenException", "Request is missing Authentication Token")
    };
    let header = call.header("authorization").ok_or_else(missing)?;
    let fields = header.strip_prefix(ALGORITHM).ok_or_else(|| wrong("algorithm"))?;
    let field = |name: &str| {
        let found = fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        found.ok_or_else(|| wrong(name))
    };
    let credential: Vec<&str> = field("Credential")?.split('/').collect();
    let [access, day, region, "glacier", "aws4_request"] = *credential else {
        return Err(wrong("Credential"));
    };
    let unknown = || {
        Refusal::new(
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )
    };
    let secret = secret(access).ok_or_else(unknown)?;
    let date = call.header("x-amz-date").ok_or_else(|| wrong("x-amz-date"))?;
    let when = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").map_err(|_| wrong("date"))?;
    if now.is_some_and(|now| (now - when.and_utc()).num_seconds().abs() > SKEW_SECONDS_MAX) {
        return Err(Refusal::new(403, "RequestExpired", "Signature expired"));
    }
    let body = hex(&Sha256::digest(&call.body));
    if call.header("x-amz-content-sha256").is_some_and(|announced| announced != body) {
        return Err(Refusal::invalid(
            "The value passed in as x-amz-content-sha256 does not match the computed payload hash.",
        ));
    }
    let signed = field("SignedHeaders")?;
    let headers: String = signed.split(';').map(|name| format!("{name}:{}\n", value(call, name))).collect();
    let mut query: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    query.sort();
    let canonical =
        format!("{}\n{}\n{}\n{headers}\n{signed}\n{body}", call.method, call.path, query.join("&"));
    let scope = format!("{day}/{region}/glacier/aws4_request");
    let text = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut key = mac(format!("AWS4{secret}").as_bytes(), day);
    for step in [region, "glacier", "aws4_request"] {
        key = mac(&key, step);
    }
    if hex(&mac(&key, &text)) != field("Signature")? {
        let text = "The request signature we calculated does not match the signature you provided.";
        return Err(Refusal::new(403, "InvalidSignatureException", text));
    }
    Ok(access.to_owned())
}

fn value(call: &Call, name: &str) -> String {
    let values = call.headers.get_all(name).iter().map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes());
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    values.collect::<Vec<_>>().join(",")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn wrong(what: &str) -> Refusal {
    Refusal::new(403, "IncompleteSignatureException", format!("the {what} of the signature is wrong"))
}

//! Signature version 4, in headers: who asks, and that nobody changed the asking.

use chrono::{DateTime, NaiveDateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::checksum::hex;
use crate::clock::Skew;
use crate::refusal::Refusal;
use crate::request::{Call, encoded};

const SKEW_SECONDS_MAX: i64 = 15 * 60;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The SHA-256 of nothing, which stands in every chunk's signature.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// How the body is covered by the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payload {
    Unsigned,
    /// Its SHA-256, in hex.
    Whole(String),
    ChunksUnsigned,
    ChunksSigned(Chain),
}

impl Payload {
    /// The same form of a body, without what its signature says about its bytes.
    pub(crate) fn unchecked(self) -> Self {
        match self {
            Self::Unsigned | Self::Whole(_) => Self::Unsigned,
            Self::ChunksUnsigned | Self::ChunksSigned(_) => Self::ChunksUnsigned,
        }
    }
}

/// A request whose signature is right.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) access: String,
    pub(crate) payload: Payload,
}

/// The chain of signatures over the chunks of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    key: Vec<u8>,
    date: String,
    scope: String,
    last: String,
}

impl Chain {
    /// Checks one chunk by the SHA-256 of its bytes.
    pub(crate) fn chunk(&mut self, hash: &str, signature: &str) -> Result<(), Refusal> {
        let text = format!(
            "{ALGORITHM}-PAYLOAD\n{}\n{}\n{}\n{EMPTY_SHA256}\n{hash}",
            self.date, self.scope, self.last
        );
        self.link(&text, signature)
    }

    /// Checks the trailers, as `name:value\n` lines.
    pub(crate) fn trailer(&mut self, lines: &str, signature: &str) -> Result<(), Refusal> {
        let hash = hex(&Sha256::digest(lines));
        let text = format!("{ALGORITHM}-TRAILER\n{}\n{}\n{}\n{hash}", self.date, self.scope, self.last);
        self.link(&text, signature)
    }

    fn link(&mut self, text: &str, signature: &str) -> Result<(), Refusal> {
        if hex(&mac(&self.key, text)) != signature {
            return Err(mismatch());
        }
        self.last = signature.to_owned();
        Ok(())
    }
}

/// Proves a request. `secret` finds the secret of an access key.
pub(crate) fn verify(
    call: &Call,
    now: DateTime<Utc>,
    skew: Skew,
    region: &str,
    secret: impl FnOnce(&str) -> Option<String>,
) -> Result<Signed, Refusal> {
    let claim = Claim::read(call)?;
    let secret = secret(&claim.access).ok_or_else(|| {
        let text = "The AWS Access Key Id you provided does not exist in our records.";
        Refusal::new(403, "InvalidAccessKeyId", text)
    })?;
    let when = NaiveDateTime::parse_from_str(&claim.date, "%Y%m%dT%H%M%SZ").map_err(|_| malformed("date"))?;
    if skew == Skew::Checked && (now - when.and_utc()).num_seconds().abs() > SKEW_SECONDS_MAX {
        let text = "The difference between the request time and the current time is too large.";
        return Err(Refusal::new(403, "RequestTimeTooSkewed", text));
    }
    if claim.region != region {
        return Err(malformed(&format!("region; expecting '{region}'")));
    }
    let day = claim.date.get(..8).unwrap_or_default();
    if claim.day != day {
        return Err(malformed("day"));
    }
    let scope = format!("{day}/{region}/s3/aws4_request");
    let hash = Sha256::digest(claim.canonical(call));
    let text = format!("{ALGORITHM}\n{}\n{scope}\n{}", claim.date, hex(&hash));
    let mut key = mac(format!("AWS4{secret}").as_bytes(), day);
    for step in [region, "s3", "aws4_request"] {
        key = mac(&key, step);
    }
    if hex(&mac(&key, &text)) != claim.signature {
        return Err(mismatch());
    }
    let chain = Chain { key, date: claim.date, scope, last: claim.signature };
    let payload = match claim.payload.as_str() {
        "UNSIGNED-PAYLOAD" => Payload::Unsigned,
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Payload::ChunksUnsigned,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" | "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
            Payload::ChunksSigned(chain)
        }
        other if other.len() == 64 => Payload::Whole(other.to_owned()),
        _ => {
            return Err(Refusal::argument(
                "x-amz-content-sha256 must be a SHA-256, UNSIGNED-PAYLOAD or STREAMING-*",
            ));
        }
    };
    Ok(Signed { access: claim.access, payload })
}

/// What the headers claim.
struct Claim {
    access: String,
    day: String,
    region: String,
    date: String,
    signed: Vec<String>,
    signature: String,
    payload: String,
}

impl Claim {
    fn read(call: &Call) -> Result<Self, Refusal> {
        let header = call.header("authorization").ok_or_else(Refusal::denied)?;
        let fields = header.strip_prefix(ALGORITHM).ok_or_else(|| malformed("algorithm"))?;
        let field = |name: &str| {
            let found =
                fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
            found.ok_or_else(|| malformed(name))
        };
        let credential: Vec<&str> = field("Credential")?.rsplitn(5, '/').collect();
        let ["aws4_request", "s3", region, day, access] = *credential else {
            return Err(malformed("Credential"));
        };
        let signed: Vec<String> = field("SignedHeaders")?.split(';').map(str::to_owned).collect();
        let must_be_signed = |name: &str| name == "host" || name.starts_with("x-amz-");
        let names = call.headers.keys().map(|name| name.as_str());
        if let Some(name) =
            names.filter(|name| must_be_signed(name)).find(|name| !signed.iter().any(|s| s == name))
        {
            let text = format!("There were headers present in the request which were not signed: {name}");
            return Err(Refusal::new(403, "AccessDenied", text));
        }
        let of = |name| call.header(name).map(str::to_owned);
        Ok(Self {
            access: access.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            date: of("x-amz-date").ok_or_else(|| malformed("x-amz-date"))?,
            signature: field("Signature")?.to_owned(),
            payload: of("x-amz-content-sha256").ok_or_else(|| {
                Refusal::invalid("Missing required header for this request: x-amz-content-sha256")
            })?,
            signed,
        })
    }

    fn canonical(&self, call: &Call) -> String {
        let mut query: Vec<String> = call
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name, ""), encoded(value, "")))
            .collect();
        query.sort();
        let headers: String =
            self.signed.iter().map(|name| format!("{name}:{}\n", value(call, name))).collect();
        let signed = self.signed.join(";");
        format!("{}\n{}\n{}\n{headers}\n{signed}\n{}", call.method, call.path, query.join("&"), self.payload)
    }
}

/// All values of a header, each with single spaces only.
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

fn malformed(what: &str) -> Refusal {
    let text = format!("The authorization header is malformed; the {what} is wrong");
    Refusal::new(400, "AuthorizationHeaderMalformed", text)
}

fn mismatch() -> Refusal {
    let text = "The request signature we calculated does not match the signature you provided.";
    Refusal::new(403, "SignatureDoesNotMatch", text)
}

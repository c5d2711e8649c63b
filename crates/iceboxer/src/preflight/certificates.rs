//! The certificates that ice is sealed to.

use chrono::{DateTime, Utc};
use cli::{Failed, shown};

use super::checks::{
    CERTIFICATE_EXPIRED, CERTIFICATE_EXPIRES_30, CERTIFICATE_EXPIRES_90, CERTIFICATE_EXPIRES_180,
    CERTIFICATE_MISSING, CERTIFICATE_SECRET_KEY, CERTIFICATE_UNUSABLE, CERTIFICATE_WRONG_FINGERPRINT, Check,
    ONE_RECIPIENT,
};
use super::finding::Finding;
use crate::certificate::{Fault, Recipient};
use crate::settings::{RecipientSettings, Settings};

/// What is told how many days before the end.
const ENDS: [(i64, &Check); 3] =
    [(30, CERTIFICATE_EXPIRES_30), (90, CERTIFICATE_EXPIRES_90), (180, CERTIFICATE_EXPIRES_180)];

/// What there is to say about all of them, as of `now`.
#[must_use]
pub fn findings(settings: &Settings, now: DateTime<Utc>) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        settings.recipients.iter().filter_map(|recipient| finding(recipient, now)).collect();
    if settings.recipients.len() < 2 {
        findings.push(Finding::new(ONE_RECIPIENT, "recipients", "ice is sealed to one certificate only"));
    }
    findings
}

fn finding(recipient: &RecipientSettings, now: DateTime<Utc>) -> Option<Finding> {
    let on = format!("certificate {}", shown(recipient.certificate.as_os_str().as_encoded_bytes()));
    // The settings were checked: a fingerprint is one.
    let pinned = recipient.pinned()?;
    match Recipient::load(&recipient.certificate, &pinned, now.into()) {
        Ok(recipient) => {
            let ends = recipient.ends()?;
            let days = (ends - now).num_days();
            let (_, check) = ENDS.iter().find(|(limit, _)| days < *limit)?;
            Some(Finding::new(check, &on, format!("it ends in {days} days, on {}", ends.format("%Y-%m-%d"))))
        }
        Err(error) => {
            let check = match error.fault() {
                Fault::Unreadable(_) => CERTIFICATE_MISSING,
                Fault::Secret => CERTIFICATE_SECRET_KEY,
                Fault::OtherFingerprint { .. } => CERTIFICATE_WRONG_FINGERPRINT,
                Fault::NotAlive(_) => CERTIFICATE_EXPIRED,
                Fault::TooLong
                | Fault::Malformed(_)
                | Fault::Several
                | Fault::Revoked
                | Fault::Weak(_)
                | Fault::NoEncryptionKey => CERTIFICATE_UNUSABLE,
            };
            Some(Finding::new(check, &on, Failed::from(error).chain()))
        }
    }
}

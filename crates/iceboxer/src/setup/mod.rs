//! How a vault is set up elsewhere: bucket, policies and roles, as text to be read and applied by a person who may.
//!
//! Nothing is applied from here, and no credential is asked for. The account that will run `iceboxer` gets no right to delete, to shorten a lock
//! or to change the bucket; a second one, for restores, gets no right to write.

mod aws;
mod gcs;
mod names;

use clap::ValueEnum;
use serde_json::Value;

use crate::settings::{RETENTION_DAYS_CAP, RETENTION_DAYS_MIN};

pub use names::{BucketName, NameError, Region};

/// What can be typed after `setup`.
#[derive(Debug, Clone, clap::Args)]
pub struct Setup {
    /// Whose vault
    pub provider: Provider,
    /// Name of the bucket to make
    #[arg(long, value_name = "NAME")]
    pub bucket: BucketName,
    /// Where it lies; us-east-1 or us-central1 if none is named
    #[arg(long, value_name = "R")]
    pub region: Option<Region>,
    /// Lock of an object for which none is asked; the least that may be asked for
    #[arg(long, value_name = "N", default_value_t = RETENTION_DAYS_MIN, value_parser = days())]
    pub retention_days: u32,
}

/// Whose vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// Amazon S3 with Object Lock
    Aws,
    /// Google Cloud Storage with a locked retention policy
    Gcs,
}

/// A set-up, as text for people and for machines.
#[derive(Debug, Clone)]
pub struct Plans {
    /// Terraform, to be read and applied elsewhere.
    pub terraform: String,
    /// The policies alone, by name.
    pub policies: Vec<(&'static str, Value)>,
}

impl Setup {
    /// Fills in the text.
    #[must_use]
    pub fn plans(&self) -> Plans {
        match self.provider {
            Provider::Aws => aws::plans(self),
            Provider::Gcs => gcs::plans(self),
        }
    }

    fn region_or<'a>(&'a self, own: &'a str) -> &'a str {
        self.region.as_ref().map_or(own, Region::as_str)
    }
}

fn days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(i64::from(RETENTION_DAYS_MIN)..=i64::from(RETENTION_DAYS_CAP))
}

/// Puts each value where `@NAME@` stands. A value of several lines is indented like its place.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    for line in template.lines() {
        let whole = values.iter().find(|(name, _)| line.trim() == *name);
        match whole {
            Some((name, value)) => {
                let indent = line.replace(name, "");
                value.lines().for_each(|part| text.push_str(&format!("{indent}{part}\n")));
            }
            None => {
                let line =
                    values.iter().fold(line.to_owned(), |line, (name, value)| line.replace(name, value));
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    text
}

/// On several lines, keys in alphabetical order: maps of this crate are kept so.
fn pretty(policy: &Value) -> String {
    format!("{policy:#}")
}

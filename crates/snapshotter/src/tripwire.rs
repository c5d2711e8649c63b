//! Tripwires: how a push differs from what its host had, and whether that is what an attack looks like.
//!
//! Values in, findings out: nothing here looks at a disk or a clock, and whatever a host sent costs bounded memory. [`measure`] walks two manifests side
//! by side, [`noise`] tells encrypted bytes from others, [`judge`](mod@judge) holds the figures against the limits and the host's own past. What follows
//! from a finding is an alarm and a hold, never a refusal; what has to be read for it is read by the ingest.

mod endings;
pub(crate) mod judge;
mod loose;
pub(crate) mod measure;
pub(crate) mod noise;
mod sample;
pub(crate) mod settings;
mod words;

pub(crate) use judge::{Finding, Past, judge};
pub(crate) use measure::{Meter, compare};
pub(crate) use settings::{TypedTripwires, Wires};
pub(crate) use words::words;

#[cfg(test)]
mod tests;

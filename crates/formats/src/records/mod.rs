//! The JSON records: one object a line, `format` first. Documents: docs/formats/snapshot-log.md, log-head.md, prune-plan.md, grant.md,
//! redaction.md, ice.md, drill-record.md, standing.md.

pub mod audit;
pub mod drill;
pub mod grant;
pub mod ice;
pub mod ice_id;
pub mod ledger;
pub mod lock;
pub mod log;
pub mod log_head;
pub mod plan;
mod record;
pub mod redaction;
pub mod standing;

pub use record::{Record, RecordError, RecordVersion};

//! What iceboxer promises, shown with real GnuPG and real squashfs tools.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod budget;
mod certificates;
mod check;
mod cost;
mod fixed_locks;
mod gcs;
mod image;
mod kept;
mod killed;
mod ledger;
mod locks;
mod preflight;
mod prove_lock;
mod reading;
mod redacted;
mod restart;
mod reuse;
mod rig;
mod run;
mod sealing;
mod seipd1;
mod settings;
mod setup;
mod standing;
mod timer;
mod waiting;

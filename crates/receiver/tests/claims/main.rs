//! What the receiver promises, shown on the real program in a scratch jail, through real pipes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

mod attempts;
mod confinement;
mod cuts;
mod deadlines;
mod faults;
mod hostile;
mod manners;
mod offers;
mod outbox;
mod pushes;
mod refusals;
mod rig;

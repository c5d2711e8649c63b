//! What the ice costs: counted before it is owed. Prices and rules: docs/prices.md.
//!
//! A [price table](prices) is set or [built in](builtin). The [stock] is what the ledger says lies in each vault, object by object; the
//! [bill] of a month counts it, [forecast] goes on with the planned runs, [restore] with what it takes to get the newest ice back. The
//! [budget] stops a run before it puts what would cost too much.
//!
//! [Money](money) is whole micro-units; nothing here asks a provider, and no result is an invoice.

pub(crate) mod ahead;
pub mod bill;
pub mod budget;
pub mod builtin;
pub mod forecast;
pub mod money;
pub mod prices;
pub mod restore;
pub mod settings;
pub mod stock;

//! The push protocol as state machines that are fed bytes and asked what to do next. Messages, order and limits are those of
//! `docs/formats/session.md`.
//!
//! - [`client`]: what push-client says ([`client::Outgoing`]) and what it believes ([`client::Incoming`]).
//! - [`server`]: what the receiver does about what a host sends ([`server::Server`], [`server::Effect`]).
//! - [`partial`]: what a push file that was cut short still holds.
//!
//! This crate opens nothing, asks no clock, starts no thread and never looks inside a block. Whatever the other side sends,
//! memory stays within one fixed buffer and nothing panics: the other side is hostile until it has proven the contrary.

mod buffer;
pub mod client;
pub mod partial;
pub mod server;

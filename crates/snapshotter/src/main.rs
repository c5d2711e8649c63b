//! Sealed push files in, hardlinked history out.
//!
//! [`ingest`] runs one confined process per host and push ([`ingest_host`]), [`watch`] does so whenever something arrives; what a host sent is
//! parsed and expanded by a child that holds only descriptors ([`decode`]). [`verify`] reads everything again and names what is not as it should
//! be. [`host`] makes and closes jails.
//! [`list`], [`show`] and [`status`] look. [`views`] keeps the names people know.
//! [`audit`] tries what must not be possible.
//!
//! This program never works as root (only `host add`, `host retire`, `import` and `audit` are root's), never follows a name that a host chose out of its folder, and never
//! removes a snapshot.

mod account;
mod args;
mod audit;
mod by_file;
mod decode;
mod decoder;
mod host;
mod hours;
mod import;
mod ingest;
mod ingest_host;
mod limits;
mod list;
mod settings;
mod show;
mod stack;
mod standing;
mod status;
mod trouble;
mod verbs;
mod verify;
mod views;
mod watch;

fn main() -> std::process::ExitCode {
    match cli::parse::<args::Args>(args::PROGRAM) {
        Ok(args) => verbs::run(args),
        Err(code) => code,
    }
}

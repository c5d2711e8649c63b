//! Sealed push files in, hardlinked history out.
//!
//! [`ingest`] runs one confined process per host and push ([`ingest_host`]), [`watch`] does so whenever something arrives; what a host sent is
//! parsed and expanded by a child that holds only descriptors ([`decode`]). [`verify`] reads everything again and names what is not as it should
//! be, and [`heal`] brings it back. [`retain`] says which snapshots are kept, and [`prune`] removes others, after a plan has waited; [`hold`] stops
//! it. [`host`] makes and
//! closes jails. [`list`], [`show`], [`find`], [`diff`] and [`status`] look. [`views`] keeps the names people know. [`restore`](mod@restore) brings
//! back, [`grant`] lets a host fetch. [`redact`] erases what the law demands. [`requests`] keeps what one asked of either for another to approve.
//! [`scribe`] notes what was only read, [`sign`] holds the key that says up to where a log is ours. [`take`] is for appliances that drop files and
//! cannot push. [`audit`] tries what must not be possible.
//!
//! This program never works as root (only `host add`, `host retire`, `grant`, `redact`, `import`, `take`, `audit` and `restore` into a folder are
//! root's),
//! never follows a name that a host chose out of its folder, and removes a snapshot only in [`prune`].

mod account;
mod args;
mod audit;
mod by_file;
mod child;
mod clerk;
mod decode;
mod decoder;
mod diff;
mod explain;
mod find;
mod grant;
mod heal;
mod hold;
mod host;
mod hours;
mod import;
mod ingest;
mod ingest_host;
mod limits;
mod list;
mod person;
mod prune;
mod pushed;
mod redact;
mod requests;
mod restore;
mod retain;
mod scribe;
mod settings;
mod show;
mod sign;
mod stack;
mod standing;
mod status;
mod take;
mod tripwire;
mod trouble;
mod turn;
mod verbs;
mod verify;
mod views;
mod watch;
mod when;

fn main() -> std::process::ExitCode {
    match cli::parse::<args::Args>(args::PROGRAM) {
        Ok(args) => verbs::run(args),
        Err(code) => code,
    }
}

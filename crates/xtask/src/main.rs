//! The project's own commands, `cargo xtask <verb>`: a demo, the tests, the benchmark, the load of a fleet, the fuzz targets, the house rules.
//!
//! It installs what a machine lacks, so it builds with a bare Rust toolchain: no crate here needs a C library.

mod args;
mod bench;
mod build;
mod demo;
mod fuzz;
mod janitor;
mod needs;
mod package;
mod screen;
mod simulate;
mod table;
mod test;
mod tidy;
mod trouble;

fn main() -> std::process::ExitCode {
    args::run()
}

//! `fake-s3`: the server by hand, until it is interrupted.

use std::process::ExitCode;

use clap::Parser as _;
use fake_s3::args::Args;

fn main() -> ExitCode {
    match Args::parse().start() {
        Ok((server, key)) => {
            println!("{} {} {}", server.endpoint(), key.access, key.secret);
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            eprintln!("fake-s3: {error}");
            ExitCode::FAILURE
        }
    }
}

//! The command line of the program `fake-s3`.

use std::io;
use std::net::SocketAddr;

use clap::Parser;

use crate::{Bucket, FakeS3, Key, Options, PayloadHash};

/// An S3 server for tests. Prints one line: endpoint, access key, secret key of a user who may do everything.
#[derive(Debug, Parser)]
#[command(name = "fake-s3", version)]
pub struct Args {
    /// Address to listen on; only loopback is served. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// A bucket to make at the start.
    #[arg(long)]
    pub bucket: Option<String>,
    /// Make the bucket with object lock, and so with versions.
    #[arg(long)]
    pub lock: bool,
    /// Do not hold bodies against the SHA-256 in their signatures, for benchmarks.
    #[arg(long)]
    pub ignore_payload_hash: bool,
}

impl Args {
    /// Starts what the command line asks for.
    pub fn start(&self) -> io::Result<(FakeS3, Key)> {
        let payload = if self.ignore_payload_hash { PayloadHash::Ignored } else { PayloadHash::Checked };
        let server = FakeS3::start(Options { listen: self.listen, payload, ..Options::default() })?;
        if let Some(name) = &self.bucket {
            server.add_bucket(name, Bucket { lock: self.lock, ..Bucket::default() });
        }
        let key = server.add_admin();
        Ok((server, key))
    }
}

//! The local S3 server that both sides upload to: new for each run, so that it never holds more than one image.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use pipeline_tests::machine::{cargo, target_folder};

use crate::trouble::{Result, Trouble};

pub(super) const BUCKET: &str = "ice";

/// A running server, and who may do everything there.
pub(super) struct Store {
    child: Child,
    pub(super) endpoint: String,
    pub(super) access: String,
    pub(super) secret: String,
}

impl Store {
    /// Builds the server's program.
    pub(super) fn build() -> Result<()> {
        let status = cargo().args(["build", "--release", "--package", "fake-s3"]).status()?;
        if status.success() { Ok(()) } else { Err(Trouble::new("the S3 server was not built")) }
    }

    /// Starts it. It does not hold bodies against their signatures: what it takes from the two cores must not hide the client.
    pub(super) fn start() -> Result<Store> {
        let mut command = Command::new(target_folder().join("release/fake-s3"));
        command.args(["--bucket", BUCKET, "--lock", "--ignore-payload-hash"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().ok_or_else(|| Trouble::new("the S3 server has no output"))?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[endpoint, access, secret] = words.as_slice() else {
            return Err(Trouble::new(format!("the S3 server said {line:?}")));
        };
        let (endpoint, access, secret) = (endpoint.to_owned(), access.to_owned(), secret.to_owned());
        Ok(Store { child, endpoint, access, secret })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Ours, and of no more use.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

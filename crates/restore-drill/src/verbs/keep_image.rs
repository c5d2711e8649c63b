//! `--keep-image`: a copy of the decrypted image, in a file that is made before anything is fetched.

use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use cli::{Exit, Failed, Failure, Run, shown};

/// The decrypted image could not be kept where it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{}: failed to keep the image", shown(.path.as_os_str().as_encoded_bytes()))]
struct KeepError {
    path: PathBuf,
    source: io::Error,
}

impl Failure for KeepError {
    fn exit(&self) -> Exit {
        match self.source.kind() {
            io::ErrorKind::AlreadyExists => Exit::USAGE,
            _ => Exit::MACHINE,
        }
    }
}

/// The file, empty. Dropping it removes it, unless it was filled.
pub(super) struct KeepImage {
    path: PathBuf,
    file: File,
    is_filled: bool,
}

impl KeepImage {
    /// Makes the file, if one is asked for.
    pub(super) fn create(path: Option<&Path>) -> Result<Option<KeepImage>, Failed> {
        let Some(path) = path else { return Ok(None) };
        let file = File::options().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|source| KeepError { path: path.to_owned(), source })?;
        Ok(Some(KeepImage { path: path.to_owned(), file, is_filled: false }))
    }

    /// Fills it. If that fails, the run goes on, and says so: the image is good.
    pub(super) fn fill(mut self, mut image: &File, run: &mut Run) {
        let copied = image
            .rewind()
            .and_then(|()| io::copy(&mut image, &mut self.file))
            .and_then(|_| self.file.sync_all());
        match copied {
            Ok(()) => self.is_filled = true,
            Err(source) => {
                let failed = Failed::from(KeepError { path: self.path.clone(), source });
                run.leave_out(self.path.as_os_str().as_encoded_bytes(), &failed.chain());
            }
        }
    }
}

impl Drop for KeepImage {
    fn drop(&mut self) {
        if !self.is_filled {
            // Ours, as it was made new; what ended the run is the error to tell.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

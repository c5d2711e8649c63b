//! What a child writes to its standard error. ssh passes on what a server wrote there, so it is taken in as long as it comes, and the
//! end of it is kept.

use std::io::{self, Read};
use std::process::ChildStderr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longest words of a child that are kept, in bytes.
const WORDS_BYTES_MAX: usize = 2_048;
/// A child that has ended may have left others that hold its standard error open: they are not waited for.
const LAST: Duration = Duration::from_millis(500);
const NAP: Duration = Duration::from_millis(5);

/// What a child writes to its standard error.
#[derive(Debug)]
pub(super) struct Words {
    from: Option<ChildStderr>,
    kept: Arc<Mutex<Vec<u8>>>,
    listener: Option<JoinHandle<()>>,
}

impl Words {
    pub(super) fn of(from: Option<ChildStderr>) -> Self {
        Self { from, kept: Arc::default(), listener: None }
    }

    /// Begins to take them in.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        let Some(from) = self.from.take() else { return Ok(()) };
        let kept = Arc::clone(&self.kept);
        let thread =
            thread::Builder::new().name("listener".to_owned()).spawn(move || take_in(from, &kept))?;
        self.listener = Some(thread);
        Ok(())
    }

    /// The last that was said. The child must have ended.
    pub(super) fn last(&mut self) -> Vec<u8> {
        if self.listen().is_ok()
            && let Some(listener) = &self.listener
        {
            let mut waited = Duration::ZERO;
            while !listener.is_finished() && waited < LAST {
                thread::sleep(NAP);
                waited += NAP;
            }
        }
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn take_in(mut from: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut piece = [0; WORDS_BYTES_MAX];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
            Ok(length) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(piece.get(..length).unwrap_or_default());
                let surplus = kept.len().saturating_sub(WORDS_BYTES_MAX);
                kept.drain(..surplus);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_words_without_end_the_last_are_kept() {
        let mut said = vec![b'x'; 1_000_000];
        said.extend_from_slice(b"the end");
        let kept = Mutex::default();
        take_in(said.as_slice(), &kept);
        let kept = kept.into_inner().unwrap();
        assert_eq!(kept.len(), WORDS_BYTES_MAX);
        assert!(kept.ends_with(b"xxxthe end"));
    }
}

//! The folders above the place where a walk in manifest order is, held open, so that each name costs one system call and no path is ever
//! resolved by text.

use durable::{Dir, Name};

/// Folders held at a time. A walk that comes back to a higher one opens it again.
const HELD_MAX: usize = 48;

/// A walk through one tree.
#[derive(Debug)]
pub(crate) struct Stack {
    top: Dir,
    path: Vec<u8>,
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    /// Length of the path down to here.
    end: usize,
    dir: Option<Dir>,
}

impl Stack {
    /// At the top of a tree.
    pub(crate) fn new(top: Dir) -> Self {
        Self { top, path: Vec::new(), levels: Vec::new() }
    }

    /// The folder with this path, validated by whoever made it a path of a manifest; none is the top.
    pub(crate) fn folder(&mut self, path: Option<&[u8]>) -> durable::Result<&Dir> {
        let path = path.unwrap_or_default();
        self.leave(path);
        while self.path.len() < path.len() {
            self.descend(path)?;
        }
        self.deepest()
    }

    /// Steps into a folder that the caller has just made or opened in the folder of the last call.
    pub(crate) fn enter(&mut self, path: &[u8], dir: Dir) {
        self.leave(path.rsplitn(2, |byte| *byte == b'/').nth(1).unwrap_or_default());
        self.path = path.to_vec();
        self.push(dir);
    }

    /// Leaves all folders that are not `path` or above it.
    fn leave(&mut self, path: &[u8]) {
        while let Some(level) = self.levels.last() {
            let here = self.path.get(..level.end).unwrap_or_default();
            let above =
                path.strip_prefix(here).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'));
            if above {
                break;
            }
            self.levels.pop();
        }
        self.path.truncate(self.levels.last().map_or(0, |level| level.end));
    }

    /// One component further towards `path`, which begins with where we are.
    fn descend(&mut self, path: &[u8]) -> durable::Result<()> {
        let start = if self.path.is_empty() { 0 } else { self.path.len() + 1 };
        let rest = path.get(start..).unwrap_or_default();
        let component = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
        let dir = self.deepest()?.open_dir(Name::new(component)?)?;
        self.path = path.get(..start + component.len()).unwrap_or_default().to_vec();
        self.push(dir);
        Ok(())
    }

    fn push(&mut self, dir: Dir) {
        self.levels.push(Level { end: self.path.len(), dir: Some(dir) });
        if let Some(far) =
            self.levels.len().checked_sub(HELD_MAX + 1).and_then(|far| self.levels.get_mut(far))
        {
            far.dir = None;
        }
    }

    fn deepest(&mut self) -> durable::Result<&Dir> {
        match self.levels.last_mut() {
            None => Ok(&self.top),
            Some(Level { dir: Some(dir), .. }) => Ok(dir),
            Some(Level { end, dir }) => {
                let path = self.path.get(..*end).unwrap_or_default();
                Ok(dir.insert(self.top.open_beneath(path)?))
            }
        }
    }
}

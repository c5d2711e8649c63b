//! Which vaults hold an ice. One that does not answer is no reason not to ask the others.

use cli::{Exit, Failed, Monitor};
use formats::records::ice_id::IceId;

use crate::ice::{StoredRecord, Which};
use crate::shelf::{Shelf, ShelfError, Shelves};

/// An ice in one vault, with a record that can be believed.
pub(crate) struct Copy {
    pub(crate) shelf: Shelf,
    pub(crate) stored: StoredRecord,
}

/// An ice in one vault that should be there, and cannot be had from it.
pub(crate) struct Fault {
    pub(crate) ice: IceId,
    pub(crate) shelf: Shelf,
    pub(crate) failed: Failed,
}

/// What came of looking for an ice in all vaults.
#[derive(Default)]
pub(crate) struct Search {
    /// In the order of the settings.
    pub(crate) copies: Vec<Copy>,
    pub(crate) faults: Vec<Fault>,
    /// Vaults that did not answer.
    closed: Vec<Failed>,
    /// Of the host's ices, the one whose name has the latest date.
    dated_last: Option<IceId>,
}

/// Whether a failure tells that the ice itself is damaged, gone or not what it should be. Any other may pass: the ice may be whole.
pub(crate) fn is_about_the_ice(exit: Exit) -> bool {
    let about = [
        Exit::DAMAGED,
        Exit::SNAPSHOT_DIFFERS,
        Exit::OBJECT_MISSING,
        Exit::ALTERED,
        Exit::IMAGE_DIFFERS,
        Exit::DECRYPTION,
        Exit::NOTHING,
        Exit::UNSIGNED,
    ];
    about.contains(&exit)
}

impl Search {
    /// Asks all vaults. The newest ice is the newest of all that answer; older ones in other vaults are no copies of it.
    pub(crate) fn begin(shelves: Shelves, which: &Which) -> Search {
        let Shelves { open, closed } = shelves;
        let closed = closed.into_iter().map(Failed::from).collect();
        let mut search = Search { closed, ..Search::default() };
        let (mut holders, mut without) = (Vec::new(), Vec::new());
        for shelf in open {
            let newest = match which {
                Which::Exactly(id) => shelf.holds(id).map(|holds| holds.then(|| id.clone())),
                Which::Latest(host) => shelf.ids(Some(host)).map(|ids| {
                    let dated = ids.iter().chain(&search.dated_last).max_by_key(|id| id.snapshot());
                    search.dated_last = dated.cloned();
                    ids.into_iter().max()
                }),
            };
            match newest {
                Ok(Some(id)) => holders.push((id, shelf)),
                Ok(None) => without.push(shelf),
                Err(error) => search.closed.push(error.into()),
            }
        }
        let newest = holders.iter().map(|(id, _)| id.clone()).max();
        for (ice, shelf) in holders.into_iter().filter(|(id, _)| Some(id) == newest.as_ref()) {
            match shelf.record(&ice) {
                Ok(stored) => search.copies.push(Copy { shelf, stored }),
                Err(error) => search.faults.push(Fault { ice, shelf, failed: error.into() }),
            }
        }
        if let (Which::Exactly(id), None, true) = (which, &newest, search.closed.is_empty()) {
            // Every vault has answered, so it is gone.
            let gone = |shelf| {
                let failed = ShelfError::Nothing { ice: which.clone() }.into();
                Fault { ice: id.clone(), shelf, failed }
            };
            search.faults = without.into_iter().map(gone).collect();
        }
        search
    }

    /// The first copy, and the others. What else was found is said; if there is no copy, it is the error.
    pub(crate) fn copies(self, which: &Which, monitor: &dyn Monitor) -> Result<(Copy, Vec<Copy>), Failed> {
        let mut copies = self.copies.into_iter();
        let mut reasons = self.faults.into_iter().map(|fault| fault.failed).chain(self.closed);
        match copies.next() {
            Some(first) => {
                reasons.for_each(|failed| monitor.warn(&failed.chain()));
                let id = &first.stored.record.ice;
                if let Some(other) = self.dated_last.filter(|other| other.snapshot() > id.snapshot()) {
                    monitor.warn(&format!(
                        "the latest is {id} by its number, but {other} has a later date: the server's clock was ahead once, or its history was begun anew; in that case name {other}"
                    ));
                }
                Ok((first, copies.collect()))
            }
            None => {
                let nothing = || ShelfError::Nothing { ice: which.clone() }.into();
                Err(reasons.next().unwrap_or_else(nothing))
            }
        }
    }
}

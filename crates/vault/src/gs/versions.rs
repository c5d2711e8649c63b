//! Names and generations. Everything is found by listing generations: a listing of names shows what whoever put last wants shown.

use std::collections::VecDeque;

use reqwest::Method;

use super::GsVault;
use super::client::Call;
use super::fault::Fault;
use super::model::{Item, PAGE_FIELDS, Page, generation};
use super::store::Store;
use crate::{Names, ObjectFolder, ObjectName, Result, VaultError};

const LIST: &str = "storage.objects.list";
/// Items of a page: whoever may put can name objects so that a page is as long as it can be, and it must be read all the same.
const PAGE_ITEMS: &str = "500";
/// Longest mark of the next page that is sent back.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

impl Store {
    /// One page of generations, names in order, and where the next begins.
    async fn page(&self, prefix: &str, token: Option<&str>) -> Result<(Vec<Item>, Option<String>)> {
        let mut query = vec![
            ("versions", "true"),
            ("maxResults", PAGE_ITEMS),
            ("prefix", prefix),
            ("fields", PAGE_FIELDS),
        ];
        query.extend(token.map(|token| ("pageToken", token)));
        let failed = |fault: Fault| fault.into_error("list the generations of", prefix, LIST);
        let answer = self.client.ask(&Call::new(Method::GET, self.list_url(&query))).await.map_err(failed)?;
        let page: Page = answer.document().map_err(failed)?;
        let next = page.next_page_token.filter(|next| !next.is_empty());
        if next.as_deref().is_some_and(|next| Some(next) == token || next.len() > TOKEN_BYTES_MAX) {
            return Err(failed(Fault::of_nonsense("the list does not go on where it ended")));
        }
        Ok((page.items, next))
    }

    /// The first generation ever stored under a name; none if there is none. Generations are given in the order of time.
    pub(super) async fn first_generation(&self, name: &ObjectName) -> Result<Option<i64>> {
        let key = self.key(name)?;
        let mut first: Option<i64> = None;
        let mut token = None;
        loop {
            let (items, next) = self.page(&key, token.as_deref()).await?;
            for item in items.iter().filter(|item| item.name == key) {
                let found = generation(&item.generation).ok_or_else(|| no_generation(&key))?;
                first = Some(first.map_or(found, |first| first.min(found)));
            }
            // The key itself comes before all keys that only begin like it.
            let is_past = items.iter().any(|item| item.name != key);
            match next {
                Some(next) if !is_past => token = Some(next),
                _ => return Ok(first),
            }
        }
    }
}

fn no_generation(key: &str) -> VaultError {
    let fault = Fault::of_nonsense("the list names a generation that is no number");
    fault.into_error("list the generations of", key, LIST)
}

/// A listing under way: one page at a time.
struct Listing<'a> {
    vault: &'a GsVault,
    prefix: String,
    folder: ObjectFolder,
    names: VecDeque<ObjectName>,
    /// The name given last: a name's generations follow each other.
    last: Option<ObjectName>,
    token: Option<String>,
    is_over: bool,
}

pub(super) fn list<'a>(vault: &'a GsVault, folder: &ObjectFolder) -> Names<'a> {
    let (prefix, folder) = (vault.store.folder(folder), folder.clone());
    Box::new(Listing {
        vault,
        prefix,
        folder,
        names: VecDeque::new(),
        last: None,
        token: None,
        is_over: false,
    })
}

impl Iterator for Listing<'_> {
    type Item = Result<ObjectName>;

    fn next(&mut self) -> Option<Result<ObjectName>> {
        loop {
            if let Some(name) = self.names.pop_front() {
                return Some(Ok(name));
            }
            if self.is_over {
                return None;
            }
            let store = &self.vault.store;
            match self.vault.wait(store.page(&self.prefix, self.token.as_deref())) {
                Ok((items, next)) => {
                    for name in items.iter().filter_map(|item| store.name(&item.name)) {
                        if name.is_in(&self.folder) && self.last.as_ref() != Some(&name) {
                            self.last = Some(name.clone());
                            self.names.push_back(name);
                        }
                    }
                    self.is_over = next.is_none();
                    self.token = next;
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

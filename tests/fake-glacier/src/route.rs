//! From a request to the one function that answers, and the right it needs.

use chrono::{DateTime, Utc};

use crate::answer::{Answer, Refusal};
use crate::fault::{Fault, Faults};
use crate::request::Call;
use crate::store::{Store, VaultShelf};
use crate::{archives, jobs, locks, policy, uploads};

/// One request's turn at the store.
pub(crate) struct Turn<'a> {
    pub(crate) call: &'a Call,
    pub(crate) store: &'a mut Store,
    pub(crate) faults: &'a Faults,
    pub(crate) now: DateTime<Utc>,
    pub(crate) vault: String,
    /// Of an archive, an upload, a job or a lock.
    pub(crate) id: String,
}

type Handler = fn(&mut Turn<'_>) -> Result<Answer, Refusal>;

/// The name of an operation, and what answers it.
#[derive(Clone, Copy)]
pub(crate) struct Route {
    pub(crate) name: &'static str,
    handler: Handler,
}

impl Turn<'_> {
    pub(crate) fn shelf(&mut self) -> Result<&mut VaultShelf, Refusal> {
        self.store.vaults.get_mut(&self.vault).ok_or_else(|| Refusal::missing("Vault"))
    }

    /// Refuses what the user's rights, the vault's policy or its lock do not allow.
    fn permit(&mut self, user: &str, actions: &[String], action: &str) -> Result<(), Refusal> {
        let denied = || Refusal::denied(user, action);
        let is_deletion = action == "glacier:DeleteArchive";
        if is_deletion && self.faults.strike(Fault::DeleteAllowed) {
            return Ok(());
        }
        let shelf = self.store.vaults.get(&self.vault);
        let age = shelf
            .and_then(|shelf| shelf.archives.get(&self.id))
            .map(|archive| (self.now - archive.created).num_days());
        if !actions.iter().any(|right| policy::fits(right, action)) {
            return Err(denied());
        }
        let lock = shelf.and_then(|shelf| shelf.lock.as_ref()).map(|(_, policy, _)| policy);
        let access = shelf.and_then(|shelf| shelf.access_policy.as_ref());
        if lock.into_iter().chain(access).any(|policy| policy.denies(user, action, age)) {
            return Err(denied());
        }
        Ok(())
    }
}

impl Route {
    /// The operation, the vault and the id in a path.
    pub(crate) fn of(call: &Call) -> Option<(Route, String, String)> {
        let words: Vec<&str> = call.path.trim_matches('/').split('/').skip(1).collect();
        let route = |name, handler: Handler| Some(Route { name, handler });
        let is_add = call.parameter("operation") == Some("add");
        let found = match (call.method.as_str(), &*words) {
            ("GET", ["policies", "data-retrieval"]) => route("GetDataRetrievalPolicy", locks::read_retrieval),
            ("PUT", ["policies", "data-retrieval"]) => route("SetDataRetrievalPolicy", locks::set_retrieval),
            ("GET", ["vaults", _]) => route("DescribeVault", archives::describe),
            ("DELETE", ["vaults", _]) => route("DeleteVault", archives::delete_vault),
            ("POST", ["vaults", _, "archives"]) => route("UploadArchive", archives::upload),
            ("DELETE", ["vaults", _, "archives", _]) => route("DeleteArchive", archives::delete),
            ("POST", ["vaults", _, "multipart-uploads"]) => route("InitiateMultipartUpload", uploads::begin),
            ("GET", ["vaults", _, "multipart-uploads"]) => route("ListMultipartUploads", uploads::list),
            ("PUT", ["vaults", _, "multipart-uploads", _]) => route("UploadMultipartPart", uploads::part),
            ("POST", ["vaults", _, "multipart-uploads", _]) => {
                route("CompleteMultipartUpload", uploads::complete)
            }
            ("DELETE", ["vaults", _, "multipart-uploads", _]) => {
                route("AbortMultipartUpload", uploads::abort)
            }
            ("POST", ["vaults", _, "jobs"]) => route("InitiateJob", jobs::begin),
            ("GET", ["vaults", _, "jobs"]) => route("ListJobs", jobs::list),
            ("GET", ["vaults", _, "jobs", _, "output"]) => route("GetJobOutput", jobs::output),
            ("GET", ["vaults", _, "lock-policy"]) => route("GetVaultLock", locks::read),
            ("POST", ["vaults", _, "lock-policy"]) => route("InitiateVaultLock", locks::begin),
            ("DELETE", ["vaults", _, "lock-policy"]) => route("AbortVaultLock", locks::abort),
            ("POST", ["vaults", _, "lock-policy", _]) => route("CompleteVaultLock", locks::complete),
            ("GET", ["vaults", _, "access-policy"]) => route("GetVaultAccessPolicy", locks::read_access),
            ("PUT", ["vaults", _, "access-policy"]) => route("SetVaultAccessPolicy", locks::set_access),
            ("DELETE", ["vaults", _, "access-policy"]) => {
                route("DeleteVaultAccessPolicy", locks::delete_access)
            }
            ("GET", ["vaults", _, "notification-configuration"]) => {
                route("GetVaultNotifications", locks::read_notifications)
            }
            ("PUT", ["vaults", _, "notification-configuration"]) => {
                route("SetVaultNotifications", locks::set_notifications)
            }
            ("DELETE", ["vaults", _, "notification-configuration"]) => {
                route("DeleteVaultNotifications", locks::delete_notifications)
            }
            ("POST", ["vaults", _, "tags"]) if is_add => route("AddTagsToVault", locks::tags),
            _ => None,
        }?;
        let word = |at: usize| words.get(at).map(|word| (*word).to_owned()).unwrap_or_default();
        Some((found, word(1), word(3)))
    }

    pub(crate) fn answer(&self, turn: &mut Turn<'_>, access: &str) -> Result<Answer, Refusal> {
        let Some(user) = turn.store.users.get(access) else { return Err(Refusal::denied(access, self.name)) };
        let (name, actions) = (user.name.clone(), user.actions.clone());
        let now = turn.now;
        if let Some(shelf) = turn.store.vaults.get_mut(&turn.vault) {
            shelf.count(now);
        }
        if self.name == "DeleteArchive" && turn.faults.strike(Fault::UnlockedAndDenied) {
            let id = turn.id.clone();
            let shelf = turn.shelf()?;
            shelf.archives.remove(&id);
            shelf.lock = None;
            return Err(Refusal::denied(&name, self.name));
        }
        turn.permit(&name, &actions, &format!("glacier:{}", self.name))?;
        (self.handler)(turn)
    }
}

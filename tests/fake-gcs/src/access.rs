//! What an account may do: the permissions of its roles, as Google publishes them.

use crate::refusal::Refusal;

const CREATOR: &[&str] = &[
    "storage.folders.create",
    "storage.managedFolders.create",
    "storage.multipartUploads.abort",
    "storage.multipartUploads.create",
    "storage.multipartUploads.listParts",
    "storage.objects.create",
];
const VIEWER: &[&str] = &[
    "storage.folders.get",
    "storage.folders.list",
    "storage.managedFolders.get",
    "storage.managedFolders.list",
    "storage.objects.get",
    "storage.objects.list",
];

/// A role of an account, on all buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// One of Google's, as `roles/storage.objectCreator`.
    Role(String),
    /// One of one's own, with these permissions.
    Permissions(Vec<String>),
}

impl Grant {
    /// One of Google's roles.
    #[must_use]
    pub fn role(name: &str) -> Grant {
        Grant::Role(name.to_owned())
    }

    /// A role with these permissions.
    #[must_use]
    pub fn permissions(names: &[&str]) -> Grant {
        Grant::Permissions(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn allows(&self, permission: &str) -> bool {
        match self {
            Grant::Permissions(names) => names.iter().any(|name| name == permission),
            Grant::Role(role) => match role.as_str() {
                "roles/storage.objectCreator" => CREATOR.contains(&permission),
                "roles/storage.objectViewer" => VIEWER.contains(&permission),
                "roles/storage.objectAdmin" => permission.starts_with("storage.objects."),
                "roles/storage.admin" => permission.starts_with("storage."),
                _ => false,
            },
        }
    }
}

/// Who asks, once it is proved.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) email: String,
    pub(crate) grants: Vec<Grant>,
    /// The token's scopes let it change metadata; without, it may read, create and delete.
    pub(crate) has_full_control: bool,
}

impl Asker {
    pub(crate) fn may(&self, permission: &str) -> bool {
        let is_change = permission == "storage.objects.update" || permission == "storage.buckets.update";
        (self.has_full_control || !is_change) && self.grants.iter().any(|grant| grant.allows(permission))
    }

    pub(crate) fn must(&self, permission: &str) -> Result<(), Refusal> {
        if self.may(permission) {
            return Ok(());
        }
        let text = format!(
            "{} does not have {permission} access to the Google Cloud Storage object. Permission '{permission}' denied on resource (or it may not exist).",
            self.email
        );
        Err(Refusal::new(403, "forbidden", text))
    }
}

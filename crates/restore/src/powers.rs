//! What lends power to whoever runs or opens it.

use formats::{Attribute, Kind, Meta, Tag};

/// The set-user-id and set-group-id bits. On a folder they lend nothing: the one is ignored, the other passes the group on.
const SET_ID: u32 = 0o6000;

/// Whether what lends power comes back: set-id bits of files, device nodes, `security.*` and `trusted.*` attributes.
///
/// A backup is what a host sent. Whoever restores it beside other files, to look something up, wants the words of a file and not its powers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Powers {
    /// All comes back.
    Restored,
    /// They are left off, and each is named.
    Withheld,
}

impl Powers {
    /// The mode without what is withheld.
    pub(crate) fn mode(self, meta: &Meta, kind: &Kind) -> u32 {
        match (self, kind) {
            (Powers::Restored, _) | (_, Kind::Folder | Kind::Symlink { .. }) => meta.mode,
            (Powers::Withheld, _) => meta.mode & !SET_ID,
        }
    }

    /// True for an attribute that comes back.
    pub(crate) fn allow(self, attribute: &Attribute) -> bool {
        self == Powers::Restored
            || attribute.tag != Tag::Extended
            || !["security.", "trusted."].iter().any(|prefix| attribute.name.starts_with(prefix.as_bytes()))
    }

    /// True if nodes of this kind are made.
    pub(crate) fn make(self, kind: &Kind) -> bool {
        self == Powers::Restored || !matches!(kind, Kind::CharDevice { .. } | Kind::BlockDevice { .. })
    }

    /// Names what of an inode is left off.
    pub(crate) fn withheld(self, meta: &Meta, kind: &Kind, left: &mut Vec<String>) {
        if self.mode(meta, kind) != meta.mode {
            left.push("its set-id bits were left off, as powers were not asked for".to_owned());
        }
        for attribute in meta.attributes.iter().filter(|attribute| !self.allow(attribute)) {
            let name = cli::shown(&attribute.name);
            left.push(format!("{name} was left off, as powers were not asked for"));
        }
    }
}

//! The contract, and what of it no Glacier vault can keep.

use chrono::{DateTime, Utc};

use super::*;
use crate::conformance::conforms_but;
use crate::{Names, ObjectFolder, ObjectName, Result};

/// The vault as somebody has it who waits for hours before reading: what is fetched was thawed, and the server's clock went on.
struct Patient {
    vault: GlacierVault,
    rig: std::sync::Arc<FakeGlacier>,
}

impl Vault for Patient {
    fn clock(&self) -> Result<DateTime<Utc>> {
        self.vault.clock()
    }
    fn put(&self, name: &ObjectName, content: Content<'_>, retain_until: DateTime<Utc>) -> Result<Lock> {
        self.vault.put(name, content, retain_until)
    }
    fn list(&self, folder: &ObjectFolder) -> Result<Names<'_>> {
        self.vault.list(folder)
    }
    fn fetch(&self, object: &ObjectRef) -> Result<Box<dyn Read + Send>> {
        if let Thawed::Underway { .. } = self.vault.thaw(object, STANDARD)? {
            assert!(matches!(self.vault.fetch(object).err().unwrap(), VaultError::Frozen { .. }));
            self.rig.advance(TimeDelta::hours(5));
        }
        self.vault.fetch(object)
    }
    fn thaw(&self, object: &ObjectRef, wish: Wish) -> Result<Thawed> {
        self.vault.thaw(object, wish)
    }
    fn lock(&self, object: &ObjectRef) -> Result<Lock> {
        self.vault.lock(object)
    }
    fn extend_lock(&self, object: &ObjectRef, retain_until: DateTime<Utc>) -> Result<Lock> {
        self.vault.extend_lock(object, retain_until)
    }
    fn end_stale_puts(&self, before: DateTime<Utc>) -> Result<u64> {
        self.vault.end_stale_puts(before)
    }
    fn prove_lock(&self, canary: &Lock) -> Result<Vec<Probe>> {
        self.vault.prove_lock(canary)
    }
    fn inspect(&self) -> Inspection {
        self.vault.inspect()
    }
}

/// Rules of the contract that no Glacier vault can keep. What holds instead is tested below.
const EXCEPTIONS: [(&str, &str); 4] = [
    ("a lock is as long as asked", "a Vault Lock keeps every archive for the same number of days"),
    ("a lock only grows", "a Vault Lock goes by age: no lock of one archive can be extended"),
    ("empty objects are whole", "Glacier stores nothing that is empty"),
    ("what is not archived is thawed", "everything is archived"),
];

#[test]
fn a_glacier_vault_keeps_the_contract_but_for_what_no_glacier_can() {
    conforms_but(&EXCEPTIONS, || {
        let rig = Rig::keeping(93);
        // Counted once, so that it is known to be empty.
        rig.server.count("ice");
        let vault = rig.both();
        let Rig { server, folder, .. } = rig;
        let server = std::sync::Arc::new(server);
        (Patient { vault, rig: std::sync::Arc::clone(&server) }, (folder, server))
    });
}

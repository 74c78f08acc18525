//! Everything the vault holds, in memory.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::dev::StartError;
use crate::keyvault::Authority;

use super::backup::BackupKey;
use super::behavior::SoftDelete;
use super::certificates::{Certificate, Desk};
use super::keys::Key;
use super::secrets::Secret;
use super::shelf::{Content, Shelf};

const MAX_GENERATING: usize = 2;

/// The vault's objects and what names them.
pub(super) struct Store {
    /// The authority in ids and links.
    pub(super) authority: Authority,
    /// What messages call the vault.
    pub(super) described: Box<str>,
    pub(super) soft_delete: SoftDelete,
    pub(super) backup_key: BackupKey,
    secrets: Mutex<Shelf<Secret>>,
    keys: Mutex<Shelf<Key>>,
    /// A shelf that is locked before those of keys and secrets, if they are locked together.
    pub(super) certificates: Mutex<Shelf<Certificate>>,
    pub(super) desk: Desk,
    /// Key pairs in the making: RSA takes whole processors.
    pub(super) generating: Semaphore,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// A kind of content that has its shelf in the store.
pub(super) trait Shelved: Content {
    /// Its shelf.
    fn shelf(store: &Store) -> &Mutex<Shelf<Self>>;
}

impl Shelved for Secret {
    fn shelf(store: &Store) -> &Mutex<Shelf<Self>> {
        &store.secrets
    }
}

impl Shelved for Key {
    fn shelf(store: &Store) -> &Mutex<Shelf<Self>> {
        &store.keys
    }
}

impl Store {
    pub(super) fn new(
        authority: Authority,
        location: &str,
        soft_delete: SoftDelete,
    ) -> Result<Self, StartError> {
        let name = authority.host().split('.').next().unwrap_or_default();
        Ok(Self {
            described: format!("{name};location={location}").into(),
            authority,
            soft_delete,
            backup_key: BackupKey::generate()?,
            secrets: Mutex::new(Shelf::new(soft_delete)),
            keys: Mutex::new(Shelf::new(soft_delete)),
            certificates: Mutex::new(Shelf::new(soft_delete)),
            desk: Desk::default(),
            generating: Semaphore::new(MAX_GENERATING),
        })
    }

    /// The shelf, after what was due on it was done. Must not be held across an await.
    pub(super) fn shelf<C: Shelved>(&self, now: i64) -> MutexGuard<'_, Shelf<C>> {
        let mut shelf = C::shelf(self)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        shelf.settle(now);
        shelf
    }
}

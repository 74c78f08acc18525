//! What reached the vault: read by tests, above all to see that something did not.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, Method, Request, StatusCode, Version};
use tokio::sync::watch;

use crate::principal::ObjectId;

/// Entries kept; the oldest goes first.
const MAX_ENTRIES: usize = 4096;

/// One request that reached the vault.
///
/// SECURITY: no body, no header values beside `Host`, no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The method as it arrived.
    pub method: Method,
    /// The path and query as they arrived.
    pub path_and_query: String,
    /// The version of HTTP.
    pub version: Version,
    /// `Host` or `:authority`.
    pub host: Option<String>,
    /// The host name of the TLS handshake (SNI).
    pub server_name: Option<String>,
    /// The names of its headers, in lower case, one for each line.
    pub header_names: Vec<String>,
    /// Whose token it brought, if the token was good.
    pub caller: Option<ObjectId>,
    /// What was answered; `None` while the answer is not sent, and when the connection was broken
    /// off instead.
    pub status: Option<StatusCode>,
}

/// The journal.
#[derive(Debug)]
pub(super) struct Journal {
    entries: Mutex<VecDeque<(u64, JournalEntry)>>,
    arrived: watch::Sender<u64>,
}

/// Names one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryNumber(u64);

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            entries: Mutex::default(),
            arrived: watch::Sender::new(0),
        }
    }

    /// Writes an entry for `request`.
    pub(super) fn arrived<B>(
        &self,
        request: &Request<B>,
        host: Option<&str>,
        server_name: Option<&str>,
    ) -> EntryNumber {
        let path_and_query = request.uri().path_and_query();
        let entry = JournalEntry {
            method: request.method().clone(),
            path_and_query: path_and_query.map_or_else(String::new, ToString::to_string),
            version: request.version(),
            host: host.map(str::to_owned),
            server_name: server_name.map(str::to_owned),
            header_names: header_names(request.headers()),
            caller: None,
            status: None,
        };
        let mut entries = self.lock();
        if entries.len() >= MAX_ENTRIES {
            entries.pop_front();
        }
        let number = *self.arrived.borrow();
        entries.push_back((number, entry));
        // Under the lock, so that numbers and entries agree.
        self.arrived.send_modify(|arrived| *arrived += 1);
        EntryNumber(number)
    }

    /// Notes whose request an entry was.
    pub(super) fn recognized(&self, number: EntryNumber, caller: ObjectId) {
        self.amend(number, |entry| entry.caller = Some(caller));
    }

    /// Notes what was answered.
    pub(super) fn answered(&self, number: EntryNumber, status: StatusCode) {
        self.amend(number, |entry| entry.status = Some(status));
    }

    /// The entries kept, oldest first.
    pub(super) fn entries(&self) -> Vec<JournalEntry> {
        self.lock().iter().map(|(_, entry)| entry.clone()).collect()
    }

    /// The entries kept from number `first` on, oldest first, and the number of the next to come.
    pub(super) fn since(&self, first: u64) -> (Vec<JournalEntry>, u64) {
        let entries = self.lock();
        let wanted = entries.iter().filter(|(number, _)| *number >= first);
        let wanted = wanted.map(|(_, entry)| entry.clone()).collect();
        (wanted, self.len())
    }

    /// How many requests have arrived, those no longer kept included.
    pub(super) fn len(&self) -> u64 {
        *self.arrived.borrow()
    }

    /// Waits until `count` requests have arrived.
    pub(super) async fn reached(&self, count: u64) {
        let mut arrived = self.arrived.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = arrived.wait_for(|arrived| *arrived >= count).await;
    }

    fn amend(&self, EntryNumber(wanted): EntryNumber, change: impl FnOnce(&mut JournalEntry)) {
        let mut entries = self.lock();
        let found = entries.iter_mut().find(|(number, _)| *number == wanted);
        if let Some((_, entry)) = found {
            change(entry);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, JournalEntry)>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn header_names(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(name, _)| name.to_string()).collect()
}

//! The vault's journal against the proxy's records: every request that arrived was recorded as
//! allowed before, and every one that is recorded as sent arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use portcullis::dev::vault::VaultHandle;
use serde_json::Value;

/// What is known of the requests for one object.
#[derive(Debug, Default)]
struct Account {
    /// How many arrived at the vault.
    arrived: u64,
    /// How many are recorded as allowed.
    allowed: u64,
    /// How many of these are recorded as surely sent.
    sent: u64,
    /// How many were refused.
    refused: u64,
}

/// What arrived, and where to go on reading the journal.
#[derive(Default)]
pub(super) struct Ledger {
    next: u64,
    accounts: BTreeMap<String, Account>,
}

impl Ledger {
    /// Takes over what arrived since the last look.
    pub(super) fn look(&mut self, vault: &VaultHandle) {
        let (entries, next) = vault.journal_since(self.next);
        let count = u64::try_from(entries.len()).unwrap();
        assert_eq!(count, next - self.next, "the journal was read too seldom");
        self.next = next;
        for entry in entries {
            let name = entry.path_and_query.split(['/', '?']).nth(2).unwrap();
            self.accounts.entry(name.to_owned()).or_default().arrived += 1;
        }
    }

    /// Reads the records and compares. Gives the sums.
    pub(super) fn settle(mut self, records: &Path) -> String {
        let mut open: BTreeMap<String, String> = BTreeMap::new();
        let mut last = 0;
        for line in BufReader::new(File::open(records).unwrap()).lines() {
            let record: Value = serde_json::from_str(&line.unwrap()).expect("a whole record");
            last += 1;
            assert_eq!(record["seq"], last, "a record is lost: {record}");
            let id = record["decision_id"].as_str().unwrap().to_owned();
            if record["type"] == "result" {
                let object = open.remove(&id).expect("a result follows its decision");
                let surely = record["upstream"]["sent"] == true && record["aborted"] == false;
                self.account(&object).sent += u64::from(surely);
                continue;
            }
            let object = record["object"].as_str().unwrap_or_default().to_owned();
            if record["decision"] == "allow" {
                self.account(&object).allowed += 1;
                assert!(open.insert(id, object).is_none(), "{record}");
            } else {
                self.account(&object).refused += 1;
            }
        }
        assert!(open.is_empty(), "without a result: {open:?}");
        self.compare()
    }

    fn account(&mut self, object: &str) -> &mut Account {
        self.accounts.entry(object.to_owned()).or_default()
    }

    fn compare(&self) -> String {
        let mut sum = Account::default();
        let mut never = BTreeSet::new();
        for (object, account) in &self.accounts {
            assert!(account.arrived <= account.allowed, "{object}: {account:?}");
            assert!(account.sent <= account.arrived, "{object}: {account:?}");
            if account.allowed == 0 {
                assert_eq!(account.arrived, 0, "{object}: {account:?}");
                never.insert(object);
            }
            sum.arrived += account.arrived;
            sum.allowed += account.allowed;
            sum.sent += account.sent;
            sum.refused += account.refused;
        }
        assert!(sum.sent > 0 && !never.is_empty(), "nothing was compared");
        format!("requests in all: {sum:?}")
    }
}

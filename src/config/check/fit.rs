//! Whether the parts of a configuration fit together.
//!
//! These checks look at the texts as written, so that they work also on tables in which something
//! else is wrong; a text that cannot be read has been reported by then and is passed over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;

use crate::keyvault::Authority;

use super::super::form;
use super::super::problem::{Place, shown};
use super::super::schema::listed;
use super::Check;

impl<'a> Check<'a> {
    /// No two elements of a list have the same text at `key`, case aside.
    pub(super) fn unique(&mut self, list: &str, key: &str) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for (index, element) in self.elements(list) {
            let pointer = format!("{list}/{index}/{key}");
            let Some(text) = element.get(key).and_then(Value::as_str) else {
                continue;
            };
            let folded = text.trim_end_matches('/').to_ascii_lowercase();
            if let Some(first) = seen.get(&folded) {
                self.taken(&pointer, text, first, "expected each to be different");
            } else {
                seen.insert(folded, pointer);
            }
        }
    }

    /// The listeners can all be bound.
    pub(super) fn addresses(&mut self, admin: Option<SocketAddr>) {
        let listeners = self.elements("/listener").filter_map(|(index, listener)| {
            let address = listener.get("address")?.as_str()?.parse().ok()?;
            Some((format!("/listener/{index}/address"), address))
        });
        self.sockets();
        let admin = admin.map(|address| ("/admin/address".to_owned(), address));
        let all: Vec<(String, SocketAddr)> = listeners.chain(admin).collect();
        for (index, (pointer, address)) in all.iter().enumerate() {
            let mut earlier = all.iter().take(index);
            if let Some((first, _)) = earlier.find(|(_, other)| form::collide(*other, *address)) {
                let text = address.to_string();
                self.taken(pointer, &text, first, "expected another port");
            }
        }
    }

    /// No two listeners have one Unix socket.
    fn sockets(&mut self) {
        let mut seen: BTreeMap<PathBuf, String> = BTreeMap::new();
        for (index, listener) in self.elements("/listener") {
            let text = listener.get("address").and_then(Value::as_str);
            let Some((text, path)) =
                text.and_then(|text| Some((text, text.strip_prefix("unix:")?)))
            else {
                continue;
            };
            let pointer = format!("/listener/{index}/address");
            match seen.get(&self.directory.join(path)) {
                Some(first) => {
                    let first = first.clone();
                    self.taken(&pointer, text, &first, "expected another path");
                }
                None => drop(seen.insert(self.directory.join(path), pointer)),
            }
        }
    }

    /// A host leads to one vault only.
    pub(super) fn hosts(&mut self) {
        let mut seen: Vec<(usize, String, Authority)> = Vec::new();
        for (vault, pointer, text) in self.hosts_as_written() {
            let Ok(host) = text.parse::<Authority>() else {
                continue;
            };
            let clash = seen.iter().find(|(owner, _, other)| {
                // One vault may be reached by several ports of one host.
                *other == host || (*owner != vault && form::same_place(other, &host))
            });
            if let Some((_, first, _)) = clash {
                self.taken(&pointer, text, first, "expected a host of this vault alone");
            } else {
                seen.push((vault, pointer, host));
            }
        }
    }

    /// Every vault's issuer is there.
    pub(super) fn issuers_of_vaults(&mut self) {
        let names = self
            .elements("/issuer")
            .map(|(_, issuer)| issuer.get("name")?.as_str())
            .collect::<Option<Vec<&str>>>();
        // Which one was meant cannot be said while an issuer has no readable name.
        let Some(names) = names.filter(|names| !names.is_empty()) else {
            return;
        };
        for (index, vault) in self.elements("/vault") {
            if let Some(issuer) = vault.get("issuer").and_then(Value::as_str)
                && !names.contains(&issuer)
            {
                let what = format!("{} is not the `name` of an issuer", shown(issuer));
                let hint = format!("expected {}", listed(names.iter().copied()));
                self.report(&format!("/vault/{index}/issuer"), what, hint);
            }
        }
    }

    /// Each host of each vault: the vault's position, the pointer and the text.
    fn hosts_as_written(&self) -> impl Iterator<Item = (usize, String, &'a str)> + use<'a> {
        self.elements("/vault").flat_map(|(index, vault)| {
            let own = vault.get("authority").and_then(Value::as_str);
            let own = own.map(|text| (index, format!("/vault/{index}/authority"), text));
            let others = vault.get("public_names").and_then(Value::as_array);
            let others = others.into_iter().flatten().enumerate();
            own.into_iter().chain(others.filter_map(move |(n, name)| {
                let pointer = format!("/vault/{index}/public_names/{n}");
                Some((index, pointer, name.as_str()?))
            }))
        })
    }

    fn elements(&self, list: &str) -> impl Iterator<Item = (usize, &'a Value)> + use<'a> {
        let elements = self.document.value().pointer(list);
        let elements = elements.and_then(Value::as_array).into_iter().flatten();
        elements.enumerate()
    }

    /// `text` is already in use at `first`.
    fn taken(&mut self, pointer: &str, text: &str, first: &str, expected: &str) {
        let owner = self.document.key(first);
        let line = match self.document.place(first) {
            Place::Line(line) | Place::Column(line, _) => format!(" (line {line})"),
            Place::File | Place::Variable(_) => String::new(),
        };
        let what = format!("{} is taken by `{owner}`{line}", shown(text));
        self.report(pointer, what, expected);
    }
}

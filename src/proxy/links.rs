//! Links in answers, for clients that came by another name than the vault's own.
//!
//! Azure: SDKs follow `nextLink` wherever it leads, with the bearer token, and crypto clients
//! connect to the host in `kid`. So both are made to lead back here, and a `nextLink` or `Location`
//! that leads to neither place is not passed on at all.
//!
//! Rewriting is exact. A link is a string at a listed place, and of it only scheme and
//! authority change; every other byte of the document stays, so a secret's value, tags, backup
//! blobs, certificates and signatures are out of reach whatever they hold. A successful answer that
//! claims to be JSON and is not is refused, since nobody can say where a client would find a link
//! in it; an error answer passes, since clients take no links from one.
//!
//! Which places hold links: <https://learn.microsoft.com/rest/api/keyvault/>, the answers of each
//! operation.

mod decode;

use std::ops::Range;

use http::header::{CONTENT_LOCATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

pub(super) use self::decode::{Coding, decode};
use crate::keyvault::Authority;
use crate::secret::WipedBytes;

/// The largest answer that is rewritten, as sent and as decoded.
///
/// The largest of Key Vault is a page of 25 certificates or a backup blob, far below 1 MiB.
pub(super) const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// What begins every link of Key Vault.
const HTTPS: &str = "https://";

/// Headers that hold a link. The last two are what Azure's pollers follow elsewhere.
const LINK_HEADERS: [HeaderName; 4] = [
    LOCATION,
    CONTENT_LOCATION,
    HeaderName::from_static("azure-asyncoperation"),
    HeaderName::from_static("operation-location"),
];

/// A place in an answer.
struct Place {
    name: &'static str,
    holds: Holds,
}

/// What is at a place.
enum Holds {
    /// An object id: rewritten if it is the vault's own, and if ids are rewritten.
    Id,
    /// The next page: must lead to the vault or to us.
    NextPage,
    /// An object with places of its own.
    Object(&'static [Place]),
    /// A list of objects with places of their own, unless it is something else: `value` is a list
    /// in a page, and a secret or a blob elsewhere.
    List(&'static [Place]),
}

const fn place(name: &'static str, holds: Holds) -> Place {
    Place { name, holds }
}

/// Every place of a link in every answer of Key Vault.
const ANSWER: &[Place] = &[
    // Every bundle but a key's; rotation policies, contacts, issuers, pending certificates.
    place("id", Holds::Id),
    // A certificate's key; the key that signed, wrapped or encrypted.
    place("kid", Holds::Id),
    // A certificate's secret; the secret with a storage account's token.
    place("sid", Holds::Id),
    place("recoveryId", Holds::Id),
    // What a pending certificate becomes.
    place("target", Holds::Id),
    place("nextLink", Holds::NextPage),
    place("key", Holds::Object(&[place("kid", Holds::Id)])),
    place("policy", Holds::Object(&[place("id", Holds::Id)])),
    place(
        "pending",
        Holds::Object(&[place("id", Holds::Id), place("target", Holds::Id)]),
    ),
    place(
        "value",
        Holds::List(&[
            place("id", Holds::Id),
            place("kid", Holds::Id),
            place("sid", Holds::Id),
            place("recoveryId", Holds::Id),
        ]),
    ),
];

/// Why an answer is not passed on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum LinkError {
    /// A coding that cannot be undone, so that nobody can look for links.
    #[error("the vault's answer has a content coding that cannot be undone")]
    Coding,
    /// A link that leads elsewhere, where clients would take their token.
    #[error("the vault's answer has a link to another host")]
    Foreign,
    /// A successful answer that is not the JSON it claims to be.
    #[error("the vault's answer is not valid JSON")]
    Malformed,
    /// An answer too large to be rewritten.
    #[error("the vault's answer is too large to be rewritten")]
    TooLarge,
}

/// Where the links in an answer may lead, and where they shall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    vault: Authority,
    /// The name the client used, if it is another.
    public: Option<Authority>,
    ids: bool,
}

impl Links {
    /// `public` is the configured name the client came by; with `ids` object ids lead there too.
    pub fn new(vault: Authority, public: Authority, ids: bool) -> Self {
        let public = (public != vault).then_some(public);
        Self { vault, public, ids }
    }

    /// Whether bodies have to be looked into.
    pub const fn rewrites(&self) -> bool {
        self.public.is_some()
    }

    /// Rewrites the headers that hold links.
    ///
    /// # Errors
    /// [`LinkError::Foreign`].
    pub fn rewrite_headers(&self, headers: &mut HeaderMap) -> Result<(), LinkError> {
        for name in LINK_HEADERS {
            if headers.get_all(&name).iter().nth(1).is_some() {
                return Err(LinkError::Foreign);
            }
            let Some(value) = headers.get(&name) else {
                continue;
            };
            let text = value.to_str().map_err(|_| LinkError::Foreign)?;
            if let Some(prefix) = self.prefix_to_replace(text)? {
                let rest = text.get(prefix..).ok_or(LinkError::Foreign)?;
                let link = format!("{}{rest}", self.public_prefix());
                let value = HeaderValue::try_from(link).map_err(|_| LinkError::Foreign)?;
                headers.insert(name, value);
            }
        }
        Ok(())
    }

    /// Rewrites a JSON document; `None` if nothing in it changes.
    ///
    /// # Errors
    /// [`LinkError::Malformed`] if it is not JSON, [`LinkError::Foreign`].
    pub fn rewrite(&self, document: &[u8]) -> Result<Option<WipedBytes>, LinkError> {
        // Some servers begin JSON with a byte order mark, which is not JSON.
        let text = document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document);
        let root: &RawValue = serde_json::from_slice(text).map_err(|_| LinkError::Malformed)?;
        let mut edits = Vec::new();
        self.walk(root, ANSWER, &Spans(document), &mut edits)?;
        Ok(splice(document, &edits, &self.public_prefix()))
    }

    fn walk(
        &self,
        value: &RawValue,
        places: &[Place],
        spans: &Spans<'_>,
        edits: &mut Vec<Range<usize>>,
    ) -> Result<(), LinkError> {
        if !value.get().starts_with('{') {
            return Ok(());
        }
        let members: Members<'_> = parse(value)?;
        // A name that occurs twice is looked at twice: clients differ in which one they take.
        for (name, member) in members.0 {
            let Some(place) = places.iter().find(|place| place.is(&name)) else {
                continue;
            };
            match &place.holds {
                Holds::Id => edits.extend(self.id(member, spans)),
                Holds::NextPage => edits.extend(self.next_page(member, spans)?),
                Holds::Object(places) => self.walk(member, places, spans, edits)?,
                Holds::List(places) => {
                    if member.get().starts_with('[') {
                        for item in parse::<Vec<&RawValue>>(member)? {
                            self.walk(item, places, spans, edits)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The bytes to replace of an object id; `None` if it stays as it is.
    fn id(&self, value: &RawValue, spans: &Spans<'_>) -> Option<Range<usize>> {
        if !self.ids {
            return None;
        }
        let text: String = parse(value).ok()?;
        let (authority, prefix) = split_link(&text)?;
        (authority == self.vault).then(|| spans.of_prefix(value, prefix))?
    }

    /// The bytes to replace of a link to the next page; `None` if it stays as it is.
    fn next_page(
        &self,
        value: &RawValue,
        spans: &Spans<'_>,
    ) -> Result<Option<Range<usize>>, LinkError> {
        if value.get() == "null" {
            return Ok(None);
        }
        let text: String = parse(value).map_err(|_| LinkError::Foreign)?;
        if text.is_empty() {
            return Ok(None);
        }
        match self.prefix_to_replace(&text)? {
            None => Ok(None),
            Some(prefix) => spans
                .of_prefix(value, prefix)
                .map(Some)
                .ok_or(LinkError::Malformed),
        }
    }

    /// How many bytes of `link` are to be replaced; `None` if it may stay as it is.
    ///
    /// SECURITY: clients disagree about odd URLs, so only plain ones are ours: no white space, no
    /// backslash, no user information.
    fn prefix_to_replace(&self, link: &str) -> Result<Option<usize>, LinkError> {
        let plain = link.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        if !plain {
            return Err(LinkError::Foreign);
        }
        // `//host` is a link to a host.
        if link.starts_with('/') && !link.starts_with("//") {
            return Ok(None);
        }
        let (authority, prefix) = split_link(link).ok_or(LinkError::Foreign)?;
        if Some(&authority) == self.public.as_ref() {
            return Ok(None);
        }
        if authority != self.vault {
            return Err(LinkError::Foreign);
        }
        Ok(self.rewrites().then_some(prefix))
    }

    fn public_prefix(&self) -> String {
        let public = self.public.as_ref().unwrap_or(&self.vault);
        format!("{HTTPS}{public}")
    }
}

impl Place {
    /// Compares a member's name. Clients that read names without case must not find a link that
    /// was left alone; ids are no danger, but a name is a name.
    fn is(&self, name: &str) -> bool {
        match self.holds {
            Holds::NextPage => self.name.eq_ignore_ascii_case(name),
            Holds::Id | Holds::Object(_) | Holds::List(_) => self.name == name,
        }
    }
}

/// Splits `https://authority/…` into the authority and the length of everything before the path.
fn split_link(link: &str) -> Option<(Authority, usize)> {
    let (scheme, rest) = link.split_at_checked(HTTPS.len())?;
    if !scheme.eq_ignore_ascii_case(HTTPS) {
        return None;
    }
    let length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..length)?.parse().ok()?;
    Some((authority, HTTPS.len() + length))
}

fn parse<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Result<T, LinkError> {
    serde_json::from_str(value.get()).map_err(|_| LinkError::Malformed)
}

/// The members of an object in their order, repeated names included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(InOrder).map(Members)
    }
}

/// Finds where parts of a document are in it.
struct Spans<'a>(&'a [u8]);

impl Spans<'_> {
    /// The bytes of the first `length` characters of a string, all of them ASCII, as they are
    /// written in the document.
    fn of_prefix(&self, string: &RawValue, length: usize) -> Option<Range<usize>> {
        // INVARIANT: a `RawValue` that was parsed by reference lies within the document.
        let quote = string.get().as_ptr().addr();
        let start = quote.checked_sub(self.0.as_ptr().addr())?.checked_add(1)?;
        let written = string.get().as_bytes().get(1..)?;
        let mut end = 0;
        for _ in 0..length {
            end += match (written.get(end)?, written.get(end + 1)) {
                (b'\\', Some(b'u')) => 6,
                (b'\\', _) => 2,
                _ => 1,
            };
        }
        let range = start..start.checked_add(end)?;
        self.0.get(range.clone()).map(|_| range)
    }
}

/// The document with every range replaced; `None` if there are none.
fn splice(document: &[u8], edits: &[Range<usize>], replacement: &str) -> Option<WipedBytes> {
    if edits.is_empty() {
        return None;
    }
    let mut spliced = WipedBytes::with_capacity(document.len() + edits.len() * replacement.len());
    let mut copied = 0;
    for edit in edits {
        spliced.extend_from_slice(document.get(copied..edit.start)?);
        spliced.extend_from_slice(replacement.as_bytes());
        copied = edit.end;
    }
    spliced.extend_from_slice(document.get(copied..)?);
    Some(spliced)
}

#[cfg(test)]
mod tests;

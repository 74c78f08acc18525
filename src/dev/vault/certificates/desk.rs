//! What the vault's certificates share: issuers, contacts, and how long issuing takes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::dev::vault::body;
use crate::dev::vault::failure::Failure;
use crate::dev::vault::objects::Answer;
use crate::dev::vault::paging::Query;
use crate::dev::vault::store::Store;

/// Issuers of one vault.
const MAX_ISSUERS: usize = 1000;
/// Contacts of one vault.
const MAX_CONTACTS: usize = 1000;

/// How long a certificate that signs itself is in the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificatePace {
    /// It is done when it is looked at for this many times; 0 is as good as 1.
    pub polls: u32,
    /// What `Retry-After` says, in whole seconds. It is also done, without being looked at, when
    /// this has passed for each of the polls.
    pub retry_after: Duration,
}

impl CertificatePace {
    /// Seconds until it is done by itself.
    pub(super) fn seconds(self) -> i64 {
        let seconds = self.retry_after.as_secs().max(1);
        let all = seconds.saturating_mul(u64::from(self.polls.max(1)));
        i64::try_from(all).unwrap_or(i64::MAX)
    }
}

impl Default for CertificatePace {
    /// Done at the first look. Azure: ten seconds.
    fn default() -> Self {
        Self {
            polls: 1,
            retry_after: Duration::from_secs(10),
        }
    }
}

/// A certificate authority the vault could ask; the embedded vault does not.
#[derive(Clone, Deserialize, Serialize)]
struct Issuer {
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Credentials>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_details: Option<Value>,
    attributes: IssuerAttributes,
}

/// SECURITY: the password is taken and forgotten; the service does not show it either.
#[derive(Clone, Deserialize, Serialize)]
struct Credentials {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
struct IssuerAttributes {
    enabled: bool,
    created: i64,
    updated: i64,
}

#[derive(Deserialize)]
struct IssuerBody {
    provider: Option<String>,
    credentials: Option<Credentials>,
    org_details: Option<Map<String, Value>>,
    attributes: Option<IssuerAttributesBody>,
}

#[derive(Deserialize)]
struct IssuerAttributesBody {
    enabled: Option<bool>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Contact {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

#[derive(Deserialize)]
struct ContactsBody {
    contacts: Vec<Contact>,
}

/// Issuers by name in lower case with the name as it was first written, and contacts.
#[derive(Default)]
struct Register {
    issuers: BTreeMap<String, (String, Issuer)>,
    contacts: Option<Vec<Contact>>,
    pace: CertificatePace,
}

/// What the vault's certificates share.
#[derive(Default)]
pub(in crate::dev::vault) struct Desk(Mutex<Register>);

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    fn register(&self) -> MutexGuard<'_, Register> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pace(&self) -> CertificatePace {
        self.register().pace
    }

    /// What is begun from now on takes its time.
    pub(in crate::dev::vault) fn set_pace(&self, pace: CertificatePace) {
        self.register().pace = pace;
    }

    /// Refuses the name of an issuer that the vault does not have.
    pub(super) fn check_issuer(&self, name: &str) -> Result<(), Failure> {
        let known = self.register().issuers.contains_key(&folded(name));
        known.then_some(()).ok_or_else(issuer_not_found)
    }
}

impl Store {
    /// `GET /certificates/issuers`.
    pub(super) fn list_issuers(&self, query: &Query) -> Answer {
        use std::ops::Bound::{Excluded, Unbounded};
        let register = self.desk.register();
        let after = query.after.as_deref().map_or(Unbounded, Excluded);
        let issuers = register.issuers.range::<str, _>((after, Unbounded));
        let items = issuers.map(|(key, (name, issuer))| {
            let item = json!({ "id": self.issuer_id(name), "provider": issuer.provider });
            (key.as_str(), item)
        });
        Answer::Json(query.page(&self.authority, "/certificates/issuers", items))
    }

    /// `GET /certificates/issuers/{name}`.
    pub(super) fn issuer(&self, name: &str) -> Result<Answer, Failure> {
        let register = self.desk.register();
        let found = register.issuers.get(&folded(name));
        let (name, issuer) = found.ok_or_else(issuer_not_found)?;
        Ok(self.shown_issuer(name, issuer))
    }

    /// `PUT /certificates/issuers/{name}`.
    pub(super) fn set_issuer(&self, name: &str, body: &[u8], now: i64) -> Result<Answer, Failure> {
        let body: IssuerBody = body::read(body)?;
        let provider = body.provider.filter(|provider| !provider.is_empty());
        let issuer = Issuer {
            provider: provider.ok_or_else(|| {
                Failure::bad_parameter("Property provider is required for an issuer.")
            })?,
            credentials: body.credentials,
            org_details: body.org_details.map(shown_organization),
            attributes: IssuerAttributes {
                enabled: body.attributes.and_then(|it| it.enabled).unwrap_or(true),
                created: now,
                updated: now,
            },
        };
        let mut register = self.desk.register();
        let known = register.issuers.contains_key(&folded(name));
        if !known && register.issuers.len() >= MAX_ISSUERS {
            return Err(Failure::bad_parameter(format!(
                "The embedded development vault holds at most {MAX_ISSUERS} issuers."
            )));
        }
        let shown = self.shown_issuer(name, &issuer);
        let issuers = &mut register.issuers;
        issuers.insert(folded(name), (name.to_owned(), issuer));
        Ok(shown)
    }

    /// `PATCH /certificates/issuers/{name}`: changes what is given.
    pub(super) fn update_issuer(
        &self,
        name: &str,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: IssuerBody = body::read(body)?;
        let mut register = self.desk.register();
        let found = register.issuers.get_mut(&folded(name));
        let (name, issuer) = found.ok_or_else(issuer_not_found)?;
        if let Some(provider) = body.provider {
            issuer.provider = provider;
        }
        if body.credentials.is_some() {
            issuer.credentials = body.credentials;
        }
        if let Some(organization) = body.org_details {
            issuer.org_details = Some(shown_organization(organization));
        }
        let enabled = body.attributes.and_then(|attributes| attributes.enabled);
        issuer.attributes.enabled = enabled.unwrap_or(issuer.attributes.enabled);
        issuer.attributes.updated = now;
        Ok(self.shown_issuer(name, issuer))
    }

    /// `DELETE /certificates/issuers/{name}`: for good.
    pub(super) fn delete_issuer(&self, name: &str) -> Result<Answer, Failure> {
        let removed = self.desk.register().issuers.remove(&folded(name));
        let (name, issuer) = removed.ok_or_else(issuer_not_found)?;
        Ok(self.shown_issuer(&name, &issuer))
    }

    fn issuer_id(&self, name: &str) -> String {
        format!("https://{}/certificates/issuers/{name}", self.authority)
    }

    fn shown_issuer(&self, name: &str, issuer: &Issuer) -> Answer {
        let mut shown = json!(issuer);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("id".to_owned(), self.issuer_id(name).into());
        }
        Answer::Json(shown)
    }

    /// `GET /certificates/contacts`.
    pub(super) fn contacts(&self) -> Result<Answer, Failure> {
        let register = self.desk.register();
        let contacts = register.contacts.as_ref().ok_or_else(contacts_not_found)?;
        Ok(self.shown_contacts(contacts))
    }

    /// `PUT /certificates/contacts`: in place of those there are.
    pub(super) fn set_contacts(&self, body: &[u8]) -> Result<Answer, Failure> {
        let ContactsBody { contacts } = body::read(body)?;
        if contacts.len() > MAX_CONTACTS {
            return Err(Failure::bad_parameter(format!(
                "The embedded development vault holds at most {MAX_CONTACTS} contacts."
            )));
        }
        let shown = self.shown_contacts(&contacts);
        self.desk.register().contacts = Some(contacts);
        Ok(shown)
    }

    /// `DELETE /certificates/contacts`.
    pub(super) fn delete_contacts(&self) -> Result<Answer, Failure> {
        let removed = self.desk.register().contacts.take();
        Ok(self.shown_contacts(&removed.ok_or_else(contacts_not_found)?))
    }

    fn shown_contacts(&self, contacts: &[Contact]) -> Answer {
        let id = format!("https://{}/certificates/contacts", self.authority);
        Answer::Json(json!({ "id": id, "contacts": contacts }))
    }
}

/// Azure: shown with a postal code, which no client can set.
fn shown_organization(mut organization: Map<String, Value>) -> Value {
    organization.entry("zip").or_insert_with(|| 0.into());
    organization.into()
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn issuer_not_found() -> Failure {
    let code = "CertificateIssuerNotFound";
    Failure::new(StatusCode::NOT_FOUND, code, "Issuer not found")
}

fn contacts_not_found() -> Failure {
    Failure::new(
        StatusCode::NOT_FOUND,
        "ContactsNotFound",
        "Contacts not found",
    )
}

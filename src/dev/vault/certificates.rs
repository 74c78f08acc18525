//! Certificates: what they hold, and how they are read, listed, changed, deleted and restored.
//!
//! A certificate owns a key and a secret of its name, with a version for each of its own. They
//! come and go with it, and nothing else may change them.
//!
//! While its first version is in the making, a certificate is there already, disabled, with a
//! policy and nothing to show. Its lists leave it out unless they are asked for what is pending.

mod calls;
mod desk;
mod export;
mod import;
mod issue;
mod merge;
mod names;
mod pending;
mod policy;
mod reading;
mod x509;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::{self, AttributesBody, check_tags};
use super::failure::Failure;
use super::keys::Key;
use super::objects::{Answer, RestoreBody};
use super::paging::Query;
use super::route::Collection;
use super::secrets::Secret;
use super::shelf::{Content, Tags, Version};
use super::store::{Shelved, Store};
pub use desk::CertificatePace;
pub(super) use desk::Desk;
use issue::Issued;
use pending::Pending;
use policy::{Policy, PolicyBody};

/// What a certificate version holds.
#[derive(Clone)]
pub(super) struct Certificate {
    /// The certificate's one policy, the same in every version.
    policy: Arc<Policy>,
    /// `None` while the first version is in the making.
    issued: Option<Arc<Issued>>,
    /// The operation that makes or made a version; the latest version has it.
    pending: Option<Pending>,
    /// Whether the chain stays in the order it was imported in, if that was asked for.
    preserve_order: Option<bool>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(redacted)")
    }
}

#[derive(Deserialize, Serialize)]
struct CertificateBackup {
    policy: Policy,
    issued: Option<IssuedBackup>,
    preserve_order: Option<bool>,
}

#[derive(Deserialize, Serialize)]
struct IssuedBackup {
    /// Base64.
    chain: Vec<String>,
    leaf: usize,
    key: Value,
}

impl Content for Certificate {
    const COLLECTION: Collection = Collection::Certificates;

    type Policies = ();

    fn is_managed(&self) -> bool {
        false
    }

    fn bundle(&self, id: &str) -> Map<String, Value> {
        let mut bundle = self.item(id);
        if let Some(issued) = &self.issued {
            bundle.insert("kid".to_owned(), linked_id(id, "keys").into());
            bundle.insert("sid".to_owned(), linked_id(id, "secrets").into());
            bundle.insert("cer".to_owned(), STANDARD.encode(issued.leaf()).into());
        }
        let base = base_id(id);
        let policy = self.policy.render(&format!("{base}/policy"));
        bundle.insert("policy".to_owned(), policy);
        if self.pending.is_some() {
            let pending = json!({ "id": format!("{base}/pending") });
            bundle.insert("pending".to_owned(), pending);
        }
        if let Some(preserve_order) = self.preserve_order {
            bundle.insert("preserveCertOrder".to_owned(), preserve_order.into());
        }
        bundle
    }

    fn item(&self, id: &str) -> Map<String, Value> {
        let mut item = Map::from_iter([("id".to_owned(), id.into())]);
        if let Some(issued) = &self.issued {
            let thumbprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, issued.leaf());
            let thumbprint = URL_SAFE_NO_PAD.encode(thumbprint);
            item.insert("x5t".to_owned(), thumbprint.into());
        }
        item
    }

    fn to_backup(&self) -> Result<Value, Failure> {
        let issued = self.issued.as_ref().map(|issued| issued.to_backup());
        let backup = CertificateBackup {
            policy: Policy::clone(&self.policy),
            issued: issued.transpose()?,
            preserve_order: self.preserve_order,
        };
        serde_json::to_value(backup).map_err(|_| Failure::internal())
    }

    fn from_backup(value: Value) -> Result<Self, Failure> {
        let backup: CertificateBackup =
            serde_json::from_value(value).map_err(|_| Failure::internal())?;
        let issued = backup
            .issued
            .map(|issued| Issued::from_backup(issued, &backup.policy));
        Ok(Self {
            issued: issued.transpose()?.map(Arc::new),
            policy: Arc::new(backup.policy),
            pending: None,
            preserve_order: backup.preserve_order,
        })
    }
}

impl Shelved for Certificate {
    fn shelf(store: &Store) -> &std::sync::Mutex<super::shelf::Shelf<Self>> {
        &store.certificates
    }
}

/// The id of a certificate without the version that `id` has.
fn base_id(id: &str) -> &str {
    id.rsplit_once('/').map_or(id, |(base, _)| base)
}

/// The id of the key or secret of a certificate's version.
fn linked_id(id: &str, collection: &str) -> String {
    id.replacen("/certificates/", &format!("/{collection}/"), 1)
}

#[derive(Deserialize)]
struct UpdateBody {
    policy: Option<PolicyBody>,
    tags: Option<Tags>,
    attributes: Option<AttributesBody>,
}

impl Store {
    /// `GET /certificates/{name}[/{version}]`. Azure: a disabled certificate can be read.
    fn certificate(&self, name: &str, version: Option<&str>, now: i64) -> Result<Answer, Failure> {
        let shelf = self.shelf::<Certificate>(now);
        let (object, version) = shelf.version(name, version)?;
        Ok(Answer::Json(self.bundle(&object.name, version).into()))
    }

    /// `GET /certificates`.
    fn list_certificates(&self, query: &Query, now: i64) -> Answer {
        let shelf = self.shelf::<Certificate>(now);
        let items = shelf.live_after(query.after.as_deref());
        let items = items.filter(|(_, object)| is_listed(&object.latest, query));
        let items = items.map(|(key, object)| {
            let item = self.item(&self.id::<Certificate>(&object.name), &object.latest);
            (key, Value::Object(item))
        });
        Answer::Json(query.page(&self.authority, "/certificates", items))
    }

    /// `GET /deletedcertificates`.
    fn list_deleted_certificates(&self, query: &Query, now: i64) -> Answer {
        let shelf = self.shelf::<Certificate>(now);
        let items = shelf.deleted_after(query.after.as_deref());
        let items = items.filter(|(_, deleted)| is_listed(&deleted.object.latest, query));
        let items = items.map(|(key, deleted)| (key, self.deleted_item(deleted)));
        Answer::Json(query.page(&self.authority, "/deletedcertificates", items))
    }

    /// `PATCH /certificates/{name}[/{version}]`.
    ///
    /// The dates are the certificate's own and are left alone; so is what is pending.
    fn update_certificate(
        &self,
        name: &str,
        version: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: UpdateBody = body::read(body)?;
        check_tags(body.tags.as_ref())?;
        let mut shelf = self.shelf::<Certificate>(now);
        let changed = shelf.version_mut(name, version)?;
        if changed.content.issued.is_none() {
            return Err(Failure::not_found(Collection::Certificates, name));
        }
        if let Some(attributes) = body.attributes {
            attributes
                .without_dates()
                .apply(&mut changed.attributes, now)?;
        }
        changed.attributes.updated = now.max(changed.attributes.created);
        if body.tags.is_some() {
            changed.tags = body.tags;
        }
        let (id, enabled) = (changed.id.clone(), changed.attributes.enabled);
        if let Some(policy) = body.policy {
            change_policy(shelf.object_mut(name)?, policy, now)?;
        }
        self.enable_linked::<Key>(name, &id, enabled, now);
        self.enable_linked::<Secret>(name, &id, enabled, now);
        let (object, version) = shelf.version(name, version)?;
        Ok(Answer::Json(self.bundle(&object.name, version).into()))
    }

    fn enable_linked<C: Shelved>(&self, name: &str, version: &str, enabled: bool, now: i64) {
        let mut shelf = self.shelf::<C>(now);
        if let Ok(version) = shelf.version_mut(name, Some(version)) {
            version.attributes.enabled = enabled;
            version.attributes.updated = now.max(version.attributes.created);
        }
    }

    /// `GET /certificates/{name}/policy`.
    fn policy(&self, name: &str, now: i64) -> Result<Answer, Failure> {
        let shelf = self.shelf::<Certificate>(now);
        let object = shelf.object(name)?;
        let id = format!("{}/policy", self.id::<Certificate>(&object.name));
        Ok(Answer::Json(object.latest.content.policy.render(&id)))
    }

    /// `PATCH /certificates/{name}/policy`.
    fn update_policy(&self, name: &str, body: &[u8], now: i64) -> Result<Answer, Failure> {
        let body: PolicyBody = body::read(body)?;
        change_policy(self.shelf::<Certificate>(now).object_mut(name)?, body, now)?;
        self.policy(name, now)
    }

    /// `DELETE /certificates/{name}`: the key and the secret go along.
    fn delete_certificate(&self, name: &str, now: i64) -> Result<Answer, Failure> {
        let deleted = self.delete::<Certificate>(name, now)?;
        // A certificate that never had a version has neither.
        let _ = self.shelf::<Key>(now).delete(name, now);
        let _ = self.shelf::<Secret>(now).delete(name, now);
        Ok(deleted)
    }

    /// `POST /deletedcertificates/{name}/recover`.
    fn recover_certificate(&self, name: &str, now: i64) -> Result<Answer, Failure> {
        let recovered = self.recover::<Certificate>(name, now)?;
        let _ = self.shelf::<Key>(now).recover(name, now);
        let _ = self.shelf::<Secret>(now).recover(name, now);
        Ok(recovered)
    }

    /// `DELETE /deletedcertificates/{name}`.
    fn purge_certificate(&self, name: &str, now: i64) -> Result<Answer, Failure> {
        let purged = self.purge::<Certificate>(name, now)?;
        let _ = self.shelf::<Key>(now).purge(name);
        let _ = self.shelf::<Secret>(now).purge(name);
        Ok(purged)
    }

    /// `POST /certificates/restore`.
    fn restore_certificate(&self, body: &[u8], now: i64) -> Result<Answer, Failure> {
        let body: RestoreBody = body::read(body)?;
        let object = self.backup_key.open::<Certificate>(&body.value)?;
        let name = object.name.clone();
        let mut shelf = self.shelf::<Certificate>(now);
        self.check_names_free(&name, now)?;
        let object = shelf.put_back(object, &self.id::<Certificate>(&name))?;
        for version in object.versions() {
            self.add_linked(&name, version, now)?;
        }
        let bundle = self.bundle(&object.name, &object.latest);
        Ok(Answer::Json(bundle.into()))
    }
}

/// Azure: what has no version yet is listed if it is asked for.
fn is_listed(latest: &Version<Certificate>, query: &Query) -> bool {
    query.include_pending || latest.content.issued.is_some()
}

fn change_policy(
    object: &mut super::shelf::Object<Certificate>,
    body: PolicyBody,
    now: i64,
) -> Result<(), Failure> {
    let mut policy = Policy::clone(&object.latest.content.policy);
    body.apply(&mut policy, now)?;
    set_policy(object, &Arc::new(policy));
    Ok(())
}

/// Gives every version the policy.
fn set_policy(object: &mut super::shelf::Object<Certificate>, policy: &Arc<Policy>) {
    let versions = object.older.iter_mut();
    for version in versions.chain(std::iter::once(&mut object.latest)) {
        version.content.policy = Arc::clone(policy);
    }
}

//! What secrets and keys do alike: lists, versions, soft delete, backup and restore.

use bytes::Bytes;
use http::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body;
use super::failure::Failure;
use super::paging::Query;
use super::shelf::{Content, Deleted, Version};
use super::store::{Shelved, Store};

/// What the vault answers when it does what it was asked.
#[derive(Debug)]
pub(super) enum Answer {
    /// 200 with this body.
    Json(Value),
    /// 204.
    Nothing,
    /// This status, this body and these headers among those of every answer.
    Response(Response<Bytes>),
}

#[derive(Deserialize)]
pub(super) struct RestoreBody {
    pub(super) value: String,
}

impl Store {
    /// The bundle of one version, without a secret's value.
    pub(super) fn bundle<C: Content>(
        &self,
        name: &str,
        version: &Version<C>,
    ) -> Map<String, Value> {
        let id = self.versioned_id::<C>(name, &version.id);
        let mut bundle = version.content.bundle(&id);
        self.add_common(&mut bundle, version);
        bundle
    }

    /// `GET /{collection}`.
    pub(super) fn list<C: Shelved>(&self, query: &Query, now: i64) -> Answer {
        let shelf = self.shelf::<C>(now);
        let items = shelf.live_after(query.after.as_deref());
        let items = items.map(|(key, object)| {
            let item = self.item(&self.id::<C>(&object.name), &object.latest);
            (key, Value::Object(item))
        });
        let path = format!("/{}", C::COLLECTION.path());
        Answer::Json(query.page(&self.authority, &path, items))
    }

    /// `GET /{collection}/{name}/versions`.
    pub(super) fn versions<C: Shelved>(
        &self,
        name: &str,
        query: &Query,
        now: i64,
    ) -> Result<Answer, Failure> {
        let shelf = self.shelf::<C>(now);
        let object = shelf.object(name)?;
        let mut versions = object.versions();
        if let Some(after) = &query.after {
            // Leaves the iterator behind the version with the marker.
            versions.by_ref().find(|version| *version.id == **after);
        }
        let items = versions.map(|version| {
            let id = self.versioned_id::<C>(&object.name, &version.id);
            (&*version.id, Value::Object(self.item(&id, version)))
        });
        let path = format!("/{}/{}/versions", C::COLLECTION.path(), object.name);
        Ok(Answer::Json(query.page(&self.authority, &path, items)))
    }

    /// `DELETE /{collection}/{name}`.
    pub(super) fn delete<C: Shelved>(&self, name: &str, now: i64) -> Result<Answer, Failure> {
        let mut shelf = self.shelf::<C>(now);
        shelf.check_unmanaged(name, "delete")?;
        let deleted = shelf.delete(name, now)?;
        Ok(Answer::Json(self.deleted_bundle(&deleted)))
    }

    /// `GET /deleted{collection}`.
    pub(super) fn list_deleted<C: Shelved>(&self, query: &Query, now: i64) -> Answer {
        let shelf = self.shelf::<C>(now);
        let items = shelf.deleted_after(query.after.as_deref());
        let items = items.map(|(key, deleted)| (key, self.deleted_item(deleted)));
        let path = format!("/{}", C::COLLECTION.deleted_path());
        Answer::Json(query.page(&self.authority, &path, items))
    }

    /// `GET /deleted{collection}/{name}`.
    pub(super) fn deleted<C: Shelved>(&self, name: &str, now: i64) -> Result<Answer, Failure> {
        let shelf = self.shelf::<C>(now);
        Ok(Answer::Json(self.deleted_bundle(shelf.deleted(name)?)))
    }

    /// `POST /deleted{collection}/{name}/recover`.
    pub(super) fn recover<C: Shelved>(&self, name: &str, now: i64) -> Result<Answer, Failure> {
        let mut shelf = self.shelf::<C>(now);
        shelf.check_unmanaged(name, "recover")?;
        let object = shelf.recover(name, now)?;
        let bundle = self.bundle(&object.name, &object.latest);
        Ok(Answer::Json(bundle.into()))
    }

    /// `DELETE /deleted{collection}/{name}`.
    pub(super) fn purge<C: Shelved>(&self, name: &str, now: i64) -> Result<Answer, Failure> {
        let mut shelf = self.shelf::<C>(now);
        shelf.check_unmanaged(name, "purge")?;
        if self.soft_delete.purge_protection {
            shelf.deleted(name)?;
            return Err(Failure::purge_protected(&self.described));
        }
        shelf.purge(name)?;
        Ok(Answer::Nothing)
    }

    /// `POST /{collection}/{name}/backup`.
    pub(super) fn backup<C: Shelved>(&self, name: &str, now: i64) -> Result<Answer, Failure> {
        let shelf = self.shelf::<C>(now);
        shelf.check_unmanaged(name, "backup")?;
        let blob = self.backup_key.seal(shelf.object(name)?)?;
        Ok(Answer::Json(json!({ "value": blob })))
    }

    /// `POST /{collection}/restore`.
    pub(super) fn restore<C: Shelved>(&self, body: &[u8], now: i64) -> Result<Answer, Failure> {
        let body: RestoreBody = body::read(body)?;
        let object = self.backup_key.open::<C>(&body.value)?;
        let id = self.id::<C>(&object.name);
        let mut shelf = self.shelf::<C>(now);
        let object = shelf.put_back(object, &id)?;
        let bundle = self.bundle(&object.name, &object.latest);
        Ok(Answer::Json(bundle.into()))
    }

    /// The id of an object, without a version.
    pub(super) fn id<C: Content>(&self, name: &str) -> String {
        format!("https://{}/{}/{name}", self.authority, C::COLLECTION.path())
    }

    /// The id of one version.
    pub(super) fn versioned_id<C: Content>(&self, name: &str, version: &str) -> String {
        format!("{}/{version}", self.id::<C>(name))
    }

    pub(super) fn item<C: Content>(&self, id: &str, version: &Version<C>) -> Map<String, Value> {
        let mut item = version.content.item(id);
        self.add_common(&mut item, version);
        item
    }

    pub(super) fn deleted_item<C: Content>(&self, deleted: &Deleted<C>) -> Value {
        let object = &deleted.object;
        let mut item = self.item(&self.id::<C>(&object.name), &object.latest);
        self.add_deletion(&mut item, deleted);
        item.into()
    }

    fn deleted_bundle<C: Content>(&self, deleted: &Deleted<C>) -> Value {
        let object = &deleted.object;
        let mut bundle = self.bundle(&object.name, &object.latest);
        self.add_deletion(&mut bundle, deleted);
        bundle.into()
    }

    fn add_deletion<C: Content>(&self, shown: &mut Map<String, Value>, deleted: &Deleted<C>) {
        let recovery_id = format!(
            "https://{}/{}/{}",
            self.authority,
            C::COLLECTION.deleted_path(),
            deleted.object.name
        );
        shown.insert("recoveryId".to_owned(), recovery_id.into());
        shown.insert("deletedDate".to_owned(), deleted.at.into());
        shown.insert("scheduledPurgeDate".to_owned(), deleted.purge_at.into());
    }

    fn add_common<C: Content>(&self, shown: &mut Map<String, Value>, version: &Version<C>) {
        let mut attributes = version.attributes.render(&self.soft_delete);
        if let Some(attributes) = attributes.as_object_mut() {
            attributes.extend(version.content.attributes());
        }
        shown.insert("attributes".to_owned(), attributes);
        if let Some(tags) = &version.tags {
            shown.insert("tags".to_owned(), json!(tags));
        }
        if version.content.is_managed() {
            shown.insert("managed".to_owned(), true.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::vault::behavior::SoftDelete;
    use crate::dev::vault::crypto::{Curve, Kind, Material};
    use crate::dev::vault::keys::{CryptoVerb, Key, KeyOperation, Traits};
    use crate::dev::vault::route::Collection;
    use crate::dev::vault::secrets::{OfCertificate, Secret};
    use crate::dev::vault::shelf::Attributes;

    const KID: &str = "https://v.vault.azure.net/keys/c/1";

    fn attributes() -> Attributes {
        Attributes {
            enabled: true,
            not_before: None,
            expires: None,
            created: 0,
            updated: 0,
            exportable: None,
        }
    }

    /// A store with a secret and a key that a certificate owns, as the objects `c`.
    fn store() -> Store {
        let authority = "v.vault.azure.net".parse().unwrap();
        let store = Store::new(authority, "here", SoftDelete::default()).unwrap();
        let secret = Secret {
            value: "v".into(),
            content_type: None,
            certificate: Some(OfCertificate {
                kid: KID.into(),
                pem: None,
            }),
        };
        let traits = Traits {
            operations: vec![KeyOperation::Sign],
            hardware: false,
            managed: true,
            release_policy: None,
        };
        let material = Material::generate(Kind::Ec(Curve::P256)).unwrap();
        let key = Key::new(material, traits).unwrap();
        let secret = Version::new(attributes(), None, secret);
        store.shelf::<Secret>(0).add("c", secret).unwrap();
        let key = Version::new(attributes(), None, key);
        store.shelf::<Key>(0).add("c", key).unwrap();
        store
    }

    #[track_caller]
    fn managed(outcome: Result<Answer, Failure>, collection: Collection, operation: &str) {
        assert_eq!(
            outcome.unwrap_err(),
            Failure::managed(collection, operation)
        );
    }

    fn common<C: Shelved>(store: &Store) {
        managed(store.delete::<C>("c", 0), C::COLLECTION, "delete");
        managed(store.backup::<C>("C", 0), C::COLLECTION, "backup");
        store.shelf::<C>(0).delete("c", 0).unwrap();
        managed(store.purge::<C>("c", 0), C::COLLECTION, "purge");
        managed(store.recover::<C>("c", 0), C::COLLECTION, "recover");
        // With the certificate itself it goes.
        store.shelf::<C>(0).recover("c", 0).unwrap();
    }

    #[test]
    fn the_secret_of_a_certificate_is_read_and_left_alone() {
        let store = store();
        let body = br#"{"value":"w"}"#;
        managed(store.set_secret("c", body, 0), Collection::Secrets, "set");
        let update = store.update_secret("c", None, b"{}", 0);
        managed(update, Collection::Secrets, "update");
        common::<Secret>(&store);
        let query = Query::parse("api-version=7.6").unwrap();
        let Ok(Answer::Json(shown)) = store.secret("c", None, &query, 0) else {
            panic!("a secret");
        };
        assert_eq!(
            (&shown["managed"], &shown["kid"]),
            (&json!(true), &json!(KID))
        );
        let Answer::Json(list) = store.list::<Secret>(&query, 0) else {
            panic!("a list");
        };
        assert_eq!(list["value"][0]["managed"], true);
    }

    #[tokio::test]
    async fn the_key_of_a_certificate_is_used_and_left_alone() {
        let store = store();
        let body = br#"{"kty":"EC"}"#;
        let keys = Collection::Keys;
        managed(store.create_key("c", body, 0).await, keys, "create");
        managed(store.rotate_key("c", 0).await, keys, "rotate");
        managed(store.update_key("c", None, b"{}", 0), keys, "update");
        let policy = store.set_rotation_policy("c", b"{}", 0);
        managed(policy, keys, "setrotationpolicy");
        common::<Key>(&store);
        let digest = "A".repeat(43);
        let body = json!({ "alg": "ES256", "value": digest }).to_string();
        let signed = store.operate("c", None, CryptoVerb::Sign, body.as_bytes(), 0);
        assert!(signed.is_ok(), "{signed:?}");
    }
}

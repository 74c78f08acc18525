//! Objects with versions and soft delete: what secrets and keys have in common.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::behavior::{SoftDelete, whole_seconds};
use super::failure::Failure;
use super::route::Collection;

/// Objects of one collection, deleted ones included.
const MAX_OBJECTS: usize = 10_000;
/// Versions of one object.
const MAX_VERSIONS: usize = 500;

/// Application-specific metadata.
pub(super) type Tags = BTreeMap<String, String>;

/// The attributes of one version; times are seconds since 1970.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Attributes {
    pub(super) enabled: bool,
    pub(super) not_before: Option<i64>,
    pub(super) expires: Option<i64>,
    pub(super) created: i64,
    pub(super) updated: i64,
    /// Of keys only: whether the private half may leave the vault.
    pub(super) exportable: Option<bool>,
}

impl Attributes {
    /// Moves these attributes of a new version past those of the version before it.
    ///
    /// Azure counts whole seconds, so that two versions of one second look equally old and nobody
    /// can tell which is the latest. Here the newer one is always the later one, a little ahead of
    /// the clock if need be, so that tests need not wait for the next second.
    fn follow(&mut self, before: &Self) {
        self.created = self.created.max(before.created.saturating_add(1));
        self.updated = self.updated.max(self.created);
    }

    /// The attributes in Key Vault's form.
    pub(super) fn render(&self, soft_delete: &SoftDelete) -> Value {
        let mut attributes = json!({
            "enabled": self.enabled,
            "created": self.created,
            "updated": self.updated,
            "recoveryLevel": soft_delete.recovery_level(),
            "recoverableDays": soft_delete.retention.get(),
        });
        if let Some(attributes) = attributes.as_object_mut() {
            for (name, time) in [("nbf", self.not_before), ("exp", self.expires)] {
                if let Some(time) = time {
                    attributes.insert(name.to_owned(), time.into());
                }
            }
            if let Some(exportable) = self.exportable {
                attributes.insert("exportable".to_owned(), exportable.into());
            }
        }
        attributes
    }
}

/// What a version holds: a secret or a key.
pub(super) trait Content: Clone + Send + Sync + 'static {
    /// Where it belongs.
    const COLLECTION: Collection;

    /// What an object has besides its versions.
    type Policies: Clone + fmt::Debug + Default + DeserializeOwned + Serialize + Send + Sync;

    /// Whether a certificate owns it.
    fn is_managed(&self) -> bool;

    /// What a bundle shows of it, under the id with the version. Never a secret value or private
    /// key.
    fn bundle(&self, id: &str) -> Map<String, Value>;

    /// What an item of a list shows of it, under `id`.
    fn item(&self, id: &str) -> Map<String, Value>;

    /// What the attributes tell of it, besides what those of every object tell.
    fn attributes(&self) -> Map<String, Value> {
        Map::new()
    }

    /// All of it, for a backup.
    fn to_backup(&self) -> Result<Value, Failure>;

    /// What [`Self::to_backup`] gave.
    fn from_backup(value: Value) -> Result<Self, Failure>;
}

/// One version of an object.
#[derive(Clone, Debug)]
pub(super) struct Version<C> {
    pub(super) id: Box<str>,
    pub(super) attributes: Attributes,
    pub(super) tags: Option<Tags>,
    pub(super) content: C,
}

impl<C> Version<C> {
    /// A version of something else that goes with this one.
    pub(super) fn with<D>(&self, content: D) -> Version<D> {
        Version {
            id: self.id.clone(),
            attributes: self.attributes.clone(),
            tags: self.tags.clone(),
            content,
        }
    }

    /// A version with a new id.
    pub(super) fn new(attributes: Attributes, tags: Option<Tags>, content: C) -> Self {
        Self {
            id: Uuid::new_v4().simple().to_string().into(),
            attributes,
            tags,
            content,
        }
    }
}

/// An object: at least one version.
#[derive(Clone, Debug)]
pub(super) struct Object<C: Content> {
    /// The name in the case it was first written in.
    pub(super) name: Box<str>,
    /// Oldest first.
    pub(super) older: Vec<Version<C>>,
    pub(super) latest: Version<C>,
    pub(super) policies: C::Policies,
}

impl<C: Content> Object<C> {
    /// Every version, oldest first.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Version<C>> {
        self.older.iter().chain(std::iter::once(&self.latest))
    }

    fn version_mut(&mut self, wanted: Option<&str>) -> Option<&mut Version<C>> {
        match wanted {
            None => Some(&mut self.latest),
            Some(id) => self
                .older
                .iter_mut()
                .chain(std::iter::once(&mut self.latest))
                .find(|version| &*version.id == id),
        }
    }
}

/// A deleted object.
#[derive(Clone, Debug)]
pub(super) struct Deleted<C: Content> {
    pub(super) object: Object<C>,
    pub(super) at: i64,
    /// When it is purged by itself.
    pub(super) purge_at: i64,
}

/// Where an object is on its way to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    Deleting,
    Recovering,
}

/// The objects of one collection, by name in lower case.
///
/// INVARIANT (one place): a name is in one of the maps at most; `add` and `put_back` see to it.
#[derive(Debug)]
pub(super) struct Shelf<C: Content> {
    soft_delete: SoftDelete,
    live: BTreeMap<Box<str>, Object<C>>,
    deleted: BTreeMap<Box<str>, Deleted<C>>,
    /// What is being deleted, and until when.
    deleting: BTreeMap<Box<str>, (i64, Deleted<C>)>,
    /// What is being recovered, and until when.
    recovering: BTreeMap<Box<str>, (i64, Object<C>)>,
}

impl<C: Content> Shelf<C> {
    pub(super) const fn new(soft_delete: SoftDelete) -> Self {
        Self {
            soft_delete,
            live: BTreeMap::new(),
            deleted: BTreeMap::new(),
            deleting: BTreeMap::new(),
            recovering: BTreeMap::new(),
        }
    }

    /// Does what is due at `now`: deletions and recoveries come to their end, and what has been
    /// deleted long enough is purged.
    pub(super) fn settle(&mut self, now: i64) {
        let deleted = self.deleting.extract_if(.., |_, (until, _)| *until <= now);
        self.deleted
            .extend(deleted.map(|(key, (_, deleted))| (key, deleted)));
        let recovered = self
            .recovering
            .extract_if(.., |_, (until, _)| *until <= now);
        self.live
            .extend(recovered.map(|(key, (_, object))| (key, object)));
        self.deleted.retain(|_, deleted| now < deleted.purge_at);
    }

    /// Live objects in the order of their names, after `after` (a name in lower case).
    pub(super) fn live_after(
        &self,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&str, &Object<C>)> {
        following(&self.live, after)
    }

    /// Deleted objects in the order of their names, after `after` (a name in lower case).
    pub(super) fn deleted_after(
        &self,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&str, &Deleted<C>)> {
        following(&self.deleted, after)
    }

    /// A live object.
    pub(super) fn object(&self, name: &str) -> Result<&Object<C>, Failure> {
        self.live
            .get(folded(name).as_str())
            .ok_or_else(|| Failure::not_found(C::COLLECTION, name))
    }

    /// One version of a live object, or its latest.
    pub(super) fn version(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<(&Object<C>, &Version<C>), Failure> {
        let object = self.object(name)?;
        let found = match version {
            None => Some(&object.latest),
            Some(id) => object.versions().find(|version| &*version.id == id),
        };
        let found = found.ok_or_else(|| not_found(C::COLLECTION, name, version))?;
        Ok((object, found))
    }

    /// The same, to be changed.
    pub(super) fn version_mut(
        &mut self,
        name: &str,
        version: Option<&str>,
    ) -> Result<&mut Version<C>, Failure> {
        self.live
            .get_mut(folded(name).as_str())
            .and_then(|object| object.version_mut(version))
            .ok_or_else(|| not_found(C::COLLECTION, name, version))
    }

    /// A live object, to be changed.
    pub(super) fn object_mut(&mut self, name: &str) -> Result<&mut Object<C>, Failure> {
        self.live
            .get_mut(folded(name).as_str())
            .ok_or_else(|| Failure::not_found(C::COLLECTION, name))
    }

    /// Refuses to do `operation` with an object that a certificate owns.
    pub(super) fn check_unmanaged(&self, name: &str, operation: &str) -> Result<(), Failure> {
        let key = folded(name);
        let deleted = self.deleted.get(key.as_str());
        let object = self
            .live
            .get(key.as_str())
            .or(deleted.map(|deleted| &deleted.object));
        if object.is_some_and(|object| object.latest.content.is_managed()) {
            return Err(Failure::managed(C::COLLECTION, operation));
        }
        Ok(())
    }

    /// Refuses a name that an object holds which is not live.
    pub(super) fn check_free(&self, name: &str) -> Result<(), Failure> {
        if let Some(passage) = self.passage(name) {
            return Err(Failure::in_passage(C::COLLECTION, passage, Some(name)));
        }
        match self.deleted.get(folded(name).as_str()) {
            None => Ok(()),
            Some(deleted) => Err(Failure::deleted_but_recoverable(
                C::COLLECTION,
                &deleted.object.name,
            )),
        }
    }

    fn passage(&self, name: &str) -> Option<Passage> {
        let key = folded(name);
        if self.deleting.contains_key(key.as_str()) {
            Some(Passage::Deleting)
        } else if self.recovering.contains_key(key.as_str()) {
            Some(Passage::Recovering)
        } else {
            None
        }
    }

    /// Adds a version to an object, which is made if there is none.
    pub(super) fn add(
        &mut self,
        name: &str,
        mut version: Version<C>,
    ) -> Result<&Object<C>, Failure> {
        self.check_free(name)?;
        let key = folded(name);
        if !self.live.contains_key(key.as_str()) {
            self.check_room()?;
            return Ok(self.live.entry(key.into()).or_insert(Object {
                name: name.into(),
                older: Vec::new(),
                latest: version,
                policies: C::Policies::default(),
            }));
        }
        let object = self
            .live
            .get_mut(key.as_str())
            .ok_or_else(|| Failure::not_found(C::COLLECTION, name))?;
        if object.older.len() + 1 >= MAX_VERSIONS {
            return Err(full("versions of one object", MAX_VERSIONS));
        }
        version.attributes.follow(&object.latest.attributes);
        let before = std::mem::replace(&mut object.latest, version);
        object.older.push(before);
        Ok(object)
    }

    /// Puts a whole object back, from a backup.
    pub(super) fn put_back(&mut self, object: Object<C>, id: &str) -> Result<&Object<C>, Failure> {
        self.check_free(&object.name)?;
        self.check_room()?;
        let key = folded(&object.name);
        if self.live.contains_key(key.as_str()) {
            return Err(Failure::already_exists(id));
        }
        Ok(self.live.entry(key.into()).or_insert(object))
    }

    /// Deletes an object softly.
    pub(super) fn delete(&mut self, name: &str, now: i64) -> Result<Deleted<C>, Failure> {
        let key = folded(name);
        let object = self
            .live
            .remove(key.as_str())
            .ok_or_else(|| Failure::not_found(C::COLLECTION, name))?;
        let deleted = Deleted {
            object,
            at: now,
            purge_at: now.saturating_add(self.soft_delete.retention.seconds()),
        };
        let until = now.saturating_add(whole_seconds(self.soft_delete.deletion));
        self.deleting.insert(key.into(), (until, deleted.clone()));
        self.settle(now);
        Ok(deleted)
    }

    /// A deleted object.
    pub(super) fn deleted(&self, name: &str) -> Result<&Deleted<C>, Failure> {
        self.deleted
            .get(folded(name).as_str())
            .ok_or_else(|| Failure::deleted_not_found(C::COLLECTION, name))
    }

    /// Takes a deleted object back into life.
    pub(super) fn recover(&mut self, name: &str, now: i64) -> Result<Object<C>, Failure> {
        let object = self.take_deleted(name)?.object;
        let until = now.saturating_add(whole_seconds(self.soft_delete.recovery));
        self.recovering
            .insert(folded(name).into(), (until, object.clone()));
        self.settle(now);
        Ok(object)
    }

    /// Destroys a deleted object.
    pub(super) fn purge(&mut self, name: &str) -> Result<(), Failure> {
        self.take_deleted(name).map(drop)
    }

    fn take_deleted(&mut self, name: &str) -> Result<Deleted<C>, Failure> {
        if let Some(passage) = self.passage(name) {
            return Err(Failure::in_passage(C::COLLECTION, passage, None));
        }
        self.deleted
            .remove(folded(name).as_str())
            .ok_or_else(|| Failure::deleted_not_found(C::COLLECTION, name))
    }

    fn check_room(&self) -> Result<(), Failure> {
        let held = [
            self.live.len(),
            self.deleted.len(),
            self.deleting.len(),
            self.recovering.len(),
        ];
        if held.iter().sum::<usize>() < MAX_OBJECTS {
            Ok(())
        } else {
            Err(full(C::COLLECTION.path(), MAX_OBJECTS))
        }
    }
}

fn following<'a, T>(
    map: &'a BTreeMap<Box<str>, T>,
    after: Option<&str>,
) -> impl Iterator<Item = (&'a str, &'a T)> {
    use std::ops::Bound;
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    map.range::<str, _>((start, Bound::Unbounded))
        .map(|(key, value)| (&**key, value))
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn not_found(collection: Collection, name: &str, version: Option<&str>) -> Failure {
    match version {
        None => Failure::not_found(collection, name),
        Some(version) => Failure::not_found(collection, &format!("{name}/{version}")),
    }
}

fn full(what: &str, limit: usize) -> Failure {
    Failure::bad_parameter(format!(
        "The embedded development vault holds at most {limit} {what}."
    ))
}

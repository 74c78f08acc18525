//! Backups: blobs that only this vault, in this run, can read.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dev::{StartError, random};

use super::failure::Failure;
use super::shelf::{Attributes, Content, Object, Tags, Version};

/// What blobs are encrypted with.
pub(super) struct BackupKey(RandomizedNonceKey);

impl fmt::Debug for BackupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackupKey(redacted)")
    }
}

#[derive(Deserialize, Serialize)]
struct Blob {
    name: Box<str>,
    policies: Value,
    /// Oldest first.
    versions: Vec<BlobVersion>,
}

#[derive(Deserialize, Serialize)]
struct BlobVersion {
    id: Box<str>,
    attributes: Attributes,
    tags: Option<Tags>,
    content: Value,
}

impl BackupKey {
    pub(super) fn generate() -> Result<Self, StartError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &random::<32>()?);
        key.map(Self).map_err(|_| StartError::Key)
    }

    /// The blob of a whole object, base64url.
    pub(super) fn seal<C: Content>(&self, object: &Object<C>) -> Result<String, Failure> {
        let versions = object.versions().map(|version| {
            Ok(BlobVersion {
                id: version.id.clone(),
                attributes: version.attributes.clone(),
                tags: version.tags.clone(),
                content: version.content.to_backup()?,
            })
        });
        let blob = Blob {
            name: object.name.clone(),
            policies: serde_json::to_value(&object.policies).map_err(|_| Failure::internal())?,
            versions: versions.collect::<Result<_, Failure>>()?,
        };
        let mut bytes = serde_json::to_vec(&blob).map_err(|_| Failure::internal())?;
        let nonce = self
            .0
            .seal_in_place_append_tag(aad::<C>(), &mut bytes)
            .map_err(|_| Failure::internal())?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend(bytes);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The object of a blob.
    pub(super) fn open<C: Content>(&self, blob: &str) -> Result<Object<C>, Failure> {
        let invalid = || Failure::bad_parameter("The backup blob is not one of this vault.");
        let sealed = URL_SAFE_NO_PAD
            .decode(blob.trim_end_matches('='))
            .map_err(|_| invalid())?;
        let (nonce, sealed) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or_else(invalid)?;
        let mut sealed = sealed.to_vec();
        let bytes = self
            .0
            .open_in_place(nonce.into(), aad::<C>(), &mut sealed)
            .map_err(|_| invalid())?;
        let blob: Blob = serde_json::from_slice(bytes).map_err(|_| invalid())?;
        let versions = blob.versions.into_iter().map(|version| {
            Ok(Version {
                id: version.id,
                attributes: version.attributes,
                tags: version.tags,
                content: C::from_backup(version.content)?,
            })
        });
        let mut older = versions.collect::<Result<Vec<_>, Failure>>()?;
        let latest = older.pop().ok_or_else(invalid)?;
        Ok(Object {
            name: blob.name,
            older,
            latest,
            policies: serde_json::from_value(blob.policies).map_err(|_| invalid())?,
        })
    }
}

/// Binds a blob to its collection: a secret's backup is no key's.
fn aad<C: Content>() -> Aad<&'static [u8]> {
    Aad::from(C::COLLECTION.path().as_bytes())
}

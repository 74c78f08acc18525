//! Keys: create, import, get, update, and what they do. What they share with secrets is in
//! [`super::objects`].

mod import;
mod operate;

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::{self, AttributesBody, check_tags};
use super::crypto::{CryptoError, Curve, KeyBits, Kind, Material, Public};
use super::failure::Failure;
use super::objects::Answer;
use super::route::Collection;
use super::shelf::{Content, Tags, Version};
use super::store::Store;
pub(super) use operate::CryptoVerb;

/// Base64url as Key Vault writes it; clients may pad.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The public exponent of every key that is made here.
const PUBLIC_EXPONENT: u64 = 65537;

/// What a key may be used for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum KeyOperation {
    Decrypt,
    Encrypt,
    Export,
    Import,
    Sign,
    UnwrapKey,
    Verify,
    WrapKey,
}

const RSA_OPERATIONS: [KeyOperation; 6] = [
    KeyOperation::Encrypt,
    KeyOperation::Decrypt,
    KeyOperation::Sign,
    KeyOperation::Verify,
    KeyOperation::WrapKey,
    KeyOperation::UnwrapKey,
];
const EC_OPERATIONS: [KeyOperation; 2] = [KeyOperation::Sign, KeyOperation::Verify];

/// What a key version holds.
#[derive(Clone, Debug)]
pub(super) struct Key {
    material: Arc<Material>,
    public: Public,
    operations: Vec<KeyOperation>,
}

#[derive(Deserialize, Serialize)]
struct KeyBackup {
    pkcs8: String,
    curve: Option<String>,
    operations: Vec<KeyOperation>,
}

impl From<CryptoError> for Failure {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Failed => Self::internal(),
            CryptoError::DigestLength(_)
            | CryptoError::Incompatible
            | CryptoError::Material
            | CryptoError::Value => {
                let text = error.to_string();
                let (first, rest) = text.split_at_checked(1).unwrap_or(("", &text));
                Self::bad_parameter(format!("{}{rest}.", first.to_uppercase()))
            }
        }
    }
}

impl Content for Key {
    const COLLECTION: Collection = Collection::Keys;

    fn bundle(&self, id: &str) -> Map<String, Value> {
        let encode = |bytes: &[u8]| BASE64URL.encode(bytes);
        let mut jwk = match &self.public {
            Public::Ec { curve, x, y } => json!({
                "kty": "EC", "crv": curve.name(), "x": encode(x), "y": encode(y),
            }),
            Public::Rsa { n, e } => json!({ "kty": "RSA", "n": encode(n), "e": encode(e) }),
        };
        if let Some(jwk) = jwk.as_object_mut() {
            jwk.insert("kid".to_owned(), id.into());
            jwk.insert("key_ops".to_owned(), json!(self.operations));
        }
        Map::from_iter([("key".to_owned(), jwk)])
    }

    fn item(&self, id: &str) -> Map<String, Value> {
        Map::from_iter([("kid".to_owned(), id.into())])
    }

    fn to_backup(&self) -> Result<Value, Failure> {
        let backup = KeyBackup {
            pkcs8: BASE64URL.encode(self.material.to_pkcs8()?),
            curve: self.material.curve().map(|curve| curve.name().to_owned()),
            operations: self.operations.clone(),
        };
        serde_json::to_value(backup).map_err(|_| Failure::internal())
    }

    fn from_backup(value: Value) -> Result<Self, Failure> {
        let backup: KeyBackup = serde_json::from_value(value).map_err(|_| Failure::internal())?;
        let pkcs8 = BASE64URL
            .decode(&backup.pkcs8)
            .map_err(|_| Failure::internal())?;
        let curve = backup.curve.as_deref().and_then(Curve::named);
        Self::new(
            Material::from_pkcs8(curve, &pkcs8)?,
            Some(backup.operations),
        )
    }
}

impl Key {
    /// A key with these operations, or with all its type has.
    fn new(material: Material, operations: Option<Vec<KeyOperation>>) -> Result<Self, Failure> {
        let possible: &[KeyOperation] = match material.curve() {
            Some(_) => &EC_OPERATIONS,
            None => &RSA_OPERATIONS,
        };
        Ok(Self {
            public: material.public()?,
            material: Arc::new(material),
            operations: operations.unwrap_or_else(|| possible.to_vec()),
        })
    }
}

#[derive(Deserialize)]
struct CreateBody {
    kty: Box<str>,
    key_size: Option<u32>,
    crv: Option<Box<str>>,
    public_exponent: Option<u64>,
    key_ops: Option<Vec<KeyOperation>>,
    tags: Option<Tags>,
    attributes: Option<AttributesBody>,
    release_policy: Option<Value>,
}

#[derive(Deserialize)]
struct UpdateBody {
    key_ops: Option<Vec<KeyOperation>>,
    tags: Option<Tags>,
    attributes: Option<AttributesBody>,
    release_policy: Option<Value>,
}

impl CreateBody {
    fn kind(&self) -> Result<Kind, Failure> {
        if self.public_exponent.is_some_and(|e| e != PUBLIC_EXPONENT) {
            return Err(Failure::bad_parameter("The public exponent must be 65537."));
        }
        match &*self.kty {
            "EC" => {
                let name = self.crv.as_deref().unwrap_or("P-256");
                Curve::named(name).map(Kind::Ec).ok_or_else(|| {
                    Failure::bad_parameter(
                        "The property 'crv' must be 'P-256', 'P-256K', 'P-384' or 'P-521'.",
                    )
                })
            }
            "RSA" => Ok(Kind::Rsa(match self.key_size {
                None | Some(2048) => KeyBits::B2048,
                Some(3072) => KeyBits::B3072,
                Some(4096) => KeyBits::B4096,
                Some(_) => {
                    return Err(Failure::bad_parameter(
                        "The property 'key_size' must be 2048, 3072 or 4096.",
                    ));
                }
            })),
            _ => Err(Failure::bad_parameter(
                "The property 'kty' must be 'EC' or 'RSA': the embedded development vault has no \
                 keys protected by hardware.",
            )),
        }
    }
}

impl Store {
    /// `POST /keys/{name}/create`: a new version.
    pub(super) async fn create_key(
        &self,
        name: &str,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: CreateBody = body::read(body)?;
        refuse_release_policy(body.release_policy.as_ref())?;
        check_tags(body.tags.as_ref())?;
        let kind = body.kind()?;
        let attributes = body.attributes.unwrap_or_default().new_key_version(now)?;
        // Before the work, and again when the key is added.
        self.shelf::<Key>(now).check_free_of_deleted(name)?;
        let material = self.generate(kind).await?;
        let key = Key::new(material, body.key_ops)?;
        self.add_key(name, Version::new(attributes, body.tags, key), now)
    }

    /// `GET /keys/{name}[/{version}]`.
    pub(super) fn key(
        &self,
        name: &str,
        version: Option<&str>,
        now: i64,
    ) -> Result<Answer, Failure> {
        let shelf = self.shelf::<Key>(now);
        let (object, version) = shelf.version(name, version)?;
        Ok(Answer::Json(self.bundle(&object.name, version).into()))
    }

    /// `PATCH /keys/{name}[/{version}]`.
    pub(super) fn update_key(
        &self,
        name: &str,
        version: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: UpdateBody = body::read(body)?;
        refuse_release_policy(body.release_policy.as_ref())?;
        check_tags(body.tags.as_ref())?;
        let mut shelf = self.shelf::<Key>(now);
        let changed = shelf.version_mut(name, version)?;
        body.attributes
            .unwrap_or_default()
            .apply(&mut changed.attributes, now)?;
        if let Some(operations) = body.key_ops {
            changed.content.operations = operations;
        }
        if body.tags.is_some() {
            changed.tags = body.tags;
        }
        let (object, version) = shelf.version(name, version)?;
        Ok(Answer::Json(self.bundle(&object.name, version).into()))
    }

    /// Makes a key pair on a thread that may block.
    async fn generate(&self, kind: Kind) -> Result<Material, Failure> {
        let permit = self.generating.acquire().await;
        let _permit = permit.map_err(|_| Failure::internal())?;
        let made = tokio::task::spawn_blocking(move || Material::generate(kind)).await;
        Ok(made.map_err(|_| Failure::internal())??)
    }

    fn add_key(&self, name: &str, version: Version<Key>, now: i64) -> Result<Answer, Failure> {
        let mut shelf = self.shelf::<Key>(now);
        let object = shelf.add(name, version)?;
        let bundle = self.bundle(&object.name, &object.latest);
        Ok(Answer::Json(bundle.into()))
    }
}

fn refuse_release_policy(policy: Option<&Value>) -> Result<(), Failure> {
    match policy {
        None => Ok(()),
        Some(_) => Err(Failure::not_built("release policies")),
    }
}

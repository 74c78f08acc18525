//! Keys: create, import, get, update, and what they do. What they share with secrets is in
//! [`super::objects`].

mod import;
mod operate;
mod period;
mod release;
mod rotation;

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::{self, AttributesBody, check_tags};
use super::crypto::{CryptoError, Curve, KeyBits, Kind, Material, Public};
use super::failure::Failure;
use super::limits::Weight;
use super::objects::Answer;
use super::route::Collection;
use super::shelf::{Attributes, Content, Object, Tags, Version};
use super::store::Store;
pub(super) use operate::CryptoVerb;
use release::{ReleaseBody, ReleasePolicy};
use rotation::RotationPolicy;

/// Base64url as Key Vault writes it; clients may pad.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The public exponent of every key that is made here.
const PUBLIC_EXPONENT: u64 = 65537;

/// What the type of a key ends with if it lies in an HSM.
pub(super) const HARDWARE: &str = "-HSM";

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
    traits: Traits,
}

/// What a key is besides its numbers. Versions of a key inherit it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Traits {
    pub(super) operations: Vec<KeyOperation>,
    /// Whether it is said to lie in an HSM.
    pub(super) hardware: bool,
    /// Whether a certificate owns it.
    pub(super) managed: bool,
    pub(super) release_policy: Option<ReleasePolicy>,
}

/// What a key has besides its versions.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct KeyPolicies {
    rotation: Option<RotationPolicy>,
}

#[derive(Deserialize, Serialize)]
struct KeyBackup {
    pkcs8: String,
    curve: Option<String>,
    traits: Traits,
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

    type Policies = KeyPolicies;

    fn is_managed(&self) -> bool {
        self.traits.managed
    }

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
            jwk.insert("key_ops".to_owned(), json!(self.traits.operations));
            if self.traits.hardware {
                let kty = match &self.public {
                    Public::Ec { .. } => "EC-HSM",
                    Public::Rsa { .. } => "RSA-HSM",
                };
                jwk.insert("kty".to_owned(), kty.into());
            }
        }
        let mut bundle = Map::from_iter([("key".to_owned(), jwk)]);
        if let Some(policy) = &self.traits.release_policy {
            bundle.insert("release_policy".to_owned(), policy.render());
        }
        bundle
    }

    fn item(&self, id: &str) -> Map<String, Value> {
        Map::from_iter([("kid".to_owned(), id.into())])
    }

    /// Azure: `hsmPlatform` is 0 for keys in software.
    fn attributes(&self) -> Map<String, Value> {
        let platform = if self.traits.hardware { "2" } else { "0" };
        Map::from_iter([("hsmPlatform".to_owned(), platform.into())])
    }

    fn to_backup(&self) -> Result<Value, Failure> {
        let backup = KeyBackup {
            pkcs8: BASE64URL.encode(self.material.to_pkcs8()?),
            curve: self.material.curve().map(|curve| curve.name().to_owned()),
            traits: self.traits.clone(),
        };
        serde_json::to_value(backup).map_err(|_| Failure::internal())
    }

    fn from_backup(value: Value) -> Result<Self, Failure> {
        let backup: KeyBackup = serde_json::from_value(value).map_err(|_| Failure::internal())?;
        let pkcs8 = BASE64URL
            .decode(&backup.pkcs8)
            .map_err(|_| Failure::internal())?;
        let curve = backup.curve.as_deref().and_then(Curve::named);
        Self::new(Material::from_pkcs8(curve, &pkcs8)?, backup.traits)
    }
}

/// The operations of every key of this kind.
fn all_operations(kind: Kind) -> Vec<KeyOperation> {
    match kind {
        Kind::Ec(_) => EC_OPERATIONS.to_vec(),
        Kind::Rsa(_) => RSA_OPERATIONS.to_vec(),
    }
}

impl Key {
    pub(super) fn new(material: Material, traits: Traits) -> Result<Self, Failure> {
        Ok(Self {
            public: material.public()?,
            material: Arc::new(material),
            traits,
        })
    }

    /// The key pair.
    pub(super) fn material(&self) -> &Material {
        &self.material
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
    release_policy: Option<ReleaseBody>,
}

#[derive(Deserialize)]
struct UpdateBody {
    key_ops: Option<Vec<KeyOperation>>,
    tags: Option<Tags>,
    attributes: Option<AttributesBody>,
    release_policy: Option<ReleaseBody>,
}

impl CreateBody {
    fn kind(&self) -> Result<Kind, Failure> {
        if self.public_exponent.is_some_and(|e| e != PUBLIC_EXPONENT) {
            return Err(Failure::bad_parameter("The public exponent must be 65537."));
        }
        match self.kty.strip_suffix(HARDWARE).unwrap_or(&self.kty) {
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
            _ => Err(Failure::key_type(&self.kty)),
        }
    }
}

/// What a client wants of a new version that is not in its numbers.
struct Wanted {
    operations: Vec<KeyOperation>,
    hardware: bool,
    attributes: AttributesBody,
    release_policy: Option<ReleaseBody>,
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
        check_tags(body.tags.as_ref())?;
        let kind = body.kind()?;
        let wanted = Wanted {
            operations: body.key_ops.unwrap_or_else(|| all_operations(kind)),
            hardware: body.kty.ends_with(HARDWARE),
            attributes: body.attributes.unwrap_or_default(),
            release_policy: body.release_policy,
        };
        let (attributes, traits) = {
            let shelf = self.shelf::<Key>(now);
            // Before the work, and again when the key is added.
            shelf.check_free(name)?;
            shelf.check_unmanaged(name, "create")?;
            wanted.granted(shelf.object(name).ok(), now)?
        };
        let key = Key::new(self.generate(kind).await?, traits)?;
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
        check_tags(body.tags.as_ref())?;
        let mut shelf = self.shelf::<Key>(now);
        shelf.check_unmanaged(name, "update")?;
        let changed = shelf.version_mut(name, version)?;
        let key = &changed.content;
        let release_policy = match body.release_policy {
            None => key.traits.release_policy.clone(),
            Some(_) if version.is_some() => {
                return Err(Failure::bad_parameter(
                    "AKV.SKR.1016: Key Release Policy can only be set on versionless key.",
                ));
            }
            Some(policy) => {
                let exportable = changed.attributes.exportable == Some(true);
                let before = key.traits.release_policy.as_ref();
                release::granted(exportable, Some(policy), before)?
            }
        };
        body.attributes
            .unwrap_or_default()
            .apply(&mut changed.attributes, now)?;
        let traits = &mut changed.content.traits;
        traits.release_policy = release_policy;
        if let Some(operations) = body.key_ops {
            traits.operations = operations;
        }
        if body.tags.is_some() {
            changed.tags = body.tags;
        }
        let (object, version) = shelf.version(name, version)?;
        Ok(Answer::Json(self.bundle(&object.name, version).into()))
    }

    /// What the service limits make of a key.
    pub(super) fn key_weight(
        &self,
        name: &str,
        version: Option<&str>,
        now: i64,
    ) -> Result<Weight, Failure> {
        let shelf = self.shelf::<Key>(now);
        let (_, version) = shelf.version(name, version)?;
        let key = &version.content;
        Ok(Weight {
            hardware: key.traits.hardware,
            rsa_bits: match key.material.kind()? {
                Kind::Ec(_) => None,
                Kind::Rsa(bits) => Some(bits.count()),
            },
        })
    }

    /// Makes a key pair on a thread that may block.
    pub(super) async fn generate(&self, kind: Kind) -> Result<Material, Failure> {
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

impl Wanted {
    /// The attributes and traits of a new version of `before`, or of a new key.
    ///
    /// Azure: all versions of a key are exportable or none is, and hardware alone lets go of keys.
    fn granted(
        self,
        before: Option<&Object<Key>>,
        now: i64,
    ) -> Result<(Attributes, Traits), Failure> {
        let before = before.map(|object| &object.latest);
        let was = before.and_then(|version| version.attributes.exportable);
        let exportable = self.attributes.exportable().or(was).unwrap_or(false);
        if was.is_some_and(|was| was != exportable) {
            return Err(Failure::bad_parameter(
                "AKV.SKR.1003: The exportable attribute of an existing key cannot be changed.",
            ));
        }
        let policy = before.and_then(|version| version.content.traits.release_policy.as_ref());
        let release_policy = release::granted(exportable, self.release_policy, policy)?;
        if exportable && !self.hardware {
            return Err(Failure::bad_parameter(
                "AKV.SKR.1006: Exportable keys must be HSM keys.",
            ));
        }
        let attributes = Attributes {
            exportable: Some(exportable),
            ..self.attributes.new_version(now)?
        };
        let traits = Traits {
            operations: self.operations,
            hardware: self.hardware,
            managed: false,
            release_policy,
        };
        Ok((attributes, traits))
    }
}

//! Encrypting, decrypting, signing, verifying, wrapping and unwrapping.

use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::dev::vault::body;
use crate::dev::vault::crypto::{CryptoError, EncryptionAlgorithm, SignatureAlgorithm};
use crate::dev::vault::failure::Failure;
use crate::dev::vault::objects::Answer;
use crate::dev::vault::shelf::Attributes;
use crate::dev::vault::store::Store;

use super::{BASE64URL, Key, KeyOperation};

/// What a client may ask a key to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dev::vault) enum CryptoVerb {
    Decrypt,
    Encrypt,
    Sign,
    UnwrapKey,
    Verify,
    WrapKey,
}

impl CryptoVerb {
    const ALL: [Self; 6] = [
        Self::Decrypt,
        Self::Encrypt,
        Self::Sign,
        Self::UnwrapKey,
        Self::Verify,
        Self::WrapKey,
    ];

    /// The verb of a path segment in lower case.
    pub(in crate::dev::vault) fn named(segment: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verb| verb.word().eq_ignore_ascii_case(segment))
    }

    /// The verb as `key_ops` and messages write it.
    const fn word(self) -> &'static str {
        match self {
            Self::Decrypt => "decrypt",
            Self::Encrypt => "encrypt",
            Self::Sign => "sign",
            Self::UnwrapKey => "unwrapKey",
            Self::Verify => "verify",
            Self::WrapKey => "wrapKey",
        }
    }

    const fn needs(self) -> KeyOperation {
        match self {
            Self::Decrypt => KeyOperation::Decrypt,
            Self::Encrypt => KeyOperation::Encrypt,
            Self::Sign => KeyOperation::Sign,
            Self::UnwrapKey => KeyOperation::UnwrapKey,
            Self::Verify => KeyOperation::Verify,
            Self::WrapKey => KeyOperation::WrapKey,
        }
    }

    /// Azure: what was protected once can be used outside the key's dates; nothing new is
    /// protected then.
    /// <https://learn.microsoft.com/azure/key-vault/keys/about-keys-details#key-attributes>
    const fn is_bound_by_dates(self) -> bool {
        match self {
            Self::Encrypt | Self::Sign | Self::WrapKey => true,
            Self::Decrypt | Self::UnwrapKey | Self::Verify => false,
        }
    }
}

/// SECURITY: no `Debug`; `value` may be plain text or a key.
#[derive(Deserialize)]
struct OperateBody {
    alg: Box<str>,
    /// The value, or the digest to be signed, or the signature to be verified.
    value: Box<str>,
    /// The digest whose signature is to be verified.
    digest: Option<Box<str>>,
}

impl OperateBody {
    fn signature_algorithm(&self) -> Result<SignatureAlgorithm, Failure> {
        SignatureAlgorithm::named(&self.alg).ok_or_else(|| self.unknown_algorithm())
    }

    fn encryption_algorithm(&self) -> Result<EncryptionAlgorithm, Failure> {
        EncryptionAlgorithm::named(&self.alg).ok_or_else(|| self.unknown_algorithm())
    }

    fn unknown_algorithm(&self) -> Failure {
        Failure::bad_parameter(format!(
            "The algorithm '{}' is not valid for this operation.",
            self.alg
        ))
    }
}

impl Store {
    /// `POST /keys/{name}[/{version}]/{verb}`.
    pub(in crate::dev::vault) fn operate(
        &self,
        name: &str,
        version: Option<&str>,
        verb: CryptoVerb,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: OperateBody = body::read(body)?;
        let value = decode("value", &body.value)?;
        // The lock is let go before the work begins.
        let (id, key) = {
            let shelf = self.shelf::<Key>(now);
            let (object, version) = shelf.version(name, version)?;
            check_usable(verb, &version.attributes, &version.content, now)?;
            let id = self.versioned_id::<Key>(&object.name, &version.id);
            (id, version.content.clone())
        };
        let material = &key.material;
        let result: Result<Value, CryptoError> = match verb {
            CryptoVerb::Encrypt | CryptoVerb::WrapKey => {
                let algorithm = body.encryption_algorithm()?;
                material.encrypt(algorithm, &value).map(encoded)
            }
            CryptoVerb::Decrypt | CryptoVerb::UnwrapKey => {
                let algorithm = body.encryption_algorithm()?;
                material.decrypt(algorithm, &value).map(encoded)
            }
            CryptoVerb::Sign => {
                let algorithm = body.signature_algorithm()?;
                material.sign(algorithm, &value).map(encoded)
            }
            CryptoVerb::Verify => {
                let algorithm = body.signature_algorithm()?;
                let digest = decode("digest", body.digest.as_deref().unwrap_or_default())?;
                let valid = material.verify(algorithm, &digest, &value)?;
                return Ok(Answer::Json(json!({ "value": valid })));
            }
        };
        Ok(Answer::Json(json!({ "kid": id, "value": result? })))
    }
}

fn check_usable(
    verb: CryptoVerb,
    attributes: &Attributes,
    key: &Key,
    now: i64,
) -> Result<(), Failure> {
    let operation = verb.word();
    let refuse = |inner, state| {
        let message = format!("Operation {operation} is not allowed on {state} key.");
        Err(Failure::forbidden(inner, message))
    };
    if !attributes.enabled {
        return refuse("KeyDisabled", "a disabled");
    }
    if verb.is_bound_by_dates() {
        if attributes.not_before.is_some_and(|start| now < start) {
            return refuse("KeyNotYetValid", "a not yet valid");
        }
        if attributes.expires.is_some_and(|end| end <= now) {
            return refuse("KeyExpired", "an expired");
        }
    }
    if !key.traits.operations.contains(&verb.needs()) {
        return Err(Failure::forbidden(
            "KeyOperationForbidden",
            format!("Operation {operation} is not permitted on this key."),
        ));
    }
    Ok(())
}

fn decode(name: &str, text: &str) -> Result<Vec<u8>, Failure> {
    BASE64URL
        .decode(text)
        .map_err(|_| Failure::bad_parameter(format!("The property '{name}' must be in base64url.")))
}

fn encoded(bytes: Vec<u8>) -> Value {
    BASE64URL.encode(bytes).into()
}

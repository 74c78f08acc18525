//! Releasing a key to an attested environment, up to the attestation: the embedded vault knows no
//! attestation service, so that no statement can be verified.

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::dev::vault::body;
use crate::dev::vault::failure::Failure;
use crate::dev::vault::objects::Answer;
use crate::dev::vault::store::Store;

use super::{BASE64URL, Key};

/// Azure: what the service says of a policy that does not say.
const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// How a released key may be encrypted.
const ENCRYPTIONS: [&str; 3] = [
    "CKM_RSA_AES_KEY_WRAP",
    "RSA_AES_KEY_WRAP_256",
    "RSA_AES_KEY_WRAP_384",
];

/// `release_policy` as a request gives it.
#[derive(Deserialize)]
pub(super) struct ReleaseBody {
    #[serde(rename = "contentType")]
    content_type: Option<Box<str>>,
    data: Option<Box<str>>,
    immutable: Option<bool>,
}

/// Under which conditions a key is released.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(in crate::dev::vault) struct ReleasePolicy {
    content_type: Box<str>,
    rules: Rules,
    immutable: bool,
}

/// The rules, with their members in the order in which the service shows them.
/// <https://learn.microsoft.com/azure/key-vault/keys/policy-grammar>
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Rules {
    version: String,
    #[serde(rename = "anyOf")]
    any_of: Vec<Authority>,
}

/// What one attestation service has to say.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Authority {
    authority: String,
    #[serde(flatten)]
    conditions: Conditions,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
enum Conditions {
    #[serde(rename = "allOf")]
    All(Vec<Condition>),
    #[serde(rename = "anyOf")]
    Any(Vec<Condition>),
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Condition {
    Claim { claim: String, equals: Value },
    Nested(Conditions),
}

impl ReleasePolicy {
    fn read(body: ReleaseBody) -> Result<Self, Failure> {
        let data = body.data.as_deref().unwrap_or_default();
        let rules = BASE64URL.decode(data).ok();
        let rules = rules.and_then(|rules| serde_json::from_slice(&rules).ok());
        Ok(Self {
            content_type: body.content_type.unwrap_or_else(|| CONTENT_TYPE.into()),
            rules: rules.ok_or_else(|| {
                Failure::bad_parameter(
                    "The property 'release_policy.data' must be a key release policy in base64url.",
                )
            })?,
            immutable: body.immutable.unwrap_or(false),
        })
    }

    /// The policy in Key Vault's form.
    pub(super) fn render(&self) -> Value {
        // Texts and lists of texts cannot fail to become JSON.
        let rules = serde_json::to_vec(&self.rules).unwrap_or_default();
        let mut policy = json!({
            "contentType": self.content_type,
            "data": BASE64URL.encode(rules),
        });
        if let (true, Some(policy)) = (self.immutable, policy.as_object_mut()) {
            policy.insert("immutable".to_owned(), true.into());
        }
        policy
    }
}

/// The release policy of a version: what is asked for, or else that of the version `before`.
pub(super) fn granted(
    exportable: bool,
    wanted: Option<ReleaseBody>,
    before: Option<&ReleasePolicy>,
) -> Result<Option<ReleasePolicy>, Failure> {
    let wanted = wanted.map(ReleasePolicy::read).transpose()?;
    let message = match (exportable, wanted, before) {
        (true, None, None) => "AKV.SKR.1004: Exportable keys must have release policy.",
        (false, Some(_), _) => "AKV.SKR.1005: Non-exportable keys must not have release policy.",
        (true, Some(wanted), Some(before)) if before.immutable && wanted != *before => {
            "AKV.SKR.1020: Immutable Key Release Policy cannot be modified."
        }
        (true, Some(wanted), _) => return Ok(Some(wanted)),
        (true, None, Some(before)) => return Ok(Some(before.clone())),
        (false, None, _) => return Ok(None),
    };
    Err(Failure::bad_parameter(message))
}

#[derive(Deserialize)]
struct ReleaseRequest {
    /// The statement of an attestation service about where the key is to go.
    target: Box<str>,
    enc: Option<Box<str>>,
}

impl Store {
    /// `POST /keys/{name}[/{version}]/release`.
    pub(in crate::dev::vault) fn release_key(
        &self,
        name: &str,
        version: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: ReleaseRequest = body::read(body)?;
        if body.target.is_empty() {
            return Err(Failure::bad_parameter(
                "The property 'target' must be an attestation statement.",
            ));
        }
        if body.enc.is_some_and(|enc| !ENCRYPTIONS.contains(&&*enc)) {
            return Err(Failure::bad_parameter("The property 'enc' is not valid."));
        }
        let shelf = self.shelf::<Key>(now);
        let (_, version) = shelf.version(name, version)?;
        if !version.attributes.enabled {
            return Err(Failure::forbidden(
                "KeyDisabled",
                "Operation release is not allowed on a disabled key.",
            ));
        }
        if version.content.traits.release_policy.is_none() {
            return Err(Failure::forbidden(
                "KeyOperationForbidden",
                "Operation release is not permitted on this key.",
            ));
        }
        Err(Failure::forbidden(
            "AccessDenied",
            "Target environment attestation statement cannot be verified.",
        ))
    }
}

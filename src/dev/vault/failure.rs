//! Refusals, in Key Vault's own words where they are known.
//!
//! Source: <https://learn.microsoft.com/azure/key-vault/general/rest-error-codes>.

use http::StatusCode;
use serde_json::{Value, json};

use super::route::Collection;
use super::shelf::Passage;

/// What the vault answers instead of what it was asked for.
///
/// SECURITY: a message never holds a secret value, key material or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
    inner: Option<&'static str>,
    /// Seconds to wait.
    pub(super) retry_after: Option<i64>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            inner: None,
            retry_after: None,
        }
    }

    fn with_inner(mut self, inner: &'static str) -> Self {
        self.inner = Some(inner);
        self
    }

    /// The request cannot be understood.
    pub(super) fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadParameter", message)
    }

    /// The token is missing or not good.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    /// The object's state or its key operations do not allow the operation.
    pub(super) fn forbidden(inner: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_inner(inner)
    }

    /// The type of key is one of managed HSMs, or none.
    pub(super) fn key_type(kty: &str) -> Self {
        Self::bad_parameter(format!("Invalid kty value: {kty}")).with_inner("KeyTypeNotSupported")
    }

    /// What a certificate owns is changed with the certificate.
    pub(super) fn managed(collection: Collection, operation: &str) -> Self {
        let (noun, inner) = match collection {
            Collection::Keys => ("Key", "KeyManagedByKeyVault"),
            Collection::Certificates | Collection::Secrets => ("secret", "SecretManagedByKeyVault"),
        };
        Self::forbidden(
            inner,
            format!(
                "Operation \"{operation}\" is not allowed on this {noun}, since it is associated \
                 with a certificate. Perform the operation on the corresponding certificate. For \
                 more information refer to \
                 https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates\
                 #composition-of-a-certificate"
            ),
        )
    }

    /// The vault keeps what is deleted for the whole of its retention.
    pub(super) fn purge_protected(vault: &str) -> Self {
        Self::forbidden(
            "ForbiddenByPolicy",
            format!(
                "Operation \"purge\" is not allowed because purge protection is enabled for this \
                 vault. Key Vault service will automatically purge it after the retention period \
                 has passed.\r\nVault: {vault}"
            ),
        )
    }

    /// Too much in too short a time; `retry_after` is in seconds.
    pub(super) fn throttled(retry_after: Option<i64>) -> Self {
        let message = "Request was not processed because too many requests were received. \
                       Reason: VaultRequestTypeLimitReached";
        Self {
            retry_after,
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "Throttled", message)
        }
    }

    /// The embedded vault lacks this part of Key Vault.
    pub(super) fn not_built(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            format!(
                "The embedded development vault does not have {what}. It has secrets, \
                 certificates, and keys with their cryptographic operations."
            ),
        )
    }

    /// The path exists, but not for this method.
    pub(super) fn wrong_method(method: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            format!("The method {method} is not allowed on this resource."),
        )
    }

    /// The cryptography failed for a reason that is not the caller's.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerError",
            "The embedded development vault failed.",
        )
    }

    /// There is no such live object.
    pub(super) fn not_found(collection: Collection, name: &str) -> Self {
        let object = collection.noun().to_ascii_lowercase();
        Self::new(
            StatusCode::NOT_FOUND,
            collection.not_found_code(),
            format!(
                "A {object} with (name/id) {name} was not found in this key vault. If you \
                 recently deleted this {object} you may be able to recover it using the correct \
                 recovery command. For help resolving this issue, please see \
                 https://go.microsoft.com/fwlink/?linkid=2125182"
            ),
        )
    }

    /// There is no such deleted object.
    pub(super) fn deleted_not_found(collection: Collection, name: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            collection.not_found_code(),
            format!("Deleted {} not found: {name}", collection.noun()),
        )
    }

    /// The name belongs to a deleted object.
    pub(super) fn deleted_but_recoverable(collection: Collection, name: &str) -> Self {
        let (noun, object) = (collection.noun(), collection.noun().to_ascii_lowercase());
        Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!(
                "{noun} {name} is currently in a deleted but recoverable state, and its name \
                 cannot be reused; in this state, the {object} can only be recovered or purged."
            ),
        )
        .with_inner("ObjectIsDeletedButRecoverable")
    }

    /// The object is neither live nor deleted yet, and cannot be made anew; nor, without
    /// `name`, can anything else be done with it.
    pub(super) fn in_passage(collection: Collection, passage: Passage, name: Option<&str>) -> Self {
        let (participle, inner) = match passage {
            Passage::Deleting => ("deleted", "ObjectIsBeingDeleted"),
            Passage::Recovering => ("recovered", "ObjectIsBeingRecovered"),
        };
        let noun = collection.noun();
        let message = match name {
            Some(name) => format!(
                "{noun} {name} is currently being {participle} and cannot be re-created; retry \
                 later."
            ),
            None => format!("{noun} is currently being {participle}."),
        };
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_inner(inner)
    }

    /// The name is taken by a live object.
    pub(super) fn already_exists(id: &str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!(
                "There was a conflict restoring '{id}' in this vault. Please check that the name \
                 is not already in use."
            ),
        )
    }

    /// The body in Key Vault's shape.
    pub(super) fn body(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(inner), Some(error)) = (self.inner, error.as_object_mut()) {
            error.insert("innererror".to_owned(), json!({ "code": inner }));
        }
        json!({ "error": error })
    }
}

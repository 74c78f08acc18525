//! What JSON says about an object, as attributes of conditions: a request's body, or the vault's
//! answer to a question about metadata.
//!
//! SECURITY: what has another JSON type than Key Vault's is left out, and so is missing: nobody
//! knows what the vault would make of it. Whatever spelling the vault may read without case, such
//! as `rsa-hsm`, is a [`Scalar::Name`], so that no spelling passes a negative test. The value of a
//! secret, a plaintext, a digest or a private key is never kept; of some of them, the length is.
//!
//! Source: <https://learn.microsoft.com/rest/api/keyvault/>, bodies and answers.

mod certificate;
mod imported;
mod key;
mod read;

use crate::abac::vocabulary::Property;
use crate::abac::{DateTime, Scalar, Values};
use crate::attributes::Properties;
use crate::json::{Json, Object};
use crate::keyvault::{ObjectType, Operation, OperationKind};

use read::{integer, object, text};

/// What a request's body wants; nothing for an operation whose body says nothing of interest.
pub(super) fn of_body(operation: &Operation, body: &Json) -> Properties {
    let mut found = Gathered::default();
    if let Json::Object(body) = body {
        found.body(operation.kind(), body);
    }
    found.0
}

/// What the vault says about an object: an entry of the list of a secret's versions, a key, a
/// certificate, or one of them that is deleted. With its id, which ends in the version.
pub(super) fn of_answer(object_type: ObjectType, answer: &Json) -> (Properties, Option<&str>) {
    let mut found = Gathered::default();
    let Json::Object(answer) = answer else {
        return (found.0, None);
    };
    found.attributes(answer);
    found.tags(answer);
    found.put(
        Property::ScheduledPurgeDate,
        unix(answer, "scheduledPurgeDate"),
    );
    found.put(Property::DeletedDate, unix(answer, "deletedDate"));
    let attributes = object(answer, "attributes");
    let recovery = |name| attributes.and_then(|attributes| text(attributes, name));
    found.put(
        Property::RecoveryLevel,
        recovery("recoveryLevel").map(words),
    );
    let days = attributes.and_then(|attributes| integer(attributes, "recoverableDays"));
    found.put(Property::RecoverableDays, days.map(number));
    let id = match object_type {
        ObjectType::Secret => {
            found.put(
                Property::ContentType,
                text(answer, "contentType").map(words),
            );
            found.put(Property::Managed, managed(answer));
            text(answer, "id")
        }
        ObjectType::Key => {
            found.put(Property::Managed, managed(answer));
            key::of_answer(&mut found, answer)
        }
        ObjectType::Certificate => {
            certificate::of_answer(&mut found, answer);
            text(answer, "id")
        }
    };
    (found.0, id)
}

/// Azure leaves `managed` out when it is false.
fn managed(answer: &Object) -> Option<Values<'static>> {
    answer
        .get("managed")
        .map_or(Some(false), read::as_boolean)
        .map(truth)
}

/// Properties as they are found.
#[derive(Default)]
struct Gathered(Properties);

impl Gathered {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the bodies of most operations say nothing of interest"
    )]
    fn body(&mut self, kind: OperationKind, body: &Object) {
        use OperationKind as K;
        match kind {
            K::SecretSet => {
                self.life(body);
                self.put(Property::ContentType, text(body, "contentType").map(words));
                // Characters as Unicode counts them, not bytes.
                let length = text(body, "value").map(|value| value.chars().count());
                self.put(Property::ValueLength, length.and_then(count));
            }
            K::SecretUpdate => {
                self.life(body);
                self.put(Property::ContentType, text(body, "contentType").map(words));
            }
            K::KeyCreate => key::of_creation(self, body),
            K::KeyImport => key::of_import(self, body),
            K::KeyUpdate => key::of_update(self, body),
            K::KeyEncrypt | K::KeyDecrypt | K::KeyWrap | K::KeyUnwrap => {
                self.put(Property::Algorithm, text(body, "alg").map(spelling));
            }
            K::KeySign => key::of_signature(self, body, "value"),
            K::KeyVerify => key::of_signature(self, body, "digest"),
            K::KeyRelease => key::of_release(self, body),
            K::KeyRotationPolicySet => key::of_rotation_policy(self, body),
            K::CertificateCreate | K::CertificateUpdate => {
                self.life(body);
                if let Some(policy) = object(body, "policy") {
                    certificate::of_policy(self, policy);
                }
            }
            K::CertificatePolicyUpdate => certificate::of_policy(self, body),
            K::CertificateImport => {
                self.life(body);
                imported::of_import(self, body);
            }
            K::CertificatePendingMerge => self.life(body),
            _ => {}
        }
    }

    fn put(&mut self, property: Property, value: Option<Values<'static>>) {
        if let Some(value) = value {
            self.settle(property);
            self.0.values.insert(property, value);
        }
    }

    /// Notes that nobody can say whether these are there, until they are put or settled.
    fn doubt(&mut self, properties: &[Property]) {
        self.0.unknown.extend(properties);
    }

    /// Notes that it is known whether this is there.
    fn settle(&mut self, property: Property) {
        self.0.unknown.remove(&property);
    }

    /// What every kind of object can be born with: `attributes` and `tags`.
    fn life(&mut self, object: &Object) {
        self.attributes(object);
        self.tags(object);
    }

    fn attributes(&mut self, holder: &Object) {
        let Some(attributes) = object(holder, "attributes") else {
            return;
        };
        let enabled = attributes.get("enabled").and_then(read::as_boolean);
        self.put(Property::Enabled, enabled.map(truth));
        for (property, name) in [
            (Property::Expires, "exp"),
            (Property::NotBefore, "nbf"),
            (Property::Created, "created"),
            (Property::Updated, "updated"),
        ] {
            self.put(property, unix(attributes, name));
        }
    }

    /// SECURITY: one tag that is not text hides them all, so that a condition on the list of their
    /// names does not overlook it.
    fn tags(&mut self, holder: &Object) {
        let tags = object(holder, "tags").into_iter().flatten();
        let tags: Option<_> = tags
            .map(|(name, value)| Some((name.clone(), value.as_text()?.into())))
            .collect();
        self.0.tags_are_unknown = tags.is_none();
        self.0.tags = tags.unwrap_or_default();
    }
}

fn unix(holder: &Object, name: &str) -> Option<Values<'static>> {
    let time = DateTime::from_unix_seconds(integer(holder, name)?)?;
    Some(Values::One(Scalar::DateTime(time)))
}

fn words(text: &str) -> Values<'static> {
    Values::One(word(text))
}

/// A text that the vault may read without regard to case.
fn spelling(text: &str) -> Values<'static> {
    Values::One(spelled(text))
}

const fn number(value: i64) -> Values<'static> {
    Values::One(Scalar::Integer(value))
}

fn count(value: usize) -> Option<Values<'static>> {
    i64::try_from(value).ok().map(number)
}

const fn truth(value: bool) -> Values<'static> {
    Values::One(Scalar::Boolean(value))
}

/// All of a list; `None` if one of it is not text, or if it is empty.
fn list(
    holder: &Object,
    name: &str,
    scalar: impl Fn(&str) -> Scalar<'static>,
) -> Option<Values<'static>> {
    let items: Option<Vec<_>> = read::array(holder, name)?
        .iter()
        .map(|item| item.as_text().map(&scalar))
        .collect();
    items.filter(|items| !items.is_empty()).map(Values::Many)
}

fn word(text: &str) -> Scalar<'static> {
    Scalar::Text(text.to_owned().into())
}

fn spelled(text: &str) -> Scalar<'static> {
    Scalar::Name(text.to_owned().into())
}

#[cfg(test)]
mod tests;

//! Secrets: set, get and update. What they share with keys is in [`super::objects`].

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::{self, AttributesBody, check_tags};
use super::failure::Failure;
use super::objects::Answer;
use super::paging::Query;
use super::route::Collection;
use super::shelf::{Content, Tags, Version};
use super::store::Store;

/// Azure: bytes of a secret's value.
const MAX_VALUE_BYTES: usize = 25 * 1024;
/// Azure: characters of a content type.
const MAX_CONTENT_TYPE_CHARS: usize = 255;

const PFX: &str = "application/x-pkcs12";
const PEM: &str = "application/x-pem-file";

/// What a secret version holds.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Secret {
    pub(super) value: Box<str>,
    pub(super) content_type: Option<Box<str>>,
    /// What it has if a certificate owns it.
    pub(super) certificate: Option<OfCertificate>,
}

/// What the secret of a certificate has besides.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct OfCertificate {
    /// The id of the certificate's key, with its version.
    pub(super) kid: Box<str>,
    /// The value as PEM, if it is a PFX.
    pub(super) pem: Option<Box<str>>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Content for Secret {
    const COLLECTION: Collection = Collection::Secrets;

    type Policies = ();

    fn is_managed(&self) -> bool {
        self.certificate.is_some()
    }

    fn bundle(&self, id: &str) -> Map<String, Value> {
        let mut bundle = Map::new();
        bundle.insert("id".to_owned(), id.into());
        if let Some(content_type) = &self.content_type {
            bundle.insert("contentType".to_owned(), json!(content_type));
        }
        bundle
    }

    fn item(&self, id: &str) -> Map<String, Value> {
        self.bundle(id)
    }

    fn to_backup(&self) -> Result<Value, Failure> {
        serde_json::to_value(self).map_err(|_| Failure::internal())
    }

    fn from_backup(value: Value) -> Result<Self, Failure> {
        serde_json::from_value(value).map_err(|_| Failure::internal())
    }
}

impl Secret {
    /// The secret in the form that is wanted.
    ///
    /// Azure: of a certificate, a PFX is converted to PEM, and nothing else to anything.
    /// <https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret>
    fn converted(mut self, wanted: &str) -> Result<Self, Failure> {
        let pem = self
            .certificate
            .as_ref()
            .and_then(|certificate| certificate.pem.clone());
        match (wanted, self.content_type.as_deref(), pem) {
            (PEM, Some(PFX), Some(pem)) => {
                self.value = pem;
                self.content_type = Some(PEM.into());
                Ok(self)
            }
            (PEM, _, _) => Ok(self),
            (PFX, content_type, _) if content_type != Some(PEM) => Ok(self),
            _ => Err(Failure::bad_parameter(format!(
                "The secret cannot be converted to the content type '{wanted}'."
            ))),
        }
    }
}

#[derive(Deserialize)]
struct SetBody {
    value: Box<str>,
    #[serde(rename = "contentType")]
    content_type: Option<Box<str>>,
    tags: Option<Tags>,
    #[serde(default)]
    attributes: Option<AttributesBody>,
}

#[derive(Deserialize)]
struct UpdateBody {
    #[serde(rename = "contentType")]
    content_type: Option<Box<str>>,
    tags: Option<Tags>,
    attributes: Option<AttributesBody>,
}

impl Store {
    /// `PUT /secrets/{name}`: a new version.
    pub(super) fn set_secret(&self, name: &str, body: &[u8], now: i64) -> Result<Answer, Failure> {
        let body: SetBody = body::read(body)?;
        if body.value.len() > MAX_VALUE_BYTES {
            return Err(Failure::bad_parameter(format!(
                "The secret's value is longer than {MAX_VALUE_BYTES} bytes."
            )));
        }
        check_content_type(body.content_type.as_deref())?;
        check_tags(body.tags.as_ref())?;
        let attributes = body.attributes.unwrap_or_default().new_version(now)?;
        let secret = Secret {
            value: body.value,
            content_type: body.content_type,
            certificate: None,
        };
        let mut shelf = self.shelf::<Secret>(now);
        shelf.check_unmanaged(name, "set")?;
        let object = shelf.add(name, Version::new(attributes, body.tags, secret))?;
        Ok(self.with_value(&object.name, &object.latest))
    }

    /// `GET /secrets/{name}[/{version}]`.
    ///
    /// Azure: a disabled secret is refused; one outside its dates is not, they only inform.
    /// <https://learn.microsoft.com/azure/key-vault/secrets/about-secrets#secret-attributes>
    pub(super) fn secret(
        &self,
        name: &str,
        version: Option<&str>,
        query: &Query,
        now: i64,
    ) -> Result<Answer, Failure> {
        let shelf = self.shelf::<Secret>(now);
        let (object, version) = shelf.version(name, version)?;
        if !version.attributes.enabled {
            return Err(Failure::forbidden(
                "SecretDisabled",
                "Operation get is not allowed on a disabled secret.",
            ));
        }
        match query.out_content_type.as_deref() {
            None => Ok(self.with_value(&object.name, version)),
            Some(wanted) => {
                let mut version = version.clone();
                version.content = version.content.converted(wanted)?;
                Ok(self.with_value(&object.name, &version))
            }
        }
    }

    /// `PATCH /secrets/{name}[/{version}]`.
    pub(super) fn update_secret(
        &self,
        name: &str,
        version: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: UpdateBody = body::read(body)?;
        check_content_type(body.content_type.as_deref())?;
        check_tags(body.tags.as_ref())?;
        let mut shelf = self.shelf::<Secret>(now);
        shelf.check_unmanaged(name, "update")?;
        let changed = shelf.version_mut(name, version)?;
        body.attributes
            .unwrap_or_default()
            .apply(&mut changed.attributes, now)?;
        if body.content_type.is_some() {
            changed.content.content_type = body.content_type;
        }
        if body.tags.is_some() {
            changed.tags = body.tags;
        }
        let (object, version) = shelf.version(name, version)?;
        Ok(Answer::Json(self.bundle(&object.name, version).into()))
    }

    fn with_value(&self, name: &str, version: &Version<Secret>) -> Answer {
        let mut bundle = self.bundle(name, version);
        bundle.insert("value".to_owned(), json!(version.content.value));
        if let Some(certificate) = &version.content.certificate {
            bundle.insert("kid".to_owned(), json!(certificate.kid));
        }
        Answer::Json(bundle.into())
    }
}

fn check_content_type(content_type: Option<&str>) -> Result<(), Failure> {
    match content_type {
        Some(text) if text.chars().count() > MAX_CONTENT_TYPE_CHARS => Err(Failure::bad_parameter(
            format!("The content type is longer than {MAX_CONTENT_TYPE_CHARS} characters."),
        )),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(content_type: &str, certificate: Option<OfCertificate>) -> Secret {
        Secret {
            value: "the value".into(),
            content_type: Some(content_type.into()),
            certificate,
        }
    }

    fn certificate(pem: Option<&str>) -> Option<OfCertificate> {
        Some(OfCertificate {
            kid: "https://v/keys/c/1".into(),
            pem: pem.map(Into::into),
        })
    }

    /// The value and content type of `secret` in another form.
    fn converted(secret: Secret, wanted: &str) -> Option<(Box<str>, Box<str>)> {
        let secret = secret.converted(wanted).ok()?;
        Some((secret.value, secret.content_type?))
    }

    #[test]
    fn a_pfx_of_a_certificate_becomes_pem_and_nothing_becomes_anything_else() {
        let pfx = || secret(PFX, certificate(Some("as PEM")));
        let pem = || secret(PEM, certificate(None));
        let same = |form: &str| Some(("the value".into(), form.into()));
        assert_eq!(converted(pfx(), PEM), Some(("as PEM".into(), PEM.into())));
        assert_eq!(converted(pfx(), PFX), same(PFX));
        assert_eq!(converted(pem(), PEM), same(PEM));
        assert_eq!(converted(pem(), PFX), None);
        assert_eq!(converted(pfx(), "text/plain"), None);
        // There is no certificate in it to be converted.
        assert_eq!(converted(secret(PFX, None), PEM), same(PFX));
        assert_eq!(converted(secret("a", None), PEM), same("a"));
    }
}

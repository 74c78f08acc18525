//! Policies as requests give them.

use serde::Deserialize;

use crate::dev::vault::failure::Failure;

use super::{
    Issuer, KeyProperties, KeyUsage, LifetimeAction, Policy, Sans, UNKNOWN, X509Properties,
};

/// `policy` as a request gives it: what it names replaces what was there.
#[derive(Debug, Default, Deserialize)]
pub(in crate::dev::vault::certificates) struct PolicyBody {
    key_props: Option<KeyBody>,
    secret_props: Option<SecretBody>,
    x509_props: Option<X509Body>,
    lifetime_actions: Option<Vec<LifetimeAction>>,
    issuer: Option<IssuerBody>,
}

#[derive(Debug, Deserialize)]
struct KeyBody {
    exportable: Option<bool>,
    kty: Option<Box<str>>,
    key_size: Option<u32>,
    crv: Option<Box<str>>,
    reuse_key: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct SecretBody {
    #[serde(rename = "contentType")]
    content_type: Option<Box<str>>,
}

#[derive(Debug, Deserialize)]
struct X509Body {
    subject: Option<Box<str>>,
    sans: Option<Sans>,
    ekus: Option<Vec<String>>,
    key_usage: Option<Vec<KeyUsage>>,
    validity_months: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct IssuerBody {
    name: Option<Box<str>>,
    cty: Option<Box<str>>,
    cert_transparency: Option<bool>,
}

impl PolicyBody {
    /// The policy of a certificate that is created with this body.
    ///
    /// Azure: without an issuer somebody signs it elsewhere.
    pub(in crate::dev::vault::certificates) fn into_policy(
        self,
        now: i64,
    ) -> Result<Policy, Failure> {
        let issuer = self.issuer.as_ref().and_then(|issuer| issuer.name.clone());
        let mut policy = Policy::new(issuer.as_deref().unwrap_or(UNKNOWN), now);
        self.apply(&mut policy, now)?;
        Ok(policy)
    }

    /// What the certificate's secret is to be.
    pub(in crate::dev::vault::certificates) fn content_type(&self) -> Option<&str> {
        self.secret_props.as_ref()?.content_type.as_deref()
    }

    /// What can be said of a certificate that is there already: what it is stands in itself.
    pub(in crate::dev::vault::certificates) fn of_import(mut self) -> Self {
        self.x509_props = None;
        if let Some(key) = &mut self.key_props {
            (key.kty, key.key_size, key.crv) = (None, None, None);
        }
        self
    }

    /// Changes what is given and leaves the rest.
    pub(in crate::dev::vault::certificates) fn apply(
        self,
        policy: &mut Policy,
        now: i64,
    ) -> Result<(), Failure> {
        if let Some(key) = self.key_props {
            key.apply(&mut policy.key_props);
        }
        if let Some(content_type) = self.secret_props.and_then(|secret| secret.content_type) {
            policy.secret_props.content_type = content_type;
        }
        if let Some(x509) = self.x509_props {
            x509.apply(&mut policy.x509_props);
        }
        if let Some(issuer) = self.issuer {
            let IssuerBody {
                name,
                cty,
                cert_transparency,
            } = issuer;
            policy.issuer = Issuer {
                name: name.unwrap_or_else(|| policy.issuer.name.clone()),
                cty: cty.or_else(|| policy.issuer.cty.clone()),
                cert_transparency: cert_transparency.or(policy.issuer.cert_transparency),
            };
        }
        if let Some(actions) = self.lifetime_actions.filter(|actions| !actions.is_empty()) {
            policy.lifetime_actions = actions;
        }
        policy.attributes.updated = now;
        policy.check()
    }
}

impl KeyBody {
    fn apply(self, key: &mut KeyProperties) {
        if let Some(kty) = self.kty
            && kty != key.kty
        {
            key.kty = kty;
            // The other type's size or curve means nothing here.
            (key.key_size, key.crv) = if key.is_elliptic() {
                (None, Some("P-256".into()))
            } else {
                (Some(2048), None)
            };
        }
        key.exportable = self.exportable.unwrap_or(key.exportable);
        key.reuse_key = self.reuse_key.unwrap_or(key.reuse_key);
        if key.is_elliptic() {
            key.crv = self.crv.or_else(|| key.crv.take());
        } else {
            key.key_size = self.key_size.or(key.key_size);
        }
    }
}

impl X509Body {
    fn apply(self, x509: &mut X509Properties) {
        if let Some(subject) = self.subject {
            x509.subject = subject;
        }
        if let Some(sans) = self.sans {
            x509.sans = sans;
        }
        if let Some(ekus) = self.ekus {
            x509.ekus = ekus;
        }
        if let Some(key_usage) = self.key_usage.filter(|usage| !usage.is_empty()) {
            x509.key_usage = key_usage;
        }
        x509.validity_months = self.validity_months.unwrap_or(x509.validity_months);
    }
}

//! Policies: how a certificate's key is made, what stands in it, and what happens near its end.

mod body;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::dev::vault::crypto::{Curve, KeyBits, Kind};
use crate::dev::vault::failure::Failure;
use crate::dev::vault::keys::{HARDWARE, KeyOperation};

pub(super) use body::PolicyBody;

/// The issuer of certificates that sign themselves.
const SELF: &str = "Self";
/// The issuer of certificates that somebody signs elsewhere.
const UNKNOWN: &str = "Unknown";

/// The content type of a secret that is PKCS#12.
pub(in crate::dev::vault) const PKCS12: &str = "application/x-pkcs12";
/// The content type of a secret that is PEM.
pub(in crate::dev::vault) const PEM: &str = "application/x-pem-file";

const DEFAULT_VALIDITY_MONTHS: u32 = 12;
/// Keeps every date well within X.509's four digits of a year.
const MAX_VALIDITY_MONTHS: u32 = 1200;
/// Azure: a certificate may be renewed this many days for each month of validity before its end.
const RENEWAL_DAYS_PER_MONTH: u32 = 27;
const DEFAULT_LIFETIME_PERCENTAGE: u32 = 80;
/// Azure: server and client authentication.
const DEFAULT_EKUS: [&str; 2] = ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"];

/// What a key may do by X.509.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) enum KeyUsage {
    #[serde(rename = "digitalSignature")]
    DigitalSignature,
    #[serde(rename = "nonRepudiation")]
    NonRepudiation,
    #[serde(rename = "keyEncipherment")]
    KeyEncipherment,
    #[serde(rename = "dataEncipherment")]
    DataEncipherment,
    #[serde(rename = "keyAgreement")]
    KeyAgreement,
    #[serde(rename = "keyCertSign")]
    KeyCertSign,
    #[serde(rename = "cRLSign")]
    CrlSign,
    #[serde(rename = "encipherOnly")]
    EncipherOnly,
    #[serde(rename = "decipherOnly")]
    DecipherOnly,
}

impl KeyUsage {
    /// In the order of the bits of RFC 5280 §4.2.1.3.
    pub(super) const ALL: [Self; 9] = [
        Self::DigitalSignature,
        Self::NonRepudiation,
        Self::KeyEncipherment,
        Self::DataEncipherment,
        Self::KeyAgreement,
        Self::KeyCertSign,
        Self::CrlSign,
        Self::EncipherOnly,
        Self::DecipherOnly,
    ];
}

/// `key_props`
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct KeyProperties {
    pub(super) exportable: bool,
    pub(super) kty: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) crv: Option<Box<str>>,
    pub(super) reuse_key: bool,
}

impl KeyProperties {
    /// Whether the key is said to lie in an HSM.
    pub(super) fn is_hardware(&self) -> bool {
        self.kty.ends_with(HARDWARE)
    }

    fn is_elliptic(&self) -> bool {
        self.kty.trim_end_matches(HARDWARE) == "EC"
    }
}

/// `secret_props`
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct SecretProperties {
    #[serde(rename = "contentType")]
    pub(super) content_type: Box<str>,
}

/// `x509_props.sans`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Sans {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dns_names: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) emails: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) upns: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) uris: Vec<String>,
    #[serde(default, rename = "ipAddresses", skip_serializing_if = "Vec::is_empty")]
    pub(super) ip_addresses: Vec<String>,
}

impl Sans {
    pub(super) const fn is_empty(&self) -> bool {
        self.dns_names.is_empty()
            && self.emails.is_empty()
            && self.upns.is_empty()
            && self.uris.is_empty()
            && self.ip_addresses.is_empty()
    }
}

/// `x509_props`
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct X509Properties {
    pub(super) subject: Box<str>,
    pub(super) sans: Sans,
    pub(super) ekus: Vec<String>,
    pub(super) key_usage: Vec<KeyUsage>,
    pub(super) validity_months: u32,
    pub(super) basic_constraints: BasicConstraints,
}

/// `x509_props.basic_constraints`
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct BasicConstraints {
    pub(super) ca: bool,
}

/// What happens near the end of a certificate's life.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) enum Action {
    /// A new version is made.
    AutoRenew,
    /// The vault's contacts are told; the embedded vault sends no mail.
    EmailContacts,
}

/// One of `lifetime_actions`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct LifetimeAction {
    trigger: Trigger,
    action: ActionType,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Trigger {
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_percentage: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_before_expiry: Option<u32>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct ActionType {
    action_type: Action,
}

/// `issuer`
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Issuer {
    pub(super) name: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cty: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert_transparency: Option<bool>,
}

impl Issuer {
    /// Whether the certificate signs itself.
    pub(super) fn is_self(&self) -> bool {
        self.name.eq_ignore_ascii_case(SELF)
    }

    /// Whether somebody signs the certificate elsewhere.
    pub(super) fn is_unknown(&self) -> bool {
        self.name.eq_ignore_ascii_case(UNKNOWN)
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct PolicyAttributes {
    enabled: bool,
    created: i64,
    updated: i64,
}

/// A certificate's policy.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Policy {
    pub(super) key_props: KeyProperties,
    pub(super) secret_props: SecretProperties,
    pub(super) x509_props: X509Properties,
    lifetime_actions: Vec<LifetimeAction>,
    pub(super) issuer: Issuer,
    attributes: PolicyAttributes,
}

impl Policy {
    /// Azure's defaults, with no subject yet.
    ///
    /// Azure: whoever is signed elsewhere cannot be renewed by the vault, only be told.
    pub(super) fn new(issuer: &str, now: i64) -> Self {
        let mut policy = Self {
            key_props: KeyProperties {
                exportable: true,
                kty: "RSA".into(),
                key_size: Some(2048),
                crv: None,
                reuse_key: false,
            },
            secret_props: SecretProperties {
                content_type: PKCS12.into(),
            },
            x509_props: X509Properties {
                subject: "".into(),
                sans: Sans::default(),
                ekus: DEFAULT_EKUS.map(str::to_owned).to_vec(),
                key_usage: vec![KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment],
                validity_months: DEFAULT_VALIDITY_MONTHS,
                basic_constraints: BasicConstraints { ca: false },
            },
            lifetime_actions: Vec::new(),
            issuer: Issuer {
                name: issuer.into(),
                cty: None,
                cert_transparency: None,
            },
            attributes: PolicyAttributes {
                enabled: true,
                created: now,
                updated: now,
            },
        };
        policy.set_default_action();
        policy
    }

    /// The policy of a certificate that was imported.
    pub(super) fn imported(key: KeyProperties, x509: X509Properties, now: i64) -> Self {
        Self {
            key_props: key,
            x509_props: x509,
            ..Self::new(UNKNOWN, now)
        }
    }

    fn set_default_action(&mut self) {
        let action_type = if self.issuer.is_unknown() {
            Action::EmailContacts
        } else {
            Action::AutoRenew
        };
        self.lifetime_actions = vec![LifetimeAction {
            trigger: Trigger {
                lifetime_percentage: Some(DEFAULT_LIFETIME_PERCENTAGE),
                days_before_expiry: None,
            },
            action: ActionType { action_type },
        }];
    }

    /// The policy in Key Vault's form; `id` is that of the policy.
    pub(super) fn render(&self, id: &str) -> Value {
        let mut shown = json!(self);
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("id".to_owned(), id.into());
        }
        shown
    }

    /// The key that is to be made.
    pub(super) fn kind(&self) -> Result<Kind, Failure> {
        let KeyProperties {
            kty, key_size, crv, ..
        } = &self.key_props;
        match (kty.trim_end_matches(HARDWARE), key_size, crv) {
            ("RSA", None | Some(2048), _) => Ok(Kind::Rsa(KeyBits::B2048)),
            ("RSA", Some(3072), _) => Ok(Kind::Rsa(KeyBits::B3072)),
            ("RSA", Some(4096), _) => Ok(Kind::Rsa(KeyBits::B4096)),
            ("RSA", Some(_), _) => Err(invalid("key_props.key_size", "2048, 3072 or 4096")),
            ("EC", _, crv) => {
                let name = crv.as_deref().unwrap_or("P-256");
                Curve::named(name).map(Kind::Ec).ok_or_else(|| {
                    invalid("key_props.crv", "'P-256', 'P-256K', 'P-384' or 'P-521'")
                })
            }
            _ => Err(Failure::bad_parameter(
                "Property policy.key_props.kty must be 'RSA', 'RSA-HSM', 'EC' or 'EC-HSM'.",
            )),
        }
    }

    /// What the certificate's key may do.
    ///
    /// Azure: X.509 key usage decides.
    /// <https://learn.microsoft.com/azure/key-vault/certificates/about-certificates>
    pub(super) fn operations(&self) -> Vec<KeyOperation> {
        use KeyOperation::{Decrypt, Encrypt, Sign, UnwrapKey, Verify, WrapKey};
        let elliptic = self.key_props.is_elliptic();
        let mut operations = Vec::new();
        for usage in &self.x509_props.key_usage {
            let means: &[KeyOperation] = match usage {
                KeyUsage::DigitalSignature
                | KeyUsage::NonRepudiation
                | KeyUsage::KeyCertSign
                | KeyUsage::CrlSign => &[Sign, Verify],
                KeyUsage::KeyEncipherment if !elliptic => &[WrapKey, UnwrapKey],
                KeyUsage::DataEncipherment if !elliptic => &[Encrypt, Decrypt],
                KeyUsage::EncipherOnly if !elliptic => &[Encrypt],
                KeyUsage::DecipherOnly if !elliptic => &[Decrypt],
                KeyUsage::KeyEncipherment
                | KeyUsage::DataEncipherment
                | KeyUsage::EncipherOnly
                | KeyUsage::DecipherOnly
                | KeyUsage::KeyAgreement => &[],
            };
            for operation in means {
                if !operations.contains(operation) {
                    operations.push(*operation);
                }
            }
        }
        operations
    }

    /// When a certificate valid from `start` to `end` is renewed; `None` for never.
    pub(super) fn renewed_at(&self, start: i64, end: i64) -> Option<i64> {
        if !self.issuer.is_self() {
            return None;
        }
        let renewal = |action: &&LifetimeAction| action.action.action_type == Action::AutoRenew;
        let trigger = self.lifetime_actions.iter().find(renewal)?.trigger;
        match (trigger.days_before_expiry, trigger.lifetime_percentage) {
            (Some(days), _) => Some(end.saturating_sub(i64::from(days) * 24 * 3600)),
            (None, Some(percentage)) => {
                let lifetime = end.saturating_sub(start);
                Some(start.saturating_add(lifetime / 100 * i64::from(percentage)))
            }
            (None, None) => None,
        }
    }

    /// Checks what serde cannot.
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.kind()?;
        if self.key_props.is_hardware() && self.key_props.exportable {
            return Err(invalid(
                "key_props.exportable",
                "false for a key that lies in an HSM",
            ));
        }
        let x509 = &self.x509_props;
        if x509.subject.is_empty() && x509.sans.is_empty() {
            return Err(Failure::bad_parameter(
                "Property policy.x509_props must have a subject or subject alternative names.",
            ));
        }
        if !(1..=MAX_VALIDITY_MONTHS).contains(&x509.validity_months) {
            return Err(invalid("x509_props.validity_months", "from 1 to 1200"));
        }
        if ![PKCS12, PEM].contains(&&*self.secret_props.content_type) {
            return Err(invalid(
                "secret_props.contentType",
                "'application/x-pkcs12' or 'application/x-pem-file'",
            ));
        }
        let latest = x509.validity_months * RENEWAL_DAYS_PER_MONTH;
        for LifetimeAction { trigger, .. } in &self.lifetime_actions {
            let legal = match (trigger.days_before_expiry, trigger.lifetime_percentage) {
                (Some(days), None) => (1..=latest).contains(&days),
                (None, Some(percentage)) => (1..=99).contains(&percentage),
                _ => false,
            };
            if !legal {
                return Err(invalid(
                    "lifetime_actions",
                    "triggered either by a lifetime_percentage from 1 to 99 or by \
                     days_before_expiry from 1 to 27 for each month of validity",
                ));
            }
        }
        Ok(())
    }
}

fn invalid(property: &str, must_be: &str) -> Failure {
    Failure::bad_parameter(format!("Property policy.{property} must be {must_be}."))
}

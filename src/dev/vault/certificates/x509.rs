//! X.509 certificates and PKCS#10 requests, signed by any key the vault has.

use aws_lc_rs::digest::{self, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::KeyPair as _;
use signature::Keypair;
use uuid::Uuid;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder, CertificateBuilder, RequestBuilder};
use x509_cert::der::asn1::{BitString, ObjectIdentifier, OctetString, Uint};
use x509_cert::der::flagset::FlagSet;
use x509_cert::der::{self, Decode as _, Document, Encode as _, oid::AssociatedOid};
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage as KeyUsageExtension,
    KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, Extensions};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{
    self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey,
    SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef,
};
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate};

use crate::dev::vault::crypto::{CryptoError, Curve, Hash, Material, SignatureAlgorithm};
use crate::dev::vault::failure::Failure;

use super::names;
use super::policy::{KeyUsage, X509Properties};

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_WITH_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// Azure: a certificate is valid from ten minutes before it is made.
const BACKDATED_SECONDS: i64 = 600;

/// When a certificate is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dates {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Dates {
    /// The dates of a certificate that is made at `now`.
    pub(super) fn new(now: i64, months: u32) -> Result<Self, Failure> {
        let end = jiff::Timestamp::from_second(now)
            .map(|now| now.to_zoned(jiff::tz::TimeZone::UTC))
            .and_then(|now| now.checked_add(jiff::Span::new().try_months(months)?))
            .map_err(|_| Failure::bad_parameter("The certificate would be valid too long."))?;
        Ok(Self {
            start: now.saturating_sub(BACKDATED_SECONDS).max(0),
            end: end.timestamp().as_second(),
        })
    }

    /// The dates of a certificate.
    pub(super) fn of(certificate: &Certificate) -> Self {
        let validity = certificate.tbs_certificate().validity();
        let seconds =
            |time: Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        Self {
            start: seconds(validity.not_before),
            end: seconds(validity.not_after),
        }
    }

    fn validity(self) -> der::Result<Validity> {
        let time = |seconds: i64| {
            let since = std::time::Duration::from_secs(seconds.unsigned_abs());
            der::DateTime::from_unix_duration(since).map(Time::from)
        };
        Ok(Validity::new(time(self.start)?, time(self.end)?))
    }
}

/// A key that signs what the library builds.
struct Signer<'a> {
    material: &'a Material,
    public: PublicKey,
}

/// A public key as the library wants it: its `SubjectPublicKeyInfo`.
#[derive(Clone)]
struct PublicKey(Document);

impl EncodePublicKey for PublicKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(self.0.clone())
    }
}

impl Keypair for Signer<'_> {
    type VerifyingKey = PublicKey;

    fn verifying_key(&self) -> PublicKey {
        self.public.clone()
    }
}

impl DynSignatureAlgorithmIdentifier for Signer<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        let (_, _, oid) = way(self.material);
        Ok(AlgorithmIdentifierOwned {
            oid,
            // RFC 4055 §5 and RFC 5758 §3.2: null for RSA, nothing for ECDSA.
            parameters: self.material.curve().is_none().then(der::Any::null),
        })
    }
}

impl<'a> Signer<'a> {
    fn new(material: &'a Material) -> Result<Self, Failure> {
        let public = Document::try_from(public_key(material)?).map_err(|_| Failure::internal())?;
        Ok(Self {
            material,
            public: PublicKey(public),
        })
    }

    /// Builds and signs; ECDSA signatures are ASN.1 in X.509 (RFC 3279 §2.2.3).
    fn build<B: Builder>(&self, mut builder: B) -> Result<B::Output, Failure> {
        let internal = |_| Failure::internal();
        let message = builder.finalize(self).map_err(internal)?;
        let (algorithm, hash, _) = way(self.material);
        let mut signature = self
            .material
            .sign(algorithm, digest(hash, &message).as_ref())?;
        if self.material.curve().is_some() {
            signature = asn1(&signature).map_err(|_| Failure::internal())?;
        }
        let signature = BitString::from_bytes(&signature).map_err(|_| Failure::internal())?;
        builder.assemble(signature, self).map_err(internal)
    }
}

/// How a key signs.
fn way(
    material: &Material,
) -> (
    SignatureAlgorithm,
    &'static digest::Algorithm,
    ObjectIdentifier,
) {
    match material.curve() {
        None => (
            SignatureAlgorithm::Pkcs1(Hash::Sha256),
            &digest::SHA256,
            SHA256_WITH_RSA,
        ),
        Some(curve) => {
            let (hash, oid) = match curve {
                Curve::P256 | Curve::P256K => (&digest::SHA256, ECDSA_WITH_SHA256),
                Curve::P384 => (&digest::SHA384, ECDSA_WITH_SHA384),
                Curve::P521 => (&digest::SHA512, ECDSA_WITH_SHA512),
            };
            (SignatureAlgorithm::Ecdsa(curve), hash, oid)
        }
    }
}

/// Two integers side by side as a sequence of two.
fn asn1(signature: &[u8]) -> der::Result<Vec<u8>> {
    let (r, s) = signature.split_at(signature.len() / 2);
    vec![Uint::new(r)?, Uint::new(s)?].to_der()
}

/// The public half as `SubjectPublicKeyInfo`.
pub(super) fn public_key(material: &Material) -> Result<Vec<u8>, Failure> {
    let der: Result<PublicKeyX509Der<'_>, _> = match material {
        Material::Ec { pair, .. } => pair.public_key().as_der(),
        Material::Rsa(pair) => pair.public_key().as_der(),
    };
    let der = der.map_err(|_| CryptoError::Failed)?;
    Ok(der.as_ref().to_vec())
}

/// A certificate that signs itself has the extensions its builder is given, and its own subject as
/// its issuer.
struct SelfSigned(Name);

impl BuilderProfile for SelfSigned {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        _: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        Ok(Vec::new())
    }
}

/// A certificate of `material` that signs itself, DER.
pub(super) fn self_signed(
    material: &Material,
    properties: &X509Properties,
    dates: Dates,
) -> Result<Vec<u8>, Failure> {
    let internal = |_| Failure::internal();
    let signer = Signer::new(material)?;
    let key = SubjectPublicKeyInfoOwned::from_der(signer.public.0.as_bytes()).map_err(internal)?;
    let mut extensions = extensions(properties)?;
    extensions.extend(key_identifiers(&key).map_err(internal)?);
    let serial = SerialNumber::new(Uuid::new_v4().as_bytes()).map_err(internal)?;
    let validity = dates.validity().map_err(internal)?;
    let profile = SelfSigned(names::subject(&properties.subject)?);
    let mut builder =
        CertificateBuilder::new(profile, serial, validity, key).map_err(|_| Failure::internal())?;
    for extension in extensions {
        builder.add_extension(extension).map_err(internal)?;
    }
    signer.build(builder)?.to_der().map_err(internal)
}

/// A request to have `material` certified, DER.
pub(super) fn request(
    material: &Material,
    properties: &X509Properties,
) -> Result<Vec<u8>, Failure> {
    let internal = |_| Failure::internal();
    let subject = names::subject(&properties.subject)?;
    let mut builder = RequestBuilder::new(subject).map_err(|_| Failure::internal())?;
    for extension in extensions(properties)? {
        builder.add_extension(extension).map_err(internal)?;
    }
    Signer::new(material)?
        .build(builder)?
        .to_der()
        .map_err(internal)
}

/// The extensions of a policy.
fn extensions(properties: &X509Properties) -> Result<Extensions, Failure> {
    let internal = |_| Failure::internal();
    let mut usage = FlagSet::<KeyUsages>::default();
    for flag in &properties.key_usage {
        usage |= flag_of(*flag);
    }
    let mut extensions = vec![extension(true, &KeyUsageExtension(usage)).map_err(internal)?];
    let ekus = properties.ekus.iter().map(|eku| {
        ObjectIdentifier::new(eku).map_err(|_| {
            Failure::bad_parameter(format!(
                "Property policy.x509_props.ekus has an invalid value: {eku}"
            ))
        })
    });
    let ekus = ekus.collect::<Result<Vec<_>, _>>()?;
    if !ekus.is_empty() {
        extensions.push(extension(false, &ExtendedKeyUsage(ekus)).map_err(internal)?);
    }
    let names: GeneralNames = names::general_names(&properties.sans)?;
    if !names.is_empty() {
        // RFC 5280 §4.2.1.6: critical if they are all there is.
        let critical = properties.subject.is_empty();
        extensions.push(extension(critical, &SubjectAltName(names)).map_err(internal)?);
    }
    let constraints = BasicConstraints {
        ca: properties.basic_constraints.ca,
        path_len_constraint: None,
    };
    extensions.push(extension(false, &constraints).map_err(internal)?);
    Ok(extensions)
}

/// RFC 5280 §4.2.1.2: the SHA-1 of the key's bits names it.
fn key_identifiers(key: &SubjectPublicKeyInfoOwned) -> der::Result<[Extension; 2]> {
    let hash = digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        key.subject_public_key.raw_bytes(),
    );
    let identifier = OctetString::new(hash.as_ref())?;
    let authority = AuthorityKeyIdentifier {
        key_identifier: Some(identifier.clone()),
        authority_cert_issuer: None,
        authority_cert_serial_number: None,
    };
    Ok([
        extension(false, &SubjectKeyIdentifier(identifier))?,
        extension(false, &authority)?,
    ])
}

fn extension<T: AssociatedOid + der::Encode>(critical: bool, value: &T) -> der::Result<Extension> {
    Ok(Extension {
        extn_id: T::OID,
        critical,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}

/// X.509's flag for a usage.
pub(super) const fn flag_of(usage: KeyUsage) -> KeyUsages {
    match usage {
        KeyUsage::DigitalSignature => KeyUsages::DigitalSignature,
        KeyUsage::NonRepudiation => KeyUsages::NonRepudiation,
        KeyUsage::KeyEncipherment => KeyUsages::KeyEncipherment,
        KeyUsage::DataEncipherment => KeyUsages::DataEncipherment,
        KeyUsage::KeyAgreement => KeyUsages::KeyAgreement,
        KeyUsage::KeyCertSign => KeyUsages::KeyCertSign,
        KeyUsage::CrlSign => KeyUsages::CRLSign,
        KeyUsage::EncipherOnly => KeyUsages::EncipherOnly,
        KeyUsage::DecipherOnly => KeyUsages::DecipherOnly,
    }
}

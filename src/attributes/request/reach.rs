//! Which attributes a request can have.
//!
//! What is said of an operation here is said of a data action if any of its operations has it, so
//! that a condition is never settled beforehand against a request that could still meet it.

use crate::abac::Source;
use crate::abac::vocabulary::{Known, Line, Origin, Part, Property};
use crate::keyvault::{DataAction, ObjectType, OperationKind, OperationScope};
use Property::{
    Algorithm, AutoRotate, ContentType, Curve, DigestLength, DnsNames, Enabled, Expires,
    ExpiryDays, Exportable, ExtendedKeyUsage, HasNonce, HasReleasePolicy, HasTargetAttestation,
    IsHsmBacked, IssuerName, KeyOps, KeySize, KeyType, NotBefore, PublicExponent,
    ReleasePolicyImmutable, Subject, ValidityMonths, ValueLength,
};

/// Whether a request with this data action can have the attribute.
pub(super) fn of_action(action: DataAction, known: Known) -> bool {
    OperationKind::ALL
        .iter()
        .filter(|kind| kind.row().data_actions.contains(&action))
        .any(|kind| of_operation(*kind, action, known))
}

/// Whether this operation, decided on for this data action, can have the attribute.
pub(super) fn of_operation(kind: OperationKind, action: DataAction, known: Known) -> bool {
    let is_of = |source, object| {
        side_of_object(action) == source && kind.row().scope == OperationScope::Object(object)
    };
    match known.origin() {
        Origin::Line(line) => match line {
            Line::Name(object) => is_of(known.source(), object),
            Line::Version(object) => is_of(Source::Resource, object) && takes_version(kind),
            Line::IsDeleted(object) => is_of(Source::Resource, object),
            Line::Issuer => is_of_issuer(kind),
            Line::IsVersioned => matches!(kind.row().scope, OperationScope::Object(_)),
            Line::MaxResults => kind.is_list(),
            Line::Method | Line::ApiVersion => true,
        },
        Origin::Body(object, part) => {
            kind.row().scope == OperationScope::Object(object) && is_in_body(kind, part)
        }
        Origin::Metadata(object, part) => {
            is_of(Source::Resource, object) && is_in_metadata(kind, part)
        }
        Origin::Token(_)
        | Origin::Connection(_)
        | Origin::Configuration(_)
        | Origin::Clock(_)
        | Origin::Custom => true,
    }
}

/// Whether some request with this data action has what the attribute asks for under seal.
pub(super) fn is_sealed_in_action(action: DataAction, known: Known) -> bool {
    OperationKind::ALL
        .iter()
        .filter(|kind| kind.row().data_actions.contains(&action))
        .any(|kind| is_sealed(*kind, known))
}

/// Whether the request has what the attribute asks for in a form that only the vault can open: a
/// backup that is restored, a certificate that is merged.
///
/// SECURITY: that is unknown, and not "not there".
#[expect(clippy::wildcard_enum_match_arm, reason = "most operations have none")]
pub(super) fn is_sealed(kind: OperationKind, known: Known) -> bool {
    let restored = match kind {
        OperationKind::CertificateRestore => ObjectType::Certificate,
        OperationKind::KeyRestore => ObjectType::Key,
        OperationKind::SecretRestore => ObjectType::Secret,
        OperationKind::CertificatePendingMerge => {
            return matches!(
                known.origin(),
                Origin::Body(ObjectType::Certificate, Part::Property(property))
                    if IMPORTED_CERTIFICATE.contains(&property)
            );
        }
        _ => return false,
    };
    matches!(
        known.origin(),
        Origin::Line(Line::Name(object)) | Origin::Body(object, _) if object == restored
    )
}

/// Whether the object is looked for among the deleted ones.
pub(super) fn is_of_deleted(kind: OperationKind) -> bool {
    kind.row().template.starts_with("/deleted")
}

const fn is_of_issuer(kind: OperationKind) -> bool {
    matches!(
        kind,
        OperationKind::CertificateIssuerSet
            | OperationKind::CertificateIssuerUpdate
            | OperationKind::CertificateIssuerGet
            | OperationKind::CertificateIssuerDelete
    )
}

fn takes_version(kind: OperationKind) -> bool {
    kind.row().template.contains("{version}")
}

/// Whether an object's own attributes are the resource's or the request's.
///
/// Azure: `@Request` where the object comes into being, `@Resource` elsewhere
/// <https://learn.microsoft.com/azure/key-vault/general/rbac-abac>, said there of secrets.
const fn side_of_object(action: DataAction) -> Source {
    if matches!(
        action,
        DataAction::CertificatesCreate
            | DataAction::CertificatesImport
            | DataAction::CertificatesRestore
            | DataAction::KeysCreate
            | DataAction::KeysImport
            | DataAction::KeysRestore
            | DataAction::SecretsRestore
            | DataAction::SecretsSetSecret
    ) {
        Source::Request
    } else {
        Source::Resource
    }
}

/// Deleted objects have dates of their own and no current version.
fn is_in_metadata(kind: OperationKind, part: Part) -> bool {
    match part {
        Part::Property(Property::ScheduledPurgeDate | Property::DeletedDate) => is_of_deleted(kind),
        Part::IsCurrent => !is_of_deleted(kind),
        Part::Property(_) | Part::Tags => true,
    }
}

fn is_in_body(kind: OperationKind, part: Part) -> bool {
    let body = body(kind);
    match part {
        Part::Property(Enabled | Expires | NotBefore) => body.attributes_and_tags,
        Part::Property(property) => body.properties.contains(&property),
        Part::Tags => body.attributes_and_tags,
        Part::IsCurrent => false,
    }
}

/// What the body of an operation can say.
struct Body {
    /// `attributes` (enabled, not before, expires) and `tags`, which come together.
    attributes_and_tags: bool,
    /// Everything else.
    properties: &'static [Property],
}

impl Body {
    const fn with(attributes_and_tags: bool, properties: &'static [Property]) -> Self {
        Self {
            attributes_and_tags,
            properties,
        }
    }
}

const NEW_KEY: &[Property] = &[
    KeyType,
    KeySize,
    Curve,
    KeyOps,
    Exportable,
    IsHsmBacked,
    PublicExponent,
    HasReleasePolicy,
    ReleasePolicyImmutable,
];

const KEY_UPDATE: &[Property] = &[KeyOps, Exportable, HasReleasePolicy, ReleasePolicyImmutable];

const CERTIFICATE_POLICY: &[Property] = &[
    IssuerName,
    Subject,
    DnsNames,
    KeyType,
    KeySize,
    Curve,
    Exportable,
    ValidityMonths,
    ExtendedKeyUsage,
];

/// How long an imported certificate is good is a matter of days, and in nobody's words months.
const IMPORTED_CERTIFICATE: &[Property] = &[
    IssuerName,
    Subject,
    DnsNames,
    KeyType,
    KeySize,
    Curve,
    Exportable,
    ExtendedKeyUsage,
    ValidityMonths,
];

/// Source: <https://learn.microsoft.com/rest/api/keyvault/>, the request bodies.
#[expect(clippy::wildcard_enum_match_arm, reason = "most operations have none")]
const fn body(kind: OperationKind) -> Body {
    use OperationKind as K;
    match kind {
        K::SecretSet => Body::with(true, &[ContentType, ValueLength]),
        K::SecretUpdate => Body::with(true, &[ContentType]),
        K::KeyCreate | K::KeyImport => Body::with(true, NEW_KEY),
        K::KeyUpdate => Body::with(true, KEY_UPDATE),
        K::KeyEncrypt | K::KeyDecrypt | K::KeyWrap | K::KeyUnwrap => {
            Body::with(false, &[Algorithm])
        }
        K::KeySign | K::KeyVerify => Body::with(false, &[Algorithm, DigestLength]),
        K::KeyRelease => Body::with(false, &[Algorithm, HasNonce, HasTargetAttestation]),
        K::KeyRotationPolicySet => Body::with(false, &[ExpiryDays, AutoRotate]),
        K::CertificateCreate | K::CertificateUpdate => Body::with(true, CERTIFICATE_POLICY),
        K::CertificateImport => Body::with(true, IMPORTED_CERTIFICATE),
        K::CertificatePolicyUpdate => Body::with(false, CERTIFICATE_POLICY),
        K::CertificatePendingMerge => Body::with(true, &[]),
        _ => Body::with(false, &[]),
    }
}

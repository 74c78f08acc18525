//! What may be asked of a vault before a request is decided: an object's metadata.

use crate::abac::Needs;
use crate::keyvault::{
    ApiVersion, ObjectName, ObjectType, ObjectVersion, Operation, OperationScope, SkipToken,
};

use super::decide::Undecided;

/// Leave to ask the vault for the metadata of one object, with the caller's own token.
///
/// SECURITY: only an [`Undecided`] makes one, so the token is spent on nothing but the object that
/// is decided on. None reads a secret: a live one is looked up in the list of its versions, which
/// holds no values, because `GET /secrets/{name}` would return one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Inspection {
    object_type: ObjectType,
    is_deleted: bool,
    name: ObjectName,
    version: Option<ObjectVersion>,
    wants_current: bool,
}

/// One of the questions that an [`Inspection`] may take.
#[derive(Clone, Copy, Debug)]
pub enum InspectionStep<'a> {
    /// The object, or the first page of its list of versions.
    First,
    /// A further page of the list of versions.
    Page(&'a SkipToken),
    /// The object in its current version, when another one is inspected.
    Current,
}

impl Undecided {
    /// What to ask the vault, if the decision depends on an object's metadata and the operation is
    /// on an object.
    pub fn inspection(&self) -> Option<Inspection> {
        let wants_current = self.needs.contains(Needs::CURRENT_VERSION);
        if wants_current || self.needs.contains(Needs::METADATA) {
            Inspection::of(&self.operation, wants_current)
        } else {
            None
        }
    }
}

impl Inspection {
    fn of(operation: &Operation, wants_current: bool) -> Option<Self> {
        let row = operation.kind().row();
        let OperationScope::Object(object_type) = row.scope else {
            return None;
        };
        Some(Self {
            object_type,
            is_deleted: row.template.starts_with("/deleted"),
            name: operation.name()?.clone(),
            version: operation.version().cloned(),
            wants_current,
        })
    }

    /// What kind of object it is.
    pub const fn object_type(&self) -> ObjectType {
        self.object_type
    }

    /// Whether the object is among the deleted ones.
    pub const fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// The object's name.
    pub const fn name(&self) -> &ObjectName {
        &self.name
    }

    /// The version that the caller named; `None` for the current one.
    pub const fn version(&self) -> Option<&ObjectVersion> {
        self.version.as_ref()
    }

    /// Whether it has to be found out which version is the current one.
    pub const fn wants_current(&self) -> bool {
        self.wants_current
    }

    /// Whether the object is looked up in the list of its versions.
    pub fn is_listed(&self) -> bool {
        self.object_type == ObjectType::Secret && !self.is_deleted
    }

    /// The path of a question, to be asked with `GET`.
    pub fn path(&self, question: InspectionStep<'_>) -> String {
        let deleted = if self.is_deleted { "deleted" } else { "" };
        let collection = self.object_type.collection();
        let mut path = format!("/{deleted}{collection}/{}", self.name.as_str());
        let version = self.version.as_ref().filter(|_| !self.is_deleted);
        match (question, version) {
            _ if self.is_listed() => path.push_str("/versions"),
            (InspectionStep::First, Some(version)) => {
                path.push('/');
                path.push_str(version.as_str());
            }
            (InspectionStep::First | InspectionStep::Page(_) | InspectionStep::Current, _) => {}
        }
        path
    }

    /// The path and query of a question that is asked in `api_version`.
    pub fn path_and_query(&self, question: InspectionStep<'_>, api_version: &ApiVersion) -> String {
        let mut target = self.path(question);
        target.push_str("?api-version=");
        target.push_str(api_version.as_str());
        if let InspectionStep::Page(token) = question {
            target.push_str("&$skiptoken=");
            target.push_str(token.as_str());
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use crate::keyvault::{OperationKind, route};

    use super::*;

    const VERSION: &str = "1d89273b3c364e018f939c2f0d151622";

    fn undecided(kind: OperationKind, version: &str, needs: Needs) -> Undecided {
        let row = kind.row();
        let method = row.method.as_str().parse().unwrap();
        let path = row.template.replace("{name}", "N1");
        let path = path.replace("{sas}", "s").replace("{version}", version);
        let operation = route::parse(&method, &path, Some("api-version=7.4&maxresults=3"), &[]);
        Undecided {
            operation: operation.unwrap(),
            needs,
        }
    }

    fn in_version() -> ApiVersion {
        "7.6".parse().unwrap()
    }

    fn asked(kind: OperationKind, version: &str) -> String {
        let undecided = undecided(kind, version, Needs::METADATA);
        undecided
            .inspection()
            .unwrap()
            .path_and_query(InspectionStep::First, &in_version())
    }

    #[test]
    fn the_metadata_of_every_type_is_asked_for_where_it_is() {
        use OperationKind as Kind;
        for (kind, version, expected) in [
            (Kind::SecretGet, "", "/secrets/N1/versions?api-version=7.6"),
            (
                Kind::SecretGet,
                VERSION,
                "/secrets/N1/versions?api-version=7.6",
            ),
            (Kind::SecretSet, "", "/secrets/N1/versions?api-version=7.6"),
            (
                Kind::SecretRecover,
                "",
                "/deletedsecrets/N1?api-version=7.6",
            ),
            (Kind::KeySign, "", "/keys/N1?api-version=7.6"),
            (Kind::KeyRotate, "", "/keys/N1?api-version=7.6"),
            (Kind::KeyPurge, "", "/deletedkeys/N1?api-version=7.6"),
            (
                Kind::CertificatePolicyGet,
                "",
                "/certificates/N1?api-version=7.6",
            ),
            (
                Kind::CertificateGetDeleted,
                "",
                "/deletedcertificates/N1?api-version=7.6",
            ),
        ] {
            assert_eq!(asked(kind, version), expected, "{kind:?}");
        }
        let versioned = format!("/keys/N1/{VERSION}?api-version=7.6");
        assert_eq!(asked(Kind::KeySign, VERSION), versioned);
    }

    #[test]
    fn no_inspection_reads_a_secret() {
        for &kind in OperationKind::ALL {
            for version in ["", VERSION] {
                let Some(inspection) = undecided(kind, version, Needs::METADATA).inspection()
                else {
                    assert_eq!(kind.row().scope, OperationScope::Vault, "{kind:?}");
                    continue;
                };
                let token = route::parse(
                    &http::Method::GET,
                    "/secrets",
                    Some("api-version=7.4&$skiptoken=a%2Fb"),
                    &[],
                );
                let token = token.unwrap().query().skip_token().unwrap();
                for question in [
                    InspectionStep::First,
                    InspectionStep::Page(&token),
                    InspectionStep::Current,
                ] {
                    let path = inspection.path(question);
                    let asked =
                        route::parse(&http::Method::GET, &path, Some("api-version=7.4"), &[]);
                    assert_ne!(asked.unwrap().kind(), OperationKind::SecretGet, "{path}");
                }
                let page = inspection.path_and_query(InspectionStep::Page(&token), &in_version());
                assert!(
                    page.ends_with("?api-version=7.6&$skiptoken=a%2Fb"),
                    "{page}"
                );
            }
        }
    }

    #[test]
    fn the_current_version_of_a_key_is_asked_for_without_a_version() {
        let undecided = undecided(
            OperationKind::KeySign,
            VERSION,
            Needs::METADATA.union(Needs::CURRENT_VERSION),
        );
        let inspection = undecided.inspection().unwrap();
        assert!(inspection.wants_current());
        let current = inspection.path_and_query(InspectionStep::Current, &in_version());
        assert_eq!(current, "/keys/N1?api-version=7.6");
    }

    #[test]
    fn nothing_is_asked_for_a_decision_that_does_not_depend_on_it() {
        for needs in [Needs::NOTHING, Needs::BODY] {
            let undecided = undecided(OperationKind::SecretGet, "", needs);
            assert_eq!(undecided.inspection(), None);
        }
    }
}

//! A world in which every attribute has a value.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use portcullis::abac::vocabulary::{Known, Origin, Part, Property, Shape, ValueType};
use portcullis::abac::{DateTime, Scalar, Values};
use portcullis::attributes::{
    ClientCertificate, CustomAttributes, Facts, LocalTime, Metadata, Properties, Stage,
};
use portcullis::keyvault::{Operation, OperationKind, route};
use portcullis::principal::{Evidence, Guid, ObjectId, TokenGroups, Workload};

use crate::facts::Blank;

const NOW: Duration = Duration::from_secs(1_900_000_000);

/// Owns all of it.
pub(crate) struct World {
    pub(crate) blank: Blank,
    pub(crate) custom: CustomAttributes,
    object: Properties,
    metadata: Metadata,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut blank = Blank::new();
        blank.vault.location = Some("westeurope".into());
        blank.vault.sku = Some("premium".into());
        blank.vault.public_network_access = Some("Disabled".into());
        blank.vault.enable_purge_protection = Some(true);
        blank.vault.enable_soft_delete = Some(true);
        blank.vault.tags = tags();
        blank.claims.app_id = Some("0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b".into());
        let groups = [ObjectId(Guid::from_u128(7))];
        blank.claims.groups = TokenGroups::Present(groups.into());
        blank.claims.evidence = evidence();
        blank.connection.certificate = Some(ClientCertificate {
            subject: "CN=client".into(),
            issuer: "CN=authority".into(),
            thumbprint: "ab".repeat(32).into(),
            spiffe_id: Some("spiffe://example.org/ns/payments".into()),
        });
        blank.connection.private_endpoint = Some("/subscriptions/s/privateEndpoints/p".into());
        blank.connection.subnet = Some("/subscriptions/s/subnets/a".into());
        blank.connection.ranges = vec!["admin-vpn".into()];
        blank.surroundings.environment = Some("prod".into());
        blank.surroundings.region = Some("westeurope".into());
        let object = properties();
        let metadata = Metadata {
            properties: object.clone(),
            version: None,
            is_current: Some(true),
        };
        let project = Values::Many(vec![Scalar::Text("Baker".into())]);
        Self {
            blank,
            custom: CustomAttributes([("engineering_project".into(), project)].into()),
            object,
            metadata,
        }
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        let mut facts = self.blank.facts(SystemTime::UNIX_EPOCH + NOW);
        facts.local_time = Some(LocalTime {
            day_of_week: "Monday",
            hour: 9,
        });
        facts.body = Stage::Read(&self.object);
        facts.metadata = Stage::Read(&self.metadata);
        facts
    }
}

fn evidence() -> Evidence {
    let texts = |text: &str| vec![text.into()].into_boxed_slice();
    Evidence {
        roles: texts("Reader"),
        scopes: texts("user_impersonation"),
        authentication_methods: texts("mfa"),
        authentication_context: Some("c1".into()),
        authenticated_at: Some(SystemTime::UNIX_EPOCH),
        workload: Some(Workload {
            namespace: Some("payments".into()),
            service_account: Some("api".into()),
            pod: Some("api-0".into()),
            node: Some("node-1".into()),
        }),
    }
}

fn tags() -> BTreeMap<Box<str>, Box<str>> {
    [("team", "payments"), ("env", "prod"), ("Env", "test")]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

/// The property of an object that an attribute is.
pub(crate) fn property(known: Known) -> Option<Property> {
    match known.origin() {
        Origin::Body(_, Part::Property(property))
        | Origin::Metadata(_, Part::Property(property)) => Some(property),
        Origin::Body(_, Part::Tags | Part::IsCurrent)
        | Origin::Metadata(_, Part::Tags | Part::IsCurrent)
        | Origin::Line(_)
        | Origin::Token(_)
        | Origin::Connection(_)
        | Origin::Configuration(_)
        | Origin::Clock(_)
        | Origin::Custom => None,
    }
}

/// All properties, each of the type that its attributes say.
fn properties() -> Properties {
    let one = |value_type| match value_type {
        ValueType::String => Scalar::Text("x".into()),
        ValueType::Integer => Scalar::Integer(1),
        ValueType::Boolean => Scalar::Boolean(true),
        ValueType::DateTime => Scalar::DateTime(DateTime::from_unix_seconds(0).unwrap()),
        ValueType::Guid => Scalar::Guid(Guid::from_u128(1).as_uuid()),
    };
    let value = |known: &Known| {
        let values = match known.shape() {
            Shape::One(value_type) => Values::One(one(value_type)),
            Shape::Many(value_type) => Values::Many(vec![one(value_type)]),
            Shape::Dictionary(_) | Shape::Custom => return None,
        };
        Some((property(*known)?, values))
    };
    Properties {
        values: Known::ALL.iter().filter_map(value).collect(),
        unknown: [].into(),
        tags: tags(),
        tags_are_unknown: false,
    }
}

/// An operation of this kind, on version `0…0` of something or on no version.
pub(crate) fn operation(kind: OperationKind, versioned: bool) -> Operation {
    let row = kind.row();
    let version = if versioned {
        "0".repeat(32)
    } else {
        String::new()
    };
    let path = row
        .template
        .replace("{name}", "app")
        .replace("{sas}", "sas")
        .replace("{version}", &version);
    let method = row.method.as_str().parse().unwrap();
    let query = Some("api-version=7.4&maxresults=5");
    route::parse(&method, &path, query, &[]).unwrap()
}

pub(crate) fn owned(values: &Values<'_>) -> Values<'static> {
    let own = |scalar: &Scalar<'_>| match scalar {
        Scalar::Text(text) => Scalar::Text(text.to_string().into()),
        Scalar::Name(name) => Scalar::Name(name.to_string().into()),
        Scalar::Integer(value) => Scalar::Integer(*value),
        Scalar::Boolean(value) => Scalar::Boolean(*value),
        Scalar::DateTime(value) => Scalar::DateTime(*value),
        Scalar::Guid(value) => Scalar::Guid(*value),
        Scalar::Other => Scalar::Other,
    };
    match values {
        Values::One(value) => Values::One(own(value)),
        Values::Many(values) => Values::Many(values.iter().map(own).collect()),
    }
}

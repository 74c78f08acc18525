//! The attributes of one request.

mod clock;
mod reach;
mod suboperation;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use uuid::Uuid;

use crate::abac::vocabulary::{Configuration, Connection, Line, Origin, Part, Token};
use crate::abac::{Attribute, Attributes, Form, Lookup, Needs, Scalar, Values};
use crate::keyvault::{DataAction, Operation};
use crate::principal::{CallerKind, TokenGroups, Workload};

use super::facts::{CustomAttributes, Facts, Stage};
use super::properties::Properties;

pub use suboperation::{suboperation, suboperations_of};

/// The attributes of one request, looked up when a condition asks.
#[derive(Debug)]
pub struct RequestAttributes<'a> {
    /// What is asked for.
    pub operation: &'a Operation,
    /// The data action that is decided on; which attributes there are depends on it.
    pub action: DataAction,
    /// What else is known.
    pub facts: &'a Facts<'a>,
    /// The caller's custom security attributes; `None` if nobody said any.
    pub custom: Option<&'a CustomAttributes>,
}

/// Whether a request with this data action can have the attribute at all.
pub fn can_have(action: DataAction, attribute: &Attribute) -> bool {
    attribute
        .known
        .is_some_and(|known| reach::of_action(action, known))
}

/// Whether it depends on the request what is found for the attribute: some request with this data
/// action has it, or may have it where only the vault can look.
pub fn depends_on_request(action: DataAction, attribute: &Attribute) -> bool {
    can_have(action, attribute)
        || attribute
            .known
            .is_some_and(|known| reach::is_sealed_in_action(action, known))
}

impl Attributes for RequestAttributes<'_> {
    fn look_up(&self, attribute: &Attribute) -> Lookup<'_> {
        let Some(known) = attribute.known else {
            return Lookup::Unknown;
        };
        if reach::is_sealed(self.operation.kind(), known) {
            return Lookup::Unknown;
        }
        if !reach::of_operation(self.operation.kind(), self.action, known) {
            return Lookup::Missing;
        }
        let found = match known.origin() {
            // SECURITY: what nobody said is not "none".
            Origin::Token(Token::Groups) if self.facts.claims.groups == TokenGroups::Absent => {
                return Lookup::Unknown;
            }
            // SECURITY: a client whose address nobody knows is somewhere, and maybe in a range.
            Origin::Connection(Connection::Address | Connection::Ranges | Connection::Subnet)
                if self.facts.connection.address.is_none() =>
            {
                return Lookup::Unknown;
            }
            Origin::Custom if self.custom.is_none() => return Lookup::Unknown,
            Origin::Body(_, part) => return self.in_body(part, known.needs(), &attribute.form),
            Origin::Metadata(_, part) => {
                return self.in_metadata(part, known.needs(), &attribute.form);
            }
            Origin::Line(line) => self.in_line(line),
            Origin::Token(token) => self.in_token(token),
            Origin::Connection(connection) => self.in_connection(connection),
            Origin::Configuration(setting) => self.in_configuration(setting, &attribute.form),
            Origin::Clock(reading) => clock::read(self.facts, reading),
            Origin::Custom => self.custom_attribute(&attribute.form),
        };
        found.map_or(Lookup::Missing, Lookup::Found)
    }
}

impl RequestAttributes<'_> {
    fn in_body(&self, part: Part, needs: Needs, form: &Form) -> Lookup<'_> {
        match self.facts.body {
            Stage::Unread => Lookup::Pending(needs),
            Stage::Absent => Lookup::Missing,
            Stage::Read(properties) => found_in(properties, part, form),
        }
    }

    fn in_metadata(&self, part: Part, needs: Needs, form: &Form) -> Lookup<'_> {
        match (self.facts.metadata, part) {
            (Stage::Unread, _) => Lookup::Pending(needs),
            (Stage::Absent, _) => Lookup::Missing,
            (Stage::Read(metadata), Part::IsCurrent) => match metadata.is_current {
                Some(is_current) => Lookup::Found(boolean(is_current)),
                None => Lookup::Pending(needs),
            },
            (Stage::Read(metadata), part) => found_in(&metadata.properties, part, form),
        }
    }

    fn in_line(&self, line: Line) -> Option<Values<'_>> {
        let operation = self.operation;
        match line {
            Line::Name(_) | Line::Issuer => operation.name().map(|name| self::name(name.as_str())),
            Line::Version(_) => operation.version().map(|version| text(version.as_str())),
            Line::IsDeleted(_) => Some(boolean(reach::is_of_deleted(operation.kind()))),
            Line::Method => Some(text(operation.kind().row().method.as_str())),
            Line::ApiVersion => Some(text(operation.query().api_version().as_str())),
            Line::MaxResults => operation.query().max_results().map(integer),
            Line::IsVersioned => Some(boolean(operation.version().is_some())),
        }
    }

    fn in_token(&self, token: Token) -> Option<Values<'_>> {
        let claims = self.facts.claims;
        let evidence = &claims.evidence;
        match token {
            Token::ObjectId => Some(guid(claims.object_id.0.as_uuid())),
            // Azure's application ids are GUIDs; another issuer's may not be.
            Token::AppId => {
                let id: crate::principal::Guid = claims.app_id.as_deref()?.parse().ok()?;
                Some(guid(id.as_uuid()))
            }
            Token::TenantId => Some(guid(claims.tenant_id.0.as_uuid())),
            Token::PrincipalType => Some(text(match claims.kind {
                CallerKind::App => "ServicePrincipal",
                CallerKind::User => "User",
            })),
            Token::Groups => match &claims.groups {
                TokenGroups::Absent => None,
                TokenGroups::Present(groups) => {
                    many(groups.iter().map(|group| Scalar::Guid(group.0.as_uuid())))
                }
            },
            Token::Roles => texts(&evidence.roles),
            Token::Scopes => texts(&evidence.scopes),
            Token::AuthMethods => texts(&evidence.authentication_methods),
            Token::AuthContext => evidence.authentication_context.as_deref().map(text),
            Token::AuthAgeSeconds => clock::age_seconds(self.facts).map(integer),
            // Tokens with a `cnf` claim are refused, so a token that gets here is not bound.
            Token::IsCertificateBound => Some(boolean(false)),
            Token::Namespace => self.workload(|workload| workload.namespace.as_deref()),
            Token::ServiceAccount => self.workload(|workload| workload.service_account.as_deref()),
            Token::PodName => self.workload(|workload| workload.pod.as_deref()),
            Token::NodeName => self.workload(|workload| workload.node.as_deref()),
        }
    }

    fn workload(&self, field: impl Fn(&Workload) -> Option<&str>) -> Option<Values<'_>> {
        let workload = self.facts.claims.evidence.workload.as_ref()?;
        field(workload).map(text)
    }

    fn in_connection(&self, fact: Connection) -> Option<Values<'_>> {
        let connection = self.facts.connection;
        let certificate = connection.certificate.as_ref();
        match fact {
            Connection::Listener => Some(text(&connection.listener)),
            Connection::Address => connection.address.map(address),
            Connection::Ranges => many(connection.ranges.iter().map(|range| scalar(range))),
            Connection::IsPrivateLink => Some(boolean(connection.private_link)),
            Connection::PrivateEndpoint => connection.private_endpoint.as_deref().map(name),
            Connection::Subnet => connection.subnet.as_deref().map(name),
            Connection::Protocol => Some(text(connection.protocol)),
            Connection::IsMutual => Some(boolean(certificate.is_some())),
            Connection::CertificateIssuer => certificate.map(|shown| text(&shown.issuer)),
            Connection::CertificateSubject => certificate.map(|shown| text(&shown.subject)),
            Connection::CertificateThumbprint => certificate.map(|shown| text(&shown.thumbprint)),
            Connection::SpiffeId => certificate?.spiffe_id.as_deref().map(text),
            Connection::TrustDomain => trust_domain(certificate?.spiffe_id.as_deref()?).map(text),
        }
    }

    fn in_configuration(&self, setting: Configuration, form: &Form) -> Option<Values<'_>> {
        let vault = self.facts.vault;
        let surroundings = self.facts.surroundings;
        match setting {
            // SECURITY: configuration may spell a vault otherwise than Azure does.
            Configuration::VaultName => Some(name(&vault.name)),
            Configuration::VaultId => Some(name(&vault.id)),
            Configuration::VaultLocation => vault.location.as_deref().map(text),
            Configuration::VaultSku => vault.sku.as_deref().map(text),
            Configuration::VaultPublicNetworkAccess => {
                vault.public_network_access.as_deref().map(text)
            }
            Configuration::VaultEnablePurgeProtection => vault.enable_purge_protection.map(boolean),
            Configuration::VaultEnableSoftDelete => vault.enable_soft_delete.map(boolean),
            Configuration::VaultTags => tag(&vault.tags, form),
            Configuration::RouteName => Some(text(self.facts.route)),
            Configuration::Environment => surroundings.environment.as_deref().map(text),
            Configuration::Region => surroundings.region.as_deref().map(text),
        }
    }

    fn custom_attribute(&self, form: &Form) -> Option<Values<'_>> {
        let Form::Name(name) = form else {
            return None;
        };
        let attributes = &self.custom?.0;
        let values = attributes.get(name.to_ascii_lowercase().as_str())?;
        Some(values.borrowed())
    }
}

fn found_in<'a>(properties: &'a Properties, part: Part, form: &Form) -> Lookup<'a> {
    let found = match part {
        Part::Property(property) if properties.unknown.contains(&property) => {
            return Lookup::Unknown;
        }
        Part::Property(property) => properties.values.get(&property).map(Values::borrowed),
        Part::Tags if properties.tags_are_unknown => return Lookup::Unknown,
        Part::Tags => tag(&properties.tags, form),
        Part::IsCurrent => None,
    };
    found.map_or(Lookup::Missing, Lookup::Found)
}

/// The value of one tag, or the names of all.
fn tag<'a>(tags: &'a BTreeMap<Box<str>, Box<str>>, form: &Form) -> Option<Values<'a>> {
    match form {
        Form::Bare => None,
        Form::Key(key) => tags.get(key).map(|value| text(value)),
        Form::Name(name) => {
            let mut same = tags
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name));
            match (same.next(), same.next()) {
                (None, _) => None,
                (Some((_, value)), None) => Some(text(value)),
                // SECURITY: nobody can say which is meant, so no comparison holds; but they are
                // there, or a second one in another case would pass a `NOT Exists`.
                (Some(_), Some(_)) => Some(Values::One(Scalar::Other)),
            }
        }
        Form::Keys => many(tags.keys().map(|key| scalar(key))),
    }
}

/// `spiffe://trust-domain/path`
fn trust_domain(spiffe_id: &str) -> Option<&str> {
    let rest = spiffe_id.strip_prefix("spiffe://")?;
    let domain = rest.split_once('/').map_or(rest, |(domain, _)| domain);
    (!domain.is_empty()).then_some(domain)
}

/// In the canonical text form; an IPv4 address in IPv6's clothes is an IPv4 address.
fn address(address: IpAddr) -> Values<'static> {
    let shown = address.to_canonical().to_string();
    Values::One(Scalar::Text(Cow::Owned(shown)))
}

const fn scalar(value: &str) -> Scalar<'_> {
    Scalar::Text(Cow::Borrowed(value))
}

const fn text(value: &str) -> Values<'_> {
    Values::One(scalar(value))
}

const fn name(value: &str) -> Values<'_> {
    Values::One(Scalar::Name(Cow::Borrowed(value)))
}

const fn integer<'a>(value: i64) -> Values<'a> {
    Values::One(Scalar::Integer(value))
}

const fn boolean<'a>(value: bool) -> Values<'a> {
    Values::One(Scalar::Boolean(value))
}

const fn guid<'a>(value: Uuid) -> Values<'a> {
    Values::One(Scalar::Guid(value))
}

fn texts(values: &[Box<str>]) -> Option<Values<'_>> {
    many(values.iter().map(|value| scalar(value)))
}

/// A list; `None` if it is empty, which is to be missing.
fn many<'a>(values: impl Iterator<Item = Scalar<'a>>) -> Option<Values<'a>> {
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then_some(Values::Many(values))
}

//! A secret in the list of its versions, the only place that has its metadata and not its value.

use http::Uri;

use super::error::MetadataDefect;
use crate::attributes::{Metadata, Properties};
use crate::json::{Json, Number};
use crate::keyvault::{Authority, ObjectVersion, Query, SkipToken};
use crate::proxy::properties;
use crate::rbac::{Inspection, InspectionStep};

/// One page of the list.
pub(super) struct Page<'a> {
    pub(super) items: &'a [Json],
    pub(super) next: Option<SkipToken>,
}

impl<'a> Page<'a> {
    /// Reads an answer of the vault that calls itself `vault`.
    pub(super) fn read(
        answer: &'a Json,
        inspection: &Inspection,
        vault: &Authority,
    ) -> Result<Self, MetadataDefect> {
        let items = match member(answer, "value") {
            Some(Json::Array(items)) => items,
            // Azure: empty pages have been seen with `null` in its place.
            Some(Json::Null) => &[][..],
            _ => return Err(MetadataDefect::Malformed),
        };
        let next = match member(answer, "nextLink") {
            None | Some(Json::Null) => None,
            Some(link) => {
                let token = link
                    .as_text()
                    .and_then(|link| next_page(link, inspection, vault));
                Some(token.ok_or(MetadataDefect::Malformed)?)
            }
        };
        Ok(Self { items, next })
    }
}

/// Where the next page begins.
///
/// SECURITY: the caller's token goes with the question, so the link is never followed. It must be
/// to the very list that was asked for, and even then only its `$skiptoken` is taken.
fn next_page(link: &str, inspection: &Inspection, vault: &Authority) -> Option<SkipToken> {
    let link: Uri = link.parse().ok()?;
    let authority: Authority = link.authority()?.as_str().parse().ok()?;
    let same_list = link.scheme_str() == Some("https")
        && authority == *vault
        && link
            .path()
            .eq_ignore_ascii_case(&inspection.path(InspectionStep::First));
    if same_list {
        Query::parse(link.query()?, &[]).ok()?.skip_token()
    } else {
        None
    }
}

/// What is seen of the versions of one secret.
pub(super) struct Versions<'i> {
    inspection: &'i Inspection,
    /// The version that the caller named.
    given: Option<Properties>,
    latest: Option<Latest>,
}

/// The version with the greatest `created` so far.
struct Latest {
    created: u64,
    version: ObjectVersion,
    properties: Properties,
    /// Whether another one has the same.
    is_tied: bool,
}

impl<'i> Versions<'i> {
    pub(super) const fn new(inspection: &'i Inspection) -> Self {
        Self {
            inspection,
            given: None,
            latest: None,
        }
    }

    /// Whether later pages cannot change anything.
    pub(super) const fn is_settled(&self) -> bool {
        self.given.is_some() && !self.inspection.wants_current()
    }

    /// Takes note of an item of the list.
    pub(super) fn see(&mut self, item: &Json) -> Result<(), MetadataDefect> {
        let (properties, id) = properties::of_answer(self.inspection.object_type(), item);
        let version = version_in(id, self.inspection)?;
        if self.inspection.version() == Some(&version) {
            self.given = Some(properties.clone());
        }
        let attributes = member(item, "attributes");
        let created = match attributes.and_then(|attributes| member(attributes, "created")) {
            Some(Json::Number(Number::Unsigned(created))) => *created,
            _ => return Err(MetadataDefect::Malformed),
        };
        match &mut self.latest {
            Some(latest) if latest.created > created => {}
            // A list that changes while it is read may show a version twice.
            Some(latest) if latest.created == created => {
                latest.is_tied |= latest.version != version;
            }
            Some(_) | None => {
                self.latest = Some(Latest {
                    created,
                    version,
                    properties,
                    is_tied: false,
                });
            }
        }
        Ok(())
    }

    /// The metadata of the version that is inspected, once all pages are seen or it is settled;
    /// `None` if there is none.
    pub(super) fn metadata(self) -> Result<Option<Metadata>, MetadataDefect> {
        let wants_current = self.inspection.wants_current();
        let Some(given) = self.inspection.version() else {
            return self.latest.map(current).transpose().map(|current| {
                current.map(|latest| Metadata {
                    properties: latest.properties,
                    version: Some(latest.version),
                    is_current: wants_current.then_some(true),
                })
            });
        };
        let Some(properties) = self.given else {
            return Ok(None);
        };
        let is_current = match self.latest {
            Some(latest) if wants_current => Some(current(latest)?.version == *given),
            Some(_) | None => None,
        };
        Ok(Some(Metadata {
            properties,
            version: Some(given.clone()),
            is_current,
        }))
    }
}

/// The latest version, if there is only one that can be it.
///
/// SECURITY: the vault's answer has no mark for the current version, and tells times in whole
/// seconds. Of two versions of one second either may be the current one, and nothing else in the
/// list says which: its order is no order of time. A request is sent for the version that was looked
/// at, so the wrong one would be served and decided on as if it were current, a value that was
/// replaced because it leaked for instance. Until there is a later version it cannot be decided.
fn current(latest: Latest) -> Result<Latest, MetadataDefect> {
    if latest.is_tied {
        Err(MetadataDefect::Ambiguous)
    } else {
        Ok(latest)
    }
}

/// The version at the end of an id, which must be one of the object that was asked for.
pub(super) fn version_in(
    id: Option<&str>,
    inspection: &Inspection,
) -> Result<ObjectVersion, MetadataDefect> {
    let read = || {
        let id: Uri = id?.parse().ok()?;
        let mut segments = id.path().split('/').skip(1);
        let collection = segments.next()?;
        let name = segments.next()?;
        let version = segments.next()?.parse().ok()?;
        let is_its = collection.eq_ignore_ascii_case(inspection.object_type().collection())
            && name.eq_ignore_ascii_case(inspection.name().as_str())
            && segments.next().is_none();
        is_its.then_some(version)
    };
    read().ok_or(MetadataDefect::Malformed)
}

/// A member of an object.
fn member<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    if let Json::Object(members) = json {
        members.get(name)
    } else {
        None
    }
}

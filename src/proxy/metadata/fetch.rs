//! From an inspection to an object's metadata: one question to the vault, or a few.

use http::StatusCode;
use tokio::time::Instant;

use super::error::{MetadataDefect, MetadataError};
use super::versions::{Page, Versions, version_in};
use crate::attributes::Metadata;
use crate::json::Json;
use crate::keyvault::ApiVersion;
use crate::proxy::properties;
use crate::proxy::upstream::Upstream;
use crate::rbac::{Inspection, InspectionStep};
use crate::secret::BearerToken;

/// Pages of a list of versions that are looked at, of 25 versions each.
///
/// Azure: an object with more than 500 versions cannot be backed up, and its documentation advises
/// to keep fewer.
const MAX_PAGES: usize = 20;

/// What is needed to ask.
pub(super) struct Fetch<'a> {
    pub(super) inspection: &'a Inspection,
    pub(super) api_version: &'a ApiVersion,
    pub(super) upstream: &'a Upstream,
    pub(super) token: &'a BearerToken,
    pub(super) deadline: Instant,
}

impl Fetch<'_> {
    /// Asks; `None` if there is no such object or version.
    pub(super) async fn metadata(&self) -> Result<Option<Metadata>, MetadataError> {
        if self.inspection.is_listed() {
            self.listed().await
        } else {
            self.single().await
        }
    }

    /// A live secret, from the list of its versions.
    async fn listed(&self) -> Result<Option<Metadata>, MetadataError> {
        let mut versions = Versions::new(self.inspection);
        let mut begins = None;
        for _ in 0..MAX_PAGES {
            let question = begins
                .as_ref()
                .map_or(InspectionStep::First, InspectionStep::Page);
            let Some(answer) = self.ask(question).await? else {
                return Ok(None);
            };
            let page = Page::read(&answer, self.inspection, self.upstream.authority())?;
            for item in page.items {
                versions.see(item)?;
            }
            let next = page.next;
            if next.is_none() || versions.is_settled() {
                return Ok(versions.metadata()?);
            }
            begins = next;
        }
        Err(MetadataDefect::TooLong.into())
    }

    /// A key or certificate, or a deleted object.
    async fn single(&self) -> Result<Option<Metadata>, MetadataError> {
        let Some(object) = self.ask(InspectionStep::First).await? else {
            return Ok(None);
        };
        let (properties, id) = properties::of_answer(self.inspection.object_type(), &object);
        if self.inspection.is_deleted() {
            return Ok(Some(Metadata {
                properties,
                version: None,
                // Nothing that is deleted is current.
                is_current: self.inspection.wants_current().then_some(false),
            }));
        }
        let version = version_in(id, self.inspection)?;
        let given = self.inspection.version();
        if given.is_some_and(|given| *given != version) {
            return Err(MetadataDefect::Malformed.into());
        }
        let is_current = match given {
            _ if !self.inspection.wants_current() => None,
            None => Some(true),
            Some(given) => match self.ask(InspectionStep::Current).await? {
                None => return Ok(None),
                Some(current) => {
                    let (_, id) = properties::of_answer(self.inspection.object_type(), &current);
                    Some(version_in(id, self.inspection)? == *given)
                }
            },
        };
        Ok(Some(Metadata {
            properties,
            version: Some(version),
            is_current,
        }))
    }

    /// One question; `None` if the vault says that there is no such thing.
    async fn ask(&self, question: InspectionStep<'_>) -> Result<Option<Json>, MetadataError> {
        let answer = self
            .upstream
            .inspect(
                self.inspection,
                question,
                self.api_version,
                self.token,
                self.deadline,
            )
            .await
            .map_err(|error| MetadataError::from(&error))?;
        match answer.status {
            StatusCode::OK => Json::parse(&answer.body)
                .map(Some)
                .map_err(|_| MetadataDefect::Malformed.into()),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(MetadataError {
                defect: MetadataDefect::of_status(status),
                retry_after_seconds: answer.retry_after_seconds,
            }),
        }
    }
}

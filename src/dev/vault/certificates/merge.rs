//! Merging: a certificate that somebody else signed meets the key that waits for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::LOCATION;
use http::{Response, StatusCode};
use serde::Deserialize;

use crate::dev::vault::body::{self, AttributesBody, check_tags};
use crate::dev::vault::failure::Failure;
use crate::dev::vault::objects::Answer;
use crate::dev::vault::paging::Query;
use crate::dev::vault::shelf::Tags;
use crate::dev::vault::store::Store;

use super::issue::{Issued, Wanted};
use super::pending::pending_mut;
use super::{Certificate, import, reading};

#[derive(Deserialize)]
struct MergeBody {
    x5c: Vec<String>,
    tags: Option<Tags>,
    attributes: Option<AttributesBody>,
}

impl Store {
    /// `POST /certificates/{name}/pending/merge`: 201 and the new version.
    pub(super) fn merge_certificate(
        &self,
        name: &str,
        body: &[u8],
        query: &Query,
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: MergeBody = body::read(body)?;
        check_tags(body.tags.as_ref())?;
        let chain = body.x5c.iter().map(|text| der(text));
        let chain = chain.collect::<Option<Vec<_>>>().ok_or_else(|| {
            Failure::bad_parameter("Property x5c must be X.509 certificates in base64.")
        })?;
        let mut shelf = self.shelf::<Certificate>(now);
        let pending = pending_mut(&mut shelf, name, query)?;
        pending.check_mergeable()?;
        let material = pending.key.material();
        let place = chain.iter().position(|der| {
            let certificate = reading::parse(der);
            certificate.is_some_and(|it| reading::is_for(&it, material).unwrap_or(false))
        });
        let chain = import::leaf_first(chain, place.ok_or_else(import::mismatch)?);
        let policy = Arc::clone(&pending.policy);
        let issued = Issued::new(pending.key.clone(), chain, 0, &policy)?;
        let wanted = Wanted::new(body.attributes, body.tags, None);
        self.complete(&mut shelf, name, Arc::new(issued), (policy, wanted), now)?;
        let (object, version) = shelf.version(name, None)?;
        let bundle = self.bundle(&object.name, version);
        let location = format!(
            "{}?api-version={}",
            self.id::<Certificate>(&object.name),
            query.api_version()
        );
        let response = Response::builder()
            .status(StatusCode::CREATED)
            .header(LOCATION, location)
            .body(serde_json::Value::from(bundle).to_string().into());
        response
            .map(Answer::Response)
            .map_err(|_| Failure::internal())
    }
}

/// One certificate of `x5c`.
///
/// Azure: clients differ, and the service takes all their forms: DER in base64, as the
/// specification says, or in base64 once more, with or without the lines of PEM around it.
fn der(text: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    if reading::parse(&bytes).is_some() {
        return Some(bytes);
    }
    let text = String::from_utf8(bytes).ok()?;
    let body = text
        .split_once("-----BEGIN CERTIFICATE-----")
        .map_or(text.as_str(), |(_, body)| body);
    let body = body.split("-----END").next().unwrap_or_default();
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = STANDARD.decode(body).ok()?;
    reading::parse(&der).is_some().then_some(der)
}

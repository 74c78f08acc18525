//! The query of a request, and lists page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::keyvault::{ApiVersion, Authority};

use super::failure::Failure;

/// Azure: items on a page, unless `maxresults` asks for fewer.
const MAX_RESULTS: usize = 25;

/// Azure: the versions there are and were.
/// <https://github.com/Azure/azure-rest-api-specs/tree/main/specification/keyvault/data-plane>
const API_VERSIONS: [&str; 24] = [
    "2015-06-01",
    "2016-10-01",
    "7.0-preview",
    "7.0",
    "7.1-preview",
    "7.1",
    "7.2-preview",
    "7.2",
    "7.3-preview",
    "7.3",
    "7.4-preview.1",
    "7.4",
    "7.5-preview.1",
    "7.5",
    "7.6-preview.1",
    "7.6-preview.2",
    "7.6",
    "2025-06-01-preview",
    "2025-07-01",
    "2026-01-01-preview",
    "2026-03-01-preview",
    "2026-04-01",
    "2026-05-01-preview",
    "2026-07-01-preview",
];

/// What a request says after `?`.
#[derive(Debug)]
pub(super) struct Query {
    api_version: ApiVersion,
    max_results: usize,
    /// Whether a list shows certificates that are in the making.
    pub(super) include_pending: bool,
    /// Which pending operation is meant.
    pub(super) request_id: Option<String>,
    /// The form a certificate's secret is wanted in.
    pub(super) out_content_type: Option<String>,
    /// The last item of the page before.
    pub(super) after: Option<String>,
}

impl Query {
    /// Reads a query; parameters the vault does not know are ignored.
    pub(super) fn parse(query: &str) -> Result<Self, Failure> {
        let find = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        let api_version = find("api-version").ok_or_else(|| {
            Failure::bad_parameter("The api-version query parameter is required.")
        })?;
        let known = || API_VERSIONS.contains(&&*api_version);
        let parsed = api_version.parse().ok().filter(|_| known());
        let parsed = parsed.ok_or_else(|| {
            Failure::bad_parameter(format!(
                "The specified version ({api_version}) is not recognized. Consider using the \
                 latest supported version (2026-04-01)."
            ))
        })?;
        let max_results = match find("maxresults") {
            None => MAX_RESULTS,
            Some(text) => text
                .parse()
                .ok()
                .filter(|count| (1..=MAX_RESULTS).contains(count))
                .ok_or_else(|| {
                    Failure::bad_parameter("The maxresults parameter must be from 1 to 25.")
                })?,
        };
        let after = find("$skiptoken")
            .map(|token| read_token(&token))
            .transpose()?;
        Ok(Self {
            api_version: parsed,
            max_results,
            include_pending: find("includePending")
                .is_some_and(|it| it.eq_ignore_ascii_case("true")),
            request_id: find("request_id"),
            out_content_type: find("outContentType"),
            after,
        })
    }

    /// The version of the service that was asked.
    pub(super) fn api_version(&self) -> &str {
        self.api_version.as_str()
    }

    /// One page of `items`, which begin after [`Self::after`]; each comes with its marker.
    ///
    /// Azure: `nextLink` names the port even if it is 443, unlike every id.
    pub(super) fn page<'a>(
        &self,
        authority: &Authority,
        path: &str,
        items: impl Iterator<Item = (&'a str, Value)>,
    ) -> Value {
        let mut items = items.peekable();
        let mut value = Vec::new();
        let mut last = None;
        while value.len() < self.max_results {
            let Some((marker, item)) = items.next() else {
                break;
            };
            last = Some(marker);
            value.push(item);
        }
        let mut page = json!({ "value": value, "nextLink": null });
        if let (Some(marker), Some(_), Some(page)) = (last, items.peek(), page.as_object_mut()) {
            let link = format!(
                "https://{}:{}{path}?api-version={}&$skiptoken={}&maxresults={}",
                authority.host(),
                authority.port(),
                self.api_version.as_str(),
                write_token(marker),
                self.max_results,
            );
            let pending = if self.include_pending {
                "&includePending=true"
            } else {
                ""
            };
            let link = link + pending;
            page.insert("nextLink".to_owned(), link.into());
        }
        page
    }
}

fn write_token(marker: &str) -> String {
    URL_SAFE_NO_PAD.encode(json!({ "NextMarker": marker }).to_string())
}

fn read_token(token: &str) -> Result<String, Failure> {
    let marker = || {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        value.get("NextMarker")?.as_str().map(str::to_owned)
    };
    marker().ok_or_else(|| Failure::bad_parameter("The $skiptoken parameter is not valid."))
}

//! Getting an issuer's key document: over the network or from a file, bounded in time and size.
//!
//! SECURITY: whoever answers here decides whom the proxy believes. So: https only, the configured
//! roots only, no redirect, no proxy from the environment, addresses from the configuration only.
//! The one address taken from an answer, `jwks_uri`, must have the origin of the document that
//! names it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, StatusCode, Url, redirect, retry};
use thiserror::Error;
use tokio::io::AsyncReadExt as _;

use super::events::RefreshResult;
use super::json;
use super::jwks::{JwksError, KeySet, MAX_DOCUMENT_BYTES};
use crate::config;
use crate::json::Json;
use crate::principal::TenantId;
use crate::tls::{self, TlsError};

/// From the first look at the source to the last byte, all documents together. Short enough that a
/// request that waits for a new key is not kept for long.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no fresh key set. The texts hold nothing that an answer said.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    #[error("the discovery document is not a JSON object with `issuer` and `jwks_uri`")]
    Discovery,
    #[error("the discovery document names an issuer that is not one of the configured `issuers`")]
    DiscoveryIssuer,
    #[error("the `jwks_uri` of the discovery document is not https on the same host and port")]
    DiscoveryKeys,
    #[error("the key document is unusable: {0}")]
    Document(#[from] JwksError),
    #[error("`{path}` cannot be read: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("the request failed: {0}")]
    Request(String),
    #[error("the answer has status {0}; expected 200")]
    Status(StatusCode),
    #[error("no answer within {} seconds", FETCH_TIMEOUT.as_secs())]
    TimedOut,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the document is larger than {} KiB", MAX_DOCUMENT_BYTES / 1024)]
    TooLarge,
    #[error("`{0}` is not an https URL")]
    Url(Box<str>),
}

impl FetchError {
    pub(super) const fn result(&self) -> RefreshResult {
        match self {
            Self::Discovery | Self::DiscoveryIssuer | Self::DiscoveryKeys => {
                RefreshResult::Discovery
            }
            Self::Document(_) => RefreshResult::Document,
            Self::File { .. }
            | Self::Request(_)
            | Self::Status(_)
            | Self::TimedOut
            | Self::Tls(_)
            | Self::TooLarge
            | Self::Url(_) => RefreshResult::Fetch,
        }
    }
}

/// Where one issuer's keys come from.
#[derive(Debug)]
pub(super) struct Source {
    place: Place,
    tenant: TenantId,
    issuers: Vec<Box<str>>,
    ca_file: Option<PathBuf>,
}

#[derive(Debug)]
enum Place {
    Discovery(Url),
    File(PathBuf),
    Jwks(Url),
}

impl Source {
    /// # Errors
    /// A URL is not https, or the CA file is unusable.
    pub(super) fn of(issuer: &config::Issuer) -> Result<Self, FetchError> {
        let place = match &issuer.keys {
            config::KeySource::Discovery(url) => Place::Discovery(https_url(url)?),
            config::KeySource::JwksUrl(url) => Place::Jwks(https_url(url)?),
            config::KeySource::JwksFile(path) => Place::File(path.clone()),
        };
        if let Some(path) = &issuer.ca_file {
            tls::client_config(Some(path))?;
        }
        Ok(Self {
            place,
            tenant: issuer.tenant_id,
            issuers: issuer.issuers.clone(),
            ca_file: issuer.ca_file.clone(),
        })
    }

    /// Whether looking again costs nothing but a file read.
    pub(super) const fn is_file(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// Gets and reads the key document, within [`FETCH_TIMEOUT`].
    pub(super) async fn fetch(&self) -> Result<KeySet, FetchError> {
        tokio::time::timeout(FETCH_TIMEOUT, self.document())
            .await
            .map_err(|_| FetchError::TimedOut)?
            .and_then(|document| Ok(KeySet::parse(&document, self.tenant)?))
    }

    async fn document(&self) -> Result<Vec<u8>, FetchError> {
        match &self.place {
            Place::File(path) => read_file(path).await,
            Place::Jwks(url) => get(&self.client().await?, url.clone()).await,
            Place::Discovery(url) => {
                let client = self.client().await?;
                let discovery = get(&client, url.clone()).await?;
                let keys = self.key_address(url, &discovery)?;
                get(&client, keys).await
            }
        }
    }

    /// Built anew each time, off the worker threads, so that renewed CA files count without a
    /// restart. It happens about once an hour.
    async fn client(&self) -> Result<Client, FetchError> {
        let ca_file = self.ca_file.clone();
        tokio::task::spawn_blocking(move || client(ca_file.as_deref()))
            .await
            .map_err(|error| FetchError::Request(error.to_string()))?
    }

    fn key_address(&self, asked: &Url, discovery: &[u8]) -> Result<Url, FetchError> {
        let document = json::parse(discovery).map_err(|_| FetchError::Discovery)?;
        let (Some(Json::String(issuer)), Some(Json::String(keys))) =
            (document.get("issuer"), document.get("jwks_uri"))
        else {
            return Err(FetchError::Discovery);
        };
        if !self.issuers.contains(issuer) {
            return Err(FetchError::DiscoveryIssuer);
        }
        let keys = https_url(keys).map_err(|_| FetchError::DiscoveryKeys)?;
        if keys.origin() != asked.origin() {
            return Err(FetchError::DiscoveryKeys);
        }
        Ok(keys)
    }
}

fn https_url(text: &str) -> Result<Url, FetchError> {
    let url = Url::parse(text).ok().filter(|url| {
        url.scheme() == "https"
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    url.ok_or_else(|| FetchError::Url(text.into()))
}

fn client(ca_file: Option<&Path>) -> Result<Client, FetchError> {
    let tls = tls::client_config(ca_file)?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(FETCH_TIMEOUT)
        .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| request_error(&error))
}

async fn get(client: &Client, url: Url) -> Result<Vec<u8>, FetchError> {
    let mut answer = client
        .get(url)
        .send()
        .await
        .map_err(|error| request_error(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status(answer.status()));
    }
    let mut document = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| request_error(&error))?
    {
        document.extend_from_slice(&chunk);
        // Checked while it comes in: a length that was announced binds nobody.
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err(FetchError::TooLarge);
        }
    }
    Ok(document)
}

/// The causes too: without them every failed connection reads alike.
fn request_error(error: &reqwest::Error) -> FetchError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    FetchError::Request(text)
}

async fn read_file(path: &Path) -> Result<Vec<u8>, FetchError> {
    let unreadable = |source| FetchError::File {
        path: path.to_owned(),
        source,
    };
    // A pipe or a device would keep a thread waiting for ever.
    let kind = tokio::fs::metadata(path).await.map_err(unreadable)?;
    if !kind.is_file() {
        return Err(unreadable(io::ErrorKind::InvalidInput.into()));
    }
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let limit = u64::try_from(MAX_DOCUMENT_BYTES).unwrap_or(u64::MAX);
    let mut document = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut document)
        .await
        .map_err(unreadable)?;
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err(FetchError::TooLarge);
    }
    Ok(document)
}

//! The embedded issuer: what Entra ID is to Key Vault, for one tenant.
//!
//! | request | answer |
//! |---|---|
//! | `GET /{tenant}/.well-known/openid-configuration` | v1 discovery; its `issuer` is the `iss` of the tokens |
//! | `GET /{tenant}/v2.0/.well-known/openid-configuration` | v2 discovery, for the SDKs' credentials |
//! | `GET /{tenant}/discovery/keys`, `…/discovery/v2.0/keys` | the signing keys (JWKS) |
//! | `POST /{tenant}/oauth2/v2.0/token` | a token for client credentials, a secret or an assertion |
//! | `POST /{tenant}/dev/rotate[?retire=true]` | a new signing key; only this one is not Entra's |
//!
//! Tokens have the form Key Vault tokens have today: version 1.0 claims, RS256, `iss` with a
//! trailing slash. Sources: <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>,
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

mod assertion;
mod endpoint;
mod keys;
mod token;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::clock::Clock;
use crate::principal::{Guid, ObjectId, TenantId};
use crate::secret::BearerToken;

use super::server::{Bound, Running};
use super::{StartError, random};
use endpoint::Endpoint;
pub use keys::{KeyRing, OldKeys};

/// The resource Key Vault tokens are for: their `aud`.
pub const VAULT_RESOURCE: &str = "https://vault.azure.net";

/// How long assertions are good.
const LIFETIME_OF_ASSERTIONS: Duration = Duration::from_secs(24 * 3600);

/// An application that may ask for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// `client_id` of the token request, `appid` of the token.
    pub client_id: Guid,
    /// `oid` and `sub` of the token.
    pub object_id: ObjectId,
    /// `groups` of the token; none leaves the claim out, as Key Vault tokens of applications do.
    pub groups: Vec<ObjectId>,
}

/// What an issuer is started with.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The port of 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// The host name in the issuer's own URLs, such as `localhost`.
    pub host: Box<str>,
    /// The tenant.
    pub tenant: TenantId,
    /// The `iss` of tokens, such as `https://sts.windows.net/{tenant}/`.
    pub issuer: Box<str>,
    /// Who may ask for tokens.
    pub applications: Vec<Application>,
    /// How long tokens are valid.
    pub token_lifetime: Duration,
    /// The server's certificate.
    pub tls: Arc<rustls::ServerConfig>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// A token could not be signed, or a key not be made.
#[derive(Debug, Error)]
pub enum IssueError {
    /// No application has this object id.
    #[error("no application has the object id `{0}`")]
    NoApplication(ObjectId),
    /// The cryptography failed.
    #[error("the system's cryptography failed")]
    Cryptography,
}

/// The secret all applications share in one run.
#[derive(Clone)]
pub(super) struct ClientSecret(Box<str>);

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(redacted)")
    }
}

/// Starts the issuer.
///
/// # Errors
/// [`StartError`] if the port is taken or no key could be made.
pub async fn start(settings: IssuerSettings) -> Result<IssuerHandle, StartError> {
    let bound = Bound::bind(settings.port).await?;
    let url = format!("https://{}:{}", settings.host, bound.address().port());
    let secret = ClientSecret(URL_SAFE_NO_PAD.encode(random::<24>()?).into());
    let keys = keys::make_ring().await.map_err(|_| StartError::Key)?;
    let tls = Arc::clone(&settings.tls);
    let endpoint = Arc::new(Endpoint {
        settings,
        url: url.into(),
        secret,
        keys,
    });
    let running = bound.serve(tls, Arc::clone(&endpoint));
    Ok(IssuerHandle { endpoint, running })
}

/// A running issuer. Dropping it ends it at once.
#[derive(Debug)]
pub struct IssuerHandle {
    endpoint: Arc<Endpoint>,
    running: Running,
}

impl IssuerHandle {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// `https://{host}:{port}`, which SDKs call the authority.
    pub fn url(&self) -> &str {
        &self.endpoint.url
    }

    /// `https://{host}:{port}/{tenant}`: the `authorization` of Key Vault's challenge.
    pub fn tenant_url(&self) -> String {
        self.endpoint.tenant_url()
    }

    /// The URL of the v1 discovery document, whose issuer is the `iss` of the tokens.
    pub fn discovery_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.tenant_url())
    }

    /// The `iss` of the tokens.
    pub fn issuer(&self) -> &str {
        &self.endpoint.settings.issuer
    }

    /// The secret of every application.
    ///
    /// SECURITY: made at start, so that it is of no use anywhere else; still, do not log it.
    pub fn client_secret(&self) -> &str {
        &self.endpoint.secret.0
    }

    /// What a workload shows instead of the secret, whichever application it is; good for a day.
    ///
    /// # Errors
    /// [`IssueError::Cryptography`].
    pub fn client_assertion(&self) -> Result<BearerToken, IssueError> {
        let now = self.endpoint.settings.clock.now();
        assertion::made(&self.endpoint.keys, now)
    }

    /// The signing keys, for a vault that trusts this issuer.
    pub fn keys(&self) -> KeyRing {
        self.endpoint.keys.clone()
    }

    /// The claims of a Key Vault token for the application with this object id, as of now.
    ///
    /// # Errors
    /// [`IssueError::NoApplication`].
    pub fn claims(&self, object_id: ObjectId) -> Result<Map<String, Value>, IssueError> {
        let application = self
            .endpoint
            .settings
            .applications
            .iter()
            .find(|application| application.object_id == object_id)
            .ok_or(IssueError::NoApplication(object_id))?;
        self.endpoint.claims(application, VAULT_RESOURCE)
    }

    /// A Key Vault token for the application with this object id.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn token(&self, object_id: ObjectId) -> Result<BearerToken, IssueError> {
        self.mint(&self.claims(object_id)?)
    }

    /// Signs any claims with the current key: for tokens that are expired, for another audience,
    /// or odd in some other way.
    ///
    /// # Errors
    /// [`IssueError::Cryptography`].
    pub fn mint(&self, claims: &Map<String, Value>) -> Result<BearerToken, IssueError> {
        token::sign(&self.endpoint.keys, claims)
    }

    /// Makes a new key and signs with it from now on. Returns its `kid`.
    ///
    /// # Errors
    /// [`IssueError::Cryptography`].
    pub async fn rotate(&self, old: OldKeys) -> Result<Box<str>, IssueError> {
        self.endpoint.keys.rotate(old).await
    }

    /// Stops: answers in flight may finish, for a few seconds.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

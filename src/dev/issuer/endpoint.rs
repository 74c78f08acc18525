//! The issuer's requests and answers.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::dev::server::{Body, BrokenOff, Peer, Service, read_body, whole};

use super::assertion::{self, ASSERTION_TYPE};
use super::keys::{KeyRing, OldKeys};
use super::{Application, ClientSecret, IssueError, IssuerSettings, VAULT_RESOURCE, token};

/// The longest token request.
const MAX_FORM_BYTES: usize = 64 * 1024;

/// The resources tokens are issued for: Key Vault under its URL, the same with the slash that Key
/// Vault refuses, Key Vault under its application id, and the resource that is asked for by
/// mistake most often.
const RESOURCES: [&str; 4] = [
    VAULT_RESOURCE,
    "https://vault.azure.net/",
    "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
    "https://management.azure.com",
];

/// The issuer behind its server.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) settings: IssuerSettings,
    pub(super) url: Box<str>,
    pub(super) secret: ClientSecret,
    pub(super) keys: KeyRing,
}

/// An error in Entra's shape.
///
/// Source: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    code: u32,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, error: &'static str, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            error,
            code,
            message: message.into(),
        }
    }

    fn bad_request(error: &'static str, code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, code, message)
    }
}

impl From<IssueError> for Refusal {
    fn from(error: IssueError) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            90033,
            error.to_string(),
        )
    }
}

impl Service for Endpoint {
    async fn answer(
        self: Arc<Self>,
        _peer: Arc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, BrokenOff> {
        Ok(match self.route(request).await {
            Ok(body) => json_response(StatusCode::OK, &body),
            Err(refusal) => self.refuse(&refusal),
        })
    }
}

impl Endpoint {
    /// The tenant's part of the issuer.
    pub(super) fn tenant_url(&self) -> String {
        format!("{}/{}", self.url, self.settings.tenant)
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Value, Refusal> {
        let (head, body) = request.into_parts();
        let path: Vec<&str> = head.uri.path().split('/').skip(1).collect();
        let Some((tenant, rest)) = path.split_first() else {
            return Err(no_such_place());
        };
        if !tenant.eq_ignore_ascii_case(&self.settings.tenant.to_string()) {
            return Err(Refusal::bad_request(
                "invalid_request",
                90002,
                format!("Tenant '{tenant}' not found."),
            ));
        }
        match (&head.method, rest) {
            (&Method::GET, [".well-known", "openid-configuration"]) => Ok(self.discovery_v1()),
            (&Method::GET, ["v2.0", ".well-known", "openid-configuration"]) => {
                Ok(self.discovery_v2())
            }
            (&Method::GET, ["discovery", "keys"]) => Ok(json!({ "keys": self.keys.jwks() })),
            (&Method::GET, ["discovery", "v2.0", "keys"]) => Ok(self.jwks_v2()),
            (&Method::POST, ["oauth2", "v2.0", "token"]) => {
                let form = read_body(body, MAX_FORM_BYTES).await.map_err(|_| {
                    Refusal::bad_request("invalid_request", 900_144, "The body cannot be read.")
                })?;
                self.token(&form)
            }
            (&Method::POST, ["dev", "rotate"]) => self.rotate(head.uri.query()).await,
            _ => Err(no_such_place()),
        }
    }

    fn discovery_v1(&self) -> Value {
        let tenant_url = self.tenant_url();
        json!({
            "issuer": self.settings.issuer,
            "authorization_endpoint": format!("{tenant_url}/oauth2/authorize"),
            "token_endpoint": format!("{tenant_url}/oauth2/v2.0/token"),
            "jwks_uri": format!("{tenant_url}/discovery/keys"),
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    /// Azure: the issuer of the v2 document is not the `iss` of v1 tokens.
    fn discovery_v2(&self) -> Value {
        let tenant_url = self.tenant_url();
        json!({
            "issuer": format!("{tenant_url}/v2.0"),
            "authorization_endpoint": format!("{tenant_url}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{tenant_url}/oauth2/v2.0/token"),
            "jwks_uri": format!("{tenant_url}/discovery/v2.0/keys"),
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token"],
            "subject_types_supported": ["pairwise"],
        })
    }

    /// Azure: keys of the v2 endpoint say which `iss` they sign for.
    fn jwks_v2(&self) -> Value {
        let mut keys = self.keys.jwks();
        for key in &mut keys {
            if let Some(key) = key.as_object_mut() {
                key.insert("issuer".to_owned(), json!(self.settings.issuer));
            }
        }
        json!({ "keys": keys })
    }

    async fn rotate(&self, query: Option<&str>) -> Result<Value, Refusal> {
        let retire = form_urlencoded::parse(query.unwrap_or("").as_bytes())
            .any(|(name, value)| name == "retire" && value == "true");
        let old = if retire {
            OldKeys::Retire
        } else {
            OldKeys::Keep
        };
        let kid = self.keys.rotate(old).await?;
        Ok(json!({ "kid": kid, "published": self.keys.jwks().len() }))
    }

    /// Answers a token request for client credentials.
    fn token(&self, form: &[u8]) -> Result<Value, Refusal> {
        let form = TokenRequest::read(form);
        if form.required("grant_type")? != "client_credentials" {
            return Err(Refusal::bad_request(
                "unsupported_grant_type",
                70003,
                "The app requested an unsupported grant type.",
            ));
        }
        let application = self.application(form.required("client_id")?)?;
        match form.get("client_assertion") {
            Some(assertion) => {
                self.check_assertion(assertion, form.get("client_assertion_type"))?
            }
            None => self.check_secret(form.get("client_secret"))?,
        }
        let resource = resource(form.required("scope")?)?;
        let token = token::sign(&self.keys, &self.claims(application, resource)?)?;
        let expires_in = self.settings.token_lifetime.as_secs().saturating_sub(1);
        Ok(json!({
            "token_type": "Bearer",
            "expires_in": expires_in,
            "ext_expires_in": expires_in,
            "access_token": token.expose(),
        }))
    }

    fn application(&self, client_id: &str) -> Result<&Application, Refusal> {
        self.settings
            .applications
            .iter()
            .find(|application| client_id.eq_ignore_ascii_case(&application.client_id.to_string()))
            .ok_or_else(|| {
                Refusal::bad_request(
                    "unauthorized_client",
                    700_016,
                    format!(
                        "Application with identifier '{client_id}' was not found in the \
                         directory '{}'.",
                        self.settings.tenant
                    ),
                )
            })
    }

    fn check_secret(&self, secret: Option<&str>) -> Result<(), Refusal> {
        let refusal =
            |code, message| Refusal::new(StatusCode::UNAUTHORIZED, "invalid_client", code, message);
        let Some(secret) = secret else {
            return Err(refusal(
                7_000_216,
                "'client_assertion', 'client_secret' or 'request' is required for the \
                 'client_credentials' grant type.",
            ));
        };
        verify_slices_are_equal(secret.as_bytes(), self.secret.0.as_bytes())
            .map_err(|_| refusal(7_000_215, "Invalid client secret provided."))
    }

    fn check_assertion(&self, shown: &str, kind: Option<&str>) -> Result<(), Refusal> {
        let now = self.settings.clock.now();
        if kind == Some(ASSERTION_TYPE) && assertion::is_good(shown, &self.keys, now) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            700_027,
            "The certificate with identifier used to sign the client assertion is not registered \
             on application.",
        ))
    }

    fn refuse(&self, refusal: &Refusal) -> Response<Body> {
        let Refusal {
            status,
            error,
            code,
            message,
        } = refusal;
        let trace = Uuid::new_v4();
        let correlation = Uuid::new_v4();
        let now = self.settings.clock.now();
        let timestamp = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let timestamp = timestamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let body = json!({
            "error": error,
            "error_description": format!(
                "AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {correlation} \
                 Timestamp: {timestamp}"
            ),
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace.to_string(),
            "correlation_id": correlation.to_string(),
        });
        json_response(*status, &body)
    }
}

fn no_such_place() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "invalid_request",
        90057,
        "The embedded issuer has nothing here.",
    )
}

/// The resource that `scope` asks for.
fn resource(scope: &str) -> Result<&'static str, Refusal> {
    let invalid = || {
        Refusal::bad_request(
            "invalid_scope",
            1_002_012,
            format!(
                "The provided value for scope {scope} is not valid. Client credential flows must \
                 have a scope value with /.default suffixed to the resource identifier \
                 (application ID URI)."
            ),
        )
    };
    let wanted = scope.strip_suffix("/.default").ok_or_else(invalid)?;
    let known = RESOURCES.iter().find(|resource| **resource == wanted);
    known.copied().ok_or_else(|| {
        Refusal::bad_request(
            "invalid_resource",
            500_011,
            format!("The resource principal named {wanted} was not found in the tenant."),
        )
    })
}

/// The form of a token request.
struct TokenRequest(Vec<(String, String)>);

impl TokenRequest {
    fn read(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(given, _)| given == name)?;
        Some(value)
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            Refusal::bad_request(
                "invalid_request",
                900_144,
                format!("The request body must contain the following parameter: '{name}'."),
            )
        })
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(whole(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-cache"),
    );
    response
}

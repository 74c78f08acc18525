//! Tokens: their claims and their signature.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::dev::{random, unix_seconds};
use crate::secret::BearerToken;

use super::endpoint::Endpoint;
use super::keys::KeyRing;
use super::{Application, IssueError};

/// Azure: `iat` and `nbf` lie five minutes back, for clocks that are slow.
const BACKDATED: Duration = Duration::from_secs(300);

impl Endpoint {
    /// The claims of a token for `application` to use at `resource`, as of now.
    ///
    /// Azure: a Key Vault token of an application has no `idtyp`, `groups` or `roles` of its own
    /// accord; `groups` is there only if the application was set up with some.
    pub(super) fn claims(
        &self,
        application: &Application,
        resource: &str,
    ) -> Result<Map<String, Value>, IssueError> {
        let now = self.settings.clock.now();
        let issued = unix_seconds(now - BACKDATED);
        let object_id = application.object_id.to_string();
        let uti = random::<16>().map_err(|_| IssueError::Cryptography)?;
        let claims = json!({
            "aud": resource,
            "iss": self.settings.issuer,
            "iat": issued,
            "nbf": issued,
            "exp": unix_seconds(self.expires_at(now)),
            "appid": application.client_id.to_string(),
            "appidacr": "1",
            "idp": self.settings.issuer,
            "oid": object_id,
            "sub": object_id,
            "tid": self.settings.tenant.to_string(),
            "uti": URL_SAFE_NO_PAD.encode(uti),
            "ver": "1.0",
        });
        let mut claims = match claims {
            Value::Object(claims) => claims,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        if !application.groups.is_empty() {
            let groups = application.groups.iter().map(ToString::to_string);
            claims.insert("groups".to_owned(), groups.collect());
        }
        Ok(claims)
    }

    /// When a token issued at `now` ends.
    fn expires_at(&self, now: SystemTime) -> SystemTime {
        now + self.settings.token_lifetime
    }
}

/// Signs `claims` with the current key.
pub(super) fn sign(keys: &KeyRing, claims: &Map<String, Value>) -> Result<BearerToken, IssueError> {
    let key = keys.current()?;
    let header = json!({
        "typ": "JWT",
        "alg": "RS256",
        "x5t": key.kid(),
        "kid": key.kid(),
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        encode(&header),
        encode(&Value::Object(claims.clone()))
    );
    let signature = key.sign(signed.as_bytes())?;
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    BearerToken::new(&token).map_err(|_| IssueError::Cryptography)
}

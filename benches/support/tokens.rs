//! Tokens as Entra makes them, and an issuer that vouches for them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::authn::{Authenticator, NoEvents, RefreshHandle};
use portcullis::clock::Clock;
use portcullis::config::{Issuer, KeySource};
use serde_json::json;

/// Why there is nothing to measure.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// The name of the issuer.
pub(crate) const ISSUER: &str = "main";

const TENANT: &str = "5a1f0c3e-77d2-4b8e-9c41-2f6b8d90e3a7";
const AUDIENCE: &str = "https://vault.azure.net";
const KID: &str = "bench-key";
const START: u64 = 1_800_000_000;

/// A clock that stands still, so that no token ends while it is measured.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(START)
    }
}

/// Signs tokens.
pub(crate) struct Signer(KeyPair);

impl Signer {
    /// With a new key of 2,048 bits.
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self(KeyPair::generate(KeySize::Rsa2048)?))
    }

    /// The key set that an issuer publishes.
    pub(crate) fn write_keys(&self, path: &Path) -> Result<(), Failure> {
        let parts = PublicKeyComponents::<Vec<u8>>::from(self.0.public_key());
        let (n, e) = (
            URL_SAFE_NO_PAD.encode(parts.n),
            URL_SAFE_NO_PAD.encode(parts.e),
        );
        let key = json!({"kty": "RSA", "use": "sig", "kid": KID, "n": n, "e": e});
        Ok(std::fs::write(path, json!({ "keys": [key] }).to_string())?)
    }

    /// An application's token of about 1.8 KB, good for an hour; no two numbers give the same one.
    pub(crate) fn token(&self, number: usize) -> Result<String, Failure> {
        let header = json!({"typ": "JWT", "alg": "RS256", "x5t": KID, "kid": KID});
        let oid = "e3b7c9d1-4f26-4a80-b5e9-6d1c0f8a7b42";
        let payload = json!({
            "aud": AUDIENCE, "iss": format!("https://sts.windows.net/{TENANT}/"),
            "iat": START, "nbf": START, "exp": START + 3600,
            "aio": "k2RgYFi0Pv3yz6Ytbq8v3zt2JvpVZfJm".repeat(4),
            "appid": "18f6a2b4-9c0d-4e57-a3b8-c7d5e4f60912", "appidacr": "2",
            "idp": format!("https://sts.windows.net/{TENANT}/"), "idtyp": "app",
            "oid": oid, "rh": "1.AUEAPgwfWtJ3jkucQS9rjZDjpzlnqJ".repeat(6), "sub": oid,
            "tid": TENANT, "uti": format!("uti-{number}"), "ver": "1.0",
            "xms_ftd": "qZ3vJtYw5sKf0cXhR1uEoP7mDnB4aGkT".repeat(3),
            "xms_idrel": "7 24", "xms_rd": "0.42LjYBJi".repeat(4),
            "xms_az_rid": format!("/subscriptions/{TENANT}/resourcegroups/rg-payments-prod/providers/\
                Microsoft.ManagedIdentity/userAssignedIdentities/mi-payments-checkout-prod"),
        });
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        let message = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(payload.to_string())
        );
        let mut signature = vec![0; self.0.public_modulus_len()];
        let random = SystemRandom::new();
        self.0.sign(
            &RSA_PKCS1_SHA256,
            &random,
            message.as_bytes(),
            &mut signature,
        )?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// An authenticator that has read the keys in `path` and has seen no token yet. Needs a runtime.
pub(crate) async fn authenticator(path: &Path) -> Result<(Authenticator, RefreshHandle), Failure> {
    let issuer = Issuer {
        name: ISSUER.into(),
        tenant_id: TENANT.parse()?,
        issuers: vec![format!("https://sts.windows.net/{TENANT}/").into()],
        audiences: vec![AUDIENCE.into()],
        challenge_authority: format!("https://login.microsoftonline.com/{TENANT}").into(),
        challenge_resource: AUDIENCE.into(),
        keys: KeySource::JwksFile(path.to_path_buf()),
        ca_file: None,
        clock_skew: Duration::from_secs(60),
        refresh_interval: Duration::from_secs(3600),
        unknown_kid_cooldown: Duration::from_secs(300),
        max_staleness: Duration::from_secs(86_400),
    };
    let authenticator = Authenticator::new(&[issuer], Arc::new(Stopped), Arc::new(NoEvents))?;
    let refresh = authenticator.spawn_refresh();
    authenticator.wait_until_keys_ready().await;
    Ok((authenticator, refresh))
}

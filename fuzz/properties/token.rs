//! Any header and payload of a token, each a line, rightly signed; and any text at all, which is not.
//! Who is let in was vouched for by this issuer, for this tenant and audience, and for now. The oracle
//! reads the claims with `serde_json`, which the authenticator does not. Gives whether anybody is let in.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::authn::{Authenticator, NoEvents, RefreshHandle};
use portcullis::clock::Clock;
use portcullis::config::{Issuer, KeySource};
use portcullis::secret::BearerToken;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

const NAME: &str = "main";
const TENANT: &str = "5a1f0c3e-77d2-4b8e-9c41-2f6b8d90e3a7";
const ISSUER: &str = "https://sts.windows.net/5a1f0c3e-77d2-4b8e-9c41-2f6b8d90e3a7/";
const AUDIENCE: &str = "https://vault.azure.net";
const KID: &str = "fuzz-key";
const NOW: u64 = 1_800_000_000;
const SKEW: u64 = 60;

/// A clock that stands still.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(NOW)
    }
}

struct Judge {
    authenticator: Authenticator,
    runtime: Runtime,
    signer: KeyPair,
    _refresh: RefreshHandle,
    _keys: tempfile::TempDir,
}

static JUDGE: LazyLock<Judge> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let signer = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let parts = PublicKeyComponents::<Vec<u8>>::from(signer.public_key());
    let encode = |bytes| URL_SAFE_NO_PAD.encode(bytes);
    let (n, e) = (encode(parts.n), encode(parts.e));
    let key = json!({"kty": "RSA", "use": "sig", "kid": KID, "n": n, "e": e});
    std::fs::write(&path, json!({ "keys": [key] }).to_string()).unwrap();
    let issuer = Issuer {
        name: NAME.into(),
        tenant_id: TENANT.parse().unwrap(),
        issuers: vec![ISSUER.into()],
        audiences: vec![AUDIENCE.into()],
        challenge_authority: format!("https://login.microsoftonline.com/{TENANT}").into(),
        challenge_resource: AUDIENCE.into(),
        keys: KeySource::JwksFile(path),
        ca_file: None,
        clock_skew: Duration::from_secs(SKEW),
        refresh_interval: Duration::from_secs(3600),
        unknown_kid_cooldown: Duration::from_secs(300),
        max_staleness: Duration::from_secs(86_400),
    };
    let clock = std::sync::Arc::new(Stopped);
    let authenticator =
        Authenticator::new(&[issuer], clock, std::sync::Arc::new(NoEvents)).unwrap();
    let guard = runtime.enter();
    let refresh = authenticator.spawn_refresh();
    runtime.block_on(authenticator.wait_until_keys_ready());
    drop(guard);
    Judge {
        authenticator,
        runtime,
        signer,
        _refresh: refresh,
        _keys: directory,
    }
});

pub(crate) fn check(data: &[u8]) -> bool {
    let judge = &*JUDGE;
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(token) = BearerToken::new(text)
    {
        let outcome = judge.judge(&token);
        assert!(outcome.is_none(), "nobody signed {text}");
    }
    let mut halves = data.splitn(2, |byte| *byte == b'\n');
    let (Some(header), Some(payload)) = (halves.next(), halves.next()) else {
        return false;
    };
    let Ok(token) = BearerToken::new(&judge.sign(header, payload)) else {
        return false;
    };
    let object_id = judge.judge(&token);
    if let Some(object_id) = &object_id {
        vouched(header, payload, object_id);
    }
    object_id.is_some()
}

impl Judge {
    /// The object id of whoever is let in.
    fn judge(&self, token: &BearerToken) -> Option<String> {
        let caller = self
            .runtime
            .block_on(self.authenticator.authenticate(NAME, token));
        caller
            .ok()
            .map(|caller| caller.claims().object_id.to_string())
    }

    fn sign(&self, header: &[u8], payload: &[u8]) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let message = format!("{}.{}", encode(header), encode(payload));
        let mut signature = vec![0; self.signer.public_modulus_len()];
        let random = SystemRandom::new();
        self.signer
            .sign(
                &RSA_PKCS1_SHA256,
                &random,
                message.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{message}.{}", encode(&signature))
    }
}

fn vouched(header: &[u8], payload: &[u8], object_id: &str) {
    let header: Value = serde_json::from_slice(header).unwrap();
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["kid"], KID);
    assert!(header.get("crit").is_none() && header.get("b64").is_none());
    let claims: Value = serde_json::from_slice(payload).unwrap();
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!(text(&claims["tid"]), TENANT);
    assert_eq!(text(&claims["oid"]), object_id);
    let audience = &claims["aud"];
    let alone = audience
        .as_array()
        .and_then(|list| <&[Value; 1]>::try_from(&**list).ok());
    assert_eq!(alone.map_or(audience, |[audience]| audience), AUDIENCE);
    let ends = claims["exp"].as_f64().unwrap();
    let begins = claims["nbf"].as_f64().unwrap();
    let (now, skew) = (NOW as f64, SKEW as f64);
    assert!(now < ends + skew, "{ends}");
    assert!(begins <= now + skew, "{begins}");
    for bound in ["cnf", "nonce", "at_hash", "c_hash"] {
        assert!(claims.get(bound).is_none(), "{bound}");
    }
}

fn text(claim: &Value) -> String {
    claim.as_str().unwrap().to_ascii_lowercase()
}

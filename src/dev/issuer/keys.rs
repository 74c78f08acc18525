//! The signing keys: one signs, the ones before it stay published for a while.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};

use super::IssueError;

/// Keys published at once; a rotation beyond that drops the oldest.
const MAX_PUBLISHED: usize = 3;

/// What becomes of the keys before the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldKeys {
    /// They stay published: tokens they signed remain valid.
    Keep,
    /// They are withdrawn at once: tokens they signed are refused from now on.
    Retire,
}

/// An RSA key with its name.
pub(super) struct SigningKey {
    kid: Box<str>,
    pair: KeyPair,
    modulus: String,
    exponent: String,
}

impl SigningKey {
    fn generate() -> Result<Self, IssueError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| IssueError::Cryptography)?;
        let public = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        // Azure: `kid` is the thumbprint of a certificate; there is none here, so the key's own.
        let thumbprint = digest::digest(&digest::SHA256, &public.n);
        let kid = thumbprint
            .as_ref()
            .first_chunk::<20>()
            .ok_or(IssueError::Cryptography)?;
        Ok(Self {
            kid: URL_SAFE_NO_PAD.encode(kid).into(),
            modulus: URL_SAFE_NO_PAD.encode(&public.n),
            exponent: URL_SAFE_NO_PAD.encode(&public.e),
            pair,
        })
    }

    /// Its name.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// The RS256 signature of `message`.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IssueError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .map_err(|_| IssueError::Cryptography)?;
        Ok(signature)
    }

    /// Its entry in the JWKS.
    fn jwk(&self) -> Value {
        json!({
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": self.modulus,
            "e": self.exponent,
        })
    }
}

/// The published keys, shared between the issuer and those who trust it.
#[derive(Clone)]
pub struct KeyRing(Arc<RwLock<Vec<Arc<SigningKey>>>>);

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

/// Makes a ring with one key.
pub(super) async fn make_ring() -> Result<KeyRing, IssueError> {
    let ring = KeyRing(Arc::default());
    ring.rotate(OldKeys::Retire).await?;
    Ok(ring)
}

impl KeyRing {
    /// Makes a new key, which signs from now on.
    pub(super) async fn rotate(&self, old: OldKeys) -> Result<Box<str>, IssueError> {
        let key = tokio::task::spawn_blocking(SigningKey::generate)
            .await
            .map_err(|_| IssueError::Cryptography)??;
        let kid = key.kid.clone();
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let kept = match old {
            OldKeys::Keep => MAX_PUBLISHED - 1,
            OldKeys::Retire => 0,
        };
        keys.insert(0, Arc::new(key));
        keys.truncate(kept + 1);
        Ok(kid)
    }

    /// The key that signs.
    pub(super) fn current(&self) -> Result<Arc<SigningKey>, IssueError> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.first().cloned().ok_or(IssueError::Cryptography)
    }

    /// The JWKS, newest first.
    pub(super) fn jwks(&self) -> Vec<Value> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(|key| key.jwk()).collect()
    }

    /// The published key with this name.
    pub(in crate::dev) fn decoding_key(&self, kid: &str) -> Option<DecodingKey> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.iter().find(|key| &*key.kid == kid)?;
        DecodingKey::from_rsa_components(&key.modulus, &key.exponent).ok()
    }
}

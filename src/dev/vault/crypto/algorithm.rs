//! The algorithms keys are used with, by the names Key Vault has for them.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature;

use super::CryptoError;

/// A curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dev::vault) enum Curve {
    P256,
    P256K,
    P384,
    P521,
}

impl Curve {
    const ALL: [Self; 4] = [Self::P256, Self::P256K, Self::P384, Self::P521];

    /// The curve's name in a JWK, as Key Vault writes it.
    pub(in crate::dev::vault) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P256K => "P-256K",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// The curve with this name.
    pub(in crate::dev::vault) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.name() == name)
    }

    /// Bytes of a coordinate.
    pub(in crate::dev::vault) const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 | Self::P256K => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    pub(super) const fn hash(self) -> Hash {
        match self {
            Self::P256 | Self::P256K => Hash::Sha256,
            Self::P384 => Hash::Sha384,
            Self::P521 => Hash::Sha512,
        }
    }

    pub(super) const fn signing(self) -> &'static signature::EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P256K => &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING,
            Self::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            Self::P521 => &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
        }
    }

    pub(super) const fn verification(self) -> &'static signature::EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::P256K => &signature::ECDSA_P256K1_SHA256_FIXED,
            Self::P384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &signature::ECDSA_P521_SHA512_FIXED,
        }
    }
}

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dev::vault) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    const fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub(super) const fn pkcs1(
        self,
    ) -> (
        &'static signature::RsaSignatureEncoding,
        &'static signature::RsaParameters,
    ) {
        match self {
            Self::Sha256 => (
                &signature::RSA_PKCS1_SHA256,
                &signature::RSA_PKCS1_2048_8192_SHA256,
            ),
            Self::Sha384 => (
                &signature::RSA_PKCS1_SHA384,
                &signature::RSA_PKCS1_2048_8192_SHA384,
            ),
            Self::Sha512 => (
                &signature::RSA_PKCS1_SHA512,
                &signature::RSA_PKCS1_2048_8192_SHA512,
            ),
        }
    }

    pub(super) const fn pss(
        self,
    ) -> (
        &'static signature::RsaSignatureEncoding,
        &'static signature::RsaParameters,
    ) {
        match self {
            Self::Sha256 => (
                &signature::RSA_PSS_SHA256,
                &signature::RSA_PSS_2048_8192_SHA256,
            ),
            Self::Sha384 => (
                &signature::RSA_PSS_SHA384,
                &signature::RSA_PSS_2048_8192_SHA384,
            ),
            Self::Sha512 => (
                &signature::RSA_PSS_SHA512,
                &signature::RSA_PSS_2048_8192_SHA512,
            ),
        }
    }
}

/// A signature algorithm (RFC 7518 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dev::vault) enum SignatureAlgorithm {
    Ecdsa(Curve),
    Pkcs1(Hash),
    Pss(Hash),
}

impl SignatureAlgorithm {
    /// The algorithm with this name.
    pub(in crate::dev::vault) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ES256" => Self::Ecdsa(Curve::P256),
            "ES256K" => Self::Ecdsa(Curve::P256K),
            "ES384" => Self::Ecdsa(Curve::P384),
            "ES512" => Self::Ecdsa(Curve::P521),
            "PS256" => Self::Pss(Hash::Sha256),
            "PS384" => Self::Pss(Hash::Sha384),
            "PS512" => Self::Pss(Hash::Sha512),
            "RS256" => Self::Pkcs1(Hash::Sha256),
            "RS384" => Self::Pkcs1(Hash::Sha384),
            "RS512" => Self::Pkcs1(Hash::Sha512),
            _ => return None,
        })
    }

    pub(super) fn digest(self, digest: &[u8]) -> Result<Digest, CryptoError> {
        let hash = match self {
            Self::Ecdsa(curve) => curve.hash(),
            Self::Pkcs1(hash) | Self::Pss(hash) => hash,
        };
        let algorithm = hash.algorithm();
        Digest::import_less_safe(digest, algorithm)
            .map_err(|_| CryptoError::DigestLength(algorithm.output_len()))
    }
}

/// An encryption or key wrapping algorithm (RFC 7518 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dev::vault) enum EncryptionAlgorithm {
    Rsa15,
    RsaOaep,
    RsaOaep256,
}

impl EncryptionAlgorithm {
    /// The algorithm with this name.
    pub(in crate::dev::vault) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RSA1_5" => Self::Rsa15,
            "RSA-OAEP" => Self::RsaOaep,
            "RSA-OAEP-256" => Self::RsaOaep256,
            _ => return None,
        })
    }
}

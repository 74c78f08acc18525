//! Keys and what they do, with real cryptography.
//!
//! Key Vault signs digests, not messages: the request holds the digest. ECDSA signatures are the
//! two integers side by side, as JWS has them (RFC 7518 §3.4), not ASN.1.

mod algorithm;

use std::fmt;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    self, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey,
    PrivateDecryptingKey, PublicKeyComponents,
};
use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey};
use thiserror::Error;

pub(super) use algorithm::{Curve, EncryptionAlgorithm, Hash, SignatureAlgorithm};

/// Why an operation on a key failed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum CryptoError {
    /// The algorithm is for another type of key.
    #[error("the key and the algorithm are incompatible")]
    Incompatible,
    /// The digest does not have the algorithm's length.
    #[error("the algorithm needs a digest of {0} bytes")]
    DigestLength(usize),
    /// The value does not fit the key, or does not decrypt.
    #[error("the value cannot be processed with this key")]
    Value,
    /// The private key's parts do not belong together.
    #[error("the key material is not valid")]
    Material,
    /// The system's cryptography failed.
    #[error("the system's cryptography failed")]
    Failed,
}

/// What key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ec(Curve),
    Rsa(KeyBits),
}

/// Bits of an RSA modulus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyBits {
    B2048,
    B3072,
    B4096,
}

impl KeyBits {
    fn of(pair: &rsa::KeyPair) -> Result<Self, CryptoError> {
        match pair.public_modulus_len() {
            256 => Ok(Self::B2048),
            384 => Ok(Self::B3072),
            512 => Ok(Self::B4096),
            _ => Err(CryptoError::Material),
        }
    }

    /// The number of bits.
    pub(super) const fn count(self) -> usize {
        match self {
            Self::B2048 => 2048,
            Self::B3072 => 3072,
            Self::B4096 => 4096,
        }
    }
}

/// A key pair.
pub(super) enum Material {
    Ec { curve: Curve, pair: EcdsaKeyPair },
    Rsa(Box<rsa::KeyPair>),
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(redacted)")
    }
}

/// The public half of a key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Public {
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl Material {
    /// Makes a key pair. RSA takes a tenth of a second to a few seconds: not for an async task.
    pub(super) fn generate(kind: Kind) -> Result<Self, CryptoError> {
        match kind {
            Kind::Ec(curve) => EcdsaKeyPair::generate(curve.signing())
                .map(|pair| Self::Ec { curve, pair })
                .map_err(|_| CryptoError::Failed),
            Kind::Rsa(bits) => {
                let size = match bits {
                    KeyBits::B2048 => KeySize::Rsa2048,
                    KeyBits::B3072 => KeySize::Rsa3072,
                    KeyBits::B4096 => KeySize::Rsa4096,
                };
                let pair = rsa::KeyPair::generate(size).map_err(|_| CryptoError::Failed)?;
                Ok(Self::Rsa(Box::new(pair)))
            }
        }
    }

    /// A key pair from its parts; they are checked against each other.
    pub(super) fn from_rsa(
        components: &rsa::KeyPairComponents<Vec<u8>>,
    ) -> Result<Self, CryptoError> {
        let pair = rsa::KeyPair::from_components(components).map_err(|_| CryptoError::Material)?;
        KeyBits::of(&pair)?;
        Ok(Self::Rsa(Box::new(pair)))
    }

    /// A key pair from the private scalar and the public point's coordinates, each in the curve's
    /// length.
    pub(super) fn from_ec(curve: Curve, d: &[u8], x: &[u8], y: &[u8]) -> Result<Self, CryptoError> {
        let point = [&[4], x, y].concat();
        EcdsaKeyPair::from_private_key_and_public_key(curve.signing(), d, &point)
            .map(|pair| Self::Ec { curve, pair })
            .map_err(|_| CryptoError::Material)
    }

    /// The key pair as PKCS#8.
    pub(super) fn to_pkcs8(&self) -> Result<Vec<u8>, CryptoError> {
        match self {
            Self::Ec { pair, .. } => pair
                .to_pkcs8v1()
                .map(|document| document.as_ref().to_vec())
                .map_err(|_| CryptoError::Failed),
            Self::Rsa(pair) => Ok(rsa_pkcs8(pair)?.as_ref().to_vec()),
        }
    }

    /// What [`Self::to_pkcs8`] gave; `curve` is `None` for RSA.
    pub(super) fn from_pkcs8(curve: Option<Curve>, pkcs8: &[u8]) -> Result<Self, CryptoError> {
        let material = match curve {
            Some(curve) => EcdsaKeyPair::from_pkcs8(curve.signing(), pkcs8)
                .map(|pair| Self::Ec { curve, pair }),
            None => rsa::KeyPair::from_pkcs8(pkcs8).map(|pair| Self::Rsa(Box::new(pair))),
        };
        material.map_err(|_| CryptoError::Material)
    }

    /// The curve; `None` for RSA.
    pub(super) const fn curve(&self) -> Option<Curve> {
        match self {
            Self::Ec { curve, .. } => Some(*curve),
            Self::Rsa(_) => None,
        }
    }

    /// What another key like this one is made as.
    pub(super) fn kind(&self) -> Result<Kind, CryptoError> {
        match self {
            Self::Ec { curve, .. } => Ok(Kind::Ec(*curve)),
            Self::Rsa(pair) => KeyBits::of(pair).map(Kind::Rsa),
        }
    }

    /// The public half.
    pub(super) fn public(&self) -> Result<Public, CryptoError> {
        match self {
            Self::Ec { curve, pair } => {
                // Uncompressed: 4, x, y.
                let point = pair.public_key().as_ref();
                let coordinates = point.get(1..).ok_or(CryptoError::Failed)?;
                let (x, y) = coordinates
                    .split_at_checked(curve.coordinate_bytes())
                    .ok_or(CryptoError::Failed)?;
                Ok(Public::Ec {
                    curve: *curve,
                    x: x.to_vec(),
                    y: y.to_vec(),
                })
            }
            Self::Rsa(pair) => {
                let PublicKeyComponents { n, e } = pair.public_key().into();
                Ok(Public::Rsa { n, e })
            }
        }
    }

    /// Signs a digest.
    pub(super) fn sign(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        match (self, algorithm) {
            (Self::Ec { curve, pair }, SignatureAlgorithm::Ecdsa(wanted)) if *curve == wanted => {
                let digest = algorithm.digest(digest)?;
                let signature = pair.sign_digest(&digest).map_err(|_| CryptoError::Failed)?;
                Ok(signature.as_ref().to_vec())
            }
            (Self::Rsa(pair), SignatureAlgorithm::Pkcs1(hash)) => {
                rsa_signature(pair, hash.pkcs1().0, &algorithm.digest(digest)?)
            }
            (Self::Rsa(pair), SignatureAlgorithm::Pss(hash)) => {
                rsa_signature(pair, hash.pss().0, &algorithm.digest(digest)?)
            }
            _ => Err(CryptoError::Incompatible),
        }
    }

    /// Whether `signature` is this key's over a digest.
    pub(super) fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<bool, CryptoError> {
        let (verification, public): (&'static dyn signature::VerificationAlgorithm, &[u8]) =
            match (self, algorithm) {
                (Self::Ec { curve, pair }, SignatureAlgorithm::Ecdsa(wanted))
                    if *curve == wanted =>
                {
                    (curve.verification(), pair.public_key().as_ref())
                }
                (Self::Rsa(pair), SignatureAlgorithm::Pkcs1(hash)) => {
                    (hash.pkcs1().1, pair.public_key().as_ref())
                }
                (Self::Rsa(pair), SignatureAlgorithm::Pss(hash)) => {
                    (hash.pss().1, pair.public_key().as_ref())
                }
                _ => return Err(CryptoError::Incompatible),
            };
        let digest = algorithm.digest(digest)?;
        let key = UnparsedPublicKey::new(verification, public);
        Ok(key.verify_digest(&digest, signature).is_ok())
    }

    /// Encrypts a value.
    pub(super) fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        plain: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let key = self.decrypting()?.public_key();
        let mut cipher = vec![0; key.key_size_bytes()];
        let written = match algorithm {
            EncryptionAlgorithm::Rsa15 => Pkcs1PublicEncryptingKey::new(key)
                .and_then(|key| key.encrypt(plain, &mut cipher).map(|out| out.len())),
            EncryptionAlgorithm::RsaOaep => OaepPublicEncryptingKey::new(key).and_then(|key| {
                key.encrypt(&OAEP_SHA1_MGF1SHA1, plain, &mut cipher, None)
                    .map(|out| out.len())
            }),
            EncryptionAlgorithm::RsaOaep256 => OaepPublicEncryptingKey::new(key).and_then(|key| {
                key.encrypt(&OAEP_SHA256_MGF1SHA256, plain, &mut cipher, None)
                    .map(|out| out.len())
            }),
        };
        cipher.truncate(written.map_err(|_| CryptoError::Value)?);
        Ok(cipher)
    }

    /// Decrypts a value.
    pub(super) fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        cipher: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let key = self.decrypting()?;
        let mut plain = vec![0; key.key_size_bytes()];
        let written = match algorithm {
            EncryptionAlgorithm::Rsa15 => Pkcs1PrivateDecryptingKey::new(key)
                .and_then(|key| key.decrypt(cipher, &mut plain).map(|out| out.len())),
            EncryptionAlgorithm::RsaOaep => OaepPrivateDecryptingKey::new(key).and_then(|key| {
                key.decrypt(&OAEP_SHA1_MGF1SHA1, cipher, &mut plain, None)
                    .map(|out| out.len())
            }),
            EncryptionAlgorithm::RsaOaep256 => OaepPrivateDecryptingKey::new(key).and_then(|key| {
                key.decrypt(&OAEP_SHA256_MGF1SHA256, cipher, &mut plain, None)
                    .map(|out| out.len())
            }),
        };
        plain.truncate(written.map_err(|_| CryptoError::Value)?);
        Ok(plain)
    }

    /// The key as the library wants it for encryption.
    fn decrypting(&self) -> Result<PrivateDecryptingKey, CryptoError> {
        match self {
            Self::Ec { .. } => Err(CryptoError::Incompatible),
            Self::Rsa(pair) => PrivateDecryptingKey::from_pkcs8(rsa_pkcs8(pair)?.as_ref())
                .map_err(|_| CryptoError::Failed),
        }
    }
}

fn rsa_signature(
    pair: &rsa::KeyPair,
    encoding: &'static signature::RsaSignatureEncoding,
    digest: &Digest,
) -> Result<Vec<u8>, CryptoError> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign_digest(encoding, digest, &mut signature)
        .map_err(|_| CryptoError::Failed)?;
    Ok(signature)
}

fn rsa_pkcs8(pair: &rsa::KeyPair) -> Result<Pkcs8V1Der<'static>, CryptoError> {
    pair.as_der().map_err(|_| CryptoError::Failed)
}

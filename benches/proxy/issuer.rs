//! The issuer of the callers' tokens: RS256 with a key of 2,048 bits, as Entra's are, about 1.8 KB.
//!
//! Signing costs half a millisecond, so tokens that nobody has seen yet are made beforehand and kept
//! between runs: a proxy that was just started has not seen them either. The key is made on this
//! machine, is kept beside them, and no vault trusts it.

use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use portcullis::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::Failure;

pub(crate) const TENANT: &str = "7f0d3c52-9a1e-4b68-8d27-c3e5f1a0b964";
pub(crate) const ISSUER: &str = "https://sts.windows.net/7f0d3c52-9a1e-4b68-8d27-c3e5f1a0b964/";
pub(crate) const AUDIENCE: &str = "https://vault.azure.net";
const KID: &str = "bench-key-1";

/// How long tokens are good, and how old kept ones may be.
const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
const KEPT: Duration = Duration::from_secs(20 * 24 * 3600);

/// Every line of the file of fresh tokens is this much, so that a part of it can be found.
const LINE_BYTES: u64 = 2048;

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The object id.
    pub(crate) oid: String,
    /// The groups the token names.
    pub(crate) groups: Vec<String>,
}

/// The issuer and where it keeps its key and its tokens.
#[derive(Debug)]
pub(crate) struct Issuer {
    pair: KeyPair,
    directory: PathBuf,
    now: u64,
}

impl Issuer {
    /// The issuer that keeps its things in `directory`, which is made if it is not there. What is
    /// too old is thrown away.
    pub(crate) fn open(directory: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(directory)?;
        let key = directory.join("key.der");
        let old = match fs::metadata(&key) {
            Ok(metadata) => metadata.modified()?.elapsed().unwrap_or_default() > KEPT,
            Err(_) => true,
        };
        if old {
            let pair = KeyPair::generate(KeySize::Rsa2048)?;
            let der: Pkcs8V1Der<'_> = pair.as_der()?;
            for entry in fs::read_dir(directory)? {
                fs::remove_file(entry?.path())?;
            }
            fs::write(&key, der.as_ref())?;
        }
        Ok(Self {
            pair: KeyPair::from_pkcs8(&fs::read(&key)?)?,
            directory: directory.to_owned(),
            now: SystemClock.now().duration_since(UNIX_EPOCH)?.as_secs(),
        })
    }

    /// The key as a JWKS document.
    pub(crate) fn jwks(&self) -> String {
        let parts = PublicKeyComponents::<Vec<u8>>::from(self.pair.public_key());
        let key = json!({
            "kty": "RSA", "use": "sig", "kid": KID, "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e),
        });
        json!({ "keys": [key] }).to_string()
    }

    /// The key as PEM (SPKI).
    pub(crate) fn public_pem(&self) -> Result<String, Failure> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der()?;
        let text = STANDARD.encode(der.as_ref());
        let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
        for line in text.as_bytes().chunks(64) {
            pem.push_str(std::str::from_utf8(line)?);
            pem.push('\n');
        }
        pem.push_str("-----END PUBLIC KEY-----\n");
        Ok(pem)
    }

    /// A token for `identity` that no other `serial` has.
    pub(crate) fn token(&self, identity: &Identity, serial: usize) -> Result<String, Failure> {
        let header = json!({"typ": "JWT", "alg": "RS256", "x5t": KID, "kid": KID});
        let payload = self.payload(identity, serial);
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload.to_string()));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        )?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn payload(&self, identity: &Identity, serial: usize) -> Value {
        json!({
            "aud": AUDIENCE, "iss": ISSUER, "iat": self.now, "nbf": self.now,
            "exp": self.now + LIFETIME.as_secs(),
            "aio": "k2RgYLgUsjFfNWPfgV8c8/lWHnpbEbiMc8KRu8LT1q2fmG7zrTsA".repeat(2),
            "appid": "2c9d7b40-51f8-4e36-a0c4-8b1f6d3e2a95", "appidacr": "2",
            "groups": identity.groups,
            "idp": ISSUER, "idtyp": "app", "oid": identity.oid,
            "rh": "1.ASkAUjwNfx6aaEuNJ8Pl8aC5ZDmzqM-iBypHo8kPwL56QJMAAAApAA.",
            "sub": identity.oid, "tid": TENANT, "uti": format!("bench-{serial:012}"), "ver": "1.0",
            "xms_ftd": "Zy3n9v0k1xXo5r2wqJd8cQm7tLh4bUaEs6iPfRgTnYkBZXVyb3Bld2VzdA",
            "xms_idrel": "7 24", "xms_rd": "0.42LlYBJiFBIS4WAXEthx9_K8", "xms_sub_fct": "3 9",
        })
    }

    /// A file with at least `count` tokens of `identity` that were never sent, made now or kept.
    pub(crate) fn fresh(&self, identity: &Identity, count: usize) -> Result<PathBuf, Failure> {
        let path = self.directory.join(format!("{}.tokens", identity.oid));
        let kept = fs::metadata(&path).map_or(0, |metadata| metadata.len() / LINE_BYTES);
        let kept = usize::try_from(kept)?;
        if kept >= count {
            return Ok(path);
        }
        crate::say(&format!("making {} tokens, once", count - kept))?;
        let file = File::options().create(true).append(true).open(&path)?;
        let mut file = BufWriter::new(file);
        let serials: Vec<usize> = (kept..count).collect();
        for batch in serials.chunks(4096) {
            for token in self.tokens(identity, batch)? {
                let width = usize::try_from(LINE_BYTES)? - 1;
                writeln!(file, "{token:<width$}")?;
            }
        }
        file.flush()?;
        Ok(path)
    }

    /// One token for each serial, made on all cores.
    fn tokens(&self, identity: &Identity, serials: &[usize]) -> Result<Vec<String>, Failure> {
        let cores = std::thread::available_parallelism()?.get();
        let share = serials.len().div_ceil(cores).max(1);
        let make = |serials: &[usize]| -> Result<Vec<String>, Failure> {
            serials
                .iter()
                .map(|serial| self.token(identity, *serial))
                .collect()
        };
        let made: Result<Vec<Vec<String>>, Failure> = std::thread::scope(|scope| {
            let workers: Vec<_> = serials
                .chunks(share)
                .map(|serials| scope.spawn(move || make(serials)))
                .collect();
            let joined = workers.into_iter().map(|worker| {
                let made = worker.join();
                made.map_err(|_| Failure::from("a worker ended early"))?
            });
            joined.collect()
        });
        Ok(made?.concat())
    }
}

/// Reads `count` tokens from a file of [`Issuer::fresh`], after the first `skip`.
pub(crate) fn read_fresh(path: &Path, skip: usize, count: usize) -> Result<Vec<String>, Failure> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(u64::try_from(skip)? * LINE_BYTES))?;
    let mut text = String::new();
    file.take(u64::try_from(count)? * LINE_BYTES)
        .read_to_string(&mut text)?;
    Ok(text
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect())
}

//! A private CA for the names that clients know the proxy by, and the certificates it vouches for.
//!
//! Whoever trusts a CA believes all that its key signs, so this one can vouch for hardly anything: it
//! is constrained to the hosts it was made for, to servers, and to no CA below it (RFC 5280, section
//! 4.2.1.10). A key that is stolen from a proxy is good for the names which that proxy answers to
//! anyway.
//!
//! There are two certificates. Applications trust the root; its key signs one certificate, that of
//! the issuing CA, and is forgotten before anything is written. The issuing CA signs leaves. Clients
//! need not heed constraints of a root, as it is no part of the path (RFC 5280, section 6.1), and
//! Java's do not; those of the issuing CA are heeded by all, and there can never be another one.
//!
//! A leaf lives for days and is made anew; nothing is ever revoked.

mod certificate;
mod files;
mod guard;
mod host;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{Issuer, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

use certificate::IssuingCertificate;
pub use files::{Existing, MODE_PUBLIC, place};
pub use host::Host;

/// The root's certificate, for applications to trust.
const ROOT: &str = "ca.crt";

/// The certificate of the issuing CA, which leaves are sent with.
const ISSUING: &str = "issuing-ca.crt";

/// The key of the issuing CA.
const ISSUING_KEY: &str = "issuing-ca.key";

/// How long a leaf lives unless told otherwise: it outlasts a long weekend in which nobody looks why
/// it is not renewed, and is of little use to whoever steals it.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why a CA cannot be made or used, or a certificate not be issued.
#[derive(Debug, Error)]
pub enum CaError {
    /// The CA itself is valid no more, or not yet.
    #[error(
        "the CA in `{0}` has ended or not begun; make a new one with `portcullis ca init --force`"
    )]
    Ended(PathBuf),
    /// A key that anybody on the machine can reach.
    #[error("everybody can read or write `{0}`; expected mode 0600, or 0640 for a group")]
    Exposed(PathBuf),
    /// A file could not be read or written.
    #[error("cannot {doing} `{path}`: {cause}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// A file that holds something else.
    #[error("`{0}` is not what `portcullis ca init` writes")]
    Foreign(PathBuf),
    /// rcgen or the system's random numbers.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The key and the certificates of a CA are of different CAs.
    #[error("the files in `{0}` do not belong together")]
    Mixed(PathBuf),
    /// A certificate for no host.
    #[error("there is no host to make a certificate for")]
    NoHost,
    /// A host beyond the constraints.
    #[error("the CA in `{directory}` cannot vouch for `{host}`, only for {permitted}")]
    Outside {
        /// Where the CA is.
        directory: PathBuf,
        /// The host.
        host: Host,
        /// The hosts it can vouch for.
        permitted: String,
    },
    /// A file or directory in whose place others can put what they like.
    #[error(
        "others can replace `{0}`; expected that only its owner can write to it and its directory"
    )]
    Replaceable(PathBuf),
    /// What is there is not overwritten.
    #[error("`{0}` is there already; `--force` replaces it")]
    There(PathBuf),
}

/// The files of a CA in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFiles {
    /// The root's certificate, PEM: what applications trust.
    pub root: PathBuf,
    /// The issuing CA's certificate, PEM.
    pub issuing: PathBuf,
    /// The issuing CA's key, PEM (PKCS#8), mode 0600.
    pub key: PathBuf,
}

impl CaFiles {
    /// The files of the CA in `directory`.
    pub fn of(directory: &Path) -> Self {
        Self {
            root: directory.join(ROOT),
            issuing: directory.join(ISSUING),
            key: directory.join(ISSUING_KEY),
        }
    }

    /// Whether `path` is one of them, under whatever name, or the place of one that is missing.
    pub fn contain(&self, path: &Path) -> bool {
        [&self.root, &self.issuing, &self.key]
            .into_iter()
            .any(|own| files::is_same(own, path))
    }
}

/// A CA that can vouch.
pub struct Ca {
    directory: PathBuf,
    issuing: IssuingCertificate,
    key: Key,
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// A private key, gone from memory with this value as far as libraries allow.
struct Key(KeyPair);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Ca {
    /// Makes a CA for `hosts` that is valid from `now` for `lifetime`, and writes it to
    /// `directory`, which is made if it is missing.
    ///
    /// Returns the SHA-256 fingerprint of the root. With [`Existing::Replace`] a CA that is there
    /// is lost, and clients that trust it no longer trust what is issued.
    ///
    /// # Errors
    /// [`CaError`]; what was there is left as it was if it was to be kept.
    pub fn init(
        directory: &Path,
        hosts: &[Host],
        lifetime: Duration,
        now: SystemTime,
        existing: Existing,
    ) -> Result<String, CaError> {
        if hosts.is_empty() {
            return Err(CaError::NoHost);
        }
        // Applications look into it; nobody else writes to it, whatever the umask.
        let mut made = fs::DirBuilder::new();
        let made = made.recursive(true).mode(0o755).create(directory);
        made.map_err(at("make the directory", directory))?;
        guard::directory(directory)?;
        let files = CaFiles::of(directory);
        if existing == Existing::Keep {
            for path in [&files.key, &files.issuing, &files.root] {
                if fs::symlink_metadata(path).is_ok() {
                    return Err(CaError::There(path.clone()));
                }
            }
        }
        let pair = certificate::pair(hosts, lifetime, now)?;
        let key = Zeroizing::new(pair.key.0.serialize_pem());
        // The certificate that the key belongs to comes last: until it is there, the key has none or
        // that of another CA, and nobody takes half of a CA for a whole one.
        for (path, text, mode) in [
            (&files.key, key.as_str(), files::MODE_PRIVATE),
            (&files.root, pair.root.pem().as_str(), MODE_PUBLIC),
            (&files.issuing, pair.issuing.pem().as_str(), MODE_PUBLIC),
        ] {
            place(path, text.as_bytes(), mode, existing).map_err(at("write", path))?;
        }
        Ok(certificate::fingerprint(pair.root.der()))
    }

    /// Reads the CA in `directory`.
    ///
    /// # Errors
    /// [`CaError`]: a file is missing or foreign, others can replace it, or everybody can read the
    /// key.
    pub fn open(directory: &Path) -> Result<Self, CaError> {
        let files = CaFiles::of(directory);
        let issuing = IssuingCertificate::read(&files.issuing)?;
        guard::file(&files.issuing)?;
        let metadata = fs::metadata(&files.key).map_err(at("read", &files.key))?;
        // SECURITY: a key that others could have copied or replaced vouches for nothing.
        if metadata.permissions().mode() & 0o007 != 0 {
            return Err(CaError::Exposed(files.key));
        }
        guard::file(&files.key)?;
        let text = fs::read_to_string(&files.key).map(Zeroizing::new);
        let text = text.map_err(at("read", &files.key))?;
        let key = KeyPair::from_pem(&text).map(Key);
        let key = key.map_err(|_| CaError::Foreign(files.key))?;
        if !issuing.is_of(&key.0) {
            return Err(CaError::Mixed(directory.to_owned()));
        }
        Ok(Self {
            directory: directory.to_owned(),
            issuing,
            key,
        })
    }

    /// A certificate of a server for `hosts`, valid from `now` for `lifetime` but not longer than
    /// the CA, with a key of its own (ECDSA on P-256).
    ///
    /// # Errors
    /// [`CaError`]: a host beyond the constraints, or the CA has ended or not begun.
    pub fn issue(
        &self,
        hosts: &[Host],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Leaf, CaError> {
        if hosts.is_empty() {
            return Err(CaError::NoHost);
        }
        let permitted = self.issuing.permitted();
        if let Some(host) = hosts.iter().find(|host| !permitted.contains(host)) {
            let permitted = permitted.iter().map(|host| format!("`{host}`"));
            return Err(CaError::Outside {
                directory: self.directory.clone(),
                host: host.clone(),
                permitted: permitted.collect::<Vec<_>>().join(", "),
            });
        }
        let not_after = (now + lifetime).min(self.issuing.not_after());
        if now < self.issuing.not_before() || not_after <= now {
            return Err(CaError::Ended(self.directory.clone()));
        }
        let key = Key(KeyPair::generate()?);
        let params = certificate::leaf(hosts, now, not_after)?;
        let issuer = Issuer::from_ca_cert_der(self.issuing.der(), &self.key.0)?;
        let leaf = params.signed_by(&key.0, &issuer)?;
        Ok(Leaf {
            chain_pem: leaf.pem() + &self.issuing.pem(),
            chain: vec![leaf.der().clone(), self.issuing.der().clone()],
            key,
            not_after,
        })
    }

    /// The certificate that leaves are signed with: another one means another CA.
    pub fn issuing_certificate(&self) -> &CertificateDer<'static> {
        self.issuing.der()
    }
}

/// Whether the CA in `directory` is still the one with this issuing certificate. Its key is not
/// read.
pub fn is_still(directory: &Path, issuing: &CertificateDer<'_>) -> bool {
    CertificateDer::from_pem_file(CaFiles::of(directory).issuing).is_ok_and(|now| now == *issuing)
}

/// A server certificate and its key.
pub struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    chain_pem: String,
    key: Key,
    not_after: SystemTime,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Leaf {
    /// The certificate, and that of the issuing CA.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    /// The private key (PKCS#8), to be wiped by whoever takes it.
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.0.serialize_der()).into()
    }

    /// When it ends.
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Writes the chain and the key, PEM, in place of what is there; the key with mode 0600.
    ///
    /// # Errors
    /// [`CaError::File`], or [`CaError::Replaceable`] for a directory in which others can replace them.
    pub fn write(&self, chain: &Path, private_key: &Path) -> Result<(), CaError> {
        for path in [chain, private_key] {
            guard::directory(files::directory_of(path))?;
        }
        let key = Zeroizing::new(self.key.0.serialize_pem());
        for (path, text, mode) in [
            (private_key, key.as_str(), files::MODE_PRIVATE),
            (chain, self.chain_pem.as_str(), MODE_PUBLIC),
        ] {
            place(path, text.as_bytes(), mode, Existing::Replace).map_err(at("write", path))?;
        }
        Ok(())
    }
}

/// What turns an error of the system at `path` into ours. A file that was to be kept is there.
fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CaError + use<> {
    let path = path.to_owned();
    move |cause| {
        if cause.kind() == io::ErrorKind::AlreadyExists {
            CaError::There(path)
        } else {
            CaError::File { doing, path, cause }
        }
    }
}

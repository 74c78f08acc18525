//! What a certificate's secret holds: the chain and, if it may leave the vault, the private key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use x509_cert::der::pem::{LineEnding, encode_string};

use crate::dev::vault::failure::Failure;

/// The password is empty, so that these only cost time.
const ITERATIONS: u32 = 2000;

/// What ties the certificate to its key in a PKCS#12 file.
const LOCAL_KEY_ID: [u8; 4] = [1, 0, 0, 0];

/// PKCS#12 with an empty password, base64. `private` is PKCS#8.
pub(super) fn pkcs12(chain: &[Vec<u8>], private: Option<&[u8]>) -> Result<String, Failure> {
    let certificates = chain.iter().map(|der| Certificate::from_der(der));
    let certificates = certificates
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Failure::internal())?;
    let mut store = KeyStore::new();
    match private {
        Some(private) => {
            let key = PrivateKey::from_der(private).map_err(|_| Failure::internal())?;
            let chain = PrivateKeyChain::new(LOCAL_KEY_ID.as_slice(), key, certificates);
            store.add_entry("1", KeyStoreEntry::PrivateKeyChain(chain));
        }
        None => {
            for (number, certificate) in certificates.into_iter().enumerate() {
                let entry = KeyStoreEntry::Certificate(certificate);
                store.add_entry(&(number + 1).to_string(), entry);
            }
        }
    }
    let file = store
        .writer("")
        .encryption_iterations(ITERATIONS)
        .mac_iterations(ITERATIONS)
        .write()
        .map_err(|_| Failure::internal())?;
    Ok(STANDARD.encode(file))
}

/// PEM, the private key first. `private` is PKCS#8.
pub(super) fn pem(chain: &[Vec<u8>], private: Option<&[u8]>) -> Result<String, Failure> {
    let private = private.map(|private| ("PRIVATE KEY", private));
    let certificates = chain.iter().map(|der| ("CERTIFICATE", der.as_slice()));
    let blocks = private.into_iter().chain(certificates);
    blocks
        .map(|(label, der)| {
            encode_string(label, LineEnding::LF, der).map_err(|_| Failure::internal())
        })
        .collect()
}

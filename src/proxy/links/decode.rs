//! Undoing content codings, within bounds.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, HeaderMap};

use super::{LinkError, MAX_ANSWER_BYTES};
use crate::secret::WipedBytes;

/// How an answer's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Coding {
    Deflate,
    Gzip,
    Identity,
}

impl Coding {
    /// Reads `Content-Encoding`: nothing, or one coding.
    pub(in crate::proxy) fn of(headers: &HeaderMap) -> Result<Self, LinkError> {
        let mut coding = Self::Identity;
        for value in headers.get_all(CONTENT_ENCODING) {
            let text = value.to_str().map_err(|_| LinkError::Coding)?;
            for name in text.split(',') {
                let next = match name.trim().to_ascii_lowercase().as_str() {
                    "" | "identity" => continue,
                    "deflate" => Self::Deflate,
                    "gzip" | "x-gzip" => Self::Gzip,
                    _ => return Err(LinkError::Coding),
                };
                if coding != Self::Identity {
                    return Err(LinkError::Coding);
                }
                coding = next;
            }
        }
        Ok(coding)
    }
}

/// Undoes a coding.
///
/// # Errors
/// [`LinkError::Coding`] if the body is not what the coding says, [`LinkError::TooLarge`] if it
/// grows past [`MAX_ANSWER_BYTES`].
pub(in crate::proxy) fn decode(coding: Coding, body: Bytes) -> Result<Bytes, LinkError> {
    match coding {
        Coding::Identity => Ok(body),
        Coding::Gzip => read(MultiGzDecoder::new(&*body)),
        // The name means zlib; some servers send bare deflate.
        Coding::Deflate => match read(ZlibDecoder::new(&*body)) {
            Err(LinkError::Coding) => read(DeflateDecoder::new(&*body)),
            decoded => decoded,
        },
    }
}

fn read(decoder: impl Read) -> Result<Bytes, LinkError> {
    let mut decoded = WipedBytes::default();
    // SECURITY: a few kilobytes can stand for gigabytes; one byte more than allowed tells.
    let mut bounded = decoder.take(MAX_ANSWER_BYTES as u64 + 1);
    std::io::copy(&mut bounded, &mut decoded).map_err(|_| LinkError::Coding)?;
    if decoded.len() > MAX_ANSWER_BYTES {
        return Err(LinkError::TooLarge);
    }
    Ok(decoded.into_bytes())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn coding(values: &[&'static str]) -> Result<Coding, LinkError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, value.parse().unwrap());
        }
        Coding::of(&headers)
    }

    #[test]
    fn one_coding_is_understood() {
        assert_eq!(coding(&[]), Ok(Coding::Identity));
        assert_eq!(coding(&["identity"]), Ok(Coding::Identity));
        assert_eq!(coding(&["GZip"]), Ok(Coding::Gzip));
        assert_eq!(coding(&["identity, deflate"]), Ok(Coding::Deflate));
    }

    #[test]
    fn other_codings_and_several_are_refused() {
        for values in [
            &["br"][..],
            &["gzip, gzip"],
            &["gzip", "deflate"],
            &["zstd"],
        ] {
            assert_eq!(coding(values), Err(LinkError::Coding), "{values:?}");
        }
    }

    #[test]
    fn codings_are_undone() {
        let text = b"{\"value\":[]}";
        assert_eq!(*decode(Coding::Gzip, gzip(text)).unwrap(), *text);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(text).unwrap();
        let zlib = zlib.finish().unwrap().into();
        assert_eq!(*decode(Coding::Deflate, zlib).unwrap(), *text);
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(text).unwrap();
        let bare = bare.finish().unwrap().into();
        assert_eq!(*decode(Coding::Deflate, bare).unwrap(), *text);
    }

    #[test]
    fn a_bomb_and_a_stump_are_refused() {
        let bomb = gzip(&vec![b' '; MAX_ANSWER_BYTES + 1]);
        assert!(bomb.len() < 64 * 1024);
        assert_eq!(decode(Coding::Gzip, bomb), Err(LinkError::TooLarge));
        let mut stump = gzip(b"{}");
        stump.truncate(12);
        assert_eq!(decode(Coding::Gzip, stump), Err(LinkError::Coding));
    }
}

//! Bytes of a file -> text.
//!
//! `az … > file` writes UTF-8. Windows PowerShell's `>` and `Out-File` write UTF-16LE with a
//! byte order mark, and `-Encoding utf8` adds a byte order mark of its own.

use std::borrow::Cow;

use thiserror::Error;

/// Bytes that are not text in an encoding exports come in.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TextError {
    /// A byte order mark or the layout says UTF-16 with the high byte first.
    #[error("expected UTF-8 or UTF-16LE, found UTF-16BE; save the file as UTF-8")]
    BigEndian,
    /// There is nothing, or only white space.
    #[error(
        "the file is empty; expected JSON (`ConvertTo-Json` writes nothing for an empty list, write `[]` instead)"
    )]
    Empty,
    /// The file ends in the middle of a UTF-16 unit, as a truncated one does.
    #[error("expected an even number of bytes of UTF-16LE, found {0}")]
    OddLength(usize),
    /// A surrogate stands alone.
    #[error("invalid UTF-16LE")]
    Utf16,
    /// Not UTF-8.
    #[error("invalid UTF-8 at byte {0}")]
    Utf8(usize),
}

/// Decodes UTF-8 or UTF-16LE, each with or without a byte order mark.
///
/// UTF-16 without a mark is known by the zero beside the first character: JSON begins with an
/// ASCII character, and UTF-8 JSON has no zero byte.
///
/// # Errors
/// [`TextError`] for other encodings, truncated text and files without text.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, TextError> {
    let text = match bytes {
        [0xFE, 0xFF, ..] | [0, 1..=0xFF, ..] => return Err(TextError::BigEndian),
        [0xFF, 0xFE, rest @ ..] => Cow::Owned(utf16le(rest)?),
        [1..=0xFF, 0, ..] => Cow::Owned(utf16le(bytes)?),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Cow::Borrowed(utf8(rest)?),
        _ => Cow::Borrowed(utf8(bytes)?),
    };
    if text.trim().is_empty() {
        return Err(TextError::Empty);
    }
    Ok(text)
}

fn utf8(bytes: &[u8]) -> Result<&str, TextError> {
    str::from_utf8(bytes).map_err(|error| TextError::Utf8(error.valid_up_to()))
}

fn utf16le(bytes: &[u8]) -> Result<String, TextError> {
    let (units, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(TextError::OddLength(bytes.len()));
    }
    char::decode_utf16(units.iter().copied().map(u16::from_le_bytes))
        .collect::<Result<_, _>>()
        .map_err(|_| TextError::Utf16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn every_encoding_of_an_export_gives_the_same_text() {
        let text = "[\"Zoë 🗝\"]";
        let with_mark = |mark: &[u8], body: &[u8]| [mark, body].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            with_mark(&[0xEF, 0xBB, 0xBF], text.as_bytes()),
            utf16(text),
            with_mark(&[0xFF, 0xFE], &utf16(text)),
        ] {
            assert_eq!(decode(&bytes).unwrap(), text);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        for (bytes, error) in [
            (&b""[..], TextError::Empty),
            (b" \r\n", TextError::Empty),
            (&[0xEF, 0xBB, 0xBF], TextError::Empty),
            (&[0xFF, 0xFE], TextError::Empty),
            (&[0xFE, 0xFF, 0, b'['], TextError::BigEndian),
            (&[0, b'[', 0, b']'], TextError::BigEndian),
            (&[0xFF, 0xFE, b'[', 0, b']'], TextError::OddLength(3)),
            (&[b'"', 0, 0x00, 0xD8, b'"', 0], TextError::Utf16),
            (b"[\"\xFF\"]", TextError::Utf8(2)),
        ] {
            assert_eq!(decode(bytes), Err(error), "{bytes:?}");
        }
    }
}

//! What an HTTP/1 request head must look like before anything else looks at it.

use memchr::{memchr, memchr_iter};
use thiserror::Error;

/// How the end of a request's body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// It is chunked.
    Chunked,
    /// It has this many bytes; none is the common case.
    Length(u64),
}

/// Why a request head was refused with 400 before it became a request.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum HeadDefect {
    /// Both `Content-Length` and `Transfer-Encoding`, or one of them twice.
    #[error("the request has two framings")]
    AmbiguousFraming,
    /// A `Content-Length` that is no number, or a `Transfer-Encoding` other than `chunked`.
    #[error("the request has a framing that is not understood")]
    BadFraming,
    /// A header line without a name, with white space around the name, or folded.
    #[error("the request has a malformed header line")]
    BadHeaderLine,
    /// A line that does not end with CR LF, or a control character.
    #[error("the request has a line that does not end with CR LF, or a control character")]
    BadLine,
    /// A request line that is not `METHOD target HTTP/1.x`.
    #[error("the request line is malformed")]
    BadRequestLine,
    /// A `#` in the target.
    #[error("the request target has a fragment")]
    Fragment,
}

impl HeadDefect {
    /// Every defect, for initialising metrics.
    pub const ALL: [Self; 6] = [
        Self::AmbiguousFraming,
        Self::BadFraming,
        Self::BadHeaderLine,
        Self::BadLine,
        Self::BadRequestLine,
        Self::Fragment,
    ];

    /// The stable text of this defect.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::AmbiguousFraming => "ambiguous_framing",
            Self::BadFraming => "bad_framing",
            Self::BadHeaderLine => "bad_header_line",
            Self::BadLine => "bad_line",
            Self::BadRequestLine => "bad_request_line",
            Self::Fragment => "fragment",
        }
    }
}

/// Where a head ends in `bytes`: the length up to and with its empty line.
///
/// Lines that end with a bare LF are found too, so that they are refused and not waited for.
/// `from` is how many bytes were searched before.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    // An end can straddle what was searched before: at most three bytes of it.
    let start = from.saturating_sub(3);
    let tail = bytes.get(start..)?;
    memchr_iter(b'\n', tail).find_map(|at| {
        let rest = tail.get(at + 1..)?;
        let ends = rest.starts_with(b"\n") || rest.starts_with(b"\r\n");
        let line = if rest.starts_with(b"\n") { 1 } else { 2 };
        ends.then_some(start + at + 1 + line)
    })
}

/// Checks a whole head, its empty line included.
///
/// # Errors
/// [`HeadDefect`]; the connection cannot be used any further, because nobody knows where the next
/// request begins.
pub(super) fn check(head: &[u8]) -> Result<Framing, HeadDefect> {
    let text = head.strip_suffix(b"\r\n\r\n").ok_or(HeadDefect::BadLine)?;
    let mut begin = 0;
    for end in memchr_iter(b'\n', text).chain([text.len()]) {
        let line = text.get(begin..end).unwrap_or_default();
        // The last line's own end was taken off with the empty line.
        let line = if end == text.len() {
            Some(line)
        } else {
            line.strip_suffix(b"\r")
        };
        if line.is_none_or(has_control) {
            return Err(HeadDefect::BadLine);
        }
        begin = end + 1;
    }
    let mut lines = Lines(text);
    let request_line = lines.next().ok_or(HeadDefect::BadRequestLine)?;
    check_request_line(request_line)?;
    framing(lines)
}

/// Whether a line has a control character other than the tabulator. Looks at all of it, because that
/// is what a compiler can turn into a few wide comparisons.
fn has_control(line: &[u8]) -> bool {
    line.iter().fold(false, |found, byte| {
        found | (byte.is_ascii_control() & (*byte != b'\t'))
    })
}

/// The lines of a text in which every line but the last ends with CR LF.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr(b'\r', self.0).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(2..).unwrap_or_default();
        Some(line)
    }
}

fn check_request_line(line: &[u8]) -> Result<(), HeadDefect> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeadDefect::BadRequestLine);
    };
    // SECURITY: the HTTP library cuts a fragment off in silence; a vault or a cache before us
    // might not.
    if target.contains(&b'#') {
        return Err(HeadDefect::Fragment);
    }
    let well_formed = !method.is_empty()
        && method.iter().all(is_token)
        && !target.is_empty()
        && target.iter().all(u8::is_ascii_graphic)
        && matches!(version, b"HTTP/1.0" | b"HTTP/1.1");
    well_formed.then_some(()).ok_or(HeadDefect::BadRequestLine)
}

fn framing<'a>(headers: impl Iterator<Item = &'a [u8]>) -> Result<Framing, HeadDefect> {
    let mut framing = None;
    for line in headers {
        let at = line
            .iter()
            .position(|&byte| byte == b':')
            .ok_or(HeadDefect::BadHeaderLine)?;
        let (name, value) = line.split_at_checked(at).ok_or(HeadDefect::BadHeaderLine)?;
        // White space before the colon or at the start of a line reads as another header to some.
        if name.is_empty() || !name.iter().all(is_token) {
            return Err(HeadDefect::BadHeaderLine);
        }
        let value = value.get(1..).unwrap_or_default();
        // SECURITY: other white space around the value is legal, and nobody sends it but those who
        // hope that somebody before us does not take it for the same value.
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let Some(found) = framing_header(name, value)? else {
            continue;
        };
        // SECURITY: whoever stands before us may believe the other one; then the rest of this
        // request is their next request.
        if framing.replace(found).is_some() {
            return Err(HeadDefect::AmbiguousFraming);
        }
    }
    Ok(framing.unwrap_or(Framing::Length(0)))
}

fn framing_header(name: &[u8], value: &[u8]) -> Result<Option<Framing>, HeadDefect> {
    if name.eq_ignore_ascii_case(b"content-length") {
        let digits = std::str::from_utf8(value)
            .ok()
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok());
        return digits
            .map(|length| Some(Framing::Length(length)))
            .ok_or(HeadDefect::BadFraming);
    }
    if name.eq_ignore_ascii_case(b"transfer-encoding") {
        return value
            .eq_ignore_ascii_case(b"chunked")
            .then_some(Some(Framing::Chunked))
            .ok_or(HeadDefect::BadFraming);
    }
    Ok(None)
}

/// The characters of methods and header names (RFC 9110 §5.6.2).
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> Result<Framing, HeadDefect> {
        check(format!("{lines}\r\n\r\n").as_bytes())
    }

    #[test]
    fn ordinary_heads_pass() {
        assert_eq!(
            head("GET /secrets/n/?api-version=7.4 HTTP/1.1\r\nHost: kv"),
            Ok(Framing::Length(0))
        );
        assert_eq!(
            head("PUT /a HTTP/1.1\r\nHost: kv \t\r\ncontent-LENGTH: 17"),
            Ok(Framing::Length(17))
        );
        assert_eq!(
            head("PUT /a HTTP/1.1\r\nTransfer-Encoding:Chunked\r\nX: \tb\u{e9}"),
            Ok(Framing::Chunked)
        );
        assert_eq!(head("GET / HTTP/1.0"), Ok(Framing::Length(0)));
    }

    #[test]
    fn two_framings_are_refused_in_every_order() {
        for headers in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 4",
            "Content-Length: 4\r\nContent-Length: 4",
            "Content-Length: 4\r\nContent-Length: 5",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            assert_eq!(
                head(&format!("PUT /a HTTP/1.1\r\n{headers}")),
                Err(HeadDefect::AmbiguousFraming),
                "{headers}"
            );
        }
    }

    #[test]
    fn a_framing_nobody_understands_is_refused() {
        for header in [
            "Content-Length: +4",
            "Content-Length: 4, 4",
            "Content-Length: 0x4",
            "Content-Length: ",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding: chunked ",
            "Transfer-Encoding:\tchunked",
            "Content-Length: 4 ",
            "Content-Length:  4",
        ] {
            assert_eq!(
                head(&format!("PUT /a HTTP/1.1\r\n{header}")),
                Err(HeadDefect::BadFraming),
                "{header}"
            );
        }
    }

    #[test]
    fn lines_that_parsers_read_differently_are_refused() {
        for (text, defect) in [
            ("GET /a HTTP/1.1\nHost: kv", HeadDefect::BadLine),
            ("GET /a HTTP/1.1\r\nA: b\rC: d", HeadDefect::BadLine),
            ("GET /a HTTP/1.1\r\nA: b\0", HeadDefect::BadLine),
            ("GET /a HTTP/1.1\r\nA: b\r\n c", HeadDefect::BadHeaderLine),
            ("GET /a HTTP/1.1\r\nA : b", HeadDefect::BadHeaderLine),
            ("GET /a HTTP/1.1\r\n: b", HeadDefect::BadHeaderLine),
            ("GET /a HTTP/1.1\r\nA", HeadDefect::BadHeaderLine),
            ("GET /a#b HTTP/1.1", HeadDefect::Fragment),
            ("GET  /a HTTP/1.1", HeadDefect::BadRequestLine),
            ("GET /a", HeadDefect::BadRequestLine),
            ("GET /a b HTTP/1.1", HeadDefect::BadRequestLine),
            ("GET /\u{e9} HTTP/1.1", HeadDefect::BadRequestLine),
            ("GET /a HTTP/1.1 ", HeadDefect::BadRequestLine),
            ("GET /a HTTP/2.0", HeadDefect::BadRequestLine),
            ("G:T /a HTTP/1.1", HeadDefect::BadRequestLine),
            ("", HeadDefect::BadRequestLine),
        ] {
            assert_eq!(head(text), Err(defect), "{text:?}");
        }
        assert_eq!(check(b"GET /a HTTP/1.1\r\n\n"), Err(HeadDefect::BadLine));
    }

    #[test]
    fn an_end_is_found_wherever_the_reads_fell() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
        let expected = head.len() - 4;
        for from in 0..expected {
            assert_eq!(end(head, from), Some(expected), "{from}");
        }
        for length in 0..expected {
            assert_eq!(end(&head[..length], 0), None, "{length}");
        }
        assert_eq!(end(b"a\n\nb", 0), Some(3));
    }
}

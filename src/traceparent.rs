//! W3C trace context: which trace a request belongs to.
//!
//! The header is passed on as it came and its ids are written into the record. If there is none,
//! none is made up: the proxy exports no spans, so an invented id would lead nowhere. A header
//! that breaks the grammar is treated as absent, and `None` tells the caller not to pass it on.
//!
//! Source: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;
use std::str::FromStr;

use http::HeaderMap;
use thiserror::Error;

/// The name of the header.
const HEADER: &str = "traceparent";

/// The length of a version 00 header, and of what later versions begin with.
const LENGTH: usize = 55;

/// A text that is not a `traceparent`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "expected a traceparent such as `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01` in lower case"
)]
pub struct TraceParentError;

/// A valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace: u128,
    span: u64,
}

impl TraceParent {
    /// Reads the header; `None` if it is absent, repeated or broken.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let only = values.next().filter(|_| values.next().is_none())?;
        only.to_str().ok()?.parse().ok()
    }

    /// The trace id: 32 lower-case hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The id of the span the request was sent in: 16 lower-case hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (known, later) = text.split_at_checked(LENGTH).ok_or(TraceParentError)?;
        let fields: Vec<&str> = known.split('-').collect();
        let [version, trace, span, flags] = fields.as_slice() else {
            return Err(TraceParentError);
        };
        let widths = [(version, 2), (trace, 32), (span, 16), (flags, 2)];
        if !widths.iter().all(|(field, width)| is_hex(field, *width)) {
            return Err(TraceParentError);
        }
        // Version 00 ends here, `ff` is forbidden, and later versions may go on after a dash.
        let ends_well = later.is_empty() || (*version != "00" && later.starts_with('-'));
        if *version == "ff" || !ends_well {
            return Err(TraceParentError);
        }
        let trace = u128::from_str_radix(trace, 16).map_err(|_| TraceParentError)?;
        let span = u64::from_str_radix(span, 16).map_err(|_| TraceParentError)?;
        if trace == 0 || span == 0 {
            return Err(TraceParentError);
        }
        Ok(Self { trace, span })
    }
}

impl fmt::Display for TraceParent {
    /// The two ids as `trace-span`, for a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}-{:016x}", self.trace, self.span)
    }
}

fn is_hex(field: &str, width: usize) -> bool {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    field.len() == width && field.bytes().all(lower_hex)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn ids_of_a_valid_header_are_read() {
        let parent: TraceParent = GOOD.parse().unwrap();
        assert_eq!(parent.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.span_id(), "b7ad6b7169203331");
    }

    #[test]
    fn later_versions_may_be_longer() {
        for text in [
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff",
        ] {
            assert!(text.parse::<TraceParent>().is_ok(), "{text}");
        }
    }

    #[test]
    fn broken_headers_are_refused() {
        for text in [
            "",
            "00",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            "0+-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333ä-1",
        ] {
            assert!(text.parse::<TraceParent>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_repeated_header_counts_as_absent() {
        let mut headers = HeaderMap::new();
        assert_eq!(TraceParent::from_headers(&headers), None);
        headers.append(HEADER, HeaderValue::from_static(GOOD));
        assert!(TraceParent::from_headers(&headers).is_some());
        headers.append(HEADER, HeaderValue::from_static(GOOD));
        assert_eq!(TraceParent::from_headers(&headers), None);
    }
}

//! The names by which client certificates are accepted, and the forms that names must have.
//!
//! Sources: RFC 5280, section 4.2.1.6; the SPIFFE ID specification, section 2.

use std::str::FromStr;

/// SPIFFE: the longest id, and the longest trust domain, in bytes.
const MAX_SPIFFE_ID_BYTES: usize = 2048;
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// The longest DNS name.
const MAX_DNS_BYTES: usize = 253;

const SPIFFE: &str = "spiffe://";

/// A name among the alternative names of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientName {
    /// A DNS name, in lower case. Wildcards have no place here: they name servers.
    Dns(Box<str>),
    /// A URI, compared exactly.
    Uri(Box<str>),
    /// A URI up to a segment of its path, without the slash; whatever is below it is meant.
    UriBelow(Box<str>),
}

impl ClientName {
    /// Whether a DNS name of a certificate is this one.
    pub fn is_dns(&self, name: &str) -> bool {
        matches!(self, Self::Dns(own) if own.eq_ignore_ascii_case(name))
    }

    /// Whether a URI of a certificate is this one.
    pub fn is_uri(&self, uri: &str) -> bool {
        match self {
            Self::Dns(_) => false,
            Self::Uri(own) => **own == *uri,
            // SECURITY: whole plain segments, so that nothing like `/../` leads out again.
            Self::UriBelow(own) => uri
                .strip_prefix(&**own)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|path| path.split('/').all(is_plain_segment)),
        }
    }
}

impl FromStr for ClientName {
    type Err = &'static str;

    /// Reads `dns:name`, `uri:uri` or `uri:uri/*`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected `dns:` and a host name without wildcard, or `uri:` and a \
            URI, whose path may end in `/*`, such as `uri:spiffe://contoso.example/ns/payments/*`";
        let name = if let Some(name) = text.strip_prefix("dns:") {
            is_dns_name(name).then(|| Self::Dns(name.to_ascii_lowercase().into()))
        } else if let Some(uri) = text.strip_prefix("uri:") {
            match uri.strip_suffix("/*") {
                Some(begin) => is_uri_to_accept(begin, true).then(|| Self::UriBelow(begin.into())),
                None => is_uri_to_accept(uri, false).then(|| Self::Uri(uri.into())),
            }
        } else {
            None
        };
        name.ok_or(EXPECTED)
    }
}

/// Whether a text is the SPIFFE id of a workload: a trust domain, and a path below it.
pub(crate) fn is_spiffe_id(text: &str) -> bool {
    let parts = text
        .strip_prefix(SPIFFE)
        .and_then(|rest| rest.split_once('/'));
    parts.is_some_and(|(domain, path)| {
        text.len() <= MAX_SPIFFE_ID_BYTES
            && is_trust_domain(domain)
            && path.split('/').all(is_plain_segment)
    })
}

/// Whether a URI is meant for a SPIFFE id, well-formed or not. Schemes have no case.
pub(crate) fn claims_spiffe(uri: &str) -> bool {
    let scheme = uri.split(':').next();
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe"))
}

fn is_trust_domain(text: &str) -> bool {
    let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-._".contains(&c);
    (1..=MAX_TRUST_DOMAIN_BYTES).contains(&text.len()) && text.bytes().all(legal)
}

fn is_plain_segment(segment: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
    !["", ".", ".."].contains(&segment) && segment.bytes().all(legal)
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        let legal = |c: u8| c.is_ascii_alphanumeric() || b"-_".contains(&c);
        !label.is_empty() && label.len() <= 63 && label.bytes().all(legal)
    };
    text.len() <= MAX_DNS_BYTES && text.split('.').all(label)
}

/// Whether a rule can be about this URI. With `open_end` it is the beginning of one.
fn is_uri_to_accept(text: &str, open_end: bool) -> bool {
    if claims_spiffe(text) {
        let domain = text.strip_prefix(SPIFFE).filter(|_| open_end);
        return is_spiffe_id(text) || domain.is_some_and(is_trust_domain);
    }
    let printable = |c: u8| c.is_ascii_graphic() && !b"*\"<>\\^`{|}".contains(&c);
    let scheme = |text: &str| {
        let legal = |c: u8| c.is_ascii_alphanumeric() || b"+-.".contains(&c);
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(legal)
    };
    // An open end needs a whole host before it; what follows a query or fragment is no path.
    let is_open = |rest: &str| {
        let host = rest
            .strip_prefix("//")
            .and_then(|rest| rest.split('/').next());
        host.is_some_and(|host| !host.is_empty()) && !rest.contains(['?', '#'])
    };
    let parts = text.split_once(':');
    text.bytes().all(printable)
        && parts.is_some_and(|(first, rest)| {
            scheme(first) && !rest.is_empty() && (!open_end || is_open(rest))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> ClientName {
        text.parse().unwrap()
    }

    #[test]
    fn a_dns_name_is_compared_whole_and_without_case() {
        let app = rule("dns:App.contoso.example");
        assert!(app.is_dns("app.contoso.example") && app.is_dns("APP.CONTOSO.EXAMPLE"));
        for other in [
            "",
            "contoso.example",
            "app.contoso.example.",
            "app.contoso.example.evil.test",
            "evil.app.contoso.example",
            "*.contoso.example",
            "app.contoso.example\0",
            "app.contoso.example\0.evil.test",
            "app\u{2e}contoso.examp\u{2113}e",
        ] {
            assert!(!app.is_dns(other), "{other:?}");
        }
        assert!(!app.is_uri("app.contoso.example") && !app.is_uri("dns:app.contoso.example"));
    }

    #[test]
    fn a_uri_is_compared_byte_for_byte() {
        let app = rule("uri:spiffe://contoso.example/ns/payments/sa/app");
        assert!(app.is_uri("spiffe://contoso.example/ns/payments/sa/app"));
        for other in [
            "spiffe://contoso.example/ns/payments/sa/app/",
            "spiffe://contoso.example/ns/payments/sa/App",
            "spiffe://Contoso.example/ns/payments/sa/app",
            "spiffe://contoso.example/ns/payments/sa/app2",
            "spiffe://contoso.example/ns/payments/sa/app?a",
            "spiffe://contoso.example/ns/payments/sa",
        ] {
            assert!(!app.is_uri(other), "{other}");
        }
        assert!(!app.is_dns("spiffe://contoso.example/ns/payments/sa/app"));
    }

    #[test]
    fn a_star_stands_for_whole_segments_below_and_nothing_else() {
        let below = rule("uri:spiffe://contoso.example/ns/payments/*");
        assert!(below.is_uri("spiffe://contoso.example/ns/payments/app"));
        assert!(below.is_uri("spiffe://contoso.example/ns/payments/sa/app"));
        for other in [
            "spiffe://contoso.example/ns/payments",
            "spiffe://contoso.example/ns/payments/",
            "spiffe://contoso.example/ns/payments-evil/app",
            "spiffe://contoso.example/ns/payments//app",
            "spiffe://contoso.example/ns/payments/../other/app",
            "spiffe://contoso.example/ns/payments/./app",
            "spiffe://contoso.example/ns/payments/%2e%2e/app",
            "spiffe://contoso.example/ns/payments/app?a",
            "spiffe://contoso.example/ns/payments/app#a",
            "spiffe://contoso.example/ns/payments/app\0",
            "spiffe://contoso.example.evil/ns/payments/app",
        ] {
            assert!(!below.is_uri(other), "{other:?}");
        }
        let domain = rule("uri:spiffe://contoso.example/*");
        assert!(domain.is_uri("spiffe://contoso.example/app"));
        assert!(!domain.is_uri("spiffe://contoso.example.evil/app"));
    }

    #[test]
    fn a_rule_that_could_mean_more_than_it_says_is_refused() {
        for text in [
            "",
            "app.contoso.example",
            "dns:",
            "dns:*.contoso.example",
            "dns:app.contoso.example.",
            "dns:app..example",
            "dns: app",
            "dns:\u{e4}pp.example",
            "DNS:app.example",
            "uri:",
            "uri:*",
            "uri:/*",
            "uri:app",
            "uri:1a:b",
            "uri:spiffe:",
            "uri:spiffe://*",
            "uri:spiffe://contoso.example",
            "uri:spiffe://contoso.example/",
            "uri:spiffe://contoso.example/app*",
            "uri:spiffe://contoso.example/*/app",
            "uri:spiffe://contoso.example/*/*",
            "uri:spiffe://contoso.example/a/../b",
            "uri:spiffe://contoso.example:443/app",
            "uri:spiffe://user@contoso.example/app",
            "uri:spiffe://contoso.example/app?a=b",
            "uri:SPIFFE://contoso.example/app",
            "uri:spiffe://Contoso.example/*",
            "uri:https://*",
            "uri:https:/*",
            "uri:https:///*",
            "uri:urn:*",
            "uri:urn:contoso/*",
            "uri:https://contoso.example/a?b/*",
            "uri:https://contoso.example/a b",
            "uri:https://contoso.example/\0",
        ] {
            assert!(text.parse::<ClientName>().is_err(), "{text:?}");
        }
        let rules = ["uri:urn:contoso:app", "uri:https://contoso.example/apps/*"];
        let [one, below] = rules.map(rule);
        assert!(one.is_uri("urn:contoso:app"));
        assert!(below.is_uri("https://contoso.example/apps/one"));
    }
}

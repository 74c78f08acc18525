//! Authorities: which host, and which port, a request is for.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::name::NameError;

/// The port of https, which `Host` leaves out.
const HTTPS_PORT: u16 = 443;

/// A host with a port, in lower case, without a trailing dot; the default port is 443.
///
/// Two spellings of the same place are equal: `KV.vault.azure.net.:443` and `kv.vault.azure.net`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    host: Arc<str>,
    port: u16,
}

impl Authority {
    /// The host: a DNS name, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// This authority with another port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        Self {
            host: self.host.clone(),
            port,
        }
    }
}

impl FromStr for Authority {
    type Err = NameError;

    /// Reads `host` or `host:port`; user information is refused.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = split_port(text).ok_or(NameError::Authority)?;
        let host = host.strip_suffix('.').unwrap_or(host);
        if !is_host(host) {
            return Err(NameError::Authority);
        }
        let port = match port {
            None => HTTPS_PORT,
            Some(digits) => {
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(NameError::Authority);
                }
                digits.parse().map_err(|_| NameError::Authority)?
            }
        };
        Ok(Self {
            host: host.to_ascii_lowercase().into(),
            port,
        })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.port == HTTPS_PORT {
            f.write_str(&self.host)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Splits `host:port`, minding the colons of an IPv6 address in brackets.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let (address, rest) = text.split_at_checked(text.find(']')? + 1)?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address, Some(port))),
            None => rest.is_empty().then_some((address, None)),
        };
    }
    Some(match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(text: &str) -> Authority {
        text.parse().unwrap()
    }

    #[test]
    fn spellings_of_the_same_place_are_equal() {
        assert_eq!(
            authority("KV.Vault.Azure.Net.:443"),
            authority("kv.vault.azure.net")
        );
        assert_eq!(authority("localhost:8443").to_string(), "localhost:8443");
        assert_eq!(authority("[::1]:8443").host(), "[::1]");
        assert_eq!(authority("[::1]").port(), 443);
    }

    #[test]
    fn places_that_differ_are_not_equal() {
        assert_ne!(
            authority("kv.vault.azure.net:8443"),
            authority("kv.vault.azure.net")
        );
        assert_ne!(
            authority("kv.vault.azure.net.evil.com"),
            authority("kv.vault.azure.net")
        );
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        for text in [
            "", ".", "a..b", "a b", "a:", "a:b", "a:+1", "a:65536", "user@a", "a/b", "[::1",
            "[::1]x", "[g]", "::1", "-a", "a-", "a_b", "a.b..", "ä", "a:80:80",
        ] {
            assert!(text.parse::<Authority>().is_err(), "{text}");
        }
    }
}

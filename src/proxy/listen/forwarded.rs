//! The client's address as proxies in front of this one tell it in `X-Forwarded-For`.
//!
//! Each proxy appends the address it was reached from, so that the list is to be believed from its
//! end up to the first address that is not a proxy of ours; what is before that the client may have
//! written itself. No other header of the kind is believed, whoever sends it: not `Forwarded`, not
//! `X-Real-IP`, and never `X-Forwarded-Host`.

use std::net::{IpAddr, SocketAddr};

use http::header::{HeaderMap, HeaderName};

use crate::config::TrustedPeers;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What the proxies in front say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The client's address.
    Address(IpAddr),
    /// Nothing.
    Nothing,
    /// Something that is no address, before any client was found.
    Unreadable,
}

/// Reads the list of a request that came from one of `proxies`.
pub(super) fn client(headers: &HeaderMap, proxies: &TrustedPeers) -> Told {
    let mut told = Told::Nothing;
    // Several lines are one list (RFC 9110, section 5.3).
    for value in headers.get_all(X_FORWARDED_FOR).iter().rev() {
        let Ok(text) = value.to_str() else {
            return Told::Unreadable;
        };
        for element in text.rsplit(',') {
            match address(element.trim_matches([' ', '\t'])) {
                None => return Told::Unreadable,
                Some(address) if proxies.contain(address) => told = Told::Address(address),
                Some(address) => return Told::Address(address),
            }
        }
    }
    told
}

/// An address, perhaps with a port, as Azure's Application Gateway appends it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let six = bare.and_then(|text| text.parse().ok().map(IpAddr::V6));
    let address = six.or_else(|| text.parse().ok());
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_told(lines: &[&str], expected: Told) {
        let proxies = TrustedPeers::from(vec![
            "10.0.0.0/8".parse().unwrap(),
            "fd00::/8".parse().unwrap(),
        ]);
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = http::HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(X_FORWARDED_FOR, value);
        }
        assert_eq!(client(&headers, &proxies), expected, "{lines:?}");
    }

    fn ip(text: &str) -> Told {
        Told::Address(text.parse().unwrap())
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        assert_told(&[], Told::Nothing);
        assert_told(&["192.0.2.7"], ip("192.0.2.7"));
        assert_told(&["192.0.2.7, 10.1.1.1"], ip("192.0.2.7"));
        assert_told(&["6.6.6.6,192.0.2.7,10.1.1.1, 10.2.2.2"], ip("192.0.2.7"));
        assert_told(&["6.6.6.6", "192.0.2.7", "10.1.1.1"], ip("192.0.2.7"));
        // A client that says it is a proxy, or says nonsense, is where its proxy saw it.
        assert_told(&["10.9.9.9, 192.0.2.7"], ip("192.0.2.7"));
        assert_told(&["unknown, \u{e4}, 192.0.2.7"], Told::Unreadable);
        assert_told(&["nonsense", "192.0.2.7"], ip("192.0.2.7"));
        assert_told(&["nonsense,, 192.0.2.7"], ip("192.0.2.7"));
        // Proxies all the way: the first of them is the client.
        assert_told(&["10.3.3.3, 10.1.1.1"], ip("10.3.3.3"));
    }

    #[test]
    fn every_form_of_an_address_that_proxies_append_is_read() {
        assert_told(&["192.0.2.7:50000"], ip("192.0.2.7"));
        assert_told(&["2001:db8::7"], ip("2001:db8::7"));
        assert_told(&["[2001:db8::7]"], ip("2001:db8::7"));
        assert_told(&["[2001:db8::7]:50000, fd00::1"], ip("2001:db8::7"));
        assert_told(&["::ffff:192.0.2.7, ::ffff:10.1.1.1"], ip("192.0.2.7"));
    }

    #[test]
    fn what_is_no_address_is_not_passed_over() {
        for text in [
            "",
            "unknown",
            "_hidden",
            "192.0.2.7,",
            "192.0.2.7, x",
            "192.0.2.7, 10.0.0.256",
            "192.0.2.7 10.0.0.1",
            "192.0.2.7, [10.0.0.1]",
            "192.0.2.7, 10.0.0.1:",
            "192.0.2.7, 10.0.0.1:65536",
            "for=192.0.2.7",
        ] {
            assert_told(&[text], Told::Unreadable);
        }
    }
}

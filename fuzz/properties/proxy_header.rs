//! Any bytes as the beginning of a connection from a load balancer. A header ends where it says, takes
//! nothing of what follows, is waited for byte by byte without one too many, and names the address that
//! stands in it. Gives whether there is one.

use std::net::{IpAddr, SocketAddr};

use portcullis::proxy::listen::proxy_protocol::{at_least, parse};

/// The longest header of either version.
const MAX_BYTES: usize = 536;

pub(crate) fn check(data: &[u8]) -> bool {
    let Ok(Some((header, length))) = parse(data) else {
        return false;
    };
    assert!(length <= MAX_BYTES);
    let alone = &data[..length];
    assert_eq!(parse(alone), Ok(Some((header, length))));
    let followed = [alone, b"\x16\x03\x01PROXY \r\n\0"].concat();
    assert_eq!(parse(&followed), Ok(Some((header, length))));
    for end in 0..length {
        let begun = &data[..end];
        assert_eq!(parse(begun), Ok(None), "{begun:?}");
        let wanted = at_least(begun);
        assert!(end < wanted && wanted <= length, "{wanted} of {length}");
    }
    if let Some(source) = header.source {
        assert_eq!(source, written(alone), "{alone:?}");
    }
    true
}

/// The source as it stands in a header that has one.
fn written(header: &[u8]) -> SocketAddr {
    if header.starts_with(b"PROXY ") {
        let line = std::str::from_utf8(header).unwrap().trim_end();
        let words: Vec<&str> = line.split(' ').collect();
        let &["PROXY", _family, source, _destination, port, _] = words.as_slice() else {
            panic!("{line}");
        };
        return SocketAddr::new(source.parse().unwrap(), port.parse().unwrap());
    }
    let (address, port): (IpAddr, usize) = match header[13] {
        0x11 => (<[u8; 4]>::try_from(&header[16..20]).unwrap().into(), 24),
        0x21 => (<[u8; 16]>::try_from(&header[16..32]).unwrap().into(), 48),
        family => panic!("{family:#x}"),
    };
    SocketAddr::new(
        address,
        u16::from_be_bytes([header[port], header[port + 1]]),
    )
}

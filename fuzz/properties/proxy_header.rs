//! Any bytes as the beginning of a connection: whoever reads as much of a PROXY header as is asked
//! for takes nothing of what follows it, and finds what somebody finds who has all the bytes. Gives
//! whether there is a header.

use std::net::{IpAddr, SocketAddr};

use portcullis::proxy::listen::proxy_protocol::{Defect, Header, at_least, parse};

pub(crate) fn check(data: &[u8]) -> bool {
    let whole = parse(data);
    match piecemeal(data) {
        Ok(Some((header, length))) => {
            assert_eq!(whole, Ok(Some((header, length))));
            // What follows is nobody's business here.
            for rest in [
                &b""[..],
                b"\x16\x03\x01",
                b"PROXY ",
                b"\r\n\r\n\0\r\nQUIT\n",
            ] {
                let with = [&data[..length], rest].concat();
                assert_eq!(parse(&with), whole);
            }
            if let Some(source) = header.source {
                assert!(is_said(&data[..length], source), "{source}");
            }
            true
        }
        Ok(None) => {
            // Later bytes may be wrong before all are there, never right.
            assert!(!matches!(whole, Ok(Some(_))));
            false
        }
        Err(defect) => {
            assert!(whole.is_err(), "{defect}");
            assert!(!defect.to_string().is_empty());
            false
        }
    }
}

/// Reads as a listener does.
fn piecemeal(data: &[u8]) -> Result<Option<(Header, usize)>, Defect> {
    let mut read = 0;
    loop {
        if let Some((header, length)) = parse(&data[..read])? {
            assert_eq!(length, read);
            return Ok(Some((header, length)));
        }
        let least = at_least(&data[..read]);
        assert!(least > read);
        assert!(least <= 536, "{least} bytes are waited for");
        if least > data.len() {
            return Ok(None);
        }
        read = least;
    }
}

/// Whether the address is in the header where its version has it.
fn is_said(header: &[u8], source: SocketAddr) -> bool {
    let port = source.port();
    if header.starts_with(b"PROXY ") {
        let line = std::str::from_utf8(header).unwrap();
        let words: Vec<&str> = line.trim_end().split(' ').collect();
        return words[2].parse() == Ok(source.ip()) && words[4] == port.to_string();
    }
    let (address, ports): (Vec<u8>, usize) = match source.ip() {
        IpAddr::V4(ip) => (ip.octets().into(), 16 + 8),
        IpAddr::V6(ip) => (ip.octets().into(), 16 + 32),
    };
    header[16..].starts_with(&address) && header[ports..].starts_with(&port.to_be_bytes())
}

//! The PROXY protocol, versions 1 and 2: what a load balancer says of the client whose connection it
//! hands on, before the first byte of the client's.
//!
//! Source: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>. Stricter than it where
//! that costs no sender anything: nothing but TCP over IP is taken, additional fields must fill the
//! header exactly, and a checksum that is there must be right.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// The longest header of version 1, line end included (section 2.1).
const MAX_V1_BYTES: usize = 107;

/// The longest header of version 2: what fits into the smallest segment that every TCP takes, which
/// senders must keep to so that it is sent at once (section 2.2).
const MAX_V2_BYTES: usize = 536;

/// The shortest header there is, `PROXY UNKNOWN` and its line end.
const LEAST_BYTES: usize = 15;

/// How version 1 begins.
const V1: &[u8] = b"PROXY ";

/// How version 2 begins: nothing that TLS, HTTP or version 1 could.
const V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Version 2 until its addresses: how it begins, version and command, family, length.
const V2_HEAD_BYTES: usize = 16;

/// The additional field with a checksum of the header (section 2.2.3).
const CHECKSUM: u8 = 3;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The client. `None` if the sender speaks for itself, as it does to check that we are alive, or
    /// does not know.
    pub source: Option<SocketAddr>,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Defect {
    /// An address or port that is none.
    #[error("an address cannot be read")]
    Address,
    /// The checksum is another.
    #[error("the checksum is wrong")]
    Checksum,
    /// Neither LOCAL nor PROXY.
    #[error("the command is unknown")]
    Command,
    /// Neither TCP over IPv4 nor over IPv6.
    #[error("the connection is not TCP over IP")]
    Family,
    /// An additional field that does not fit.
    #[error("the additional fields do not fill the header")]
    Fields,
    /// More than a header may have.
    #[error("it is too long")]
    Length,
    /// It begins like nothing we know, or a line has other characters than it should.
    #[error("it is no PROXY header")]
    NoHeader,
    /// Neither version 1 nor 2.
    #[error("the version is unknown")]
    Version,
}

/// Reads the header at the beginning of `bytes`, and says how long it is. What follows is the
/// client's and is not looked at. `None` means that more bytes are needed.
///
/// # Errors
/// [`Defect`], as soon as no further byte could make it a header.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Defect> {
    if agree(bytes, V1) {
        version_1(bytes)
    } else if agree(bytes, V2) {
        version_2(bytes)
    } else {
        Err(Defect::NoHeader)
    }
}

/// How many bytes there must be before a header that begins with `bytes` can be read: never more
/// than the header has, so that whoever reads as many takes nothing of the client's.
pub fn at_least(bytes: &[u8]) -> usize {
    if let Some((_, [high, low])) = v2_head(bytes) {
        return V2_HEAD_BYTES + usize::from(u16::from_be_bytes([high, low]));
    }
    if bytes.first() == V2.first() {
        return V2_HEAD_BYTES;
    }
    // The end of a line is two bytes, of which one may be there.
    let end = if bytes.ends_with(b"\r") { 1 } else { 2 };
    LEAST_BYTES.max(bytes.len().saturating_add(end))
}

/// Whether both begin alike, as far as both go.
fn agree(bytes: &[u8], begin: &[u8]) -> bool {
    bytes.iter().zip(begin).all(|(one, other)| one == other)
}

fn version_1(bytes: &[u8]) -> Result<Option<(Header, usize)>, Defect> {
    let printable = |byte: &u8| (b' '..=b'~').contains(byte);
    let length = bytes.iter().take_while(|byte| printable(byte)).count();
    if length + 2 > MAX_V1_BYTES {
        return Err(Defect::Length);
    }
    let (line, rest) = bytes.split_at_checked(length).ok_or(Defect::Length)?;
    if !agree(rest, b"\r\n") {
        return Err(Defect::NoHeader);
    }
    if rest.len() < 2 {
        return Ok(None);
    }
    let line = std::str::from_utf8(line).map_err(|_| Defect::NoHeader)?;
    let mut words = line.split(' ').skip(1);
    let source = match words.next() {
        // Whatever else is on the line is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(endpoints::<std::net::Ipv4Addr>(words)?),
        Some("TCP6") => Some(endpoints::<std::net::Ipv6Addr>(words)?),
        _ => return Err(Defect::Family),
    };
    Ok(Some((Header { source }, length + 2)))
}

/// Source and destination of version 1; the source is wanted.
fn endpoints<'a, Ip: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, Defect> {
    let mut word = || words.next().ok_or(Defect::Address);
    let (source, destination) = (word()?, word()?);
    let (source_port, destination_port) = (word()?, word()?);
    if words.next().is_some() {
        return Err(Defect::Address);
    }
    let address = |text: &str| text.parse::<Ip>().map_err(|_| Defect::Address);
    let _destination = (address(destination)?, port(destination_port)?);
    Ok(SocketAddr::new(address(source)?.into(), port(source_port)?))
}

fn port(text: &str) -> Result<u16, Defect> {
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    let number = text.parse().ok().filter(|_| canonical);
    number.ok_or(Defect::Address)
}

/// Version with command, family; and the length of the rest.
fn v2_head(bytes: &[u8]) -> Option<([u8; 2], [u8; 2])> {
    let rest = bytes.strip_prefix(V2)?;
    let (&[version_and_command, family, high, low], _) = rest.split_first_chunk()?;
    Some(([version_and_command, family], [high, low]))
}

fn version_2(bytes: &[u8]) -> Result<Option<(Header, usize)>, Defect> {
    let Some(([version_and_command, family], length)) = v2_head(bytes) else {
        return Ok(None);
    };
    let length = V2_HEAD_BYTES + usize::from(u16::from_be_bytes(length));
    if version_and_command >> 4 != 2 {
        return Err(Defect::Version);
    }
    let speaks_for_itself = match version_and_command & 0xf {
        0 => true,
        1 => false,
        _ => return Err(Defect::Command),
    };
    if length > MAX_V2_BYTES {
        return Err(Defect::Length);
    }
    let Some(header) = bytes.get(..length) else {
        return Ok(None);
    };
    // What the rest says then is to be ignored.
    let source = if speaks_for_itself {
        None
    } else {
        proxied(family, header)?
    };
    Ok(Some((Header { source }, length)))
}

/// The client of a whole header of version 2.
fn proxied(family: u8, header: &[u8]) -> Result<Option<SocketAddr>, Defect> {
    let block = header.get(V2_HEAD_BYTES..).ok_or(Defect::Address)?;
    let (source, fields) = match family {
        0x00 => return Ok(None),
        0x11 => v2_source::<4, 12>(block)?,
        0x21 => v2_source::<16, 36>(block)?,
        _ => return Err(Defect::Family),
    };
    check_fields(header, fields)?;
    Ok(Some(source))
}

/// The source of a block of two addresses with `ADDRESS` bytes each and two ports, `BLOCK` bytes in
/// all; and what follows it.
fn v2_source<const ADDRESS: usize, const BLOCK: usize>(
    block: &[u8],
) -> Result<(SocketAddr, &[u8]), Defect>
where
    [u8; ADDRESS]: Into<IpAddr>,
{
    let (addresses, fields) = block.split_first_chunk::<BLOCK>().ok_or(Defect::Address)?;
    let (source, rest) = addresses
        .split_first_chunk::<ADDRESS>()
        .ok_or(Defect::Address)?;
    let ports = rest.get(ADDRESS..).ok_or(Defect::Address)?;
    let (port, _) = ports.split_first_chunk().ok_or(Defect::Address)?;
    let source = SocketAddr::new((*source).into(), u16::from_be_bytes(*port));
    Ok((source, fields))
}

/// SECURITY: fields end where the header ends. One that claims more would have us take the client's
/// bytes for the sender's, or the other way round (CVE-2026-47692).
fn check_fields(header: &[u8], mut fields: &[u8]) -> Result<(), Defect> {
    let mut checksum = None;
    while let Some((&[kind, high, low], rest)) = fields.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(Defect::Fields)?;
        if kind == CHECKSUM {
            let value = value.try_into().map_err(|_| Defect::Fields)?;
            let at = header.len() - rest.len() - length;
            if checksum.replace((at, u32::from_be_bytes(value))).is_some() {
                return Err(Defect::Fields);
            }
        }
        fields = rest;
    }
    if !fields.is_empty() {
        return Err(Defect::Fields);
    }
    match checksum {
        Some((at, expected)) if crc32c(header, at) != expected => Err(Defect::Checksum),
        Some(_) | None => Ok(()),
    }
}

/// CRC-32C (RFC 3720, appendix B.4) of `bytes` with four zeros at `blank`. A few hundred bytes once
/// a connection need no table.
fn crc32c(bytes: &[u8], blank: usize) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let bytes = bytes.iter().enumerate().map(|(at, byte)| {
        let is_blank = (blank..blank + 4).contains(&at);
        if is_blank { 0 } else { *byte }
    });
    !bytes.fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            let carry = if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            (crc >> 1) ^ carry
        })
    })
}

#[cfg(test)]
mod tests;

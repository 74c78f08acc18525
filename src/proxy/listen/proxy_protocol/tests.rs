//! Headers as senders make them, and as nobody should. `fuzz/properties/proxy_header.rs` says what
//! holds for any bytes.

use super::*;

/// A header of version 2.
fn v2(version_and_command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    let head = [version_and_command, family, length[0], length[1]];
    [&V2[..], &head, block].concat()
}

/// Addresses of version 2: from 192.0.2.7:50000 to 10.0.0.1:443.
const FOUR: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0xc3, 0x50, 1, 0xbb];

fn six() -> Vec<u8> {
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    let ports = [0xc3, 0x50, 1, 0xbb];
    [
        &address("2001:db8::7")[..],
        &address("2001:db8::1"),
        &ports[..],
    ]
    .concat()
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, value].concat()
}

/// A header of version 2 with a right checksum between two other fields.
fn checked() -> Vec<u8> {
    let (before, after) = (field(5, b"unique"), field(0xee, &[1, 7, 0, 0, 0]));
    let block = [&FOUR[..], &before, &field(CHECKSUM, &[0; 4]), &after].concat();
    let mut header = v2(0x21, 0x11, &block);
    let at = V2_HEAD_BYTES + FOUR.len() + before.len() + 3;
    // Without leaving anything out: the four are zero.
    let checksum = crc32c(&header, header.len());
    header[at..at + 4].copy_from_slice(&checksum.to_be_bytes());
    header
}

fn good() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let line = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            line("PROXY TCP4 192.0.2.7 10.0.0.1 50000 443\r\n"),
            Some("192.0.2.7:50000"),
        ),
        (
            line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
            Some("255.255.255.255:65535"),
        ),
        (
            line("PROXY TCP6 2001:db8::7 2001:db8::1 0 443\r\n"),
            Some("[2001:db8::7]:0"),
        ),
        (line("PROXY UNKNOWN\r\n"), None),
        (line(&format!("PROXY UNKNOWN {}\r\n", "f".repeat(91))), None),
        (v2(0x21, 0x11, &FOUR), Some("192.0.2.7:50000")),
        (v2(0x21, 0x21, &six()), Some("[2001:db8::7]:50000")),
        (
            v2(0x21, 0x11, &[&FOUR[..], &field(4, &[0; 505])].concat()),
            Some("192.0.2.7:50000"),
        ),
        (checked(), Some("192.0.2.7:50000")),
        // Speaking for itself, and what it says besides is nothing to us.
        (v2(0x20, 0x00, &[]), None),
        (v2(0x20, 0x31, &[1, 2, 3]), None),
        (v2(0x21, 0x00, &[9; 7]), None),
    ]
}

#[test]
fn a_header_is_read_to_its_last_byte_and_no_further() {
    for (header, source) in good() {
        let source = source.map(|text| text.parse().unwrap());
        let expected = Ok(Some((Header { source }, header.len())));
        assert_eq!(parse(&header), expected, "{header:?}");
        for rest in [&b"\x16\x03\x01"[..], b"\r\n", b"PROXY ", V2] {
            assert_eq!(parse(&[&header, rest].concat()), expected, "{header:?}");
        }
        for length in 0..header.len() {
            let begin = &header[..length];
            assert_eq!(parse(begin), Ok(None), "{begin:?}");
            let least = at_least(begin);
            assert!((length + 1..=header.len()).contains(&least), "{begin:?}");
        }
    }
}

#[test]
fn a_line_that_is_not_exactly_one_is_refused() {
    let too_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(92));
    for (line, defect) in [
        ("GET / HTTP/1.1\r\n", Defect::NoHeader),
        ("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Defect::NoHeader),
        ("PROXYTCP4 1.2.3.4 1.2.3.4 1 2\r\n", Defect::NoHeader),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", Defect::NoHeader),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n", Defect::NoHeader),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\t2\r\n", Defect::NoHeader),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0\r\n", Defect::NoHeader),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\u{e4}\r\n", Defect::NoHeader),
        ("PROXY \r\n", Defect::Family),
        ("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Defect::Family),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", Defect::Family),
        ("PROXY UNIX /a /b\r\n", Defect::Family),
        ("PROXY TCP4\r\n", Defect::Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", Defect::Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", Defect::Address),
        ("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", Defect::Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", Defect::Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", Defect::Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n", Defect::Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", Defect::Address),
        ("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", Defect::Address),
        ("PROXY TCP4 1.2.3.4 host 1 2\r\n", Defect::Address),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", Defect::Address),
        ("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", Defect::Address),
        ("PROXY TCP6 ::1%lo ::1 1 2\r\n", Defect::Address),
        (&too_long, Defect::Length),
    ] {
        assert_eq!(parse(line.as_bytes()), Err(defect), "{line:?}");
    }
}

#[test]
fn a_block_that_is_not_what_it_says_is_refused() {
    let with = |fields: &[u8]| v2(0x21, 0x11, &[&FOUR[..], fields].concat());
    let twice = [field(CHECKSUM, &[0; 4]), field(CHECKSUM, &[0; 4])].concat();
    // A field that reaches beyond the header, into what the client sends.
    let spilling = [&with(&[4, 0, 3, 1, 2])[..], &[0x16, 3, 1]].concat();
    for (header, defect) in [
        (v2(0x11, 0x11, &FOUR), Defect::Version),
        (v2(0x22, 0x11, &FOUR), Defect::Command),
        (v2(0x21, 0x12, &FOUR), Defect::Family),
        (v2(0x21, 0x22, &six()), Defect::Family),
        (v2(0x21, 0x31, &[b'a'; 216]), Defect::Family),
        (v2(0x21, 0x11, &FOUR[..11]), Defect::Address),
        (v2(0x21, 0x21, &FOUR), Defect::Address),
        (with(&[4]), Defect::Fields),
        (with(&[4, 0]), Defect::Fields),
        (spilling, Defect::Fields),
        (with(&field(CHECKSUM, &[0; 3])), Defect::Fields),
        (with(&twice), Defect::Fields),
        (with(&field(CHECKSUM, &[0; 4])), Defect::Checksum),
        (with(&field(4, &[0; 506])), Defect::Length),
        // Its own length is enough to refuse it; nobody waits for 64 KiB.
        ([&V2[..], &[0x20, 0, 0xff, 0xff]].concat(), Defect::Length),
        (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Defect::NoHeader),
        (b"\r\nGET / HTTP/1.1\r\n".to_vec(), Defect::NoHeader),
        (b"\x16\x03\x01".to_vec(), Defect::NoHeader),
    ] {
        assert_eq!(parse(&header), Err(defect), "{header:?}");
    }
    // Where there is no field for a checksum any more, there is none to be wrong.
    let kind = V2_HEAD_BYTES + FOUR.len() + field(5, b"unique").len();
    for at in (0..checked().len()).filter(|at| *at != kind) {
        let mut header = checked();
        header[at] ^= 0x10;
        let read = parse(&header);
        assert!(
            !matches!(read, Ok(Some((Header { source: Some(_) }, _)))),
            "{at}: {read:?}"
        );
    }
}

#[test]
fn the_checksum_is_castagnolis() {
    assert_eq!(crc32c(b"123456789", 9), 0xe306_9283);
}

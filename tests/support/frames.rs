//! HTTP/2 frame by frame, for what a library would not write.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

// Error codes (RFC 9113 §7).
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// How long a test waits for a frame.
const PATIENCE: Duration = Duration::from_secs(30);

/// A frame as it is on the wire.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Header fields as literals without compression (RFC 7541 §6.2.2).
pub(crate) fn fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            length(&mut block, text.len());
            block.extend_from_slice(text);
        }
    }
    block
}

/// The length of a string that is not compressed, with a prefix of seven bits (RFC 7541 §5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        block.push(u8::try_from(length).unwrap());
        return;
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// A frame that was received.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Received {
    /// The error code of an `RST_STREAM` or a `GOAWAY`.
    pub(crate) fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A connection on which every frame is written by hand.
pub(crate) struct Raw(pub(crate) TlsStream<TcpStream>);

impl Raw {
    /// Begins a connection on `stream`, whose handshake agreed on HTTP/2.
    pub(crate) async fn begin(stream: TlsStream<TcpStream>) -> Self {
        Self::begin_with(stream, &[]).await
    }

    /// [`Self::begin`] with settings.
    pub(crate) async fn begin_with(stream: TlsStream<TcpStream>, settings: &[u8]) -> Self {
        let mut raw = Self(stream);
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        raw.send(&frame(SETTINGS, 0, 0, settings)).await;
        raw
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Sends as much as the other side takes: it may be gone before all of it is written.
    pub(crate) async fn flood(&mut self, bytes: &[u8]) -> bool {
        let written = tokio::time::timeout(PATIENCE, self.0.write_all(bytes)).await;
        matches!(written, Ok(Ok(()))) && self.0.flush().await.is_ok()
    }

    /// The next frame that is one of `kinds`; `None` at the end of the connection.
    pub(crate) async fn next(&mut self, kinds: &[u8]) -> Option<Received> {
        let reading = async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.ok()?;
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; usize::try_from(length).unwrap()];
                self.0.read_exact(&mut payload).await.ok()?;
                if kinds.contains(&head[3]) {
                    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    return Some(Received {
                        kind: head[3],
                        stream,
                        payload,
                    });
                }
            }
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("a frame or the end of the connection")
    }
}

//! A vault that writes what a script says, byte by byte, and remembers what it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Requests for this object are answered before their bodies are read.
pub(crate) const EARLY: &str = "/secrets/early";

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Which request of the vault, from 0.
    pub(crate) number: usize,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the whole body arrived.
    pub(crate) complete: bool,
}

impl Seen {
    pub(crate) fn request_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The value of a header, whose name is given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// What the vault does with a request.
pub(crate) enum Reply {
    /// Writes this and waits for the next request.
    Keep(Vec<u8>),
    /// Writes this and ends the connection in order.
    Close(Vec<u8>),
    /// Writes this and cuts the connection.
    Cut(Vec<u8>),
    /// Writes this and waits for the other side to go away.
    Hold(Vec<u8>),
    /// Waits for a sign, then writes this.
    After(Arc<Notify>, Vec<u8>),
    /// Writes the first, and then the second again and again until the other side goes away.
    Endless(Vec<u8>, Vec<u8>),
    /// Writes this and resets the connection.
    Reset(Vec<u8>),
    /// Writes the first, waits for a sign, writes the second, which nobody asked for, and gives the
    /// other sign. Resets the connection in place of writing nothing.
    Unasked(Vec<u8>, Arc<Notify>, Vec<u8>, Arc<Notify>),
}

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Default)]
struct Counters {
    journal: Mutex<Vec<Seen>>,
    changed: watch::Sender<()>,
    connections: Mutex<usize>,
    hung_up: Mutex<usize>,
}

/// The vault; it stops with this value.
pub(crate) struct FakeVault {
    pub(crate) address: SocketAddr,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

impl Drop for FakeVault {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeVault {
    pub(crate) async fn start(config: Arc<ServerConfig>, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        let shared = counters.clone();
        let acceptor = TlsAcceptor::from(config);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, counters) = (acceptor.clone(), shared.clone());
                let script = script.clone();
                tokio::spawn(async move {
                    // A proxy that does not trust us goes away here.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    *counters.connections.lock().unwrap() += 1;
                    serve(stream, &counters, &script).await;
                    *counters.hung_up.lock().unwrap() += 1;
                    counters.changed.send_replace(());
                });
            }
        });
        Self {
            address,
            counters,
            task,
        }
    }

    pub(crate) fn journal(&self) -> Vec<Seen> {
        self.counters.journal.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.counters.connections.lock().unwrap()
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn has_seen(&self, requests: usize) {
        self.wait_until(|counters| counters.journal.lock().unwrap().len() >= requests)
            .await;
    }

    /// Waits until so many connections have ended.
    pub(crate) async fn was_left(&self, connections: usize) {
        self.wait_until(|counters| *counters.hung_up.lock().unwrap() >= connections)
            .await;
    }

    async fn wait_until(&self, condition: impl Fn(&Counters) -> bool) {
        let mut changes = self.counters.changed.subscribe();
        soon(async {
            while !condition(&self.counters) {
                changes.changed().await.unwrap();
            }
        })
        .await;
    }
}

/// Fails the test if a condition does not come true.
pub(crate) async fn soon<T>(condition: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), condition)
        .await
        .expect("the condition came true in time")
}

async fn serve(mut stream: TlsStream<TcpStream>, counters: &Counters, script: &Script) {
    let mut buffer = Vec::new();
    loop {
        let Some(head) = read_until(&mut stream, &mut buffer, b"\r\n\r\n").await else {
            return;
        };
        let number = {
            let mut journal = counters.journal.lock().unwrap();
            let number = journal.len();
            journal.push(Seen {
                number,
                head: String::from_utf8(head).unwrap(),
                ..Seen::default()
            });
            number
        };
        counters.changed.send_replace(());
        let seen = counters.journal.lock().unwrap()[number].clone();
        if seen.request_line().contains(EARLY) {
            // It answers when it has seen the head.
            if !write(&mut stream, script(&seen)).await {
                return;
            }
        }
        let body = read_body(&mut stream, &mut buffer, &seen).await;
        let seen = {
            let seen = &mut counters.journal.lock().unwrap()[number];
            seen.complete = body.is_some();
            seen.body = body.clone().unwrap_or_default();
            seen.clone()
        };
        counters.changed.send_replace(());
        if seen.request_line().contains(EARLY) {
            continue;
        }
        if body.is_none() || !write(&mut stream, script(&seen)).await {
            return;
        }
    }
}

/// Writes a reply. `false` if the connection is over.
async fn write(stream: &mut TlsStream<TcpStream>, reply: Reply) -> bool {
    match reply {
        Reply::Keep(bytes) => put(stream, &bytes).await,
        Reply::After(sign, bytes) => after(stream, &sign, &bytes).await,
        Reply::Endless(first, rest) => endless(stream, &first, &rest).await,
        Reply::Reset(bytes) => {
            put(stream, &bytes).await;
            reset(stream)
        }
        Reply::Unasked(bytes, sign, unasked, done) => {
            put(stream, &bytes).await;
            sign.notified().await;
            let open = write_unasked(stream, &unasked).await;
            done.notify_one();
            open
        }
        Reply::Close(bytes) => {
            put(stream, &bytes).await;
            let _gone = stream.shutdown().await;
            false
        }
        Reply::Cut(bytes) => {
            put(stream, &bytes).await;
            false
        }
        Reply::Hold(bytes) => {
            put(stream, &bytes).await;
            let _gone = stream.read(&mut [0; 1]).await;
            false
        }
    }
}

async fn write_unasked(stream: &mut TlsStream<TcpStream>, unasked: &[u8]) -> bool {
    if unasked.is_empty() {
        return reset(stream);
    }
    put(stream, unasked).await
}

/// Writes this when the sign is given, unless the other side goes away before.
async fn after(stream: &mut TlsStream<TcpStream>, sign: &Notify, bytes: &[u8]) -> bool {
    let mut gone = [0; 1];
    tokio::select! {
        () = sign.notified() => put(stream, bytes).await,
        _ = stream.read(&mut gone) => false,
    }
}

async fn endless(stream: &mut TlsStream<TcpStream>, first: &[u8], rest: &[u8]) -> bool {
    let mut more = put(stream, first).await;
    while more {
        more = put(stream, rest).await;
    }
    false
}

/// Has the connection end by a reset when it is dropped.
fn reset(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().0.set_zero_linger().unwrap();
    false
}

async fn put(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
}

async fn read_body(
    stream: &mut TlsStream<TcpStream>,
    buffer: &mut Vec<u8>,
    seen: &Seen,
) -> Option<Vec<u8>> {
    if seen.header("transfer-encoding") == Some("chunked") {
        let mut body = Vec::new();
        loop {
            let line = read_until(stream, buffer, b"\r\n").await?;
            let size = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
            let chunk = read_exactly(stream, buffer, size + 2).await?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return Some(body);
            }
        }
    }
    let length = seen.header("content-length").unwrap_or("0").parse().ok()?;
    read_exactly(stream, buffer, length).await
}

/// Reads up to and with `end`; `None` if the stream ends before.
pub(crate) async fn read_until(
    stream: &mut (impl AsyncReadExt + Unpin),
    buffer: &mut Vec<u8>,
    end: &[u8],
) -> Option<Vec<u8>> {
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|window| window == end) {
            return Some(buffer.drain(..at + end.len()).collect());
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// Reads so many bytes; `None` if the stream ends before.
pub(crate) async fn read_exactly(
    stream: &mut (impl AsyncReadExt + Unpin),
    buffer: &mut Vec<u8>,
    length: usize,
) -> Option<Vec<u8>> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(buffer.drain(..length).collect())
}

/// A 200 with this JSON.
pub(crate) fn json(body: &str) -> Vec<u8> {
    answer(
        "200 OK",
        &["Content-Type: application/json; charset=utf-8"],
        body,
    )
}

/// An answer with a length.
pub(crate) fn answer(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

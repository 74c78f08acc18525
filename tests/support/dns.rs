//! A DNS server that knows one name (RFC 1035).

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// The length of a message's header.
const HEADER: usize = 12;

/// Type A, class IN.
const A_IN: [u8; 4] = [0, 1, 0, 1];

/// A DNS server on loopback, over UDP, until it is dropped.
pub(crate) struct DnsServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<BTreeSet<String>>>,
    serving: JoinHandle<()>,
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl DnsServer {
    /// Answers that `name` is at `target`, and that there is no other name.
    pub(crate) async fn start(name: &'static str, target: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let noted = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
                let (question, labels) = question(&buffer[..length]);
                noted.lock().unwrap().insert(labels.clone());
                let answer = answer(&buffer, question, (labels == name).then_some(target));
                socket.send_to(&answer, client).await.unwrap();
            }
        });
        Self {
            address,
            asked,
            serving,
        }
    }

    /// The names that were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().cloned().collect()
    }
}

/// The question of a message, in its own bytes, and the name in it.
fn question(message: &[u8]) -> (&[u8], String) {
    let (mut at, mut labels) = (HEADER, Vec::new());
    while message[at] != 0 {
        let length = usize::from(message[at]);
        let label = &message[at + 1..=at + length];
        labels.push(String::from_utf8(label.to_ascii_lowercase()).unwrap());
        at += 1 + length;
    }
    (&message[HEADER..at + 5], labels.join("."))
}

/// The answer to `question`: the address if there is one and it was asked for, or no such name.
fn answer(asked: &[u8], question: &[u8], target: Option<Ipv4Addr>) -> Vec<u8> {
    let address = target.filter(|_| question.ends_with(&A_IN));
    let code = if target.is_some() { 0 } else { 3 };
    let count = u8::from(address.is_some());
    let mut message = asked[..2].to_vec();
    // A response, authoritative, recursion wished for and available; one question.
    message.extend([0x85, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    message.extend(question);
    if let Some(address) = address {
        // The name of the question; a minute to live; four bytes.
        message.extend([0xc0, 0x0c]);
        message.extend(A_IN);
        message.extend([0, 0, 0, 60, 0, 4]);
        message.extend(address.octets());
    }
    message
}

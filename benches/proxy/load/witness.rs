//! The vault's own count, which nobody can dress up: what was refused must not have reached it.

use std::sync::Arc;

use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::question::find;
use super::{Order, Round};
use crate::{Failure, tls};

/// What the vault has seen so far.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Seen {
    requests: u64,
    connections: u64,
}

impl Seen {
    /// Asks the vault.
    pub(super) async fn by_vault(order: &Order) -> Result<Self, Failure> {
        let config = tls::load_client(&order.ca, tls::HTTP_1_1)?;
        let name = ServerName::try_from(order.host.clone())?;
        let stream = TcpStream::connect(order.vault_address).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, stream).await?;
        stream.write_all(b"GET /count HTTP/1.1\r\n\r\n").await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("the vault does not tell its count".into());
            }
        }
        let body = find(&answer, b"\r\n\r\n").and_then(|end| answer.get(end..));
        Ok(serde_json::from_slice(body.unwrap_or_default())?)
    }

    /// Notes in `round` what the vault saw since `self`, and whether that fits its answers.
    pub(super) fn compare(self, now: Self, expected: u16, round: &mut Round) {
        round.vault_requests = now.requests - self.requests;
        // One of them is the question.
        round.vault_connections = (now.connections - self.connections).saturating_sub(1);
        let fits = if expected == 200 {
            round.vault_requests >= round.requests
        } else {
            round.vault_requests == 0
        };
        if !fits {
            round.wrong += 1;
            let seen = round.vault_requests;
            let defect = format!("{seen} requests reached the vault");
            round.first_wrong.get_or_insert(defect);
        }
    }
}

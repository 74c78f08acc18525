//! What a proxy in a process of its own stands between: an issuer, a vault, certificates, role data
//! and a configuration file; and a client that sends it the same request again and again.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::clock::{Clock as _, SystemClock};
use portcullis::dev::issuer::{self, IssuerHandle, IssuerSettings, VAULT_RESOURCE};
use portcullis::dev::people::{self, GroupsClaim, Person};
use portcullis::dev::pki::Pki;
use portcullis::dev::vault::{self, Trust, VaultHandle, VaultSettings};
use portcullis::secret::BearerToken;
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Whatever went wrong while something was measured.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A secret that [`people::APP_READER`] may read, by a condition on its name.
const SECRET: &str = "/secrets/app-db-password?api-version=7.4";

/// Everything around a proxy. Time is the system's, as the proxy is another process.
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pki: Pki,
    issuer: IssuerHandle,
    vault: VaultHandle,
}

impl Site {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let clock = Arc::new(SystemClock);
        let pki = Pki::new(clock.now())?;
        let issuer = issuer::start(IssuerSettings {
            port: 0,
            host: "localhost".into(),
            tenant: people::TENANT,
            issuer: format!("https://sts.windows.net/{}/", people::TENANT).into(),
            applications: people::applications(GroupsClaim::LeftOut),
            token_lifetime: Duration::from_secs(3600),
            tls: pki.leaf(&[])?.server_config()?,
            clock: Arc::clone(&clock) as _,
        })
        .await?;
        let vault = vault::start(VaultSettings {
            port: 0,
            authority: "localhost:0".parse()?,
            location: people::LOCATION.into(),
            trust: Trust {
                keys: issuer.keys(),
                issuer: issuer.issuer().into(),
                audiences: vec![VAULT_RESOURCE.into()],
                challenge_authority: issuer.tenant_url().into(),
                challenge_resource: VAULT_RESOURCE.into(),
            },
            seeds: people::seeds(&pki)?,
            behavior: vault::Behavior::default(),
            tls: pki.leaf(&[])?.server_config()?,
            clock,
        })
        .await?;
        let directory = tempfile::tempdir()?;
        pki.write_ca(&directory.path().join("ca.pem"))?;
        pki.leaf(&[])?.write(directory.path(), "proxy")?;
        let roles = directory.path().join("roles");
        fs::create_dir(&roles)?;
        people::write_role_data(&roles, SystemClock.now())?;
        Ok(Self {
            directory,
            pki,
            issuer,
            vault,
        })
    }

    /// Writes the proxy's configuration: one listener `main`, records in a file.
    pub(crate) fn write_configuration(&self) -> Result<PathBuf, Failure> {
        let tenant = people::TENANT;
        let toml = format!(
            "[[listener]]\nname = \"main\"\naddress = \"127.0.0.1:0\"\n\
             certificate_file = \"proxy.crt\"\nprivate_key_file = \"proxy.key\"\n\n\
             [admin]\naddress = \"127.0.0.1:0\"\n\n\
             [[vault]]\nname = \"{}\"\nresource_id = \"{}\"\nauthority = \"{}\"\n\
             connect_address = \"{}\"\nca_file = \"ca.pem\"\npublic_names = [\"localhost:0\"]\n\
             issuer = \"contoso\"\n\n\
             [[issuer]]\nname = \"contoso\"\ntenant_id = \"{tenant}\"\nissuers = [\"{}\"]\n\
             audiences = [\"{VAULT_RESOURCE}\"]\nchallenge_authority = \"{}\"\n\
             challenge_resource = \"{VAULT_RESOURCE}\"\ndiscovery_url = \"{}\"\n\
             ca_file = \"ca.pem\"\n\n\
             [assignments]\npaths = [\"roles\"]\nmax_staleness_seconds = 3600\n\n\
             [audit]\nsink = \"file\"\npath = \"decisions.jsonl\"\n",
            people::VAULT_NAME,
            people::RESOURCE_ID,
            self.vault.authority(),
            self.vault.address(),
            self.issuer.issuer(),
            self.issuer.tenant_url(),
            self.issuer.discovery_url(),
        );
        let path = self.directory.path().join("portcullis.toml");
        fs::write(&path, toml)?;
        Ok(path)
    }

    /// A connection to a listener of the proxy.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        protocol: Protocol,
    ) -> Result<Client, Failure> {
        let mut tls = self.pki.client_config()?;
        tls.alpn_protocols = vec![protocol.alpn().to_vec()];
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream);
        let stream = TokioIo::new(stream.await?);
        let sender = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(connection);
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
                tokio::spawn(connection);
                Sender::Http2(sender)
            }
        };
        Ok(Client {
            authority: format!("localhost:{}", address.port()),
            sender,
        })
    }

    /// A new token of `person`.
    pub(crate) fn token(&self, person: Person) -> Result<BearerToken, Failure> {
        Ok(self.issuer.token(person.object_id)?)
    }

    /// A token of `person`, as the value of an `authorization` header.
    pub(crate) fn bearer(&self, person: Person) -> Result<String, Failure> {
        Ok(format!("Bearer {}", self.token(person)?.expose()))
    }
}

/// What a client speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

/// One connection, which asks for one secret.
pub(crate) struct Client {
    authority: String,
    sender: Sender,
}

impl Client {
    /// Sends `count` requests, one after the other, each answered with `expected`.
    pub(crate) async fn ask(
        &mut self,
        count: usize,
        authorization: Option<&str>,
        expected: StatusCode,
    ) -> Result<(), Failure> {
        for _ in 0..count {
            let response = self.send(authorization).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            if status != expected {
                let body = String::from_utf8_lossy(&body);
                return Err(format!("{status} instead of {expected}: {body}").into());
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        authorization: Option<&str>,
    ) -> Result<hyper::Response<Incoming>, Failure> {
        let mut request = Request::get(SECRET)
            .header("accept", "application/json")
            .header(
                "user-agent",
                "azsdk-python-keyvault-secrets/4.10.0 Python/3.13",
            )
            .header(
                "x-ms-client-request-id",
                "3f0c9f9e-6b7a-11f0-9d2b-0242ac120002",
            );
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        match &mut self.sender {
            Sender::Http1(sender) => {
                let request = request.header(HOST, &self.authority).body(Empty::new())?;
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
            Sender::Http2(sender) => {
                let uri = format!("https://{}{SECRET}", self.authority);
                let request = request.uri(uri).body(Empty::new())?;
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
        }
    }
}

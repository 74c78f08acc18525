//! A key server over TLS on a port the system picks, that answers as a test tells it to and writes
//! down what it was asked.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::LOCATION;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use portcullis::config::KeySource;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What the server says to a path.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Body(String),
    Redirect(String),
    Status(u16),
}

#[derive(Debug)]
struct Told {
    answers: Mutex<Vec<(String, Answer)>>,
    hits: watch::Sender<Vec<String>>,
    open: watch::Sender<bool>,
}

/// Stops when dropped.
#[derive(Debug)]
pub(crate) struct KeyServer {
    pub(crate) address: SocketAddr,
    pub(crate) ca_file: PathBuf,
    told: Arc<Told>,
    _directory: TempDir,
    _tasks: JoinSet<()>,
}

impl KeyServer {
    /// Starts with nothing to say: every path is 404.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        let (ca, tls) = certificates();
        std::fs::write(&ca_file, ca).unwrap();
        let told = Arc::new(Told {
            answers: Mutex::default(),
            hits: watch::Sender::new(Vec::new()),
            open: watch::Sender::new(true),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, TlsAcceptor::from(tls), Arc::clone(&told)));
        Self {
            address,
            ca_file,
            told,
            _directory: directory,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub(crate) fn jwks(&self) -> KeySource {
        KeySource::JwksUrl(self.url("/keys").into())
    }

    pub(crate) fn discovery(&self) -> KeySource {
        KeySource::Discovery(self.url("/.well-known/openid-configuration").into())
    }

    pub(crate) fn say(&self, path: &str, answer: Answer) {
        let mut answers = self.told.answers.lock().unwrap();
        answers.retain(|(known, _)| known != path);
        answers.push((path.to_owned(), answer));
    }

    pub(crate) fn say_keys(&self, document: String) {
        self.say("/keys", Answer::Body(document));
    }

    /// Requests are still counted, but answered only once the gate is open.
    pub(crate) fn gate(&self, open: bool) {
        self.told.open.send_replace(open);
    }

    pub(crate) fn hits(&self) -> usize {
        self.told.hits.borrow().len()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.told.hits.borrow().clone()
    }

    /// Waits until there were `count` requests.
    pub(crate) async fn hit(&self, count: usize) {
        let mut hits = self.told.hits.subscribe();
        let reached = hits.wait_for(|hits| hits.len() >= count);
        tokio::time::timeout(super::tokens::PATIENCE, reached)
            .await
            .unwrap()
            .unwrap();
    }
}

fn certificates() -> (String, Arc<ServerConfig>) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .unwrap();
    (ca.pem(), Arc::new(tls))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, told: Arc<Told>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, tls.clone(), Arc::clone(&told)));
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, told: Arc<Told>) {
    // A client that does not trust us ends here.
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request| answer(request, Arc::clone(&told)));
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    told: Arc<Told>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    told.hits.send_modify(|hits| hits.push(path.clone()));
    let _ = told.open.subscribe().wait_for(|open| *open).await;
    let found = told
        .answers
        .lock()
        .unwrap()
        .iter()
        .find(|(known, _)| *known == path)
        .map_or(Answer::Status(404), |(_, answer)| answer.clone());
    let mut response = Response::new(Full::default());
    match found {
        Answer::Body(body) => *response.body_mut() = Full::from(body),
        Answer::Status(status) => *response.status_mut() = StatusCode::from_u16(status).unwrap(),
        Answer::Redirect(to) => {
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert(LOCATION, to.parse().unwrap());
        }
    }
    Ok(response)
}

//! Unix sockets: their files, who may connect, and what is known of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use portcullis::config::{Address, CertificateSource, Limits, Listener, UnixSocket};
use portcullis::proxy::listen::{BoundListener, HandshakeFailure, ListenError, ListenEvent};
use tokio::net::UnixStream;

use crate::clients::Client;
use crate::gate::{OWN, PUBLIC, Setup, World, bind};
use crate::pki::{Pki, shown};
use crate::vault::soon;

const GET: &str = "/secrets/n/?api-version=7.4";

fn socket(path: &Path) -> UnixSocket {
    UnixSocket {
        path: path.to_owned(),
        mode: 0o600,
        uids: [].into(),
        gids: [].into(),
    }
}

async fn world(socket: UnixSocket) -> World {
    let setup = Setup {
        socket: Some(socket),
        ..Setup::default()
    };
    setup.start().await
}

async fn client(world: &World, path: &Path, name: &'static str) -> Client<UnixStream> {
    let stream = UnixStream::connect(path).await.unwrap();
    let config = world.pki.client(&["http/1.1"]);
    soon(Client::over(stream, config, name)).await.unwrap()
}

/// Who this process is.
fn own() -> (u32, u32) {
    let (one, _other) = UnixStream::pair().unwrap();
    let told = one.peer_cred().unwrap();
    (told.uid(), told.gid())
}

async fn bind_at(pki: &Pki, path: &Path) -> Result<BoundListener, ListenError> {
    let (certificate, private_key) = pki.issue(&[OWN]);
    let listener = Listener {
        name: "main".into(),
        address: Address::Unix(socket(path)),
        certificate: CertificateSource::Files {
            certificate: certificate.clone(),
            private_key: private_key.clone(),
        },
        client_certificates: None,
        proxy_protocol_from: Vec::new().into(),
        forwarded_headers_from: Vec::new().into(),
        private_link: false,
        private_endpoint: None,
    };
    let certificate = shown(&certificate, &private_key);
    bind(&listener, certificate, &Arc::default(), &Limits::default()).await
}

#[tokio::test]
async fn a_process_is_known_by_its_credentials_and_has_no_address() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kv.sock");
    let world = world(socket(&path)).await;
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let mut client = client(&world, &path, OWN).await;
    let claim = format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
    assert_eq!(client.ask(claim).await.status(), 200);
    let peer = world.notes().peers.last().unwrap().clone();
    let credentials = peer.credentials.unwrap();
    assert_eq!((credentials.uid, credentials.gid), own());
    assert_eq!(credentials.pid, i32::try_from(std::process::id()).ok());
    assert_eq!((peer.connection.address, peer.via), (None, None));
    assert!(peer.connection.ranges.is_empty() && peer.connection.subnet.is_none());
}

#[tokio::test]
async fn vaults_are_called_by_their_names_without_a_port() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kv.sock");
    let world = world(socket(&path)).await;
    // The world's other name is configured with the listener's port, which is that of https here.
    let mut client = client(&world, &path, PUBLIC).await;
    assert_eq!(client.get(PUBLIC, GET).await.status(), 200);
    let other_port = client.get("kv.contoso.test:8443", GET).await;
    assert_eq!(other_port.refusal(), (421, "unknown_vault"));
}

#[tokio::test]
async fn only_those_listed_may_begin_a_handshake() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kv.sock");
    let (uid, gid) = own();
    for (uids, gids, admitted) in [
        (vec![uid], vec![], true),
        (vec![], vec![gid], true),
        (vec![uid + 1], vec![gid], true),
        (vec![uid + 1], vec![gid + 1], false),
        (vec![uid + 1], vec![], false),
        // Users are no groups.
        (vec![], vec![gid + 1, uid + 2], false),
    ] {
        let world = world(UnixSocket {
            mode: 0o666,
            uids: uids.into(),
            gids: gids.into(),
            ..socket(&path)
        })
        .await;
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o666
        );
        if admitted {
            let mut client = client(&world, &path, OWN).await;
            assert_eq!(client.get(OWN, GET).await.status(), 200);
        } else {
            let stream = UnixStream::connect(&path).await.unwrap();
            let config = world.pki.client(&["http/1.1"]);
            assert!(soon(Client::over(stream, config, OWN)).await.is_err());
            let failure = HandshakeFailure::PeerCredentials;
            world.event(ListenEvent::HandshakeFailed(failure)).await;
            assert_eq!(world.notes().requests, 0);
        }
        world.start_draining();
        world.drained().await;
    }
}

#[tokio::test]
async fn a_socket_goes_with_its_listener_and_only_then() {
    let directory = tempfile::tempdir().unwrap();
    let (pki, path) = (Pki::new(), directory.path().join("kv.sock"));
    let first = bind_at(&pki, &path).await.unwrap();
    // One that is served is not taken away, nor harmed by the attempt.
    let error = bind_at(&pki, &path).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!(
            "listener `main` cannot bind unix:{}",
            path.display()
        )),
        "{error}"
    );
    assert!(UnixStream::connect(&path).await.is_ok());
    drop(first);
    assert!(!path.exists());
    // One that was replaced is another's.
    let first = bind_at(&pki, &path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(UnixStream::connect(&path).await.is_ok());
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn what_a_dead_process_left_behind_is_replaced_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (pki, path) = (Pki::new(), directory.path().join("kv.sock"));
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(bind_at(&pki, &path).await.unwrap());

    fs::write(&path, "theirs").unwrap();
    assert!(bind_at(&pki, &path).await.is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    fs::remove_file(&path).unwrap();

    // A link is no socket, wherever it leads.
    let elsewhere = directory.path().join("elsewhere.sock");
    drop(UnixListener::bind(&elsewhere).unwrap());
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert!(bind_at(&pki, &path).await.is_err());
    assert!(path.is_symlink() && elsewhere.exists());
}

//! The administration listener: its three pages and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis::admin::{AdminListener, Readiness};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::metrics::{metrics, parsed};

/// A served administration listener.
struct Served {
    address: std::net::SocketAddr,
    ready: Arc<AtomicBool>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn served() -> Served {
    let listener = AdminListener::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = listener.local_addr();
    let ready = Arc::new(AtomicBool::new(false));
    let keys = Arc::clone(&ready);
    let readiness = Readiness::new()
        .check_with_note("assignments", || Ok(Some("half of it is gone".into())))
        .check("keys", move || {
            if keys.load(Ordering::Relaxed) {
                Ok(())
            } else {
                Err("no signing keys of `entra` yet".into())
            }
        });
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(listener.serve(Arc::new(metrics()), readiness, async {
        let _ = stopped.await;
    }));
    Served {
        address,
        ready,
        stop,
        task,
    }
}

/// Sends one request and reads until the server closes.
async fn ask(address: std::net::SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn readiness_follows_its_checks() {
    let served = served().await;
    let (status, head, body) = ask(served.address, "GET", "/readyz").await;
    assert_eq!(status, 503);
    assert!(head.contains("content-type: application/json"));
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        report,
        serde_json::json!({"ready": false, "checks": [
            {"name": "assignments", "ok": true, "note": "half of it is gone", "reason": null},
            {"name": "keys", "ok": false, "note": null, "reason": "no signing keys of `entra` yet"},
        ]})
    );
    let (_, _, text) = ask(served.address, "GET", "/metrics").await;
    assert_eq!(parsed(&text)["portcullis_ready"], 0.0);

    served.ready.store(true, Ordering::Relaxed);
    let (status, _, body) = ask(served.address, "GET", "/readyz").await;
    assert_eq!(status, 200, "{body}");
    let (status, head, text) = ask(served.address, "GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"));
    assert_eq!(parsed(&text)["portcullis_ready"], 1.0);

    served.ready.store(false, Ordering::Relaxed);
    assert_eq!(ask(served.address, "GET", "/readyz").await.0, 503);
    assert_eq!(ask(served.address, "GET", "/livez").await.0, 200);
}

#[tokio::test]
async fn only_three_pages_are_served_and_only_read() {
    let served = served().await;
    for (method, path, expected) in [
        ("GET", "/livez", 200),
        ("GET", "/livez?verbose", 200),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("POST", "/livez", 405),
        ("DELETE", "/metrics", 405),
        ("OPTIONS", "/readyz", 405),
    ] {
        let (status, _, _) = ask(served.address, method, path).await;
        assert_eq!(status, expected, "{method} {path}");
    }
    let (status, head, body) = ask(served.address, "HEAD", "/livez").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-length: 3"), "{head}");
}

#[tokio::test]
async fn the_listener_stops_when_told() {
    let served = served().await;
    // An idle connection does not hold it up.
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(ask(served.address, "GET", "/livez").await.0, 200);
    served.stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), served.task).await;
    ended.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let served = served().await;
    let error = AdminListener::bind(served.address).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("`{}`", served.address)), "{text}");
}

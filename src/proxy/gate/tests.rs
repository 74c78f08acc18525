//! Request heads with one reading, and with two.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::config::Limits;

/// Feeds `bytes` in pieces of `step` and returns all that came through.
async fn through(bytes: &[u8], step: usize) -> (Vec<u8>, Vec<HeadDefect>) {
    let (mut near, far) = tokio::io::duplex(64 * 1024);
    let refused = Arc::new(Mutex::new(Vec::new()));
    let seen = refused.clone();
    let on_refusal = Box::new(move |defect| seen.lock().unwrap().push(defect));
    let mut gate = Gate::new(far, 256, Activity::new(&Limits::default()), on_refusal);
    let reading = tokio::spawn(async move {
        let mut got = Vec::new();
        gate.read_to_end(&mut got).await.unwrap();
        got
    });
    for piece in bytes.chunks(step) {
        if near.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(near);
    let got = reading.await.unwrap();
    let refused = refused.lock().unwrap().clone();
    (got, refused)
}

#[tokio::test]
async fn well_formed_requests_pass_unchanged_however_they_arrive() {
    let requests = b"GET /a HTTP/1.1\r\nHost: kv\r\n\r\nPUT /b HTTP/1.1\r\nContent-Length: 5\r\n\
        \r\n\n\n#\r\nGET /c HTTP/1.1\r\n\r\nPUT /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\n##\r\n0\r\n\r\n";
    for step in [1, 2, 3, 7, 64, requests.len()] {
        let (got, refused) = through(requests, step).await;
        assert_eq!(got, requests, "{step}");
        assert_eq!(refused, []);
    }
}

#[tokio::test]
async fn a_refused_head_and_all_after_it_never_pass() {
    let requests = b"GET /a HTTP/1.1\r\n\r\nPUT /b HTTP/1.1\r\nContent-Length: 5\r\n\
        Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /c HTTP/1.1\r\n\r\n";
    for step in [1, 5, requests.len()] {
        let (got, refused) = through(requests, step).await;
        assert_eq!(got, b"GET /a HTTP/1.1\r\n\r\n\0\r\n\r\n", "{step}");
        assert_eq!(refused, [HeadDefect::AmbiguousFraming]);
    }
}

#[tokio::test]
async fn a_body_is_not_mistaken_for_a_head() {
    let requests = b"PUT /b HTTP/1.1\r\nContent-Length: 21\r\n\r\nGET /evil HTTP/1.1\n\r\n\
        GET /#evil HTTP/1.1\r\n\r\n";
    let (got, refused) = through(requests, 9).await;
    assert!(got.ends_with(b"GET /evil HTTP/1.1\n\r\n\0\r\n\r\n"));
    assert_eq!(refused, [HeadDefect::Fragment]);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_left_to_the_parser() {
    let mut request = b"GET /a HTTP/1.1\r\nA: ".to_vec();
    request.resize(2048, b'x');
    let (got, refused) = through(&request, 100).await;
    assert_eq!(got, request);
    assert_eq!(refused, []);
}

#[tokio::test]
async fn what_there_was_of_a_broken_off_head_passes() {
    let (got, _) = through(b"GET /a HT", 4).await;
    assert_eq!(got, b"GET /a HT");
}

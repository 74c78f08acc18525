//! Which headers cross, and which requests are refused for theirs.

use bytes::Bytes;
use http::Request;
use http_body_util::{Empty, Full};

use super::*;

fn request(method: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri("/secrets/n");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn check(headers: &[(&str, &str)]) -> Result<(), HeaderError> {
    inspect(&request("GET", headers), &Empty::<Bytes>::new())
}

fn links(public: &str) -> Links {
    Links::new(
        "contoso.vault.azure.net".parse().unwrap(),
        public.parse().unwrap(),
        true,
    )
}

fn sent(headers: &[(&str, &str)], public: &str) -> HeaderMap {
    to_vault(
        &request("GET", headers).headers,
        &BearerToken::new("aaa.bbb.ccc").unwrap(),
        &HeaderValue::from_static("contoso.vault.azure.net"),
        &links(public),
    )
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_an_sdk_sends_passes() {
    let sdk = [
        ("host", "contoso.vault.azure.net"),
        ("user-agent", "azsdk-python-keyvault-secrets/4.12.0"),
        ("accept-encoding", "gzip, deflate"),
        ("accept", "application/json"),
        ("connection", "keep-alive"),
        ("content-type", "application/json"),
        ("content-length", "0"),
        ("te", "trailers"),
        ("expect", "100-Continue"),
        ("authorization", "Bearer a.b.c"),
    ];
    assert_eq!(check(&sdk), Ok(()));
}

#[test]
fn every_spelling_of_a_method_override_is_refused() {
    for name in [
        "X-HTTP-Method",
        "X-HTTP-Request",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "x_http_method",
        "X_HTTP-REQUEST",
        "x_http_method_override",
        "x-method_override",
        "x-ms-http-method",
        "http-method",
        "_method-override",
    ] {
        assert_eq!(
            check(&[(name, "DELETE")]),
            Err(HeaderError::MethodOverride),
            "{name}"
        );
    }
}

#[test]
fn headers_that_must_be_single_are() {
    for name in ["authorization", "host", "content-length", "content-type"] {
        assert_eq!(
            check(&[(name, "1"), (name, "1")]),
            Err(HeaderError::Repeated(name)),
        );
    }
}

#[test]
fn connection_may_not_take_away_what_the_request_means() {
    for value in [
        "authorization, x-ms-client-request-id",
        "close,Authorization",
        "HOST",
        "keep-alive , host",
        "content-length",
        "transfer-encoding",
    ] {
        assert_eq!(
            check(&[("connection", value)]),
            Err(HeaderError::Connection),
            "{value}"
        );
    }
    let repeated = [("connection", "close"), ("connection", "host")];
    assert_eq!(check(&repeated), Err(HeaderError::Connection));
}

#[test]
fn upgrades_transfer_codings_and_odd_expectations_are_refused() {
    assert_eq!(
        check(&[("upgrade", "websocket")]),
        Err(HeaderError::Upgrade)
    );
    assert_eq!(check(&[("te", "gzip")]), Err(HeaderError::Te));
    assert_eq!(check(&[("te", "trailers, chunked")]), Err(HeaderError::Te));
    assert_eq!(check(&[("expect", "a-miracle")]), Err(HeaderError::Expect));
}

#[test]
fn get_and_delete_have_no_body() {
    let body = Full::new(Bytes::from_static(b"x"));
    for method in ["GET", "DELETE"] {
        assert_eq!(
            inspect(&request(method, &[]), &body),
            Err(HeaderError::Body(method))
        );
    }
    assert_eq!(inspect(&request("PUT", &[]), &body), Ok(()));
    let chunked = request("GET", &[("transfer-encoding", "chunked")]);
    assert_eq!(
        inspect(&chunked, &Empty::<Bytes>::new()),
        Err(HeaderError::Body("GET"))
    );
}

#[test]
fn a_body_has_one_framing_and_none_in_http_1_0() {
    let both = request(
        "PUT",
        &[("transfer-encoding", "chunked"), ("content-length", "3")],
    );
    assert_eq!(
        inspect(&both, &Empty::<Bytes>::new()),
        Err(HeaderError::Framing)
    );
    let mut old = request("PUT", &[]);
    old.version = Version::HTTP_10;
    let body = Full::new(Bytes::from_static(b"x"));
    assert_eq!(inspect(&old, &body), Err(HeaderError::Framing));
}

#[test]
fn only_listed_headers_reach_the_vault() {
    let headers = sent(
        &[
            ("host", "proxy.contoso.test"),
            ("authorization", "Bearer other"),
            ("accept", "application/json"),
            ("accept-encoding", "gzip"),
            ("content-length", "12"),
            ("x-ms-client-request-id", "one"),
            ("x-ms-client-request-id", "two"),
            ("commandname", "keyvault secret show"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("if-none-match", "*"),
            ("x-ms-keyvault-rbac-assignment-id", "forged"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "evil.test"),
            ("x_forwarded_for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-original-url", "/secrets/other"),
            ("x-rewrite-url", "/secrets/other"),
            ("cookie", "a=b"),
            ("proxy-authorization", "Basic x"),
            ("x-portcullis-decision-id", "forged"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("x-anything-else", "1"),
        ],
        "contoso.vault.azure.net",
    );
    assert_eq!(
        names(&headers),
        [
            "accept",
            "accept-encoding",
            "authorization",
            "commandname",
            "host",
            "if-none-match",
            "traceparent",
            "x-ms-client-request-id",
        ]
    );
    assert_eq!(headers["host"], "contoso.vault.azure.net");
    assert_eq!(headers["authorization"], "Bearer aaa.bbb.ccc");
    assert!(headers["authorization"].is_sensitive());
    assert_eq!(headers["accept-encoding"], "gzip");
    let ids: Vec<_> = headers.get_all("x-ms-client-request-id").iter().collect();
    assert_eq!(ids, ["one", "two"]);
}

#[test]
fn what_connection_names_stays_here() {
    let headers = sent(
        &[
            ("connection", "X-Ms-Client-Request-Id, close"),
            ("x-ms-client-request-id", "one"),
            ("accept", "*/*"),
        ],
        "contoso.vault.azure.net",
    );
    assert_eq!(names(&headers), ["accept", "authorization", "host"]);
}

#[test]
fn a_client_under_another_name_gets_plain_answers() {
    let headers = sent(&[("accept-encoding", "gzip, br")], "kv.contoso.test");
    assert_eq!(headers["accept-encoding"], "identity");
    assert_eq!(headers["host"], "contoso.vault.azure.net");
}

#[test]
fn answers_lose_what_is_not_for_clients() {
    let answer = request(
        "GET",
        &[
            ("content-type", "application/json; charset=utf-8"),
            ("retry-after", "10"),
            (
                "www-authenticate",
                "Bearer error=\"insufficient_claims\", claims=\"eyJhIn0=\"",
            ),
            ("x-ms-request-id", "5"),
            ("x-ms-keyvault-region", "westeurope"),
            ("x-ms-keyvault-rbac-assignment-id", "0e1f"),
            ("x-ms-keyvault-rbac-cache", "ra_age=1"),
            ("strict-transport-security", "max-age=31536000"),
            ("set-cookie", "a=b"),
            ("alt-svc", "h3=\":443\""),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("x-portcullis-reason", "forged"),
        ],
    );
    let ClientHeaders {
        headers,
        rbac_assignment_id,
    } = to_client(answer.headers).unwrap();
    assert_eq!(
        names(&headers),
        [
            "content-type",
            "retry-after",
            "strict-transport-security",
            "www-authenticate",
            "x-ms-keyvault-region",
            "x-ms-request-id",
        ]
    );
    assert_eq!(rbac_assignment_id.unwrap(), "0e1f");
    assert_eq!(
        headers["www-authenticate"],
        "Bearer error=\"insufficient_claims\", claims=\"eyJhIn0=\""
    );
}

#[test]
fn an_answer_with_two_challenges_or_lengths_is_refused() {
    for name in ["www-authenticate", "content-length"] {
        let answer = request("GET", &[(name, "1"), (name, "1")]);
        assert_eq!(
            to_client(answer.headers).unwrap_err(),
            AnswerHeaderError::Repeated(name)
        );
    }
}

#[test]
fn an_answer_with_two_framings_is_refused() {
    let both = [("transfer-encoding", "chunked"), ("content-length", "3")];
    assert_eq!(
        to_client(request("GET", &both).headers).unwrap_err(),
        AnswerHeaderError::Framing
    );
}

#[test]
fn a_tracestate_goes_with_its_traceparent_or_not_at_all() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let of = |traceparent, connection| {
        let headers = [
            ("traceparent", traceparent),
            ("tracestate", "a=b"),
            ("connection", connection),
        ];
        let sent = sent(&headers, "kv.example");
        (
            sent.contains_key("traceparent"),
            sent.contains_key("tracestate"),
        )
    };
    assert_eq!(of(trace, "close"), (true, true));
    assert_eq!(of("00-0-0-00", "close"), (false, false));
    assert_eq!(of(trace, "traceparent"), (false, false));
}

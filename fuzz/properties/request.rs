//! Any request: a request line, then one header a line. What passes every check on the way to a
//! permit is sent to the configured vault, with the caller's one token, and with nothing that could
//! be read as another request. Gives whether it passes.

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request};
use portcullis::attributes::Connection;
use portcullis::authn::bearer;
use portcullis::config::{Connect, Vault, VaultProperties};
use portcullis::keyvault::{Authority, route};
use portcullis::proxy::body::RequestBody;
use portcullis::proxy::headers;
use portcullis::proxy::host::VaultTable;
use portcullis::proxy::links::Links;
use portcullis::proxy::listen::Peer;

const OWN: &str = "contoso.vault.azure.net";
const PUBLIC: &str = "vault.contoso.example";
const PORT: u16 = 8443;

/// Headers that belong to one connection, or to whoever stands before us.
const NEVER_SENT: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-http-method-override",
];

static TABLE: LazyLock<VaultTable> = LazyLock::new(|| {
    let vault = Vault {
        name: "contoso".parse().unwrap(),
        resource_id: "/subscriptions/6b1d2f04-3c7e-4a90-8f52-1e0d9c8b7a61/resourceGroups\
            /rg-contoso/providers/Microsoft.KeyVault/vaults/contoso"
            .parse()
            .unwrap(),
        location: None,
        authority: OWN.parse().unwrap(),
        connect: Connect::Dns([].into()),
        ca_file: None,
        public_names: vec![format!("{PUBLIC}:0").parse().unwrap()],
        management_groups: None,
        issuer: "contoso".into(),
        rewrite_ids: true,
        properties: VaultProperties::default(),
    };
    VaultTable::new(&[vault]).unwrap()
});

pub(crate) fn check(data: &[u8]) -> bool {
    let Some(parts) = request(data) else {
        return false;
    };
    let peer = peer();
    let Ok(selected) = TABLE.select(&peer, &parts) else {
        return false;
    };
    assert_eq!(selected.vault, 0);
    for host in parts.headers.get_all(HOST) {
        assert_eq!(host.to_str().unwrap().parse(), Ok(selected.public.clone()));
    }
    let Ok(token) = bearer(&parts.headers) else {
        return false;
    };
    let body = RequestBody::from(Bytes::new());
    if headers::inspect(&parts, &body).is_err() {
        return false;
    }
    let (path, query) = (parts.uri.path(), parts.uri.query());
    if route::parse(&parts.method, path, query, &[]).is_err() {
        return false;
    }
    let own: Authority = OWN.parse().unwrap();
    let links = Links::new(own, selected.public, true);
    let sent = headers::to_vault(
        &parts.headers,
        &token,
        &HeaderValue::from_static(OWN),
        &links,
    );
    inspect(&sent, &parts.headers, links.rewrites());
    true
}

fn inspect(sent: &HeaderMap, came: &HeaderMap, rewrites: bool) {
    let alone = |name: HeaderName| {
        let mut values = sent.get_all(name).iter();
        let value = values.next().unwrap();
        assert!(values.next().is_none());
        value.as_bytes()
    };
    assert_eq!(alone(HOST), OWN.as_bytes());
    let authorization = came.get(AUTHORIZATION).unwrap().as_bytes();
    let (scheme, token) = alone(AUTHORIZATION).split_at("Bearer ".len());
    assert!(scheme.eq_ignore_ascii_case(b"Bearer "));
    assert!(authorization.ends_with(token) && !token.contains(&b' '));
    for (name, value) in sent {
        assert!(!NEVER_SENT.contains(&name.as_str()), "{name}");
        assert!(!name.as_str().starts_with("x-ms-keyvault-"), "{name}");
        let ours = *name == HOST || *name == AUTHORIZATION;
        let asked_plain = rewrites && *name == http::header::ACCEPT_ENCODING;
        let passed = came.get_all(name).iter().any(|came| came == value);
        assert!(ours || asked_plain || passed, "{name}");
    }
}

fn request(data: &[u8]) -> Option<Parts> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let (method, target) = first.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        request = request.header(name, value[1..].trim_ascii());
    }
    request.body(()).ok().map(|request| request.into_parts().0)
}

fn peer() -> Peer {
    Peer {
        local_port: PORT,
        via: None,
        credentials: None,
        sni: None,
        connection: Connection {
            listener: "main".into(),
            address: Some(Ipv4Addr::LOCALHOST.into()),
            protocol: "TLSv1.3",
            certificate: None,
            private_link: false,
            private_endpoint: None,
            subnet: None,
            ranges: Vec::new(),
        },
    }
}

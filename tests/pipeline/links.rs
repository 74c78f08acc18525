//! Links and ids in answers: they lead back to the name the client came by, and nothing else in an
//! answer changes.

use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::{Value, json};

use crate::relay::under_two_names;
use crate::site::{SECRET, Site, VERSION, read};

impl Site {
    fn public_url(&self) -> String {
        format!("https://{}", self.host())
    }

    fn own_url(&self) -> String {
        format!("https://{}", self.own_host())
    }

    /// What the vault itself says to `admin`, without the proxy.
    async fn straight(&self, path_and_query: &str) -> String {
        let request = format!(
            "GET {path_and_query} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Connection: close\r\n\r\n",
            self.own_host(),
            self.token(people::ADMIN)
        );
        let mut wire = self.wire_to_vault().await;
        let reply = wire.ask(request).await;
        self.forget();
        reply.text().to_owned()
    }
}

#[tokio::test]
async fn ids_lead_back_to_the_public_name_and_nothing_else_changes() {
    let site = under_two_names().await;
    let (own, public) = (site.own_url(), site.public_url());
    for path in [
        "/secrets/app-api-key",
        "/secrets",
        "/secrets/app-api-key/versions",
        "/keys",
        "/keys/signing",
    ] {
        let target = format!("{path}?{VERSION}");
        let straight = site.straight(&target).await;
        assert!(straight.contains(&own), "{straight}");
        let reply = site.get(people::ADMIN, &target).await;
        site.forwarded();
        assert_eq!(reply.text(), straight.replace(&own, &public), "{path}");
        assert_eq!(
            reply.header("content-length"),
            Some(&*reply.bytes().len().to_string())
        );
    }
}

#[tokio::test]
async fn under_the_vaults_own_name_answers_are_the_vaults_bytes() {
    let site = under_two_names().await;
    for path in ["/secrets/app-api-key", "/secrets", "/keys/signing"] {
        let target = format!("{path}?{VERSION}");
        let straight = site.straight(&target).await;
        let reply = site.get_as_own(people::ADMIN, &target).await;
        site.forwarded();
        assert_eq!(reply.text(), straight, "{path}");
    }
}

#[tokio::test]
async fn a_list_is_walked_through_the_proxy_by_its_own_links() {
    let site = under_two_names().await;
    let mut url = format!("{}/secrets?{VERSION}&maxresults=1", site.public_url());
    let mut names = Vec::new();
    loop {
        let request = site
            .client
            .get(&url)
            .bearer_auth(site.token(people::READER));
        let page = read(request).await.json();
        let (_, entry) = site.forwarded();
        assert_eq!(entry.host, Some(site.own_host()));
        for item in page["value"].as_array().unwrap() {
            let id = item["id"].as_str().unwrap();
            names.push(id.strip_prefix(&site.public_url()).unwrap().to_owned());
        }
        match page["nextLink"].as_str() {
            Some(next) => next.clone_into(&mut url),
            None => break,
        }
        assert!(url.starts_with(&site.public_url()), "{url}");
    }
    assert_eq!(
        names,
        [
            "/secrets/app-api-key",
            "/secrets/app-db-password",
            "/secrets/tls"
        ]
    );
}

#[tokio::test]
async fn a_next_page_elsewhere_is_502() {
    let site = under_two_names().await;
    let list = format!("/secrets?{VERSION}");
    for link in [
        "https://evil.example/secrets?$skiptoken=x",
        "http://portcullis-dev.vault.azure.net/secrets",
        "https://portcullis-dev.vault.azure.net/secrets",
        "//evil.example/secrets",
        "https://evil.example\\@portcullis-dev.vault.azure.net/secrets",
    ] {
        let script = Script::genuine().next_link(link);
        site.world.vault.next_response("/secrets", script);
        let reply = site.get(people::ADMIN, &list).await;
        let (record, _) = site.forwarded();
        assert_eq!(reply.status, 502, "{link}");
        assert_eq!(reply.header("x-portcullis-reason"), Some("upstream_error"));
        assert!(!reply.text().contains("evil"), "{}", reply.text());
        let result = site.result_of(&record).await;
        assert_eq!(
            (&result["status"], &result["reason"]),
            (&json!(502), &json!("upstream_error"))
        );
    }
    let link = format!("{}/secrets?$skiptoken=x", site.own_url());
    let script = Script::genuine().gzip().next_link(&link);
    site.world.vault.next_response("/secrets", script);
    let reply = site.get(people::ADMIN, &list).await;
    let expected = format!("{}/secrets?$skiptoken=x", site.public_url());
    assert_eq!(reply.json()["nextLink"], expected);
}

#[tokio::test]
async fn a_location_leads_back_or_nowhere() {
    let site = under_two_names().await;
    let path = "/certificates/c/create?api-version=7.4&request_id=1";
    let create = format!("/certificates/c/create?{VERSION}");
    let order = |location: &str| {
        let script = Script::json(StatusCode::ACCEPTED, &json!({}))
            .header(LOCATION, HeaderValue::from_str(location).unwrap());
        site.world
            .vault
            .next_response("/certificates/c/create", script);
    };
    order(&format!("{}{path}", site.own_url()));
    let reply = site.send(people::ADMIN, "POST", &create, &json!({})).await;
    assert_eq!(reply.status, 202);
    let expected = format!("{}{path}", site.public_url());
    assert_eq!(reply.header("location"), Some(&*expected));
    site.forwarded();
    order("https://evil.example/");
    let reply = site.send(people::ADMIN, "POST", &create, &json!({})).await;
    assert_eq!((reply.status, reply.header("location")), (502, None));
    site.forwarded();
}

#[tokio::test]
async fn a_secret_that_looks_like_a_link_survives() {
    let site = under_two_names().await;
    let own = site.own_url();
    let link = format!("{own}/secrets/other?x=1");
    let value = json!({ "id": link, "nextLink": link, "kid": link }).to_string();
    for value in [&link, &value, "https://evil.example/secrets"] {
        let body = json!({
            "value": value,
            "contentType": link,
            "tags": { "id": link, "nextLink": link, "kid": link, "sid": link },
        });
        let target = format!("/secrets/linked?{VERSION}");
        let set = site.send(people::ADMIN, "PUT", &target, &body).await;
        site.forwarded();
        let got = site.get(people::ADMIN, &target).await;
        site.forwarded();
        let own_got = site.get_as_own(people::ADMIN, &target).await;
        site.forwarded();
        for answer in [set.json(), got.json(), own_got.json()] {
            for member in ["value", "contentType", "tags"] {
                assert_eq!(answer[member], body[member]);
            }
        }
        let id = got.json()["id"].as_str().unwrap().to_owned();
        assert!(id.starts_with(&format!("{}/secrets/linked/", site.public_url())));
        let id = own_got.json()["id"].as_str().unwrap().to_owned();
        assert!(id.starts_with(&format!("{own}/secrets/linked/")));
    }
}

#[tokio::test]
async fn a_backup_comes_back_whole() {
    let site = under_two_names().await;
    let before = site.get(people::ADMIN, SECRET).await.json();
    let backup = format!("/secrets/app-api-key/backup?{VERSION}");
    let blob = site
        .send(people::ADMIN, "POST", &backup, &Value::Null)
        .await;
    let deleted = site
        .send(people::ADMIN, "DELETE", SECRET, &Value::Null)
        .await;
    let recovery = deleted.json()["recoveryId"].as_str().unwrap().to_owned();
    assert!(recovery.starts_with(&site.public_url()), "{recovery}");
    // The path of the recovery id is the deleted secret's; its purge makes room for the restore.
    let path = recovery.strip_prefix(&site.public_url()).unwrap();
    let purge = format!("{path}?{VERSION}");
    let purged = site
        .send(people::ADMIN, "DELETE", &purge, &Value::Null)
        .await;
    assert_eq!(purged.status, 204);
    assert_eq!(purged.bytes(), b"");
    let restore = format!("/secrets/restore?{VERSION}");
    let restored = site
        .send(people::ADMIN, "POST", &restore, &blob.json())
        .await;
    assert_eq!(restored.status, 200, "{}", restored.text());
    let after = site.get(people::ADMIN, SECRET).await.json();
    assert_eq!(
        (&after["value"], &after["id"]),
        (&before["value"], &before["id"])
    );
}

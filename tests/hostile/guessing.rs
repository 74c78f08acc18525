//! Who may not see a thing cannot find out whether it is there.

use std::collections::BTreeMap;

use portcullis::dev::people::{self, Person};
use portcullis::principal::ObjectId;
use serde_json::{Value, json};

use crate::site::{Reply, Site, VERSION, read};

/// What of an answer differs from call to call by its nature.
const OF_ITS_OWN: [&str; 2] = ["date", "x-portcullis-decision-id"];

/// All of an answer, with `name` taken out of its text.
fn shape(reply: &Reply, name: &str) -> (u16, BTreeMap<String, String>, String) {
    let headers = reply.headers.iter();
    let headers = headers
        .filter(|(name, _)| !OF_ITS_OWN.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let text = reply.text().replace(name, "{name}");
    (reply.status, headers.collect(), text)
}

impl Site {
    /// Asks for the same of something that is there and of something that is not.
    async fn cannot_tell(&self, who: Person, method: &str, path: &str, there: &str, absent: &str) {
        assert_eq!(there.len(), absent.len());
        let mut answers = Vec::new();
        for name in [there, absent] {
            let body = match method {
                "PUT" | "POST" | "PATCH" => json!({ "value": "x" }),
                _ => Value::Null,
            };
            let target = path.replace("{}", name);
            let reply = self.send(who, method, &target, &body).await;
            assert_eq!(
                reply.status,
                403,
                "{} {method} {target}: {}",
                who.name,
                reply.text()
            );
            answers.push(shape(&reply, name));
        }
        let what = format!("{} {method} {path}", who.name);
        assert_eq!(answers[0], answers[1], "{what}");
    }
}

/// The version of an object, as its vault names it.
async fn version_of(site: &Site, path: &str, id: &[&str]) -> String {
    let reply = site.get(people::ADMIN, path).await;
    let mut found = &reply.json();
    for part in id {
        found = &found[*part];
    }
    found
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned()
}

const ABSENT_VERSION: &str = "00000000000000000000000000000000";

/// Requests for something that is there, and for something that is not: the method, the path, and
/// what to put into it.
const PAIRS: [&str; 17] = [
    "GET /secrets/{} app-api-key app-api-kex",
    "GET /secrets/{}/ app-api-key app-api-kex",
    "GET /secrets/app-api-key/{} SECRET ABSENT",
    "GET /secrets/{}/versions app-api-key app-api-kex",
    "PUT /secrets/{} app-api-key app-api-kex",
    "DELETE /secrets/{} app-api-key app-api-kex",
    "POST /secrets/{}/backup app-api-key app-api-kex",
    "GET /deletedsecrets/{} gone here",
    "POST /deletedsecrets/{}/recover gone here",
    "DELETE /deletedsecrets/{} gone here",
    "GET /keys/{} signing absence",
    "GET /keys/signing/{} KEY ABSENT",
    "POST /keys/{}/sign signing absence",
    "GET /keys/{}/rotationpolicy signing absence",
    "GET /certificates/{} web abc",
    "GET /certificates/{}/policy web abc",
    "GET /certificates/{}/pending web abc",
];

/// Makes what the world does not begin with.
async fn furnish(site: &Site) {
    let value = json!({ "value": "x" });
    let policy = json!({ "policy": {
        "issuer": { "name": "Self" },
        "x509_props": { "subject": "CN=web.example" },
    }});
    for (method, path, body, status) in [
        ("PUT", "/secrets/gone", value, 200),
        // It can be recovered.
        ("DELETE", "/secrets/gone", Value::Null, 200),
        ("POST", "/certificates/web/create", policy, 202),
    ] {
        let target = format!("{path}?{VERSION}");
        let reply = site.send(people::ADMIN, method, &target, &body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

#[tokio::test]
async fn whether_an_object_is_there_cannot_be_told_from_a_refusal() {
    let site = Site::start().await;
    furnish(&site).await;
    let secret = version_of(&site, "/secrets/app-api-key?api-version=7.4", &["id"]).await;
    let key = version_of(&site, "/keys/signing?api-version=7.4", &["key", "kid"]).await;
    site.forget();
    for who in [people::NOBODY, people::EXPIRED_PIM] {
        for pair in PAIRS {
            let pair = pair
                .replace("SECRET", &secret)
                .replace("KEY", &key)
                .replace("ABSENT", ABSENT_VERSION);
            let words: Vec<&str> = pair.split(' ').collect();
            let path = format!("{}?{VERSION}", words[1]);
            site.cannot_tell(who, words[0], &path, words[2], words[3])
                .await;
        }
    }
    // Nor by those who may do something else, whose nearest assignment is named.
    for who in [people::DB_APP, people::CRYPTO_USER, people::READER] {
        let path = "/secrets/{}?api-version=7.4";
        site.cannot_tell(who, "GET", path, "app-api-key", "app-api-kex")
            .await;
    }
    // A condition on the name.
    let path = "/secrets/{}?api-version=7.4";
    site.cannot_tell(people::APP_READER, "GET", path, "tls", "abc")
        .await;
    assert!(site.news().is_empty(), "the vault was asked");
}

#[tokio::test]
async fn a_stranger_is_told_what_a_known_principal_without_assignments_is_told() {
    let site = Site::start().await;
    let known = people::NOBODY.object_id;
    let stranger: ObjectId = "7c0d5b1e-2f64-4a98-b3e7-19d8c6a5f042".parse().unwrap();
    let mut answers = Vec::new();
    for oid in [known, stranger] {
        let mut claims = site.claims(people::NOBODY);
        claims.insert("oid".to_owned(), json!(oid.to_string()));
        claims.insert("sub".to_owned(), json!(oid.to_string()));
        let request = site
            .request("GET", "/secrets/app-api-key?api-version=7.4")
            .bearer_auth(site.mint(&claims));
        let (status, mut headers, text) = shape(&read(request).await, &oid.to_string());
        // Whether groups are known is told: it is about the caller itself, who may be missing from
        // an export, and about nobody else.
        let groups = "Groups: the caller's group membership is not known to Portcullis\\r\\n";
        headers.remove("content-length");
        answers.push((status, headers, text.replace(groups, "")));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_refusal_names_no_principal_and_no_assignment_but_the_callers_own() {
    let site = Site::start().await;
    for who in [
        people::NOBODY,
        people::DB_APP,
        people::EXPIRED_PIM,
        people::GROUP_MEMBER,
    ] {
        let target = "/certificates/tls?api-version=7.4";
        let reply = site.get(who, target).await;
        assert_eq!(reply.status, 403, "{}", who.name);
        let text = reply.message();
        for other in people::everybody().filter(|other| other.object_id != who.object_id) {
            let id = other.object_id.to_string();
            assert!(!text.contains(&id), "{}: {text}", who.name);
        }
    }
}

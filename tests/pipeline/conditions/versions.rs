//! Which version is looked at and sent: the list of a secret's versions, page by page.

use http::StatusCode;
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::{Value, json};

use super::{CALLER, GET, LIST, NAME, PATH, asked, only_current, only_red, paint, refused, site};
use crate::site::{Site, VERSION, read, soon};

const TIE: &str = "metadata_ambiguous";

#[tokio::test]
async fn a_rotation_after_the_look_does_not_change_what_is_served() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    // The answer to the look is on its way while the secret is set anew.
    let (script, release) = Script::genuine().stalled(5);
    site.world.vault.next_response(LIST, script);
    let request = site.request("GET", GET).bearer_auth(site.token(CALLER));
    let asking = tokio::spawn(read(request));
    site.until_news(1).await;
    let body = json!({ "value": "navy", "tags": { "team": "blue" } });
    let set = site.send(people::ADMIN, "PUT", GET, &body).await;
    assert_eq!(set.status, 200);
    release.release();
    let reply = soon(asking).await.unwrap();
    assert_eq!(reply.json()["value"], "scarlet");
}

#[tokio::test]
async fn the_named_version_is_looked_at_and_not_the_current_one() {
    let site = site(&only_red()).await;
    let red = paint(&site, NAME, "scarlet", "red").await;
    let blue = paint(&site, NAME, "navy", "blue").await;
    let reply = site.get(CALLER, &format!("{PATH}/{red}?{VERSION}")).await;
    assert_eq!(reply.json()["value"], "scarlet");
    site.forget();
    for path in [GET.to_owned(), format!("{PATH}/{blue}?{VERSION}")] {
        let reply = site.get(CALLER, &path).await;
        refused(&site, &reply, (403, "condition_false"));
    }
}

#[tokio::test]
async fn whether_a_named_version_is_current_is_looked_up() {
    let site = site(&only_current()).await;
    let old = paint(&site, NAME, "scarlet", "red").await;
    let new = paint(&site, NAME, "navy", "blue").await;
    let reply = site.get(CALLER, &format!("{PATH}/{old}?{VERSION}")).await;
    refused(&site, &reply, (403, "condition_false"));
    for path in [GET.to_owned(), format!("{PATH}/{new}?{VERSION}")] {
        let reply = site.get(CALLER, &path).await;
        assert_eq!(reply.json()["value"], "navy", "{path}");
    }
}

/// A list as the vault would send it, with these seconds of creation.
fn listed(site: &Site, versions: &[(&str, u64)]) -> Value {
    let item = |(version, created): &(&str, u64)| {
        json!({
            "id": format!("https://{}/secrets/{NAME}/{version}", site.own_host()),
            "attributes": { "enabled": true, "created": created, "updated": created },
            "tags": { "team": "red" },
        })
    };
    json!({ "value": versions.iter().map(item).collect::<Vec<_>>(), "nextLink": null })
}

#[tokio::test]
async fn the_current_version_is_the_latest_wherever_it_stands_in_the_list() {
    let site = site(&only_red()).await;
    let genuine = paint(&site, NAME, "scarlet", "red").await;
    let other = "0".repeat(32);
    for (order, (first, second)) in [
        ("up", ((&other, 5), (&genuine, 9))),
        ("down", ((&genuine, 9), (&other, 5))),
    ] {
        site.forget();
        let page = listed(&site, &[(first.0, first.1), (second.0, second.1)]);
        site.world
            .vault
            .next_response(LIST, Script::json(StatusCode::OK, &page));
        // A new second for each, so that nothing is remembered.
        site.clock.advance(std::time::Duration::from_secs(60));
        assert_eq!(site.get(CALLER, GET).await.status, 200, "{order}");
        assert!(asked(&site)[1].contains(&genuine), "{order}");
    }
}

#[tokio::test]
async fn two_latest_versions_of_one_second_cannot_be_decided_on() {
    let site = site(&only_red()).await;
    let (one, two, three) = ("1".repeat(32), "2".repeat(32), "3".repeat(32));
    let answer = |versions: &[(&str, u64)]| {
        let page = listed(&site, versions);
        let script = Script::json(StatusCode::OK, &page);
        site.world.vault.next_response(LIST, script);
    };
    answer(&[(&one, 9), (&three, 4), (&two, 9)]);
    let reply = site.get(CALLER, GET).await;
    let record = refused(&site, &reply, (503, "metadata_unavailable"));
    assert_eq!(record["sub_reason"], TIE);
    // A version that is named needs no other, and an older tie does not matter.
    answer(&[(&one, 9), (&two, 9)]);
    let named = format!("{PATH}/{two}?{VERSION}");
    assert_eq!(site.get(CALLER, &named).await.status, 404);
    answer(&[(&one, 9), (&two, 9), (&three, 10)]);
    site.get(CALLER, GET).await;
    let last = asked(&site).pop().unwrap();
    assert_eq!(last, format!("GET {PATH}/{three}?{VERSION}"));
}

#[tokio::test]
async fn a_list_is_followed_page_by_page_on_the_path_that_was_asked_for() {
    let site = site(&only_red()).await;
    let mut last = String::new();
    for _ in 0..26 {
        last = paint(&site, NAME, "scarlet", "red").await;
    }
    assert_eq!(site.get(CALLER, GET).await.status, 200);
    let asked = asked(&site);
    let second_page = "GET /secrets/paint/versions?api-version=2026-04-01&$skiptoken=";
    assert!(asked[1].starts_with(second_page), "{asked:?}");
    assert_eq!(asked[2], format!("GET {PATH}/{last}?{VERSION}"));
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn a_link_to_another_place_is_never_followed() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let own = site.own_host();
    let query = "api-version=7.4&$skiptoken=abc";
    for link in [
        format!("https://evil.example{LIST}?{query}"),
        format!("https://{own}.evil.example{LIST}?{query}"),
        format!("https://evil@{own}{LIST}?{query}"),
        format!("http://{own}{LIST}?{query}"),
        format!("https://{own}/secrets/paint?{query}"),
        format!("https://{own}/secrets/other/versions?{query}"),
        format!("https://{own}/secrets/paint/versions/../../other/versions?{query}"),
        format!("{LIST}?{query}"),
        format!("https://{own}{LIST}?api-version=7.4"),
        format!("https://{own}{LIST}?api-version=7.4&$skiptoken=a&$skiptoken=b"),
        format!("https://{own}{LIST}"),
        "nonsense".to_owned(),
    ] {
        site.forget();
        let script = Script::genuine().next_link(&link);
        site.world.vault.next_response(LIST, script);
        let reply = site.get(CALLER, GET).await;
        let record = refused(&site, &reply, (503, "metadata_unavailable"));
        assert_eq!(record["sub_reason"], "metadata_malformed", "{link}");
        assert_eq!(asked(&site).len(), 1, "{link}");
    }
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let link = format!("https://{}{LIST}?{VERSION}&$skiptoken=", site.own_host());
    // The vault's own marker, so that each page is a good one.
    let marker = "eyJOZXh0TWFya2VyIjoieCJ9";
    for _ in 0..100 {
        let script = Script::genuine().next_link(&format!("{link}{marker}"));
        site.world.vault.next_response(LIST, script);
    }
    let reply = site.get(CALLER, GET).await;
    let record = refused(&site, &reply, (503, "metadata_unavailable"));
    assert_eq!(record["sub_reason"], "metadata_too_long");
    assert_eq!(asked(&site).len(), 20);
}

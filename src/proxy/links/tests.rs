//! What is rewritten in an answer, and what never is.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const VAULT: &str = "contoso.vault.azure.net";
const PUBLIC: &str = "kv.contoso.test:8443";

fn links(ids: bool) -> Links {
    Links::new(VAULT.parse().unwrap(), PUBLIC.parse().unwrap(), ids)
}

/// The document after rewriting, ids included.
fn rewritten(document: &str) -> String {
    rewritten_with(&links(true), document)
}

fn rewritten_with(links: &Links, document: &str) -> String {
    let changed = links.rewrite(document.as_bytes()).unwrap();
    changed.map_or_else(
        || document.to_owned(),
        |bytes| String::from_utf8(bytes.to_vec()).unwrap(),
    )
}

fn refusal(document: &str) -> LinkError {
    links(true).rewrite(document.as_bytes()).unwrap_err()
}

#[test]
fn links_change_and_every_other_byte_stays() {
    let document = "\u{feff} {\n\t\"value\" : [ {\"id\":\"https://contoso.vault.azure.net/secrets/a\",\
        \"tags\":{\"id\":\"https://contoso.vault.azure.net/x\",\"n\":1.0e+02}} , \
        {\"kid\":\"HTTPS://Contoso.Vault.Azure.Net:443/keys/b\"}],\r\n\
        \"nextLink\":\"https:\\/\\/contoso\\u002evault.azure.net:443\\/secrets?$skiptoken=\\u0041\"} \n";
    let expected = "\u{feff} {\n\t\"value\" : [ {\"id\":\"https://kv.contoso.test:8443/secrets/a\",\
        \"tags\":{\"id\":\"https://contoso.vault.azure.net/x\",\"n\":1.0e+02}} , \
        {\"kid\":\"https://kv.contoso.test:8443/keys/b\"}],\r\n\
        \"nextLink\":\"https://kv.contoso.test:8443\\/secrets?$skiptoken=\\u0041\"} \n";
    assert_eq!(rewritten(document), expected);
}

#[test]
fn every_place_of_the_table_is_rewritten() {
    let link = format!("https://{VAULT}/keys/k/0");
    let document = json!({
        "id": link, "kid": link, "sid": link, "recoveryId": link, "target": link,
        "nextLink": link,
        "key": {"kid": link}, "policy": {"id": link}, "pending": {"id": link, "target": link},
        "value": [{"id": link, "kid": link, "sid": link, "recoveryId": link}],
    });
    let text = rewritten(&document.to_string());
    assert!(!text.contains(VAULT), "{text}");
    assert_eq!(text.matches(PUBLIC).count(), 14);
}

#[test]
fn what_belongs_to_people_is_never_touched() {
    let link = format!("https://{VAULT}/secrets/a");
    for document in [
        json!({"value": link, "contentType": link, "tags": {"id": link, "nextLink": link}}),
        json!({"value": {"id": link}}),
        json!({"value": [[{"id": link}], link]}),
        json!({"value": [{"nextLink": link, "tags": {"kid": link}, "policy": {"id": link}}]}),
        json!({"cer": link, "x5c": [link], "key": {"x5c": [link], "n": link, "id": link}}),
        json!({"attributes": {"id": link}, "policy": {"issuer": {"id": link}, "kid": link}}),
        json!({"org_details": {"id": link}, "provider": link, "templateUri": link}),
        json!({"ID": link, "Kid": link}),
        json!([{"id": link}]),
        json!(link),
    ] {
        let text = document.to_string();
        assert_eq!(rewritten(&text), text);
    }
}

#[test]
fn ids_of_other_hosts_stay() {
    for id in [
        "https://fabrikam.vault.azure.net/keys/k",
        "https://contoso.vault.azure.net.evil.test/keys/k",
        "https://contoso.vault.azure.net:8443/keys/k",
        "https://user@contoso.vault.azure.net/keys/k",
        "http://contoso.vault.azure.net/keys/k",
        "contoso.vault.azure.net/keys/k",
        "https://kv.contoso.test:8443/keys/k",
        "",
        "https://",
        "é",
    ] {
        let text = json!({"id": id, "kid": 7, "sid": null, "key": "x"}).to_string();
        assert_eq!(rewritten(&text), text, "{id}");
    }
}

#[test]
fn ids_can_be_left_alone_and_next_links_cannot() {
    let document = format!("{{\"id\":\"https://{VAULT}/a\",\"nextLink\":\"https://{VAULT}/b\"}}");
    assert_eq!(
        rewritten_with(&links(false), &document),
        format!("{{\"id\":\"https://{VAULT}/a\",\"nextLink\":\"https://{PUBLIC}/b\"}}")
    );
}

#[test]
fn a_next_link_elsewhere_is_refused() {
    for link in [
        "https://evil.test/secrets",
        "https://contoso.vault.azure.net:8443/secrets",
        "https://contoso.vault.azure.net@evil.test/",
        "https://contoso.vault.azure.net\\@evil.test/",
        "https://contoso.vault.azure.net\\.evil.test/",
        "https:\\\\evil.test/",
        "https:/evil.test/",
        "https:evil.test",
        "http://contoso.vault.azure.net/secrets",
        "//evil.test/secrets",
        "/\\evil.test/",
        "/\t/evil.test/",
        " https://contoso.vault.azure.net/",
        "javascript:alert(1)",
        "secrets?x",
        "https://contoso.vault.azure.net/é",
    ] {
        let document = json!({"value": [], "nextLink": link}).to_string();
        assert_eq!(refusal(&document), LinkError::Foreign, "{link}");
    }
    for document in [
        r#"{"nextLink":"/ok","nextLink":"https://evil.test/"}"#,
        r#"{"next\u004cink":"https://evil.test/"}"#,
        r#"{"NextLink":"https://evil.test/"}"#,
        r#"{"nextLink":["https://evil.test/"]}"#,
        r#"{"nextLink":"\ud800"}"#,
    ] {
        assert_eq!(refusal(document), LinkError::Foreign, "{document}");
    }
}

#[test]
fn a_next_link_that_leads_here_or_nowhere_passes() {
    for link in [
        json!(null),
        json!(""),
        json!("/secrets?x"),
        json!("https://kv.contoso.test:8443/s"),
    ] {
        let text = json!({ "nextLink": link }).to_string();
        assert_eq!(rewritten(&text), text);
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for document in ["", "{", "{}x", "{\"a\":}", "<html>", "{\"a\":\"\u{1}\"}"] {
        assert_eq!(refusal(document), LinkError::Malformed, "{document}");
    }
    assert_eq!(
        links(true).rewrite(b"{\"a\":\"\xff\"}").err(),
        Some(LinkError::Malformed)
    );
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(rewritten(&deep), deep);
}

fn header(links: &Links, value: &str) -> Result<String, LinkError> {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, value.parse().unwrap());
    links.rewrite_headers(&mut headers)?;
    Ok(headers[LOCATION].to_str().unwrap().to_owned())
}

#[test]
fn a_location_is_rewritten_or_refused() {
    let pending = "/certificates/c/pending?api-version=7.4&request_id=1";
    let location = format!("https://{VAULT}{pending}");
    assert_eq!(
        header(&links(false), &location),
        Ok(format!("https://{PUBLIC}{pending}"))
    );
    assert_eq!(header(&links(true), pending), Ok(pending.into()));
    assert_eq!(
        header(&links(true), "https://evil.test/"),
        Err(LinkError::Foreign)
    );
    for name in [
        "operation-location",
        "azure-asyncoperation",
        "content-location",
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(name, "https://evil.test/".parse().unwrap());
        let refused = links(true).rewrite_headers(&mut headers);
        assert_eq!(refused, Err(LinkError::Foreign), "{name}");
    }
    // Under its own name the vault's links are right as they are, and others are still foreign.
    let own = Links::new(VAULT.parse().unwrap(), VAULT.parse().unwrap(), true);
    assert!(!own.rewrites());
    assert_eq!(header(&own, &location), Ok(location.clone()));
    assert_eq!(header(&own, "https://evil.test/"), Err(LinkError::Foreign));
}

/// Strings as they are hard on a scanner, links among them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just(format!("https://{VAULT}/secrets/a")),
        Just(format!("https://{VAULT}:443")),
        Just(format!("https://{PUBLIC}/secrets/a")),
        Just("\\\"}],{\"nextLink\":\"https://evil.test/".to_owned()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let listed = prop::sample::select(vec![
        "id",
        "kid",
        "sid",
        "recoveryId",
        "target",
        "key",
        "policy",
        "pending",
        "value",
        "tags",
    ]);
    prop_oneof![listed.prop_map(str::to_owned), any::<String>()]
        .prop_filter("next links are tested by themselves", |name| {
            !name.eq_ignore_ascii_case("nextlink")
        })
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes JSON with escapes and white space that `serde_json` would not write.
fn write(value: &Value, style: usize, out: &mut String) {
    let space = [" ", "", "\n\t", "\r\n"][style % 4];
    match value {
        Value::String(text) => write_text(text, style, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(space);
                write(item, style + index, out);
            }
            out.push_str(space);
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write_text(name, style + index, out);
                out.push_str(space);
                out.push(':');
                write(member, style + index, out);
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

fn write_text(text: &str, style: usize, out: &mut String) {
    out.push('"');
    for (index, unit) in text.encode_utf16().enumerate() {
        let plain = char::from_u32(unit.into()).filter(|c| c.is_ascii_graphic());
        match plain {
            Some('/') if (index + style).is_multiple_of(3) => out.push_str("\\/"),
            Some(c) if c != '"' && c != '\\' && !(index + style).is_multiple_of(5) => out.push(c),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out.push('"');
}

/// What rewriting means, on parsed values.
fn expected(value: &mut Value, places: &[Place]) {
    let Value::Object(members) = value else {
        return;
    };
    for (name, member) in members {
        match places
            .iter()
            .find(|place| place.is(name))
            .map(|place| &place.holds)
        {
            Some(Holds::Id) => {
                if let Value::String(text) = member
                    && let Some((authority, prefix)) = split_link(text)
                    && authority.to_string() == VAULT
                {
                    *text = format!("https://{PUBLIC}{}", text.get(prefix..).unwrap());
                }
            }
            Some(Holds::Object(places)) => expected(member, places),
            Some(Holds::List(places)) => {
                for item in member.as_array_mut().into_iter().flatten() {
                    expected(item, places);
                }
            }
            Some(Holds::NextPage) | None => {}
        }
    }
}

proptest! {
    #[test]
    fn only_the_listed_places_change_and_only_once(value in document(), style in 0..60_usize) {
        let mut written = String::new();
        write(&value, style, &mut written);
        let once = rewritten(&written);
        let mut meant = value;
        expected(&mut meant, ANSWER);
        prop_assert_eq!(serde_json::from_str::<Value>(&once).unwrap(), meant);
        prop_assert_eq!(rewritten(&once), once);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _any = links(true).rewrite(&bytes);
    }

    #[test]
    fn no_next_link_leads_elsewhere(link in "(https?:)?[/\\\\]{0,3}(contoso.vault.azure.net|evil.test)?[:@./\\\\?#a-z0-9]{0,12}") {
        let document = json!({ "nextLink": link }).to_string();
        if let Ok(changed) = links(true).rewrite(document.as_bytes()) {
            let text = changed.map_or(document, |bytes| String::from_utf8(bytes.to_vec()).unwrap());
            let value: Value = serde_json::from_str(&text).unwrap();
            let link = value["nextLink"].as_str().unwrap();
            let here = format!("https://{PUBLIC}");
            let ours = link.strip_prefix(&here).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
            let relative = link.starts_with('/') && !link.starts_with("//") && !link.contains('\\');
            prop_assert!(link.is_empty() || ours || relative, "{}", link);
        }
    }
}

//! No text makes it panic, and no change of a good token is accepted.

use std::sync::{Arc, LazyLock};

use portcullis::authn::{AuthnError, bearer};
use portcullis::principal::Caller;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::Bench;
use crate::support::tokens::{ALPHA, Draft};

struct World {
    runtime: Runtime,
    bench: Bench,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let bench = runtime.block_on(Bench::with_file(&[&ALPHA], |_| ()));
    World { runtime, bench }
});

impl World {
    fn judge(&self, token: &str) -> Result<Arc<Caller>, AuthnError> {
        self.runtime.block_on(self.bench.judge(token))
    }
}

#[test]
fn no_single_changed_character_is_accepted() {
    let good = Draft::new().signed();
    assert!(WORLD.judge(&good).is_ok());
    for at in 0..good.len() {
        for with in ['A', 'B', '-', '.', '~'] {
            let mut changed = good.clone();
            changed.replace_range(at..=at, with.encode_utf8(&mut [0; 4]));
            if changed != good {
                assert!(WORLD.judge(&changed).is_err(), "{at} {with}");
            }
        }
    }
}

#[test]
fn no_shortened_or_extended_token_is_accepted() {
    let good = Draft::new().signed();
    for length in 0..good.len() {
        assert!(WORLD.judge(good.split_at(length).0).is_err(), "{length}");
        assert!(
            WORLD.judge(good.split_at(length.max(1)).1).is_err(),
            "{length}"
        );
    }
    for more in ["A", "AAAA", "=", ".", " ", "\0"] {
        assert!(WORLD.judge(&format!("{good}{more}")).is_err(), "{more:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_is_accepted(text in any::<String>()) {
        prop_assert!(WORLD.judge(&text).is_err());
    }

    #[test]
    fn no_three_parts_are_accepted(token in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,400}") {
        prop_assert!(WORLD.judge(&token).is_err());
    }

    #[test]
    fn no_header_and_payload_is_accepted_without_our_key(
        header in "\\{\"alg\":\"(RS256|none|HS256)\",\"kid\":\"(alpha-key|x)\"[^}]{0,20}\\}",
        payload in any::<String>(),
        signature in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        use base64::Engine as _;
        let message = crate::support::tokens::signed_part(&header, &payload);
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(signature);
        let token = format!("{message}.{signature}");
        prop_assert!(WORLD.judge(&token).is_err());
    }

    #[test]
    fn signed_junk_is_refused_without_a_panic(header in any::<String>(), payload in any::<String>()) {
        prop_assert!(WORLD.judge(&ALPHA.token(&header, &payload)).is_err());
        let good = Draft::new();
        prop_assert!(WORLD.judge(&ALPHA.token(&good.header_text(), &payload)).is_err());
    }

    #[test]
    fn signed_claims_of_any_type_do_not_panic(name in "(exp|nbf|iat|aud|iss|tid|oid|groups|ver|sub|scp|idtyp|uti)", value in json()) {
        let token = Draft::new().claim(&name, value).signed();
        let _ = WORLD.judge(&token);
    }

    #[test]
    fn no_authorization_header_panics(value in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut headers = http::HeaderMap::new();
        if let Ok(value) = http::HeaderValue::from_bytes(&value) {
            headers.insert(http::header::AUTHORIZATION, value);
        }
        prop_assert!(bearer(&headers).is_err());
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

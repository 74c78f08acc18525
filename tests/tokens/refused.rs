//! What is refused: one mutation of a good token each. Here: form, size, names that stand twice,
//! and the texts of the answers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::authn::TokenDefect as Defect;
use portcullis::reason::Reason;

use crate::Bench;
use crate::support::tokens::{ALPHA, Draft, OTHER_TENANT, PRINCIPAL, TENANT, v1_issuer, v2_issuer};

/// Every token is refused for `defect`, with a text that gives nothing away.
pub(crate) async fn refuse(defect: Defect, tokens: impl IntoIterator<Item = (&str, String)>) {
    let bench = Bench::with_file(&[&ALPHA], |_| ()).await;
    assert!(bench.judge(&Draft::new().signed()).await.is_ok());
    for (name, token) in tokens {
        let error = bench.judge(&token).await.expect_err(name);
        assert_eq!(error.detail, defect, "{name}: {error:?}");
        assert_eq!(error.reason, defect.reason(), "{name}");
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        assert!(error.message.chars().all(plain), "{name}: {error:?}");
        let shown = format!("{error:?} {error}");
        for part in token.split('.').filter(|part| part.len() > 8) {
            assert!(!shown.contains(part), "{name}: {shown}");
        }
        assert!(!shown.contains(PRINCIPAL), "{name}: {shown}");
    }
}

#[tokio::test]
async fn a_name_that_stands_twice_is_refused_at_every_depth() {
    let members = [
        format!(r#""tid":"{OTHER_TENANT}""#),
        format!(r#""tid":"{TENANT}""#),
        format!(r#""Tid":"{OTHER_TENANT}""#),
        format!(r#""\u0074id":"{OTHER_TENANT}""#),
        format!(r#""oid":"{OTHER_TENANT}""#),
        r#""exp":1"#.to_owned(),
        r#""x":1,"x":1"#.to_owned(),
        r#""x":{"a":1,"a":2}"#.to_owned(),
        r#""x":[{"y":[{"a":1,"a":2}]}]"#.to_owned(),
    ];
    let signed = |members: &String| Draft::new().signed_with_members(members);
    let tokens = members.iter().map(|m| (m.as_str(), signed(m)));
    refuse(Defect::Malformed, tokens).await;
}

#[tokio::test]
async fn a_token_of_another_form_is_refused() {
    let good = Draft::new().signed();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let tokens = [
        ("empty", String::new()),
        ("one part", "abc".to_owned()),
        ("two parts", message.to_owned()),
        ("four parts", format!("{good}.AAAA")),
        ("five parts", format!("{header}..{payload}.{signature}.A")),
        ("trailing dot", format!("{good}.")),
        ("leading dot", format!(".{good}")),
        ("leading space", format!(" {good}")),
        ("trailing line", format!("{good}\n")),
        ("padding", format!("{good}==")),
        (
            "standard alphabet",
            format!("{message}.{}", "+/".repeat(171)),
        ),
        (
            "spare bits",
            format!("{message}.{}", with_spare_bit(signature)),
        ),
    ];
    refuse(Defect::Malformed, tokens).await;
    let tokens = [
        ("one character more", format!("{good}A")),
        ("inner space", format!("{header}. {payload}.{signature}")),
        ("padded payload", format!("{header}.{payload}=.{signature}")),
    ];
    refuse(Defect::Signature, tokens).await;
}

/// 2048 bits end in a character of which four bits are spare: the same bytes, spelled otherwise.
fn with_spare_bit(signature: &str) -> String {
    let (start, last) = signature.split_at(signature.len() - 1);
    let other = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        _ => "x",
    };
    format!("{start}{other}")
}

#[tokio::test]
async fn a_signed_payload_that_is_not_one_object_is_refused() {
    let good = Draft::new();
    let whole = good.payload_text();
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    let text = |payload: &str| ALPHA.token(&good.header_text(), payload);
    let signed_raw = |payload: &str| {
        let message = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(good.header_text()));
        let signature = URL_SAFE_NO_PAD.encode(ALPHA.sign(&message));
        format!("{message}.{signature}")
    };
    let tokens = [
        ("no JSON", text("hello")),
        ("a list", text("[]")),
        ("empty", text("")),
        ("two objects", text(&whole.repeat(2))),
        ("text after it", text(&format!("{whole}x"))),
        ("byte order mark", text(&format!("\u{feff}{whole}"))),
        ("deep", text(&deep)),
        (
            "no UTF-8",
            signed_raw(&URL_SAFE_NO_PAD.encode(b"{\"x\":\"\xff\"}")),
        ),
        (
            "padded",
            signed_raw(&format!("{}=", URL_SAFE_NO_PAD.encode("{}"))),
        ),
        ("no base64url", signed_raw("e30+")),
    ];
    refuse(Defect::Malformed, tokens).await;
}

#[tokio::test]
async fn a_token_beyond_sixteen_kibibytes_is_refused_unread() {
    let long = Draft::new().claim("x", "y".repeat(12_000)).signed();
    let kid = Draft::new().header("kid", "k".repeat(65_536)).signed();
    let tokens = [
        ("good but long", long),
        ("64 KiB kid", kid),
        ("junk", "a".repeat(1 << 20)),
    ];
    refuse(Defect::TooLarge, tokens).await;
}

#[tokio::test]
async fn the_texts_are_key_vaults_own() {
    let bench = Bench::with_file(&[&ALPHA], |_| ()).await;
    let text = async |draft: Draft| bench.judge(&draft.signed()).await.unwrap_err().message;
    assert_eq!(
        text(Draft::new().claim("aud", "https://arm.contoso.example/")).await,
        "AKV10022: Invalid audience. Expected https://vault.contoso.example or \
         9d2e7f60-1b3c-4a5d-8e6f-70a1b2c3d4e5, found: https://arm.contoso.example/."
    );
    let (v1, v2) = (v1_issuer(TENANT), v2_issuer(TENANT));
    assert_eq!(
        text(Draft::new().claim("iss", "https://sts.contoso.example/x/")).await,
        format!(
            "AKV10032: Invalid issuer. Expected one of {v1}, {v2}, \
             found https://sts.contoso.example/x/."
        )
    );
    assert_eq!(
        text(Draft::new().header("kid", "other")).await,
        "AKV10046: Unable to resolve the key used for signature validation."
    );
    assert_eq!(
        text(Draft::new().claim("exp", 1)).await,
        "[TokenExpired] Error validating token: 'S2S12086'."
    );
    let evil = text(Draft::new().claim("aud", "x\r\nWWW-Authenticate: y\u{1b}[2J")).await;
    assert!(
        evil.ends_with("found: x??WWW-Authenticate:?y?[2J."),
        "{evil}"
    );
}

#[tokio::test]
async fn an_issuer_that_is_not_configured_is_a_fault_of_ours() {
    let bench = Bench::with_file(&[&ALPHA], |_| ()).await;
    let error = bench.judge_for("nobody", &Draft::new().signed()).await;
    assert_eq!(error.unwrap_err().reason, Reason::InternalError);
}

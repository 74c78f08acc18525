//! What keys do: every algorithm, checked with a second hand; and what the vault does not do.

use std::time::Duration;

use aws_lc_rs::digest::{Algorithm, Digest, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256 as ANY_RSA;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};

use crate::world::{World, read};

const MESSAGE: &[u8] = b"a message that only the client has";

fn member(jwk: &Value, name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn components(jwk: &Value) -> PublicKeyComponents<Vec<u8>> {
    PublicKeyComponents {
        n: member(jwk, "n"),
        e: member(jwk, "e"),
    }
}

fn hash(algorithm: &str) -> &'static Algorithm {
    match algorithm {
        text if text.contains("256") => &SHA256,
        text if text.contains("384") => &SHA384,
        _ => &SHA512,
    }
}

/// Verifies as a client does: with the public key of the JWK and the message itself, and with
/// others' code than the vault's.
fn verified(algorithm: &str, jwk: &Value, signature: &[u8]) -> bool {
    let rsa = |parameters: &'static RsaParameters| {
        let (n, e) = (member(jwk, "n"), member(jwk, "e"));
        RsaPublicKeyComponents { n, e }
            .verify(parameters, MESSAGE, signature)
            .is_ok()
    };
    let point = || [vec![4], member(jwk, "x"), member(jwk, "y")].concat();
    let hashed = digest(hash(algorithm), MESSAGE);
    macro_rules! elliptic {
        ($curve:ident) => {{
            let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(&point()).unwrap();
            let signature = $curve::ecdsa::Signature::from_slice(signature).unwrap();
            // Of the two signatures that are equally good, k256 takes the one that Bitcoin takes.
            let signature = signature.normalize_s();
            key.verify_prehash(hashed.as_ref(), &signature).is_ok()
        }};
    }
    match algorithm {
        "RS256" => rsa(&RSA_PKCS1_2048_8192_SHA256),
        "RS384" => rsa(&RSA_PKCS1_2048_8192_SHA384),
        "RS512" => rsa(&RSA_PKCS1_2048_8192_SHA512),
        "PS256" => rsa(&RSA_PSS_2048_8192_SHA256),
        "PS384" => rsa(&RSA_PSS_2048_8192_SHA384),
        "PS512" => rsa(&RSA_PSS_2048_8192_SHA512),
        "ES256" => elliptic!(p256),
        "ES256K" => elliptic!(k256),
        "ES384" => elliptic!(p384),
        "ES512" => elliptic!(p521),
        _ => panic!("{algorithm}"),
    }
}

/// The vault signs, the client verifies with `jwk`, and the vault verifies right and wrong.
pub(crate) async fn signs(world: &World, key: &str, algorithm: &str, jwk: &Value) {
    let digest = digest(hash(algorithm), MESSAGE);
    let body = json!({ "alg": algorithm, "value": encode(digest) });
    let signed = world.send("POST", &format!("{key}/sign"), body).await;
    assert_eq!(signed.status, StatusCode::OK, "{algorithm} {}", signed.body);
    assert_eq!(signed.body["kid"], jwk["kid"]);
    let signature = URL_SAFE_NO_PAD.decode(signed.text("value")).unwrap();
    assert!(verified(algorithm, jwk, &signature), "{algorithm}");
    let mut forged = signature.clone();
    forged[20] ^= 1;
    assert!(!verified(algorithm, jwk, &forged), "{algorithm}");
    for (digest, expected) in [(digest, true), (other_digest(hash(algorithm)), false)] {
        let body = json!({
            "alg": algorithm, "digest": encode(digest), "value": encode(&signature),
        });
        let reply = world.send("POST", &format!("{key}/verify"), body).await;
        assert_eq!(reply.body, json!({ "value": expected }), "{algorithm}");
    }
}

fn other_digest(algorithm: &'static Algorithm) -> Digest {
    digest(algorithm, b"another message")
}

#[tokio::test]
async fn every_signature_is_one_the_client_can_verify() {
    let world = World::start().await;
    let rsa = world.get("/keys/signing").await.body;
    // No version is an empty segment for some SDKs.
    signs(&world, "/keys/signing/", "RS256", &rsa["key"]).await;
    for size in [2048, 3072, 4096] {
        let body = json!({ "kty": "RSA", "key_size": size });
        let rsa = world.send("POST", "/keys/rsa/create", body).await.body;
        for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
            signs(&world, "/keys/rsa", algorithm, &rsa["key"]).await;
        }
    }
    for (algorithm, curve) in [
        ("ES256", "P-256"),
        ("ES256K", "P-256K"),
        ("ES384", "P-384"),
        ("ES512", "P-521"),
    ] {
        let body = json!({ "kty": "EC", "crv": curve });
        let key = world.send("POST", "/keys/ec/create", body).await.body;
        signs(&world, "/keys/ec", algorithm, &key["key"]).await;
    }
}

#[tokio::test]
async fn what_is_encrypted_comes_back_by_the_same_algorithm_alone() {
    let world = World::start().await;
    let plain = encode(b"\x00 a plain text \xff");
    for (there, back) in [("encrypt", "decrypt"), ("wrapkey", "unwrapkey")] {
        for algorithm in ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"] {
            let body = json!({ "alg": algorithm, "value": plain });
            let cipher = world
                .send("POST", &format!("/keys/signing/{there}"), body)
                .await;
            assert_eq!(cipher.status, StatusCode::OK);
            assert_ne!(cipher.body["value"], plain);
            // The version that encrypted is named for whoever decrypts.
            let kid = reqwest::Url::parse(cipher.text("kid")).unwrap();
            let path = format!("{}/{back}", kid.path());
            let body = json!({ "alg": algorithm, "value": cipher.text("value") });
            let reply = world.send("POST", &path, body).await;
            assert_eq!(reply.body["value"], plain, "{algorithm}");
            let other = if algorithm == "RSA-OAEP" {
                "RSA-OAEP-256"
            } else {
                "RSA-OAEP"
            };
            let body = json!({ "alg": other, "value": cipher.text("value") });
            let reply = world.send("POST", &path, body).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        }
    }
}

#[tokio::test]
async fn what_the_client_encrypts_with_the_public_key_the_vault_decrypts() {
    let world = World::start().await;
    let key = world.get("/keys/signing").await.body;
    let public = components(&key["key"])
        .to_parsed_public_key(&ANY_RSA)
        .unwrap();
    let der: PublicKeyX509Der<'_> = public.as_der().unwrap();
    let public = PublicEncryptingKey::from_der(der.as_ref()).unwrap();
    let public = OaepPublicEncryptingKey::new(public).unwrap();
    let mut cipher = vec![0; public.ciphertext_size()];
    public
        .encrypt(&OAEP_SHA256_MGF1SHA256, MESSAGE, &mut cipher, None)
        .unwrap();
    let body = json!({ "alg": "RSA-OAEP-256", "value": encode(&cipher) });
    let reply = world.send("POST", "/keys/signing/decrypt", body).await;
    assert_eq!(reply.body["value"], encode(MESSAGE));
}

#[tokio::test]
async fn an_operation_that_does_not_fit_the_key_is_a_bad_parameter() {
    let world = World::start().await;
    let body = json!({ "kty": "EC", "key_ops": ["sign", "verify", "encrypt"] });
    world.send("POST", "/keys/ec/create", body).await;
    let digest = encode(digest(&SHA256, MESSAGE));
    let wide = encode([0; 256]);
    for (key, verb, algorithm, value) in [
        ("signing", "sign", "ES256", &*digest),
        ("signing", "sign", "RS384", &digest),
        ("signing", "sign", "RS256", "AAAA"),
        ("signing", "sign", "RS256", "not base64"),
        ("signing", "sign", "HS256", &digest),
        // Without a digest.
        ("signing", "verify", "RS256", "AAAA"),
        ("signing", "encrypt", "A128GCM", &digest),
        ("signing", "encrypt", "RSA-OAEP", &wide),
        ("signing", "decrypt", "RSA-OAEP", "AAAA"),
        ("ec", "sign", "RS256", &digest),
        ("ec", "sign", "ES384", &digest),
        ("ec", "encrypt", "RSA-OAEP", &digest),
    ] {
        let body = json!({ "alg": algorithm, "value": value });
        let path = format!("/keys/{key}/{verb}");
        let reply = world.send("POST", &path, body.clone()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path} {body}");
        assert_eq!(reply.error().0, "BadParameter", "{path} {body}");
    }
}

#[tokio::test]
async fn key_operations_and_the_key_s_state_are_enforced() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let body = json!({ "kty": "RSA", "key_ops": ["sign", "verify", "decrypt"] });
    let key = world.send("POST", "/keys/a/create", body).await.body;
    let value = encode(digest(&SHA256, MESSAGE));
    let run = async |verb: &str, algorithm: &str| {
        let body = json!({ "alg": algorithm, "value": value, "digest": value });
        world.send("POST", &format!("/keys/a/{verb}"), body).await
    };
    let refused = run("encrypt", "RSA-OAEP").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(
        refused.body,
        json!({ "error": {
            "code": "Forbidden",
            "message": "Operation encrypt is not permitted on this key.",
            "innererror": { "code": "KeyOperationForbidden" },
        }})
    );
    signs(&world, "/keys/a", "RS256", &key["key"]).await;
    let change = json!({ "attributes": { "nbf": now + 10, "exp": now + 20 } });
    world.send("PATCH", "/keys/a", change).await;
    assert_eq!(run("sign", "RS256").await.error().1, Some("KeyNotYetValid"));
    assert_eq!(run("verify", "RS256").await.status, StatusCode::OK);
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(run("sign", "RS256").await.status, StatusCode::OK);
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(run("sign", "RS256").await.error().1, Some("KeyExpired"));
    assert_eq!(run("verify", "RS256").await.status, StatusCode::OK);
    let change = json!({ "attributes": { "enabled": false } });
    world.send("PATCH", "/keys/a", change).await;
    assert_eq!(run("verify", "RS256").await.error().1, Some("KeyDisabled"));
}

#[tokio::test]
async fn what_the_vault_does_not_have_it_says_so() {
    let world = World::start().await;
    for (method, path) in [("GET", "/storage/a/sas"), ("GET", "/")] {
        let reply = world.send(method, path, Value::Null).await;
        assert_eq!(reply.status, StatusCode::NOT_IMPLEMENTED, "{method} {path}");
        assert_eq!(reply.error(), ("NotImplemented", None));
    }
}

#[tokio::test]
async fn a_method_or_verb_that_does_not_exist_is_refused() {
    let world = World::start().await;
    for (method, path, status) in [
        ("GET", "/secrets/app-api-key/latest", 400),
        ("DELETE", "/secrets/app-api-key/versions", 400),
        ("DELETE", "/deletedsecrets/a/purge", 400),
        ("GET", "/keys/signing/sign", 400),
        ("GET", "/keys/signing/rotate", 400),
        ("POST", "/keys/signing/rotationpolicy", 400),
        // Of managed HSMs alone, or of a preview.
        ("GET", "/keys/signing//attestation", 400),
        ("POST", "/keys/signing//securewrapkey", 400),
        ("POST", "/keys/signing//secureunwrapkey", 400),
        ("POST", "/keys/signing//export", 400),
        ("POST", "/rng", 400),
        ("POST", "/secrets/app-api-key", 405),
        ("DELETE", "/secrets", 405),
        ("OPTIONS", "/secrets/app-api-key", 405),
    ] {
        let reply = world.send(method, path, Value::Null).await;
        assert_eq!(reply.status, status, "{method} {path}");
        assert!(!reply.error().0.is_empty());
    }
}

#[tokio::test]
async fn the_api_version_is_required_and_must_be_one_there_is() {
    let world = World::start().await;
    for query in [
        "",
        "?",
        "?api-version=",
        "?api-version=latest",
        "?api-version=9.9",
        "?api-version=2026-04-02",
        "?API-VERSION=7.6",
    ] {
        let reply = read(world.request("GET", &format!("/secrets/app-api-key{query}"))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(reply.error().0, "BadParameter");
    }
    for version in ["2015-06-01", "7.0", "7.6-preview.2", "2026-07-01-preview"] {
        let path = format!("/secrets/app-api-key?api-version={version}");
        let reply = read(world.request("GET", &path)).await;
        assert_eq!(reply.status, StatusCode::OK, "{version}");
    }
}

#[tokio::test]
async fn a_method_override_is_obeyed() {
    let world = World::start().await;
    let path = "/secrets/app-api-key?api-version=7.6";
    for header in ["X-HTTP-Method", "X-HTTP-Request"] {
        let request = world.request("POST", path).header(header, "DELETE");
        assert_eq!(read(request).await.status, StatusCode::OK);
        let gone = world.get("/secrets/app-api-key").await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND);
        let recover = "/deletedsecrets/app-api-key/recover";
        world.send("POST", recover, Value::Null).await;
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let world = World::start().await;
    let request = world.request("PUT", "/secrets/a?api-version=7.6");
    let reply = read(request.body("x".repeat(1024 * 1024 + 1))).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

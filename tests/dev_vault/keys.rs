//! Keys as objects: create, import, get, update, list, delete, back up.

use aws_lc_rs::encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::operations::signs;
use crate::world::World;

#[tokio::test]
async fn an_rsa_key_is_created_in_key_vaults_form() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let sizes = [(Value::Null, 256), (json!(3072), 384), (json!(4096), 512)];
    for (created, (size, modulus_bytes)) in (now..).zip(sizes) {
        let body = json!({ "kty": "RSA", "key_size": size, "tags": { "a": "b" } });
        let reply = world.send("POST", "/keys/Rsa/create", body).await;
        assert_eq!(reply.status, StatusCode::OK);
        let key = &reply.body["key"];
        assert_eq!(key["kty"], "RSA");
        assert_eq!(key["e"], "AQAB");
        let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
        assert_eq!(modulus.len(), modulus_bytes);
        assert_eq!(
            key["key_ops"],
            json!([
                "encrypt",
                "decrypt",
                "sign",
                "verify",
                "wrapKey",
                "unwrapKey"
            ])
        );
        let kid = key["kid"].as_str().unwrap();
        assert!(kid.starts_with(&world.url("/keys/Rsa/")), "{kid}");
        assert_eq!(reply.body["attributes"]["created"], created);
        assert_eq!(reply.body["attributes"]["exportable"], false);
        assert_eq!(reply.body["tags"], json!({ "a": "b" }));
        assert!(key.get("d").is_none() && key.get("p").is_none());
        assert_eq!(world.get("/keys/rsa/").await.body, reply.body);
    }
    let (versions, sizes) = world
        .list("/keys/rsa/versions?api-version=7.6&maxresults=2", "kid")
        .await;
    assert_eq!((versions.len(), sizes), (3, vec![2, 1]));
    let (keys, _) = world.list("/keys?api-version=7.6", "kid").await;
    assert_eq!(keys, [world.url("/keys/Rsa"), world.url("/keys/signing")]);
}

#[tokio::test]
async fn an_elliptic_key_is_created_on_every_curve() {
    let world = World::start().await;
    for (curve, bytes) in [("P-256", 32), ("P-256K", 32), ("P-384", 48), ("P-521", 66)] {
        let body = json!({ "kty": "EC", "crv": curve });
        let reply = world.send("POST", "/keys/ec/create", body).await;
        let key = &reply.body["key"];
        assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!(curve)));
        assert_eq!(key["key_ops"], json!(["sign", "verify"]));
        for coordinate in ["x", "y"] {
            let text = key[coordinate].as_str().unwrap();
            assert_eq!(URL_SAFE_NO_PAD.decode(text).unwrap().len(), bytes);
        }
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_made_is_a_bad_parameter() {
    let world = World::start().await;
    for body in [
        json!({}),
        json!({ "kty": 1 }),
        json!({ "kty": "RSA", "key_size": 1024 }),
        json!({ "kty": "RSA", "key_size": "2048" }),
        json!({ "kty": "RSA", "public_exponent": 3 }),
        json!({ "kty": "EC", "crv": "P-192" }),
        json!({ "kty": "EC", "key_ops": ["fly"] }),
    ] {
        let reply = world.send("POST", "/keys/a/create", body.clone()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(reply.error().0, "BadParameter");
    }
}

#[tokio::test]
async fn what_only_a_managed_hsm_makes_is_refused_in_key_vaults_words() {
    let world = World::start().await;
    for kty in ["oct", "oct-HSM", "OKP", "RSA-HSM-HSM", ""] {
        let refused = [
            world
                .send("POST", "/keys/a/create", json!({ "kty": kty }))
                .await,
            world
                .send("PUT", "/keys/a", json!({ "key": { "kty": kty } }))
                .await,
        ];
        for reply in refused {
            assert_eq!(reply.status, StatusCode::BAD_REQUEST);
            assert_eq!(
                reply.body,
                json!({ "error": {
                    "code": "BadParameter",
                    "message": format!("Invalid kty value: {kty}"),
                    "innererror": { "code": "KeyTypeNotSupported" },
                }})
            );
        }
    }
}

#[tokio::test]
async fn a_key_in_hardware_is_called_so_and_works_like_any_other() {
    let world = World::start().await;
    for (body, algorithm) in [
        (json!({ "kty": "RSA-HSM", "key_size": 3072 }), "PS512"),
        (json!({ "kty": "EC-HSM", "crv": "P-256K" }), "ES256K"),
    ] {
        let created = world.send("POST", "/keys/hsm/create", body.clone()).await;
        assert_eq!(created.status, StatusCode::OK);
        assert_eq!(created.body["key"]["kty"], body["kty"]);
        assert_eq!(created.body["attributes"]["hsmPlatform"], "2");
        signs(&world, "/keys/hsm", algorithm, &created.body["key"]).await;
    }
    for (hardware, kty, expected, platform) in [
        (true, "EC", "EC-HSM", "2"),
        (false, "EC-HSM", "EC-HSM", "2"),
        (false, "EC", "EC", "0"),
    ] {
        let mut jwk = elliptic_jwk();
        jwk["kty"] = kty.into();
        let body = json!({ "key": jwk, "Hsm": hardware });
        let imported = world.send("PUT", "/keys/imported", body).await;
        assert_eq!(imported.body["key"]["kty"], expected);
        assert_eq!(imported.body["attributes"]["hsmPlatform"], platform);
        signs(&world, "/keys/imported", "ES384", &imported.body["key"]).await;
    }
}

#[tokio::test]
async fn a_key_is_updated_deleted_recovered_and_purged() {
    let world = World::start().await;
    let body = json!({ "kty": "EC" });
    let created = world.send("POST", "/keys/a/create", body.clone()).await;
    let change = json!({ "key_ops": ["verify"], "attributes": { "enabled": false } });
    let updated = world.send("PATCH", "/keys/a", change).await;
    assert_eq!(updated.body["key"]["key_ops"], json!(["verify"]));
    assert_eq!(updated.body["attributes"]["enabled"], false);
    // A disabled key still shows its public half.
    assert_eq!(world.get("/keys/a").await.body, updated.body);
    let deleted = world.send("DELETE", "/keys/a", Value::Null).await;
    assert_eq!(deleted.body["recoveryId"], world.url("/deletedkeys/a"));
    assert_eq!(deleted.body["key"]["x"], created.body["key"]["x"]);
    assert_eq!(world.get("/keys/a").await.error(), ("KeyNotFound", None));
    let conflict = world.send("POST", "/keys/a/create", body).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    assert_eq!(world.get("/deletedkeys/a").await.body, deleted.body);
    let (kids, _) = world.list("/deletedkeys?api-version=7.6", "kid").await;
    assert_eq!(kids, [world.url("/keys/a")]);
    let path = "/deletedkeys/a/recover";
    assert_eq!(
        world.send("POST", path, Value::Null).await.body,
        updated.body
    );
    world.send("DELETE", "/keys/a", Value::Null).await;
    let purged = world.send("DELETE", "/deletedkeys/a", Value::Null).await;
    assert_eq!(purged.status, StatusCode::NO_CONTENT);
    let missing = world.get("/deletedkeys/a").await;
    assert_eq!(missing.body["error"]["message"], "Deleted Key not found: a");
}

#[tokio::test]
async fn a_backup_of_a_key_brings_back_the_same_key() {
    let world = World::start().await;
    for kind in [
        json!({ "kty": "RSA" }),
        json!({ "kty": "EC", "crv": "P-521" }),
    ] {
        world.send("POST", "/keys/a/create", kind).await;
    }
    let before = world.get("/keys/a").await.body;
    let backup = world.send("POST", "/keys/a/backup", Value::Null).await;
    world.send("DELETE", "/keys/a", Value::Null).await;
    world.send("DELETE", "/deletedkeys/a", Value::Null).await;
    let blob = json!({ "value": backup.text("value") });
    let restored = world.send("POST", "/keys/restore", blob).await;
    assert_eq!(restored.status, StatusCode::OK);
    assert_eq!(restored.body, before);
    signs(&world, "/keys/a", "ES512", &before["key"]).await;
    let (versions, _) = world.list("/keys/a/versions?api-version=7.6", "kid").await;
    let first = reqwest::Url::parse(&versions[0]).unwrap();
    let rsa = world.get(first.path()).await.body;
    signs(&world, first.path(), "PS256", &rsa["key"]).await;
}

#[tokio::test]
async fn an_imported_key_signs_as_itself() {
    let world = World::start().await;
    for (algorithm, jwk) in [("ES384", elliptic_jwk()), ("RS256", rsa_jwk())] {
        let body = json!({ "key": jwk, "attributes": { "enabled": true } });
        let reply = world.send("PUT", "/keys/imported", body).await;
        assert_eq!(reply.status, StatusCode::OK, "{algorithm}");
        let key = &reply.body["key"];
        assert!(key.get("d").is_none());
        for member in ["n", "e", "x", "y"] {
            assert_eq!(key.get(member), jwk.get(member), "{algorithm} {member}");
        }
        signs(&world, "/keys/imported", algorithm, key).await;
    }
}

#[tokio::test]
async fn a_key_whose_parts_do_not_belong_together_is_not_imported() {
    let world = World::start().await;
    let mut mixed = elliptic_jwk();
    mixed["d"] = elliptic_jwk()["d"].clone();
    let mut mixed_rsa = rsa_jwk();
    mixed_rsa["d"] = rsa_jwk()["d"].clone();
    let mut missing = rsa_jwk();
    missing.as_object_mut().unwrap().remove("qi");
    for jwk in [
        mixed,
        mixed_rsa,
        missing,
        json!({ "kty": "oct", "k": "AAAA" }),
    ] {
        let secret = jwk["d"].as_str().unwrap_or("AAAA").to_owned();
        let reply = world.send("PUT", "/keys/a", json!({ "key": jwk })).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        assert!(!reply.body.to_string().contains(&secret));
    }
}

fn elliptic_jwk() -> Value {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let d: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(48);
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({
        "kty": "EC", "crv": "P-384", "key_ops": ["sign", "verify"],
        "d": encode(d.as_ref()), "x": encode(x), "y": encode(y),
    })
}

fn rsa_jwk() -> Value {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let outer = elements(pkcs8.as_ref());
    let wrapped = elements(outer[0]);
    // PrivateKeyInfo holds version, algorithm and an octet string with RSAPrivateKey.
    let numbers = elements(elements(wrapped[2])[0]);
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let mut jwk = json!({ "kty": "RSA" });
    for (name, number) in names.iter().zip(&numbers[1..]) {
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        jwk[*name] = URL_SAFE_NO_PAD.encode(number).into();
    }
    jwk
}

/// The contents of the DER elements that follow each other in `der`.
fn elements(mut der: &[u8]) -> Vec<&[u8]> {
    let mut contents = Vec::new();
    while let [_, length, rest @ ..] = der {
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            long => {
                let (bytes, rest) = rest.split_at(usize::from(long & 0x7f));
                let length = bytes.iter().fold(0, |sum, b| (sum << 8) | usize::from(*b));
                (length, rest)
            }
        };
        let (content, rest) = rest.split_at(length);
        contents.push(content);
        der = rest;
    }
    contents
}

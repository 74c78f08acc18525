//! Keys: made, used, and their public half taken home.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use azure_core::http::StatusCode;
use azure_security_keyvault_keys::models::{
    CreateKeyParameters, CurveName, EncryptionAlgorithm, JsonWebKey, KeyOperationParameters,
    KeyOperationResult, KeyRotationPolicy, KeyRotationPolicyAction, KeyType, LifetimeAction,
    LifetimeActionTrigger, LifetimeActionType, SignParameters, SignatureAlgorithm,
    VerifyParameters,
};
use azure_security_keyvault_keys::{KeyClient, ResourceExt as _, ResourceId};
use futures_util::TryStreamExt as _;
use portcullis::dev::people;

use crate::gate::{Gate, Refusal};

const MESSAGE: &[u8] = b"transfer 100 to Alice";

async fn create(client: &KeyClient, name: &str, kty: KeyType) -> (JsonWebKey, String) {
    let curve = (kty == KeyType::Ec).then_some(CurveName::P256);
    let parameters = CreateKeyParameters {
        kty: Some(kty),
        curve,
        ..CreateKeyParameters::default()
    };
    let body = parameters.try_into().unwrap();
    let key = client.create_key(name, body, None).await.unwrap();
    let key = key.into_model().unwrap();
    let version = key.resource_id().unwrap().version.unwrap();
    (key.key.unwrap(), version)
}

async fn sign(client: &KeyClient, name: &str, algorithm: SignatureAlgorithm) -> KeyOperationResult {
    let parameters = SignParameters {
        algorithm: Some(algorithm),
        value: Some(digest(&SHA256, MESSAGE).as_ref().to_vec()),
    };
    let body = parameters.try_into().unwrap();
    let signed = client.sign(name, body, None).await.unwrap();
    signed.into_model().unwrap()
}

fn operation(algorithm: EncryptionAlgorithm, value: Vec<u8>) -> KeyOperationParameters {
    KeyOperationParameters {
        algorithm: Some(algorithm),
        value: Some(value),
        ..KeyOperationParameters::default()
    }
}

#[tokio::test]
async fn an_ec_signature_holds_under_the_public_key() {
    let gate = Gate::start().await;
    let client = gate.keys(people::ADMIN);
    let (key, version) = create(&client, "ec", KeyType::Ec).await;
    let signed = sign(&client, "ec", SignatureAlgorithm::Es256).await;
    // `kid` leads to the proxy: crypto clients of other languages connect to its host.
    let kid = format!("{}/keys/ec/{version}", gate.url);
    assert_eq!(key.kid.as_ref(), Some(&kid));
    assert_eq!(signed.kid.as_ref(), Some(&kid));
    let point = [&[4][..], &key.x.unwrap(), &key.y.unwrap()].concat();
    let signature = signed.result.unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(MESSAGE, &signature)
        .unwrap();

    let verify = |signature: Vec<u8>| VerifyParameters {
        algorithm: Some(SignatureAlgorithm::Es256),
        digest: Some(digest(&SHA256, MESSAGE).as_ref().to_vec()),
        signature: Some(signature),
    };
    let mut forged = signature.clone();
    forged[7] ^= 1;
    for (signature, expected) in [(signature, true), (forged, false)] {
        let body = verify(signature).try_into().unwrap();
        let verified = client.verify("ec", &version, body, None).await.unwrap();
        assert_eq!(verified.into_model().unwrap().value, Some(expected));
    }
    gate.finish().await;
}

#[tokio::test]
async fn an_rsa_signature_holds_under_the_public_key() {
    let gate = Gate::start().await;
    let client = gate.keys(people::ADMIN);
    let (key, _) = create(&client, "rsa", KeyType::Rsa).await;
    let signed = sign(&client, "rsa", SignatureAlgorithm::Rs256).await;
    let public = RsaPublicKeyComponents {
        n: key.n.unwrap(),
        e: key.e.unwrap(),
    };
    public
        .verify(
            &RSA_PKCS1_2048_8192_SHA256,
            MESSAGE,
            &signed.result.unwrap(),
        )
        .unwrap();
    gate.finish().await;
}

#[tokio::test]
async fn what_is_encrypted_and_wrapped_comes_back() {
    let gate = Gate::start().await;
    let client = gate.keys(people::CRYPTO_USER);
    let name = people::SIGNING_KEY;
    let plain = b"thirty-two bytes of key material".to_vec();

    let body = operation(EncryptionAlgorithm::RsaOaep256, plain.clone());
    let cipher = client.encrypt(name, body.try_into().unwrap(), None).await;
    let cipher = cipher.unwrap().into_model().unwrap();
    let id: ResourceId = cipher.kid.unwrap().parse().unwrap();
    let version = id.version.unwrap();
    let cipher = cipher.result.unwrap();
    assert_ne!(cipher, plain);
    // Without a version the SDK sends `//`, with one it does not; both mean the operation.
    for version in ["", &version] {
        let body = operation(EncryptionAlgorithm::RsaOaep256, cipher.clone());
        let body = body.try_into().unwrap();
        let decrypted = client.decrypt(name, version, body, None).await.unwrap();
        assert_eq!(decrypted.into_model().unwrap().result, Some(plain.clone()));
    }

    let body = operation(EncryptionAlgorithm::RsaOaep, plain.clone());
    let wrapped = client.wrap_key(name, body.try_into().unwrap(), None).await;
    let wrapped = wrapped.unwrap().into_model().unwrap().result.unwrap();
    let body = operation(EncryptionAlgorithm::RsaOaep, wrapped);
    let body = body.try_into().unwrap();
    let unwrapped = client.unwrap_key(name, &version, body, None).await;
    assert_eq!(unwrapped.unwrap().into_model().unwrap().result, Some(plain));
    gate.finish().await;
}

#[tokio::test]
async fn a_key_is_listed_deleted_recovered_and_restored() {
    let gate = Gate::start().await;
    let client = gate.keys(people::ADMIN);
    create(&client, "k", KeyType::Ec).await;
    create(&client, "k", KeyType::Ec).await;
    let listed: Vec<_> = client
        .list_key_properties(None)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let mut names: Vec<_> = listed
        .iter()
        .map(|key| key.resource_id().unwrap().name)
        .collect();
    names.sort();
    assert_eq!(names, ["k", people::SIGNING_KEY]);
    let versions: Vec<_> = client
        .list_key_properties_versions("k", None)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(versions.len(), 2);
    let backup = client.backup_key("k", None).await.unwrap();
    let blob = backup.into_model().unwrap().value;
    client.delete_key("k", None).await.unwrap();
    client.recover_deleted_key("k", None).await.unwrap();
    client.delete_key("k", None).await.unwrap();
    client.purge_deleted_key("k", None).await.unwrap();
    let gone = Refusal::of(client.get_key("k", None).await);
    assert_eq!(gone.status, StatusCode::NotFound);
    let restore = azure_security_keyvault_keys::models::RestoreKeyParameters { key_backup: blob };
    let body = restore.try_into().unwrap();
    client.restore_key(body, None).await.unwrap();
    client.get_key("k", None).await.unwrap();
    gate.finish().await;
}

#[tokio::test]
async fn who_may_use_keys_may_not_make_or_delete_them() {
    let gate = Gate::start().await;
    let client = gate.keys(people::CRYPTO_USER);
    sign(&client, people::SIGNING_KEY, SignatureAlgorithm::Rs256).await;
    let reached = gate.journal().len();
    let parameters = CreateKeyParameters {
        kty: Some(KeyType::Ec),
        ..CreateKeyParameters::default()
    };
    let body = parameters.try_into().unwrap();
    for (refused, action) in [
        (
            Refusal::of(client.create_key("mine", body, None).await),
            "Microsoft.KeyVault/vaults/keys/create/action",
        ),
        (
            Refusal::of(client.delete_key(people::SIGNING_KEY, None).await),
            "Microsoft.KeyVault/vaults/keys/delete",
        ),
    ] {
        assert_eq!(refused.status, StatusCode::Forbidden);
        assert_eq!(refused.reason.as_deref(), Some("action_not_granted"));
        assert!(refused.message.contains(&format!("Action: '{action}'")));
    }
    assert_eq!(gate.journal().len(), reached);
    gate.finish().await;
}

#[tokio::test]
async fn a_key_is_rotated_and_its_policy_kept_through_the_proxy() {
    let gate = Gate::start().await;
    let client = gate.keys(people::ADMIN);
    let name = people::SIGNING_KEY;
    let before = client.get_key(name, None).await.unwrap();
    let before = before.into_model().unwrap().resource_id().unwrap();
    let policy = KeyRotationPolicy {
        lifetime_actions: Some(vec![LifetimeAction {
            action: Some(LifetimeActionType {
                type_prop: Some(KeyRotationPolicyAction::Rotate),
            }),
            trigger: Some(LifetimeActionTrigger {
                time_after_create: Some("P90D".to_owned()),
                time_before_expiry: None,
            }),
        }]),
        ..KeyRotationPolicy::default()
    };
    let set = client.update_key_rotation_policy(name, policy.try_into().unwrap(), None);
    let set = set.await.unwrap().into_model().unwrap();
    let kept = client.get_key_rotation_policy(name, None).await.unwrap();
    let kept = kept.into_model().unwrap();
    assert_eq!(kept.id, set.id);
    assert_eq!(kept.lifetime_actions.unwrap().len(), 2);
    let rotated = client.rotate_key(name, None).await.unwrap();
    let rotated = rotated.into_model().unwrap().resource_id().unwrap();
    assert_eq!(rotated.name, before.name);
    assert_ne!(rotated.version, before.version);
    gate.finish().await;
}

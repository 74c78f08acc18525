//! The Azure SDK for Rust straight against the vault: what its clients accept is Key Vault's form.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::{ClientOptions, StatusCode, Transport};
use azure_core::time::{Duration, OffsetDateTime};
use azure_security_keyvault_keys::models::{
    CreateKeyParameters, CurveName, EncryptionAlgorithm, KeyAttributes, KeyOperationParameters,
    KeyReleasePolicy, KeyType, ReleaseParameters, SignParameters, SignatureAlgorithm,
    VerifyParameters,
};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions, ResourceExt as _};
use azure_security_keyvault_secrets::models::{
    RestoreSecretParameters, SetSecretParameters, UpdateSecretPropertiesParameters,
};
use azure_security_keyvault_secrets::{ResourceExt as _, SecretClient, SecretClientOptions};
use futures_util::TryStreamExt as _;
use portcullis::dev::people;

use crate::world::{World, client, read};

/// Asks the embedded issuer, as the real credentials ask Entra ID.
#[derive(Debug)]
pub(crate) struct IssuerCredential {
    client: reqwest::Client,
    token_url: String,
    secret: String,
}

#[async_trait]
impl TokenCredential for IssuerCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let client_id = people::ADMIN.client_id.to_string();
        let form = reqwest::Url::parse_with_params(
            "form:",
            [
                ("grant_type", "client_credentials"),
                ("client_id", &client_id),
                ("client_secret", &self.secret),
                ("scope", scopes[0]),
            ],
        )
        .unwrap();
        let body = form.query().unwrap().to_owned();
        let reply = read(self.client.post(&self.token_url).body(body)).await;
        let expires = OffsetDateTime::now_utc() + Duration::hours(1);
        Ok(AccessToken::new(
            reply.text("access_token").to_owned(),
            expires,
        ))
    }
}

pub(crate) fn credential(world: &World) -> Arc<IssuerCredential> {
    Arc::new(IssuerCredential {
        client: world.client.clone(),
        token_url: format!("{}/oauth2/v2.0/token", world.issuer.tenant_url()),
        secret: world.issuer.client_secret().to_owned(),
    })
}

pub(crate) fn options(world: &World) -> ClientOptions {
    let transport = client(&world.pki, world.vault.address());
    ClientOptions {
        transport: Some(Transport::new(Arc::new(transport))),
        ..ClientOptions::default()
    }
}

fn secrets(world: &World) -> SecretClient {
    // The host is under vault.azure.net, so the SDK's check of the challenge stays on.
    let options = SecretClientOptions {
        client_options: options(world),
        ..SecretClientOptions::default()
    };
    SecretClient::new(&world.url("/"), credential(world), Some(options)).unwrap()
}

fn keys(world: &World) -> KeyClient {
    let options = KeyClientOptions {
        client_options: options(world),
        ..KeyClientOptions::default()
    };
    KeyClient::new(&world.url("/"), credential(world), Some(options)).unwrap()
}

#[tokio::test]
async fn the_sdk_lives_through_the_life_of_a_secret() {
    let world = World::start().await;
    let client = secrets(&world);
    let set = SetSecretParameters {
        value: Some("hush".into()),
        ..SetSecretParameters::default()
    };
    let body = set.try_into().unwrap();
    let secret = client.set_secret("a", body, None).await.unwrap();
    let secret = secret.into_model().unwrap();
    let version = secret.resource_id().unwrap().version.unwrap();
    // The SDK's first request was a probe without a token.
    assert_eq!(world.vault.journal()[0].caller, None);
    assert_eq!(world.vault.journal_len(), 2);
    let update = UpdateSecretPropertiesParameters {
        content_type: Some("text/plain".into()),
        ..UpdateSecretPropertiesParameters::default()
    };
    client
        .update_secret_properties("a", update.try_into().unwrap(), None)
        .await
        .unwrap();
    let got = client.get_secret("a", None).await.unwrap();
    let got = got.into_model().unwrap();
    assert_eq!(got.value.as_deref(), Some("hush"));
    assert_eq!(got.content_type.as_deref(), Some("text/plain"));
    assert_eq!(got.resource_id().unwrap().version, Some(version));
    let backup = client.backup_secret("a", None).await.unwrap();
    let blob = backup.into_model().unwrap().value;
    client.delete_secret("a", None).await.unwrap();
    let gone = client.get_secret("a", None).await.unwrap_err();
    assert_eq!(gone.http_status(), Some(StatusCode::NotFound));
    client.recover_deleted_secret("a", None).await.unwrap();
    client.delete_secret("a", None).await.unwrap();
    client.purge_deleted_secret("a", None).await.unwrap();
    let restore = RestoreSecretParameters {
        secret_backup: blob,
    };
    client
        .restore_secret(restore.try_into().unwrap(), None)
        .await
        .unwrap();
    let got = client.get_secret("a", None).await.unwrap();
    assert_eq!(got.into_model().unwrap().value.as_deref(), Some("hush"));
}

#[tokio::test]
async fn the_sdk_follows_a_list_to_its_end() {
    let world = World::start().await;
    let client = secrets(&world);
    for number in 0..30 {
        let set = SetSecretParameters {
            value: Some("v".into()),
            ..SetSecretParameters::default()
        };
        let name = format!("s{number}");
        client
            .set_secret(&name, set.try_into().unwrap(), None)
            .await
            .unwrap();
    }
    let listed: Vec<_> = client
        .list_secret_properties(None)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed.len(), 33);
}

#[tokio::test]
async fn the_sdk_signs_verifies_and_decrypts() {
    let world = World::start().await;
    let client = keys(&world);
    let create = CreateKeyParameters {
        kty: Some(KeyType::Ec),
        curve: Some(CurveName::P256),
        ..CreateKeyParameters::default()
    };
    let key = client
        .create_key("ec", create.try_into().unwrap(), None)
        .await
        .unwrap()
        .into_model()
        .unwrap();
    let version = key.resource_id().unwrap().version.unwrap();
    let digest = digest(&SHA256, b"message").as_ref().to_vec();
    let sign = SignParameters {
        algorithm: Some(SignatureAlgorithm::Es256),
        value: Some(digest.clone()),
    };
    let signature = client
        .sign("ec", sign.try_into().unwrap(), None)
        .await
        .unwrap()
        .into_model()
        .unwrap();
    let verify = VerifyParameters {
        algorithm: Some(SignatureAlgorithm::Es256),
        digest: Some(digest),
        signature: signature.result,
    };
    let verified = client
        .verify("ec", &version, verify.try_into().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(verified.into_model().unwrap().value, Some(true));
    let operation = |value| KeyOperationParameters {
        algorithm: Some(EncryptionAlgorithm::RsaOaep256),
        value,
        ..KeyOperationParameters::default()
    };
    let plain = Some(b"plain".to_vec());
    let body = operation(plain.clone()).try_into().unwrap();
    let cipher = client.encrypt("signing", body, None).await.unwrap();
    let cipher = cipher.into_model().unwrap().result;
    let body = operation(cipher).try_into().unwrap();
    let decrypted = client.decrypt("signing", "", body, None).await.unwrap();
    assert_eq!(decrypted.into_model().unwrap().result, plain);
}

#[tokio::test]
async fn the_sdk_makes_an_exportable_key_rotates_it_and_is_refused_its_release() {
    let world = World::start().await;
    let client = keys(&world);
    let rules = r#"{"version":"1.0.0","anyOf":[{"authority":"https://attest.example/","allOf":[{"claim":"a","equals":"b"}]}]}"#;
    let policy = KeyReleasePolicy {
        encoded_policy: Some(rules.into()),
        immutable: Some(true),
        ..KeyReleasePolicy::default()
    };
    let create = CreateKeyParameters {
        kty: Some(KeyType::EcHsm),
        key_attributes: Some(KeyAttributes {
            exportable: Some(true),
            ..KeyAttributes::default()
        }),
        release_policy: Some(policy),
        ..CreateKeyParameters::default()
    };
    let created = client.create_key("k", create.try_into().unwrap(), None);
    let created = created.await.unwrap().into_model().unwrap();
    let rotated = client.rotate_key("k", None).await.unwrap();
    let rotated = rotated.into_model().unwrap();
    let ids = [&created, &rotated].map(|key| key.resource_id().unwrap().version);
    assert_ne!(ids[0], ids[1]);
    for key in [created, rotated] {
        let attributes = key.attributes.unwrap();
        assert_eq!(attributes.exportable, Some(true));
        assert_eq!(attributes.hsm_platform.as_deref(), Some("2"));
        let policy = key.release_policy.unwrap();
        assert_eq!(policy.encoded_policy.as_deref(), Some(rules.as_bytes()));
        assert_eq!(policy.immutable, Some(true));
        assert_eq!(key.key.unwrap().kty, Some(KeyType::EcHsm));
    }
    let release = ReleaseParameters {
        target_attestation_token: Some("a.b.c".into()),
        ..ReleaseParameters::default()
    };
    let refused = client.release("k", release.try_into().unwrap(), None);
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.http_status(), Some(StatusCode::Forbidden));
}

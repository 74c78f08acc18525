//! The Azure SDK for Rust with certificates: what its client accepts is Key Vault's form.

use std::time::Duration;

use azure_core::http::StatusCode;
use azure_security_keyvault_certificates::models::{
    CertificateOperation, CertificatePolicy, Contact, Contacts, CreateCertificateParameters,
    CurveName, ImportCertificateParameters, IssuerParameters, KeyProperties, KeyType,
    RestoreCertificateParameters, SetIssuerParameters, UpdateCertificateOperationParameter,
    UpdateCertificatePropertiesParameters, X509CertificateProperties,
};
use azure_security_keyvault_certificates::{
    CertificateClient, CertificateClientOptions, ResourceExt as _,
};
use futures_util::TryStreamExt as _;
use portcullis::dev::vault::CertificatePace;

use crate::sdk::{credential, options};
use crate::world::World;

fn certificates(world: &World) -> CertificateClient {
    // The SDK's poller waits as long as it is told to.
    world.vault.pace_certificates(CertificatePace {
        polls: 2,
        retry_after: Duration::ZERO,
    });
    let options = CertificateClientOptions {
        client_options: options(world),
        ..CertificateClientOptions::default()
    };
    CertificateClient::new(&world.url("/"), credential(world), Some(options)).unwrap()
}

fn policy(issuer: &str) -> CertificatePolicy {
    CertificatePolicy {
        issuer_parameters: Some(IssuerParameters {
            name: Some(issuer.into()),
            ..IssuerParameters::default()
        }),
        key_properties: Some(KeyProperties {
            key_type: Some(KeyType::Ec),
            curve: Some(CurveName::P256),
            ..KeyProperties::default()
        }),
        x509_certificate_properties: Some(X509CertificateProperties {
            subject: Some("CN=a.example".into()),
            ..X509CertificateProperties::default()
        }),
        ..CertificatePolicy::default()
    }
}

fn create(issuer: &str) -> CreateCertificateParameters {
    CreateCertificateParameters {
        certificate_policy: Some(policy(issuer)),
        ..CreateCertificateParameters::default()
    }
}

/// Creates and polls to the end.
async fn made(client: &CertificateClient, name: &str) -> Vec<u8> {
    let body = create("Self").try_into().unwrap();
    let poller = client.begin_create_certificate(name, body, None).unwrap();
    let certificate = poller.await.unwrap().into_model().unwrap();
    certificate.cer.unwrap()
}

#[tokio::test]
async fn the_sdk_lives_through_the_life_of_a_certificate() {
    let world = World::start().await;
    let client = certificates(&world);
    let cer = made(&client, "a").await;
    let got = client.get_certificate("a", None).await.unwrap();
    let got = got.into_model().unwrap();
    assert_eq!(got.cer.as_ref(), Some(&cer));
    assert_eq!(got.resource_id().unwrap().name, "a");
    assert_eq!(got.x509_thumbprint.unwrap().len(), 20);
    let update = UpdateCertificatePropertiesParameters {
        tags: Some([("a".to_owned(), "b".to_owned())].into()),
        ..UpdateCertificatePropertiesParameters::default()
    };
    let update = update.try_into().unwrap();
    let updated = client
        .update_certificate_properties("a", update, None)
        .await;
    assert_eq!(
        updated.unwrap().into_model().unwrap().tags.unwrap()["a"],
        "b"
    );
    let backup = client.backup_certificate("a", None).await.unwrap();
    let blob = backup.into_model().unwrap().value;
    let deleted = client.delete_certificate("a", None).await.unwrap();
    assert!(deleted.into_model().unwrap().recovery_id.is_some());
    let gone = client.get_certificate("a", None).await.unwrap_err();
    assert_eq!(gone.http_status(), Some(StatusCode::NotFound));
    client.get_deleted_certificate("a", None).await.unwrap();
    client.recover_deleted_certificate("a", None).await.unwrap();
    client.delete_certificate("a", None).await.unwrap();
    client.purge_deleted_certificate("a", None).await.unwrap();
    let restore = RestoreCertificateParameters {
        certificate_backup: blob,
    };
    let restored = client
        .restore_certificate(restore.try_into().unwrap(), None)
        .await;
    assert_eq!(restored.unwrap().into_model().unwrap().cer, Some(cer));
}

#[tokio::test]
async fn the_sdk_lists_certificates_and_their_versions() {
    let world = World::start().await;
    let client = certificates(&world);
    for name in ["a", "a", "b"] {
        made(&client, name).await;
    }
    let listed = client.list_certificate_properties(None).unwrap();
    let listed: Vec<_> = listed.try_collect().await.unwrap();
    assert_eq!(listed.len(), 2);
    let versions = client
        .list_certificate_properties_versions("a", None)
        .unwrap();
    let versions: Vec<_> = versions.try_collect().await.unwrap();
    assert_eq!(versions.len(), 2);
    let policy = client.get_certificate_policy("a", None).await.unwrap();
    let policy = policy.into_model().unwrap();
    let changed = client
        .update_certificate_policy("a", policy.try_into().unwrap(), None)
        .await
        .unwrap();
    let changed = changed.into_model().unwrap().key_properties.unwrap();
    assert_eq!(changed.curve, Some(CurveName::P256));
}

#[tokio::test]
async fn the_sdk_looks_at_cancels_and_forgets_what_is_pending() {
    let world = World::start().await;
    let client = certificates(&world);
    let begin = create("Unknown").try_into().unwrap();
    let mut poller = client.begin_create_certificate("a", begin, None).unwrap();
    let begun = poller.try_next().await.unwrap().unwrap();
    let begun: CertificateOperation = begun.into_model().unwrap();
    assert_eq!(begun.status.as_deref(), Some("inProgress"));
    let looked = client.get_certificate_operation("a", None).await.unwrap();
    assert_eq!(looked.into_model().unwrap().csr, begun.csr);
    let cancel = UpdateCertificateOperationParameter {
        cancellation_requested: Some(true),
    };
    let asked = client
        .update_certificate_operation("a", cancel.try_into().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(
        asked.into_model().unwrap().cancellation_requested,
        Some(true)
    );
    client
        .delete_certificate_operation("a", None)
        .await
        .unwrap();
    let gone = client
        .get_certificate_operation("a", None)
        .await
        .unwrap_err();
    assert_eq!(gone.http_status(), Some(StatusCode::NotFound));
}

#[tokio::test]
async fn the_sdk_imports_what_the_vault_exports() {
    let world = World::start().await;
    let client = certificates(&world);
    let cer = made(&client, "a").await;
    let secret = world.get("/secrets/a").await;
    let import = ImportCertificateParameters {
        base64_encoded_certificate: Some(secret.text("value").to_owned()),
        ..ImportCertificateParameters::default()
    };
    let imported = client
        .import_certificate("b", import.try_into().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(imported.into_model().unwrap().cer, Some(cer));
}

#[tokio::test]
async fn the_sdk_keeps_issuers_and_contacts() {
    let world = World::start().await;
    let client = certificates(&world);
    let issuer = SetIssuerParameters {
        provider: Some("DigiCert".into()),
        ..SetIssuerParameters::default()
    };
    client
        .set_issuer("digi", issuer.try_into().unwrap(), None)
        .await
        .unwrap();
    let got = client.get_issuer("digi", None).await.unwrap();
    assert_eq!(
        got.into_model().unwrap().provider.as_deref(),
        Some("DigiCert")
    );
    let listed = client.list_issuer_properties(None).unwrap();
    let listed: Vec<_> = listed.try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    client.delete_issuer("digi", None).await.unwrap();
    let contacts = Contacts {
        contact_list: Some(vec![Contact {
            email: Some("a@b.c".into()),
            ..Contact::default()
        }]),
        ..Contacts::default()
    };
    client
        .set_contacts(contacts.try_into().unwrap(), None)
        .await
        .unwrap();
    let got = client.get_contacts(None).await.unwrap();
    assert_eq!(got.into_model().unwrap().contact_list.unwrap().len(), 1);
    client.delete_contacts(None).await.unwrap();
    assert!(client.get_contacts(None).await.is_err());
}

//! The client for certificates: the embedded vault has none, but the proxy decides all the same.

use azure_core::http::StatusCode;
use futures_util::TryStreamExt as _;
use portcullis::dev::people;

use crate::gate::{Gate, Refusal};

#[tokio::test]
async fn an_allowed_call_reaches_the_vault_which_says_what_it_lacks() {
    let gate = Gate::start().await;
    let client = gate.certificates(people::ADMIN);
    let refused = Refusal::of(client.get_certificate("web", None).await);
    assert_eq!(refused.status, StatusCode::NotFound);
    assert_eq!(refused.code, "CertificateNotFound");
    assert!(refused.message.contains("was not found in this key vault"));
    // Said by the vault: an application sees the difference.
    assert_eq!((refused.inner, refused.reason), (None, None));
    let journal = gate.journal();
    assert_eq!(journal.len(), 1);
    assert!(journal[0].path_and_query.starts_with("/certificates/web/?"));
    gate.finish().await;
}

#[tokio::test]
async fn a_refused_call_says_so_and_never_reaches_the_vault() {
    let gate = Gate::start().await;
    let client = gate.certificates(people::SECRETS_USER);
    let refused = Refusal::of(client.get_certificate("web", None).await);
    assert_eq!(refused.status, StatusCode::Forbidden);
    assert_eq!(refused.code, "Forbidden");
    assert_eq!(refused.inner.as_deref(), Some("ForbiddenByPortcullis"));
    assert!(
        refused
            .message
            .contains("Action: 'Microsoft.KeyVault/vaults/certificates/read'")
    );
    let listed = client.list_certificate_properties(None).unwrap();
    let refused = Refusal::of(listed.try_collect::<Vec<_>>().await);
    assert_eq!(refused.inner.as_deref(), Some("ForbiddenByPortcullis"));
    assert_eq!(gate.journal().len(), 0);
    gate.finish().await;
}

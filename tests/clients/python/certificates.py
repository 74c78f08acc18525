"""Every operation on certificates, and the key and secret behind one."""

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.certificates import (AdministratorContact, CertificateClient,
                                         CertificateContact, CertificateContentType,
                                         CertificatePolicy, CertificatePolicyAction, KeyCurveName,
                                         KeyType, LifetimeAction, WellKnownIssuerNames)
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import SignatureAlgorithm
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from harness.x509 import authority, der, sign

SOON = {"_polling_interval": 0.05}
NOT_FOUND = {"error": {"code": "CertificateNotFound", "message": "not yet"}}


def self_signed(name, **more):
    return CertificatePolicy(WellKnownIssuerNames.self, subject=f"CN={name}", **more)


def create(suite):
    client = suite.client(CertificateClient)
    policy = self_signed("first.example.com", san_dns_names=["first.example.com"],
                         validity_in_months=6, key_type=KeyType.rsa, key_size=2048,
                         content_type=CertificateContentType.pem)
    made = suite.drive(client, "begin_create_certificate", "first", policy, tags={"a": "b"}, **SOON)
    parsed = x509.load_der_x509_certificate(bytes(made.cer))
    suite.check(parsed.subject.rfc4514_string() == "CN=first.example.com", "the subject")
    parsed.verify_directly_issued_by(parsed)
    suite.check(made.properties.x509_thumbprint == parsed.fingerprint(hashes.SHA1()), "thumbprint")
    for link in (made.id, made.key_id, made.secret_id):
        suite.check(link.startswith(suite.place["vault_url"] + "/"), "ids of this host")
    curve = self_signed("curve.example.com", key_type=KeyType.ec, key_curve_name=KeyCurveName.p_384)
    suite.drive(client, "begin_create_certificate", "curve", curve, variant="EC P-384", **SOON)


def key_and_secret(suite):
    """A certificate's key signs, and its secret is the whole of it."""
    client = suite.client(CertificateClient)
    made = client.get_certificate("first")
    secret = suite.drive(suite.client(SecretClient), "get_secret", "first",
                         made.properties.version, variant="of a certificate")
    suite.check("BEGIN PRIVATE KEY" in secret.value and "BEGIN CERTIFICATE" in secret.value, "PEM")
    suite.check(secret.properties.key_id == made.key_id, "its key's id")
    key = suite.drive(suite.client(KeyClient), "get_key", "first", variant="of a certificate")
    suite.check(key.properties.managed is True, "a managed key")
    signer = suite.crypto(made.key_id)
    signed = suite.drive(signer, "sign", SignatureAlgorithm.rs256, bytes(32),
                         variant="with a certificate's key")
    suite.check(signer.verify(SignatureAlgorithm.rs256, bytes(32), signed.signature).is_valid,
                "a good signature")


def read_and_update(suite):
    client = suite.client(CertificateClient)
    latest = suite.drive(client, "get_certificate", "first")
    version = latest.properties.version
    suite.check(latest.policy.subject == "CN=first.example.com", "with its policy")
    same = suite.drive(client, "get_certificate_version", "first", version)
    suite.check(same.cer == latest.cer, "the same")
    suite.drive(client, "get_certificate", "nope", variant="that is not there",
                expect=ResourceNotFoundError)
    changed = suite.drive(client, "update_certificate_properties", "first", tags={"q": "r"})
    suite.check(changed.properties.tags == {"q": "r"}, "tags")
    suite.drive(client, "update_certificate_properties", "first", version, variant="a version",
                enabled=True)


def policy(suite):
    client = suite.client(CertificateClient)
    first = suite.drive(client, "get_certificate_policy", "first")
    suite.check(first.validity_in_months == 6, "the policy it was made by")
    renewal = LifetimeAction(CertificatePolicyAction.auto_renew, lifetime_percentage=70)
    wanted = self_signed("first.example.com", validity_in_months=12, lifetime_actions=[renewal])
    changed = suite.drive(client, "update_certificate_policy", "first", wanted)
    suite.check(changed.validity_in_months == 12, "the new policy")
    suite.check(changed.lifetime_actions[0].lifetime_percentage == 70, "its action")


def lists(suite):
    client = suite.client(CertificateClient)
    client.begin_create_certificate("first", self_signed("again.example.com"), **SOON).result()
    names = [each.name for each in suite.drive(client, "list_properties_of_certificates")]
    suite.check({"first", "curve"} <= set(names), "all names")
    suite.drive(client, "list_properties_of_certificates", variant="with pending ones",
                include_pending=True)
    few = suite.drive(client, "list_properties_of_certificates", variant="one a page",
                      max_page_size=1)
    suite.check([each.name for each in few] == names, "the same in small pages")
    versions = suite.drive(client, "list_properties_of_certificate_versions", "first")
    suite.check(len(versions) == 2, "both versions")


def pending(suite):
    """Another CA signs: the operation waits, is cancelled, and is deleted."""
    client = suite.client(CertificateClient)
    unknown = CertificatePolicy(WellKnownIssuerNames.unknown, subject="CN=merge.example.com")
    started = suite.drive(client, "begin_create_certificate", "waiting", unknown,
                          variant="by another CA", **SOON)
    suite.check(started.status == "inProgress" and started.csr, "a signing request")
    operation = suite.drive(client, "get_certificate_operation", "waiting")
    suite.check(operation.csr == started.csr, "the same request")
    operation = suite.drive(client, "cancel_certificate_operation", "waiting")
    suite.check(operation.cancellation_requested is True, "cancelled")
    suite.drive(client, "delete_certificate_operation", "waiting")
    suite.drive(client, "get_certificate_operation", "waiting", variant="that is deleted",
                expect=ResourceNotFoundError)


def merge(suite):
    client = suite.client(CertificateClient)
    unknown = CertificatePolicy(WellKnownIssuerNames.unknown, subject="CN=merge.example.com")
    started = client.begin_create_certificate("merged", unknown, **SOON).result()
    request = x509.load_der_x509_csr(bytes(started.csr))
    suite.check(request.is_signature_valid, "a request that its key signed")
    _, stranger = authority("stranger.example.com")
    suite.drive(client, "merge_certificate", "merged", [der(stranger)],
                variant="a certificate of another key", expect=HttpResponseError)
    ca_key, issuer = authority("Test CA")
    signed = sign(request.subject, request.public_key(), issuer.subject, ca_key)
    merged = suite.drive(client, "merge_certificate", "merged", [der(signed), der(issuer)])
    suite.check(bytes(merged.cer) == der(signed), "the certificate that was merged")


def import_certificates(suite):
    client = suite.client(CertificateClient)
    key, certificate = authority("imported.example.com")
    for password in (None, b"of the file"):
        how = serialization.NoEncryption() if password is None else \
            serialization.BestAvailableEncryption(password)
        pfx = pkcs12.serialize_key_and_certificates(b"imported", key, certificate, None, how)
        variant = "PFX" if password is None else "PFX with a password"
        given = suite.drive(client, "import_certificate", f"imported-{variant.replace(' ', '-')}",
                            pfx, variant=variant, password=password and password.decode())
        suite.check(bytes(given.cer) == der(certificate), "the certificate")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption())
    pem += certificate.public_bytes(serialization.Encoding.PEM)
    as_pem = CertificatePolicy(WellKnownIssuerNames.unknown,
                               content_type=CertificateContentType.pem)
    given = suite.drive(client, "import_certificate", "imported-PEM", pem, variant="PEM",
                        policy=as_pem)
    suite.check(bytes(given.cer) == der(certificate), "the certificate")
    suite.drive(client, "import_certificate", "imported-nothing", b"no certificate",
                variant="what is none", expect=HttpResponseError)


def life_cycle(suite):
    client = suite.client(CertificateClient)
    policy = self_signed("mortal.example.com")
    made = client.begin_create_certificate("mortal-cert", policy, **SOON).result()
    backup = suite.drive(client, "backup_certificate", "mortal-cert")
    gone = suite.drive(client, "begin_delete_certificate", "mortal-cert", **SOON)
    suite.check(gone.recovery_id.startswith(suite.place["vault_url"] + "/"), "a link of this host")
    deleted = suite.drive(client, "get_deleted_certificate", "mortal-cert")
    suite.check(deleted.cer == made.cer and deleted.scheduled_purge_date, "the deleted one")
    names = [each.name for each in suite.drive(client, "list_deleted_certificates")]
    suite.check("mortal-cert" in names, "among the deleted")
    back = suite.drive(client, "begin_recover_deleted_certificate", "mortal-cert", **SOON)
    suite.check(back.cer == made.cer, "recovered")
    client.begin_delete_certificate("mortal-cert", **SOON).wait()
    suite.drive(client, "purge_deleted_certificate", "mortal-cert")
    restored = suite.drive(client, "restore_certificate_backup", backup)
    suite.check(restored.cer == made.cer, "restored")


def pollers_poll(suite):
    client = suite.client(CertificateClient)
    client.begin_create_certificate("slow-cert", self_signed("slow-cert"), **SOON).result()
    suite.script("/deletedcertificates/slow-cert", 404, NOT_FOUND)
    suite.drive(client, "begin_delete_certificate", "slow-cert", variant="polled", **SOON)
    suite.script("/certificates/slow-cert", 404, NOT_FOUND)
    suite.drive(client, "begin_recover_deleted_certificate", "slow-cert", variant="polled", **SOON)


def issuers(suite):
    client = suite.client(CertificateClient)
    contact = AdministratorContact(first_name="Ada", last_name="Admin", email="ada@example.com")
    made = suite.drive(client, "create_issuer", "authority", "Test", account_id="account",
                       password="of no account", organization_id="org", admin_contacts=[contact])
    suite.check(made.provider == "Test" and made.id.startswith(suite.place["vault_url"] + "/"),
                "an issuer with an id of this host")
    found = suite.drive(client, "get_issuer", "authority")
    suite.check(found.account_id == "account" and found.password is None, "without its password")
    suite.drive(client, "update_issuer", "authority", account_id="another")
    listed = suite.drive(client, "list_properties_of_issuers")
    suite.check([each.name for each in listed] == ["authority"], "the one issuer")
    suite.drive(client, "delete_issuer", "authority")
    suite.drive(client, "get_issuer", "authority", variant="that is deleted",
                expect=ResourceNotFoundError)


def contacts(suite):
    client = suite.client(CertificateClient)
    wanted = CertificateContact(email="ada@example.com", name="Ada", phone="1")
    suite.drive(client, "set_contacts", [wanted])
    found = suite.drive(client, "get_contacts")
    suite.check([each.email for each in found] == ["ada@example.com"], "the contact")
    suite.drive(client, "delete_contacts")
    suite.drive(client, "get_contacts", variant="that are deleted", expect=ResourceNotFoundError)


def raw(suite):
    with suite.client(CertificateClient) as client:
        answer = suite.drive(client, "send_request", HttpRequest("GET", "/certificates"))
        suite.check(answer.status_code == 200, "the vault's answer")
    client = suite.client(CertificateClient)
    list(client.list_properties_of_certificates())
    suite.drive(client, "close")


SCENARIOS = (create, key_and_secret, read_and_update, policy, lists, pending, merge,
             import_certificates, life_cycle, pollers_poll, issuers, contacts, raw)

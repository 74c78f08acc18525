"""What the holder of each built-in role may do, and what the user of the SDK sees otherwise."""

from azure.core.exceptions import HttpResponseError
from azure.keyvault.certificates import CertificateClient, CertificatePolicy
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from azure.keyvault.secrets import SecretClient

from harness import roles as shared

SOON = {"_polling_interval": 0.05}

# What each operation is, as a user of the SDK writes it.
CALLS = {
    "set_secret": ("set_secret", lambda at: at.secrets.set_secret("role", "v")),
    "get_secret": ("get_secret", lambda at: at.secrets.get_secret("app-api-key")),
    "list_secrets": (
        "list_properties_of_secrets", lambda at: list(at.secrets.list_properties_of_secrets())),
    "delete_secret": (
        "begin_delete_secret",
        lambda at: at.secrets.begin_delete_secret("role", **SOON).result()),
    "purge_secret": ("purge_deleted_secret", lambda at: at.secrets.purge_deleted_secret("role")),
    "create_key": ("create_rsa_key", lambda at: at.keys.create_rsa_key("role", size=2048)),
    "get_key": ("get_key", lambda at: at.keys.get_key("signing")),
    "list_keys": ("list_properties_of_keys", lambda at: list(at.keys.list_properties_of_keys())),
    "update_key": (
        "update_key_properties",
        lambda at: at.keys.update_key_properties("signing", enabled=True)),
    "delete_key": (
        "begin_delete_key", lambda at: at.keys.begin_delete_key("role", **SOON).result()),
    "purge_key": ("purge_deleted_key", lambda at: at.keys.purge_deleted_key("role")),
    "release_key": ("release_key", lambda at: at.keys.release_key("signing", "a.b.c")),
    "sign": ("sign", lambda at: at.crypto.sign(SignatureAlgorithm.rs256, bytes(32))),
    "decrypt": ("decrypt", lambda at: at.crypto.decrypt(
        EncryptionAlgorithm.rsa_oaep,
        at.crypto.encrypt(EncryptionAlgorithm.rsa_oaep, b"text").ciphertext)),
    "unwrap_key": ("unwrap_key", lambda at: at.crypto.unwrap_key(
        KeyWrapAlgorithm.rsa_oaep,
        at.crypto.wrap_key(KeyWrapAlgorithm.rsa_oaep, b"key").encrypted_key)),
    "create_certificate": (
        "begin_create_certificate", lambda at: at.certificates.begin_create_certificate(
            "role-cert", CertificatePolicy.get_default(), **SOON).result()),
    "get_certificate": (
        "get_certificate", lambda at: at.certificates.get_certificate("role-cert")),
    "list_certificates": (
        "list_properties_of_certificates",
        lambda at: list(at.certificates.list_properties_of_certificates())),
    "delete_certificate": (
        "begin_delete_certificate",
        lambda at: at.certificates.begin_delete_certificate("role-cert", **SOON).result()),
    "purge_certificate": (
        "purge_deleted_certificate",
        lambda at: at.certificates.purge_deleted_certificate("role-cert")),
}


class _At:
    """The clients of one person."""

    def __init__(self, suite, person):
        self.secrets = suite.client(SecretClient, person)
        self.keys = suite.client(KeyClient, person)
        self.certificates = suite.client(CertificateClient, person)
        self.crypto = suite.crypto(f"{suite.place['vault_url']}/keys/signing", person)


def roles(suite):
    calls = {name: (suite.spoken(shown), call) for name, (shown, call) in CALLS.items()}
    shared.drive(suite, calls, lambda person: _At(suite, person), _seen)


def _seen(error):
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    return kind, str(error), isinstance(error, HttpResponseError) and error.status_code == 403


SCENARIOS = (roles,)

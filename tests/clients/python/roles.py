"""What the holder of each built-in role may do, and what the user of the SDK sees otherwise."""

import re

from azure.core.exceptions import HttpResponseError
from azure.keyvault.certificates import CertificateClient, CertificatePolicy
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from azure.keyvault.secrets import SecretClient

SOON = {"_polling_interval": 0.05}
RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

# What each call is, as a user of the SDK writes it. `k` is a key, `c` a crypto client for it.
CALLS = {
    "set_secret": lambda at: at.secrets.set_secret("role", "v"),
    "get_secret": lambda at: at.secrets.get_secret("app-api-key"),
    "list_properties_of_secrets": lambda at: list(at.secrets.list_properties_of_secrets()),
    "begin_delete_secret": lambda at: at.secrets.begin_delete_secret("role", **SOON).result(),
    "purge_deleted_secret": lambda at: at.secrets.purge_deleted_secret("role"),
    "create_rsa_key": lambda at: at.keys.create_rsa_key("role", size=2048),
    "get_key": lambda at: at.keys.get_key("signing"),
    "list_properties_of_keys": lambda at: list(at.keys.list_properties_of_keys()),
    "update_key_properties": lambda at: at.keys.update_key_properties("signing", enabled=True),
    "begin_delete_key": lambda at: at.keys.begin_delete_key("role", **SOON).result(),
    "purge_deleted_key": lambda at: at.keys.purge_deleted_key("role"),
    "release_key": lambda at: at.keys.release_key("signing", "a.b.c"),
    "sign": lambda at: at.crypto.sign(SignatureAlgorithm.rs256, bytes(32)),
    "decrypt": lambda at: at.crypto.decrypt(
        EncryptionAlgorithm.rsa_oaep,
        at.crypto.encrypt(EncryptionAlgorithm.rsa_oaep, b"text").ciphertext),
    "unwrap_key": lambda at: at.crypto.unwrap_key(
        KeyWrapAlgorithm.rsa_oaep,
        at.crypto.wrap_key(KeyWrapAlgorithm.rsa_oaep, b"key").encrypted_key),
    "begin_create_certificate": lambda at: at.certificates.begin_create_certificate(
        "role-cert", CertificatePolicy.get_default(), **SOON).result(),
    "get_certificate": lambda at: at.certificates.get_certificate("role-cert"),
    "list_properties_of_certificates":
        lambda at: list(at.certificates.list_properties_of_certificates()),
    "begin_delete_certificate":
        lambda at: at.certificates.begin_delete_certificate(
        "role-cert", **SOON).result(),
    "purge_deleted_certificate": lambda at: at.certificates.purge_deleted_certificate(
        "role-cert"),
}

# Who, what they hold, what they may, and one thing they may not. In this order: what the first
# makes, the others need.
ROLES = (
    ("certificates-officer", "Key Vault Certificates Officer",
     ("begin_create_certificate", "get_certificate", "list_properties_of_certificates"),
     "get_secret"),
    ("certificate-user", "Key Vault Certificate User",
     ("get_certificate", "get_secret", "get_key"), "begin_delete_certificate"),
    ("crypto-officer", "Key Vault Crypto Officer",
     ("create_rsa_key", "get_key", "sign", "begin_delete_key", "purge_deleted_key"), "get_secret"),
    ("crypto-user", "Key Vault Crypto User",
     ("get_key", "list_properties_of_keys", "update_key_properties", "sign", "decrypt"),
     "create_rsa_key"),
    ("encryption-user", "Key Vault Crypto Service Encryption User", ("get_key", "unwrap_key"),
     "sign"),
    ("release-user", "Key Vault Crypto Service Release User", (), "get_key"),
    ("reader", "Key Vault Reader",
     ("list_properties_of_secrets", "get_key", "get_certificate"), "get_secret"),
    ("secrets-officer", "Key Vault Secrets Officer",
     ("set_secret", "get_secret", "begin_delete_secret", "purge_deleted_secret"), "get_key"),
    ("secrets-user", "Key Vault Secrets User", ("get_secret", "list_properties_of_secrets"),
     "set_secret"),
    ("contributor", "Key Vault Contributor", (), "get_secret"),
    ("data-access-admin", "Key Vault Data Access Administrator", (),
     "list_properties_of_certificates"),
    ("purge-operator", "Key Vault Purge Operator", (), "purge_deleted_secret"),
    ("nobody", "no role", (), "get_secret"),
)


class _At:
    """The clients of one person."""

    def __init__(self, suite, person):
        self.secrets = suite.client(SecretClient, person)
        self.keys = suite.client(KeyClient, person)
        self.certificates = suite.client(CertificateClient, person)
        self.crypto = suite.crypto(f"{suite.place['vault_url']}/keys/signing", person)


def roles(suite):
    if suite.at_the_vault_itself:
        # It authenticates, and decides no roles.
        return
    # The administrator may do all of it.
    _allowed(suite, "admin", "Key Vault Administrator", CALLS.keys() - {"release_key"})
    for person, role, allowed, refused in ROLES:
        _allowed(suite, person, role, allowed)
        _refused(suite, person, role, allowed, refused)


def _allowed(suite, person, role, allowed):
    at = _At(suite, person)
    # In the order of the table, which lets things be made before they are read and deleted.
    for name in (name for name in CALLS if name in allowed):
        problem = None
        try:
            CALLS[name](at)
        except Exception as error:  # noqa: BLE001: whatever it is, it should not be
            problem = f"{type(error).__name__}: {error}"
        suite.note("roles", name, f"as {role}", problem=problem)


def _refused(suite, person, role, allowed, name):
    mark, problem = suite.mark(), None
    try:
        CALLS[name](_At(suite, person))
        problem = "it was allowed"
    except HttpResponseError as error:
        if error.status_code != 403:
            problem = f"{type(error).__name__}: {error}"
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        suite.refusals.append({
            "role": role, "allowed": list(allowed), "operation": name, "class": kind,
            "text": RANDOM.sub("<id>", str(error))})
    # A crypto client reads the key first, if it may.
    if any(name != "sign" or entry["method"] != "GET" for entry in suite.arrived(mark)):
        problem = "it reached the vault"
    suite.note("roles", name, f"refused to {role}", outcome="403", problem=problem)


SCENARIOS = (roles,)

"""Using keys: every algorithm, in the vault and, where the SDK does so, in the client."""

import hashlib

from azure.core.rest import HttpRequest
from azure.keyvault.keys import JsonWebKey, KeyClient
from azure.keyvault.keys.crypto import (CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm,
                                        SignatureAlgorithm)
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

FORBIDDEN = {"error": {"code": "Forbidden", "message": "no reading here"}}
ENCRYPTION = (EncryptionAlgorithm.rsa_oaep, EncryptionAlgorithm.rsa_oaep_256,
              EncryptionAlgorithm.rsa1_5)
WRAPPING = (KeyWrapAlgorithm.rsa_oaep, KeyWrapAlgorithm.rsa_oaep_256, KeyWrapAlgorithm.rsa1_5)
ON_CURVES = {
    "P-256": SignatureAlgorithm.es256,
    "P-256K": SignatureAlgorithm.es256_k,
    "P-384": SignatureAlgorithm.es384,
    "P-521": SignatureAlgorithm.es512,
}
WITH_RSA = tuple(each for each in SignatureAlgorithm if each.value[:2] in ("RS", "PS"))
TEXT = b"sixteen and more bytes of text"


def digest(algorithm):
    # The number in an algorithm's name is the hash's.
    return hashlib.new(f"sha{algorithm.value[2:5]}", TEXT).digest()


def remote(suite, name):
    """A client for a key it may not read: then all of it is done in the vault."""
    suite.script(f"/keys/{name}", 403, FORBIDDEN)
    return suite.crypto(f"{suite.place['vault_url']}/keys/{name}")


def encrypt(suite):
    key = suite.client(KeyClient).create_rsa_key("cipher", size=2048)
    local, afar = suite.crypto(key), remote(suite, "cipher")
    for algorithm in ENCRYPTION:
        name = algorithm.value
        sealed = suite.drive(local, "encrypt", algorithm, TEXT, variant=f"{name}, local")
        opened = suite.drive(local, "decrypt", algorithm, sealed.ciphertext, variant=name)
        suite.check(opened.plaintext == TEXT, "the text")
        sealed = suite.drive(afar, "encrypt", algorithm, TEXT, variant=f"{name}, in the vault")
        opened = suite.drive(afar, "decrypt", algorithm, sealed.ciphertext,
                             variant=f"{name}, without reading the key")
        suite.check(opened.plaintext == TEXT, "the text")


def wrap(suite):
    key = suite.client(KeyClient).create_rsa_key("wrapper", size=2048)
    local, afar = suite.crypto(key), remote(suite, "wrapper")
    for algorithm in WRAPPING:
        name = algorithm.value
        sealed = suite.drive(local, "wrap_key", algorithm, TEXT, variant=f"{name}, local")
        opened = suite.drive(local, "unwrap_key", algorithm, sealed.encrypted_key, variant=name)
        suite.check(opened.key == TEXT, "the key")
        sealed = suite.drive(afar, "wrap_key", algorithm, TEXT, variant=f"{name}, in the vault")
        opened = suite.drive(afar, "unwrap_key", algorithm, sealed.encrypted_key,
                             variant=f"{name}, without reading the key")
        suite.check(opened.key == TEXT, "the key")


def sign_with_rsa(suite):
    client = suite.client(KeyClient)
    for size in (2048, 3072, 4096):
        # They are there already, and take long to make.
        key = client.get_key(f"rsa-{size}")
        local, afar = suite.crypto(key), remote(suite, f"rsa-{size}")
        # Every algorithm with one size, and every size with one algorithm.
        for algorithm in WITH_RSA if size == 2048 else WITH_RSA[:1]:
            _sign_and_verify(suite, local, afar, algorithm, f"{algorithm.value} with RSA {size}")


def sign_on_curves(suite):
    client = suite.client(KeyClient)
    for curve, algorithm in ON_CURVES.items():
        key = client.create_ec_key(f"signer-{curve.lower()}", curve=curve)
        local, afar = suite.crypto(key), remote(suite, f"signer-{curve.lower()}")
        _sign_and_verify(suite, local, afar, algorithm, algorithm.value)


def _sign_and_verify(suite, local, afar, algorithm, name):
    hashed = digest(algorithm)
    signed = suite.drive(local, "sign", algorithm, hashed, variant=name)
    for client, place in ((local, "local"), (afar, "in the vault")):
        found = suite.drive(client, "verify", algorithm, hashed, signed.signature,
                            variant=f"{name}, {place}")
        suite.check(found.is_valid, "a good signature")
        other = bytes(len(signed.signature))
        suite.check(not client.verify(algorithm, hashed, other).is_valid, "a bad signature")
    signed = suite.drive(afar, "sign", algorithm, hashed,
                         variant=f"{name}, without reading the key")
    suite.check(local.verify(algorithm, hashed, signed.signature).is_valid, "a good signature")


def ways_to_a_key(suite):
    """By the key itself, its id, its id without a version, and its name."""
    keys = suite.client(KeyClient)
    key = keys.create_rsa_key("ways", size=2048)
    hashed = digest(SignatureAlgorithm.rs256)
    by_name = suite.drive(keys, "get_cryptography_client", "ways")
    by_version = suite.drive(keys, "get_cryptography_client", "ways", variant="by version",
                             key_version=key.properties.version)
    ways = {
        "by key": suite.crypto(key),
        "by id": suite.crypto(key.id),
        "by id without a version": suite.crypto(f"{suite.place['vault_url']}/keys/ways"),
        "by name": by_name,
        "by name and version": by_version,
    }
    for way, client in ways.items():
        signed = suite.drive(client, "sign", SignatureAlgorithm.rs256, hashed, variant=way)
        suite.check(ways["by key"].verify(SignatureAlgorithm.rs256, hashed, signed.signature)
                    .is_valid, "a good signature")
        suite.check(client.vault_url == suite.place["vault_url"], "the host of the vault's URL")


def local_alone(suite):
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = private.public_key().public_numbers()
    jwk = JsonWebKey(kty="RSA", key_ops=["encrypt", "verify", "wrapKey"],
                     n=numbers.n.to_bytes(256, "big"), e=numbers.e.to_bytes(3, "big"))
    client = suite.drive(suite.local(jwk), "from_jwk", jwk)
    sealed = suite.drive(client, "encrypt", EncryptionAlgorithm.rsa_oaep, TEXT,
                         variant="from_jwk, local")
    oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    suite.check(private.decrypt(sealed.ciphertext, oaep) == TEXT, "the text")


def as_a_private_key(suite):
    """`cryptography`'s own interfaces, with the key in the vault. They cannot wait for a loop."""
    if not suite.offers(CryptographyClient, "create_rsa_private_key"):
        return
    key = suite.client(KeyClient).create_rsa_key("interface", size=2048)
    client = suite.crypto(key)
    private = suite.drive(client, "create_rsa_private_key")
    signature = private.sign(TEXT, padding.PKCS1v15(), hashes.SHA256())
    public = suite.drive(client, "create_rsa_public_key")
    pem = public.public_bytes(serialization.Encoding.PEM,
                              serialization.PublicFormat.SubjectPublicKeyInfo)
    loaded = serialization.load_pem_public_key(pem)
    # Raises if it is not good.
    loaded.verify(signature, TEXT, padding.PKCS1v15(), hashes.SHA256())
    suite.check(private.key_size == 2048, "the size")


def independent(suite):
    """What the vault signs, somebody else's library verifies."""
    key = suite.client(KeyClient).create_ec_key("witness", curve="P-256")
    signed = suite.drive(suite.crypto(key), "sign", SignatureAlgorithm.es256,
                         digest(SignatureAlgorithm.es256), variant="verified by another library")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(key.key.x, "big"),
                                            int.from_bytes(key.key.y, "big"), ec.SECP256R1())
    r, s = (int.from_bytes(half, "big")
            for half in (signed.signature[:32], signed.signature[32:]))
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    numbers.public_key().verify(encode_dss_signature(r, s), TEXT, ec.ECDSA(hashes.SHA256()))


def raw(suite):
    key = suite.client(KeyClient).create_ec_key("raw")
    with suite.crypto(key) as client:
        request = HttpRequest("GET", f"{suite.place['vault_url']}/keys/raw")
        answer = suite.drive(client, "send_request", request)
        suite.check(answer.status_code == 200, "the vault's answer")
    client = suite.crypto(key)
    suite.drive(client, "close")


SCENARIOS = (encrypt, wrap, sign_with_rsa, sign_on_curves, ways_to_a_key, local_alone,
             as_a_private_key, independent, raw)

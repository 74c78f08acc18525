"""Every command on keys."""

import base64
import hashlib
import json
import pathlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from lifecycle import deleted_and_brought_back
from suite import EITHER

TEXT = b"sixteen and more bytes of text"
ENCRYPTION = ("RSA-OAEP", "RSA-OAEP-256", "RSA1_5")
WITH_RSA = ("PS256", "PS384", "PS512", "RS256", "RS384", "RS512")
ON_CURVES = {"P-256": "ES256", "P-256K": "ES256K", "P-384": "ES384", "P-521": "ES512"}
POLICY = {"version": "1.0.0", "anyOf": [{
    "authority": "https://attest.example.com",
    "allOf": [{"claim": "sdk-test", "equals": "true"}]}]}


def create(suite):
    for size in ("2048", "3072", "4096"):
        made = suite.drive("keyvault key create", "-n", f"rsa-{size}", "--kty", "RSA", "--size",
                           size, variant=f"RSA {size}")
        modulus = base64.b64decode(made["key"]["n"])
        suite.check(len(modulus) * 8 == int(size), "the size")
    for curve in ON_CURVES:
        made = suite.drive("keyvault key create", "-n", f"ec-{curve.lower()}", "--kty", "EC",
                           "--curve", curve, variant=curve)
        suite.check(made["key"]["crv"] == curve, "the curve")
    made = suite.drive("keyvault key create", "-n", "generic", "--ops", "sign", "verify", "--tags",
                       "a=b", variant="with operations")
    suite.check(made["key"]["keyOps"] == ["sign", "verify"], "the operations")
    suite.check(made["key"]["kid"].startswith(suite.id("keys/generic/")), "an id of this host")
    made = suite.drive("keyvault key create", "-n", "hsm", "--protection", "hsm", variant="RSA-HSM")
    suite.check(made["key"]["kty"] == "RSA-HSM", "RSA-HSM")
    suite.drive("keyvault key create", "-n", "oct", "--kty", "oct-HSM", "--size", "256",
                variant="oct-HSM, which a vault refuses", expect=1)
    policy = pathlib.Path(suite.file("release.json"))
    policy.write_text(json.dumps(POLICY))
    made = suite.drive("keyvault key create", "-n", "released", "--protection", "hsm",
                       "--exportable", "true", "--policy", str(policy), variant="exportable")
    suite.check(made["attributes"]["exportable"] is True, "exportable")


def show_and_update(suite):
    made = suite.ask("keyvault key create", "-n", "read", "--kty", "EC")
    version = made["key"]["kid"].rsplit("/", 1)[1]
    for variant, which in (("", ("-n", "read")),
                           ("by version", ("-n", "read", "--version", version)),
                           ("by id", ("--id", made["key"]["kid"])),
                           ("by id without a version", ("--id", suite.id("keys/read")))):
        shown = suite.drive("keyvault key show", *which, variant=variant)
        suite.check(shown["key"]["x"] == made["key"]["x"], "the same key")
    suite.drive("keyvault key show", "-n", "nope", variant="that is not there", expect=3)
    changed = suite.drive("keyvault key set-attributes", "-n", "read", "--tags", "q=r", "--enabled",
                          "false")
    suite.check(changed["tags"] == {"q": "r"} and not changed["attributes"]["enabled"], "changes")


def imports(suite):
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for name, key in (("RSA", private), ("EC", _curve())):
        file = pathlib.Path(suite.file(f"{name}.pem"))
        file.write_bytes(_pem(key, serialization.NoEncryption()))
        made = suite.drive("keyvault key import", "-n", f"imported-{name}", "--pem-file", str(file),
                           variant=f"{name}, from a file")
        suite.check(made["key"]["kty"] == name, "its kind")
    sealed = _pem(private, serialization.BestAvailableEncryption(b"of the file"))
    made = suite.drive("keyvault key import", "-n", "imported-sealed", "--pem-string",
                       sealed.decode(), "--pem-password", "of the file",
                       variant="RSA, from a string with a password")
    modulus = private.public_key().public_numbers().n.to_bytes(256, "big")
    suite.check(base64.b64decode(made["key"]["n"]) == modulus, "its public part")


def _curve():
    """A key of which every number has its full length.

    The CLI leaves out the zeros that one begins with, and a short one is no coordinate: of 86 keys,
    one cannot be imported so.
    """
    while True:
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_numbers()
        numbers = (private.private_value, private.public_numbers.x, private.public_numbers.y)
        if all(number.bit_length() > 248 for number in numbers):
            return key


def _pem(key, how):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def download(suite):
    shown = suite.ask("keyvault key show", "-n", "rsa-2048")
    for form, load in (("PEM", serialization.load_pem_public_key),
                       ("DER", serialization.load_der_public_key)):
        file = pathlib.Path(suite.file(f"public.{form}"))
        suite.drive("keyvault key download", "-n", "rsa-2048", "--file", str(file), "--encoding",
                    form, variant=form)
        numbers = load(file.read_bytes()).public_numbers()
        suite.check(numbers.n == int.from_bytes(base64.b64decode(shown["key"]["n"]), "big"),
                    "the public key")


def lists(suite):
    for _ in range(2):
        suite.ask("keyvault key create", "-n", "listed", "--kty", "EC")
    listed = suite.drive("keyvault key list")
    suite.check({"listed", "generic"} <= {each["name"] for each in listed}, "all names")
    few = suite.drive("keyvault key list", "--maxresults", "2", variant="two a page")
    suite.check(few == listed[:2], "the first two")
    versions = suite.drive("keyvault key list-versions", "-n", "listed")
    suite.check(len(versions) == 2, "both versions")


def life_cycle(suite):
    made = suite.ask("keyvault key create", "-n", "mortal", "--kty", "EC", "--tags", "kept=yes")
    back, restored = deleted_and_brought_back(suite, "key", "mortal")
    suite.check(back["key"]["x"] == restored["key"]["x"] == made["key"]["x"], "the same key")
    suite.check(restored["tags"] == {"kept": "yes"}, "with its tags")


def encrypt(suite):
    value = base64.b64encode(TEXT).decode()
    for algorithm in ENCRYPTION:
        which = ("-n", "rsa-2048", "--algorithm", algorithm)
        sealed = suite.drive("keyvault key encrypt", *which, "--value", value, variant=algorithm)
        opened = suite.drive("keyvault key decrypt", *which, "--value", sealed["result"],
                             variant=algorithm)
        suite.check(opened["result"] == value, "the text")
    which = ("-n", "rsa-2048", "--algorithm", "RSA-OAEP", "--data-type", "plaintext")
    sealed = suite.drive("keyvault key encrypt", *which, "--value", TEXT.decode(),
                         variant="a plain text")
    opened = suite.drive("keyvault key decrypt", *which, "--value", sealed["result"],
                         variant="a plain text")
    suite.check(opened["result"] == TEXT.decode(), "the text")


def sign(suite):
    for size in ("2048", "3072", "4096"):
        # Every algorithm with one size, and every size with one algorithm.
        for algorithm in WITH_RSA if size == "2048" else WITH_RSA[:1]:
            _sign_and_verify(suite, f"rsa-{size}", algorithm, f"{algorithm} with RSA {size}")
    for curve, algorithm in ON_CURVES.items():
        _sign_and_verify(suite, f"ec-{curve.lower()}", algorithm, algorithm)


def _sign_and_verify(suite, name, algorithm, variant):
    # The number in an algorithm's name is the hash's.
    hashed = hashlib.new(f"sha{algorithm[2:5]}", TEXT).digest()
    which = ("-n", name, "--algorithm", algorithm, "--digest", base64.b64encode(hashed).decode())
    signed = suite.drive("keyvault key sign", *which, variant=variant)
    found = suite.drive("keyvault key verify", *which, "--signature", signed["signature"],
                        variant=variant)
    suite.check(found["isValid"] is True, "a good signature")
    other = base64.b64encode(bytes(len(base64.b64decode(signed["signature"])))).decode()
    found = suite.ask("keyvault key verify", *which, "--signature", other)
    suite.check(found["isValid"] is False, "a bad signature")


def independent(suite):
    """What the vault signs, somebody else's library verifies."""
    file = pathlib.Path(suite.file("witness.pem"))
    suite.ask("keyvault key download", "-n", "rsa-2048", "--file", str(file))
    hashed = hashlib.sha256(TEXT).digest()
    signed = suite.drive("keyvault key sign", "-n", "rsa-2048", "--algorithm", "RS256", "--digest",
                         base64.b64encode(hashed).decode(), variant="verified by another library")
    public = serialization.load_pem_public_key(file.read_bytes())
    # Raises if it is not good.
    public.verify(base64.b64decode(signed["signature"]), hashed, padding.PKCS1v15(),
                  utils.Prehashed(hashes.SHA256()))


def rotation(suite):
    made = suite.ask("keyvault key create", "-n", "rotated")
    turned = suite.drive("keyvault key rotate", "-n", "rotated")
    suite.check(turned["key"]["n"] != made["key"]["n"], "another key")
    first = suite.drive("keyvault key rotation-policy show", "-n", "rotated")
    suite.check(first["lifetimeActions"] is not None, "a policy")
    wanted = {"lifetimeActions": [{"trigger": {"timeAfterCreate": "P60D"},
                                   "action": {"type": "Rotate"}}],
              "attributes": {"expiryTime": "P90D"}}
    changed = suite.drive("keyvault key rotation-policy update", "-n", "rotated", "--value",
                          json.dumps(wanted))
    suite.check(changed["expiresIn"] == "P90D", "the new policy")


def managed_hsm(suite):
    """What only a managed HSM has; a vault's answer is the vault's to choose."""
    suite.drive("keyvault key random", "--id", suite.place["vault_url"], "--count", "16",
                expect=EITHER)
    suite.drive("keyvault key get-attestation", "--id", suite.id("keys/rsa-2048"), expect=EITHER)


def template(suite):
    """Not of the vault, but written in the CLI."""
    out = suite.in_process("keyvault", "key", "get-policy-template")
    suite.note("az keyvault key", "az keyvault key get-policy-template")
    suite.check(json.loads(out)["anyOf"], "a policy")


SCENARIOS = (create, show_and_update, imports, download, lists, life_cycle, encrypt, sign,
             independent, managed_hsm, template, rotation)

"""Every command on certificates, and the key and secret behind one."""

import base64
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from harness.x509 import authority, der, sign

from lifecycle import deleted_and_brought_back


def policy(subject, issuer="Self", **more):
    return json.dumps({
        "issuerParameters": {"name": issuer},
        "keyProperties": {"exportable": True, "keySize": 2048, "keyType": "RSA", "reuseKey": False},
        "secretProperties": {"contentType": "application/x-pkcs12"},
        "x509CertificateProperties": {"subject": f"CN={subject}", "validityInMonths": 6},
        **more})


def create(suite):
    text = suite.in_process("keyvault", "certificate", "get-default-policy")
    suite.note("az keyvault certificate", "az keyvault certificate get-default-policy")
    default = json.loads(text)
    suite.check(default["issuerParameters"]["name"] == "Self", "a policy")
    made = suite.drive("keyvault certificate create", "-n", "default", "--policy", text,
                       variant="by the default policy")
    suite.check(made["status"] == "completed", "completed")
    made = suite.drive("keyvault certificate create", "-n", "first", "--policy",
                       policy("first.example.com"), "--tags", "a=b")
    suite.check(made["target"] == suite.id("certificates/first"), "a link of this host")


def show_and_update(suite):
    shown = suite.drive("keyvault certificate show", "-n", "first")
    parsed = x509.load_der_x509_certificate(base64.b64decode(shown["cer"]))
    suite.check(parsed.subject.rfc4514_string() == "CN=first.example.com", "the subject")
    for name in ("id", "kid", "sid"):
        suite.check(shown[name].startswith(suite.place["vault_url"] + "/"), "ids of this host")
    by_id = suite.drive("keyvault certificate show", "--id", shown["id"], variant="by id")
    suite.check(by_id["cer"] == shown["cer"], "the same")
    version = shown["id"].rsplit("/", 1)[1]
    same = suite.drive("keyvault certificate show", "-n", "first", "--version", version,
                       variant="by version")
    suite.check(same["cer"] == shown["cer"], "the same")
    suite.drive("keyvault certificate show", "-n", "nope", variant="that is not there", expect=3)
    changed = suite.drive("keyvault certificate set-attributes", "-n", "first", "--tags", "q=r")
    suite.check(changed["tags"] == {"q": "r"}, "tags")
    changed = suite.drive("keyvault certificate set-attributes", "-n", "first", "--policy",
                          policy("later.example.com"), variant="its policy")
    suite.check(changed["policy"]["x509CertificateProperties"]["subject"] == "CN=later.example.com",
                "the new policy")


def key_and_secret(suite):
    shown = suite.ask("keyvault certificate show", "-n", "first")
    secret = suite.drive("keyvault secret show", "--id", shown["sid"], variant="of a certificate")
    key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(secret["value"]), None)
    suite.check(der(certificate) == base64.b64decode(shown["cer"]), "the certificate")
    suite.check(key.public_key() == certificate.public_key(), "and its key")
    file = pathlib.Path(suite.file("first.pfx"))
    suite.drive("keyvault secret download", "-n", "first", "--file", str(file), "--encoding",
                "base64", variant="of a certificate")
    suite.check(file.read_bytes() == base64.b64decode(secret["value"]), "the same")
    key = suite.drive("keyvault key show", "--id", shown["kid"], variant="of a certificate")
    suite.check(key["managed"] is True, "a managed key")


def download(suite):
    shown = suite.ask("keyvault certificate show", "-n", "first")
    for form, load in (("PEM", x509.load_pem_x509_certificate),
                       ("DER", x509.load_der_x509_certificate)):
        file = pathlib.Path(suite.file(f"first.{form}"))
        suite.drive("keyvault certificate download", "-n", "first", "--file", str(file),
                    "--encoding", form, variant=form)
        suite.check(der(load(file.read_bytes())) == base64.b64decode(shown["cer"]), "the same")


def lists(suite):
    suite.ask("keyvault certificate create", "-n", "first", "--policy", policy("again.example.com"))
    listed = suite.drive("keyvault certificate list")
    suite.check({"first", "default"} <= {each["name"] for each in listed}, "all names")
    suite.drive("keyvault certificate list", "--include-pending", "true",
                variant="with pending ones")
    few = suite.drive("keyvault certificate list", "--maxresults", "1", variant="one a page")
    suite.check(few == listed[:1], "the first")
    versions = suite.drive("keyvault certificate list-versions", "-n", "first")
    suite.check(len(versions) == 2, "both versions")


def pending(suite):
    """Another CA signs: the operation waits, and is deleted."""
    began = suite.drive("keyvault certificate create", "-n", "waiting", "--policy",
                        policy("merge.example.com", "Unknown"), variant="by another CA")
    suite.check(began["status"] == "inProgress" and began["csr"], "a signing request")
    shown = suite.drive("keyvault certificate pending show", "-n", "waiting")
    suite.check(shown["csr"] == began["csr"], "the same request")
    suite.drive("keyvault certificate pending delete", "-n", "waiting")
    suite.drive("keyvault certificate pending show", "-n", "waiting", variant="that is deleted",
                expect=3)


def merge(suite):
    began = suite.ask("keyvault certificate create", "-n", "merged", "--policy",
                      policy("merge.example.com", "Unknown"))
    request = x509.load_der_x509_csr(base64.b64decode(began["csr"]))
    suite.check(request.is_signature_valid, "a request that its key signed")
    ca_key, issuer = authority("Test CA")
    signed = sign(request.subject, request.public_key(), issuer.subject, ca_key)
    file = pathlib.Path(suite.file("merged.pem"))
    file.write_bytes(issuer.public_bytes(serialization.Encoding.PEM))
    suite.drive("keyvault certificate pending merge", "-n", "merged", "--file", str(file),
                variant="a certificate of another key", expect=1)
    file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    merged = suite.drive("keyvault certificate pending merge", "-n", "merged", "--file", str(file))
    suite.check(base64.b64decode(merged["cer"]) == der(signed), "what was merged")


def imports(suite):
    key, certificate = authority("imported.example.com")
    for password in (None, "of the file"):
        how = serialization.NoEncryption() if password is None else \
            serialization.BestAvailableEncryption(password.encode())
        file = pathlib.Path(suite.file("imported.pfx"))
        file.write_bytes(pkcs12.serialize_key_and_certificates(b"i", key, certificate, None, how))
        variant = "PFX" if password is None else "PFX with a password"
        given = suite.drive("keyvault certificate import", "-n", variant.replace(" ", "-"),
                            "--file", str(file), *(("--password", password) if password else ()),
                            variant=variant)
        suite.check(base64.b64decode(given["cer"]) == der(certificate), "the certificate")
    file = pathlib.Path(suite.file("imported.pem"))
    file.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()) + certificate.public_bytes(serialization.Encoding.PEM))
    which = ("-n", "imported-PEM", "--file", str(file))
    # The CLI looks what kind of file it is if there is a policy, and only then.
    suite.drive("keyvault certificate import", *which, variant="PEM without a policy", expect=1)
    given = suite.drive("keyvault certificate import", *which, "--policy",
                        json.dumps({"issuerParameters": {"name": "Unknown"}}), variant="PEM")
    suite.check(base64.b64decode(given["cer"]) == der(certificate), "the certificate")


def life_cycle(suite):
    suite.ask("keyvault certificate create", "-n", "mortal-cert", "--policy",
              policy("mortal.example.com"))
    made = suite.ask("keyvault certificate show", "-n", "mortal-cert")
    back, restored = deleted_and_brought_back(suite, "certificate", "mortal-cert")
    suite.check(back["cer"] == restored["cer"] == made["cer"], "the same certificate")


def issuers(suite):
    which = ("--issuer-name", "authority")
    made = suite.drive("keyvault certificate issuer create", *which, "--provider-name", "Test",
                       "--account-id", "account", "--password", "of no account",
                       "--organization-id", "org")
    suite.check(made["provider"] == "Test", "the provider")
    suite.check(made["id"].startswith(suite.place["vault_url"] + "/"), "an id of this host")
    shown = suite.drive("keyvault certificate issuer show", *which)
    suite.check(shown["credentials"]["accountId"] == "account", "its account")
    suite.drive("keyvault certificate issuer update", *which, "--account-id", "another")
    listed = suite.drive("keyvault certificate issuer list")
    suite.check([each["id"].rsplit("/", 1)[1] for each in listed] == ["authority"], "the one")
    suite.drive("keyvault certificate issuer admin add", *which, "--email", "ada@example.com",
                "--first-name", "Ada", "--last-name", "Admin")
    admins = suite.drive("keyvault certificate issuer admin list", *which)
    suite.check([each["emailAddress"] for each in admins] == ["ada@example.com"], "the admin")
    suite.drive("keyvault certificate issuer admin delete", *which, "--email", "ada@example.com")
    suite.drive("keyvault certificate issuer delete", *which)
    suite.drive("keyvault certificate issuer show", *which, variant="that is deleted", expect=3)


def contacts(suite):
    for name in ("ada", "bob"):
        suite.drive("keyvault certificate contact add", "--email", f"{name}@example.com",
                    variant="the first" if name == "ada" else "another")
    listed = suite.drive("keyvault certificate contact list")
    suite.check([each["emailAddress"] for each in listed["contactList"]] ==
                ["ada@example.com", "bob@example.com"], "both")
    for name in ("ada", "bob"):
        suite.drive("keyvault certificate contact delete", "--email", f"{name}@example.com",
                    variant="one of two" if name == "ada" else "the last")
    suite.drive("keyvault certificate contact list", variant="of which there are none", expect=1)


SCENARIOS = (create, show_and_update, key_and_secret, download, lists, pending, merge, imports,
             life_cycle, issuers, contacts)

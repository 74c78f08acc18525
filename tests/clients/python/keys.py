"""Every operation on keys but using them."""

import base64
import json

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.keys import (ApiVersion, JsonWebKey, KeyClient, KeyCurveName,
                                 KeyReleasePolicy, KeyRotationLifetimeAction, KeyRotationPolicy,
                                 KeyRotationPolicyAction, KeyType)
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from suite import EITHER

SOON = {"_polling_interval": 0.05}
NOT_FOUND = {"error": {"code": "KeyNotFound", "message": "not yet"}}
POLICY = {"version": "1.0.0", "anyOf": [{
    "authority": "https://attest.example.com",
    "allOf": [{"claim": "sdk-test", "equals": "true"}]}]}


def create(suite):
    client = suite.client(KeyClient)
    for size in (2048, 3072, 4096):
        key = suite.drive(client, "create_rsa_key", f"rsa-{size}", variant=str(size), size=size)
        suite.check(key.key_type == KeyType.rsa and len(key.key.n) == size // 8, "the size")
    for curve in KeyCurveName:
        name = f"ec-{curve.value.lower()}"
        key = suite.drive(client, "create_ec_key", name, variant=curve.value, curve=curve)
        suite.check(key.key.crv == curve and key.key.d is None, "the curve, and no private part")
    key = suite.drive(client, "create_key", "generic", KeyType.rsa, tags={"a": "b"},
                      key_operations=["sign", "verify"], enabled=True)
    suite.check(key.key_operations == ["sign", "verify"], "the operations")
    suite.check(key.id.startswith(suite.place["vault_url"] + "/"), "an id of this host")
    suite.drive(client, "create_oct_key", "oct", size=256, variant="which a vault refuses",
                expect=HttpResponseError)


def hardware(suite):
    """As a premium vault has it."""
    client = suite.client(KeyClient)
    key = suite.drive(client, "create_rsa_key", "rsa-hsm", variant="RSA-HSM",
                      hardware_protected=True)
    suite.check(key.key_type == KeyType.rsa_hsm, "RSA-HSM")
    key = suite.drive(client, "create_ec_key", "ec-hsm", variant="EC-HSM", hardware_protected=True)
    suite.check(key.key_type == KeyType.ec_hsm, "EC-HSM")


def read_and_update(suite):
    client = suite.client(KeyClient)
    made = client.create_ec_key("read")
    latest = suite.drive(client, "get_key", "read")
    suite.check(latest.id == made.id and latest.key.x == made.key.x, "the same key")
    by_version = suite.drive(client, "get_key", "read", made.properties.version,
                             variant="by version")
    suite.check(by_version.id == made.id, "the same version")
    suite.drive(client, "get_key", "nope", variant="that is not there",
                expect=ResourceNotFoundError)
    changed = suite.drive(client, "update_key_properties", "read", tags={"q": "r"})
    suite.check(changed.properties.tags == {"q": "r"}, "tags")
    changed = suite.drive(client, "update_key_properties", "read", made.properties.version,
                          variant="a version", enabled=False)
    suite.check(changed.properties.enabled is False, "disabled")


def import_keys(suite):
    client = suite.client(KeyClient)
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    parts = {"n": numbers.public_numbers.n, "e": numbers.public_numbers.e, "d": numbers.d,
             "p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1,
             "qi": numbers.iqmp}
    jwk = JsonWebKey(kty="RSA", key_ops=["sign", "verify", "encrypt", "decrypt"],
                     **{name: _bytes(number) for name, number in parts.items()})
    key = suite.drive(client, "import_key", "imported-rsa", jwk, variant="RSA")
    suite.check(key.key.n == jwk.n and key.key.d is None, "its public part alone")
    private = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    public = private.public_numbers
    jwk = JsonWebKey(kty="EC", crv="P-256", key_ops=["sign", "verify"],
                     x=_bytes(public.x, 32), y=_bytes(public.y, 32),
                     d=_bytes(private.private_value, 32))
    key = suite.drive(client, "import_key", "imported-ec", jwk, variant="EC")
    suite.check(key.key.x == jwk.x, "its public part")


def _bytes(number, length=None):
    return number.to_bytes(length or (number.bit_length() + 7) // 8, "big")


def lists(suite):
    client = suite.client(KeyClient)
    client.create_ec_key("listed")
    client.create_ec_key("listed")
    names = [each.name for each in suite.drive(client, "list_properties_of_keys")]
    suite.check({"listed", "generic"} <= set(names), "all names")
    few = suite.drive(client, "list_properties_of_keys", variant="two a page", max_page_size=2)
    suite.check([each.name for each in few] == names, "the same in small pages")
    versions = suite.drive(client, "list_properties_of_key_versions", "listed")
    suite.check(len(versions) == 2, "both versions")


def life_cycle(suite):
    client = suite.client(KeyClient)
    made = client.create_ec_key("mortal", tags={"kept": "yes"})
    backup = suite.drive(client, "backup_key", "mortal")
    gone = suite.drive(client, "begin_delete_key", "mortal", **SOON)
    suite.check(gone.recovery_id.startswith(suite.place["vault_url"] + "/"), "a link of this host")
    deleted = suite.drive(client, "get_deleted_key", "mortal")
    suite.check(deleted.id == made.id and deleted.scheduled_purge_date, "the deleted key")
    names = [each.name for each in suite.drive(client, "list_deleted_keys")]
    suite.check("mortal" in names, "among the deleted")
    back = suite.drive(client, "begin_recover_deleted_key", "mortal", **SOON)
    suite.check(back.id == made.id, "recovered")
    client.begin_delete_key("mortal", **SOON).wait()
    suite.drive(client, "purge_deleted_key", "mortal")
    restored = suite.drive(client, "restore_key_backup", backup)
    suite.check(restored.key.x == made.key.x, "the same key, restored")
    suite.check(restored.properties.tags == {"kept": "yes"}, "with its tags")


def pollers_poll(suite):
    client = suite.client(KeyClient)
    client.create_ec_key("slow")
    for _ in range(2):
        suite.script("/deletedkeys/slow", 404, NOT_FOUND)
    suite.drive(client, "begin_delete_key", "slow", variant="polled", **SOON)
    suite.script("/keys/slow", 404, NOT_FOUND)
    back = suite.drive(client, "begin_recover_deleted_key", "slow", variant="polled", **SOON)
    suite.check(back.name == "slow", "recovered")


def rotation(suite):
    client = suite.client(KeyClient)
    made = client.create_rsa_key("rotated", size=2048)
    turned = suite.drive(client, "rotate_key", "rotated")
    suite.check(turned.properties.version != made.properties.version, "a new version")
    suite.check(turned.key.n != made.key.n, "another key")
    first = suite.drive(client, "get_key_rotation_policy", "rotated")
    suite.check(first.lifetime_actions is not None, "a policy")
    action = KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P60D")
    changed = suite.drive(client, "update_key_rotation_policy", "rotated", KeyRotationPolicy(),
                          expires_in="P90D", lifetime_actions=[action])
    suite.check(changed.expires_in == "P90D", "the new policy")
    kept = suite.drive(client, "get_key_rotation_policy", "rotated", variant="that was set")
    turning = [each for each in kept.lifetime_actions
               if each.action == KeyRotationPolicyAction.rotate]
    suite.check([each.time_after_create for each in turning] == ["P60D"], "the action")


def release(suite):
    """A vault without attestation can only say no."""
    client = suite.client(KeyClient)
    policy = KeyReleasePolicy(json.dumps(POLICY).encode())
    suite.drive(client, "create_rsa_key", "released", variant="exportable",
                hardware_protected=True, exportable=True, release_policy=policy)
    part = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    suite.drive(client, "release_key", "released", f"{part}.{part}.", expect=HttpResponseError)


def managed_hsm(suite):
    """What only a managed HSM has; a vault's answer is the vault's to choose."""
    client = suite.client(KeyClient)
    suite.drive(client, "get_random_bytes", 16, expect=EITHER)
    client.create_ec_key("attested")
    suite.drive(client, "get_key_attestation", "attested", expect=EITHER)


def older(suite):
    """Applications stay with the version of the API they know."""
    client = suite.client(KeyClient, api_version=ApiVersion.V7_4)
    suite.drive(client, "get_key", "generic", variant="with api-version 7.4")


def raw(suite):
    with suite.client(KeyClient) as client:
        answer = suite.drive(client, "send_request", HttpRequest("GET", "/keys/generic"))
        suite.check(answer.json()["key"]["kty"] == "RSA", "the vault's answer")
    client = suite.client(KeyClient)
    client.get_key("generic")
    suite.drive(client, "close")


SCENARIOS = (create, hardware, read_and_update, import_keys, lists, life_cycle, pollers_poll,
             rotation, release, managed_hsm, older, raw)

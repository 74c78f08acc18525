"""What the vault does by itself when the time has come, seen when it has."""

from azure.keyvault.certificates import (CertificateClient, CertificatePolicy,
                                         CertificatePolicyAction, LifetimeAction,
                                         WellKnownIssuerNames)
from azure.keyvault.keys import (KeyClient, KeyRotationLifetimeAction, KeyRotationPolicy,
                                 KeyRotationPolicyAction)

SOON = {"_polling_interval": 0.05}


def rotation(suite):
    client = suite.client(KeyClient)
    first = client.create_rsa_key("due", size=2048)
    action = KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P30D")
    client.update_key_rotation_policy("due", KeyRotationPolicy(), lifetime_actions=[action])
    suite.forward(29)
    early = suite.drive(client, "get_key", "due", variant="before its rotation is due")
    suite.check(early.id == first.id, "the first version")
    suite.forward(1)
    later = suite.drive(client, "get_key", "due", variant="after its rotation fell due")
    suite.check(later.id != first.id and later.key.n != first.key.n, "a new version")
    age = later.properties.created_on - first.properties.created_on
    suite.check(age.days == 30, "made when it was due")
    versions = suite.drive(client, "list_properties_of_key_versions", "due",
                           variant="after a rotation fell due")
    suite.check(len(versions) == 2, "both versions")


def renewal(suite):
    client = suite.client(CertificateClient)
    action = LifetimeAction(CertificatePolicyAction.auto_renew, days_before_expiry=10)
    policy = CertificatePolicy(WellKnownIssuerNames.self, subject="CN=due.example.com",
                               validity_in_months=2, lifetime_actions=[action])
    first = client.begin_create_certificate("due-cert", policy, **SOON).result()
    suite.forward(30)
    early = suite.drive(client, "get_certificate", "due-cert", variant="before its renewal is due")
    suite.check(early.cer == first.cer, "the first version")
    suite.forward(31)
    later = suite.drive(client, "get_certificate", "due-cert",
                        variant="after its renewal fell due")
    suite.check(later.cer != first.cer, "a new certificate")
    suite.check(later.properties.expires_on > first.properties.expires_on, "that ends later")


SCENARIOS = (rotation, renewal)

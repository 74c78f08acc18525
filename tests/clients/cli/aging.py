"""What the vault does by itself when the time has come, seen when it has."""

import json

from certificates import policy


def rotation(suite):
    made = suite.ask("keyvault key create", "-n", "due")
    wanted = {"lifetimeActions": [{"trigger": {"timeAfterCreate": "P30D"},
                                   "action": {"type": "Rotate"}}]}
    suite.ask("keyvault key rotation-policy update", "-n", "due", "--value", json.dumps(wanted))
    suite.forward(29)
    early = suite.drive("keyvault key show", "-n", "due", variant="before its rotation is due")
    suite.check(early["key"] == made["key"], "the first version")
    suite.forward(1)
    later = suite.drive("keyvault key show", "-n", "due", variant="after its rotation fell due")
    suite.check(later["key"]["n"] != made["key"]["n"], "another key")
    versions = suite.drive("keyvault key list-versions", "-n", "due",
                           variant="after a rotation fell due")
    suite.check(len(versions) == 2, "both versions")


def renewal(suite):
    action = {"action": {"actionType": "AutoRenew"}, "trigger": {"daysBeforeExpiry": 10}}
    suite.ask("keyvault certificate create", "-n", "due-cert", "--validity", "2", "--policy",
              policy("due.example.com", lifetimeActions=[action]))
    first = suite.ask("keyvault certificate show", "-n", "due-cert")
    suite.forward(30)
    early = suite.drive("keyvault certificate show", "-n", "due-cert",
                        variant="before its renewal is due")
    suite.check(early["cer"] == first["cer"], "the first version")
    suite.forward(31)
    later = suite.drive("keyvault certificate show", "-n", "due-cert",
                        variant="after its renewal fell due")
    suite.check(later["cer"] != first["cer"], "a new certificate")
    suite.check(later["attributes"]["expires"] > first["attributes"]["expires"], "that ends later")


SCENARIOS = (rotation, renewal)

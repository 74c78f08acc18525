"""What comes first, by the program: a cloud with our endpoints, and being logged in to it."""

import json

from suite import CLOUD


def register(suite):
    """The endpoints come from ARM; how vaults are called is said."""
    suite.program("cloud", "register", "--name", CLOUD, "--endpoint-resource-manager",
                     suite.place["arm_url"], "--suffix-keyvault-dns", suite.name_and_suffix()[1])
    suite.note("az", "az cloud register")
    suite.program("cloud", "set", "--name", CLOUD)
    suite.note("az", "az cloud set")
    shown = json.loads(suite.program("cloud", "show"))
    suite.note("az", "az cloud show")
    suite.check(shown["endpoints"]["activeDirectory"] == suite.place["issuer_url"], "the issuer")


def log_in(suite):
    suite.log_in("admin", "--federated-token", suite.place["client_assertion"],
                 variant="with a federated token")
    names = suite.ask("keyvault secret list")
    suite.check(names, "the vault's secrets")
    suite.log_in("admin", variant="with a secret", by=suite.program)


SCENARIOS = (register, log_in)

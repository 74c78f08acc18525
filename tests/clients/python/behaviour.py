"""What clients do beside calling operations: tokens, retries, haste, and going away."""

import base64
import json
import pathlib

from azure.core.exceptions import HttpResponseError, ServiceResponseError
from azure.keyvault.secrets import SecretClient

THROTTLED = {"error": {"code": "Throttled", "message": "too many requests"}}
UNAUTHORIZED = {"error": {"code": "Unauthorized", "message": "claims are missing"}}
CLAIMS = {"access_token": {"nbf": {"essential": True, "value": "1"}}}


class Watched:
    """A credential, of whichever kind, that remembers what it was asked for."""

    def __init__(self, credential):
        self.credential, self.asked = credential, []

    def get_token_info(self, *scopes, options=None):
        self.asked.append((scopes, (options or {}).get("claims")))
        return self.credential.get_token_info(*scopes, options=options)

    def get_token(self, *scopes, **options):
        self.asked.append((scopes, options.get("claims")))
        return self.credential.get_token(*scopes, **options)


def the_challenge(suite):
    """Scope and tenant come from the challenge alone; the first request goes without a token."""
    watched = Watched(suite.credential())
    client = suite.client(SecretClient, credential=watched)
    mark = suite.mark()
    suite.drive(client, "set_secret", "challenged", "v", variant="as the first call")
    suite.check([scopes for scopes, _ in watched.asked] == [("https://vault.azure.net/.default",)],
                "one token, for the scope of the challenge")
    suite.nothing_without_a_token(mark)


def workload_identity(suite):
    """As in a Kubernetes cluster: an assertion in a file takes the place of a secret."""
    assertion = pathlib.Path(suite.place["folder"], "assertion")
    assertion.write_text(suite.place["client_assertion"])
    client = suite.client(SecretClient, credential=suite.workload("secrets-user", assertion))
    suite.drive(client, "get_secret", "app-api-key", variant="with a workload identity")


def claims_challenge(suite):
    """401 with claims: the SDK gets a new token with them, and asks again."""
    watched = Watched(suite.credential())
    client = suite.client(SecretClient, credential=watched)
    client.get_secret("app-api-key")
    claims = base64.b64encode(json.dumps(CLAIMS).encode()).decode()
    authority = f"{suite.place['issuer_url']}/{suite.place['tenant']}/oauth2/authorize"
    # Azure: such a challenge names no resource.
    suite.script("/secrets/app-api-key", 401, UNAUTHORIZED, {
        "WWW-Authenticate": f'Bearer realm="", authorization_uri="{authority}", '
                            f'error="insufficient_claims", claims="{claims}"'})
    suite.drive(client, "get_secret", "app-api-key", variant="after a claims challenge")
    asked = [json.loads(claims) for _, claims in watched.asked if claims]
    suite.check(CLAIMS in asked, "a token with these claims")


def throttling(suite):
    client = suite.client(SecretClient)
    client.get_secret("app-api-key")
    suite.script("/secrets/app-api-key", 429, THROTTLED, {"Retry-After": "1"})
    suite.drive(client, "get_secret", "app-api-key", variant="throttled once")
    # It waits as long as it is told, and otherwise as it likes.
    client = suite.client(SecretClient, retry_backoff_factor=0.05)
    client.get_secret("app-api-key")
    for _ in range(4):
        suite.script("/secrets/app-api-key", 429, THROTTLED, {"Retry-After": "0"})
    suite.drive(client, "get_secret", "app-api-key", variant="throttled for good",
                expect=HttpResponseError)
    for status in (500, 503):
        suite.script("/secrets/app-api-key", status, {"error": {"code": "x", "message": "y"}},
                     {"Retry-After": "0"})
        suite.drive(client, "get_secret", "app-api-key", variant=f"after a {status}")


def haste(suite):
    """Many first calls at once, of one client."""
    client = suite.client(SecretClient)
    mark = suite.mark()
    values = {f"hasty-{number}": f"of-nobody-s-business-{number}" for number in range(8)}
    made = suite.at_once(client, "set_secret", list(values.items()))
    suite.note("SecretClient", "set_secret", "eight first calls at once")
    suite.check({each.name: each.value for each in made} == values, "all of them")
    suite.nothing_without_a_token(mark)
    nothing_is_told(suite, values.values())


def nothing_is_told(suite, values):
    """No value is in what the process writes, be it a log or a record."""
    for file in suite.place["told"]:
        text = pathlib.Path(file).read_text()
        suite.check(text or suite.at_the_vault_itself, f"something in {file}")
        suite.check(not any(value in text for value in values), f"no value in {file}")


def gone(suite):
    """A client that does not wait for its answer disturbs nobody."""
    client = suite.client(SecretClient)
    client.get_secret("app-api-key")
    suite.script("/secrets/app-api-key", held=True)
    suite.drive(client, "get_secret", "app-api-key", variant="and going away",
                expect=ServiceResponseError, compared=False, read_timeout=0.5, retry_total=0)
    suite.control("/release", {})
    suite.drive(client, "get_secret", "app-api-key", variant="after having gone away")


SCENARIOS = (the_challenge, workload_identity, claims_challenge, throttling, haste, gone)

"""What the CLI does beside calling operations: the program itself, tokens, retries, going away."""

import base64
import concurrent.futures
import json
import pathlib
import subprocess
import time

from suite import AZ, EITHER

THROTTLED = {"error": {"code": "Throttled", "message": "too many requests"}}
UNAUTHORIZED = {"error": {"code": "Unauthorized", "message": "claims are missing"}}
CLAIMS = {"access_token": {"nbf": {"essential": True, "value": "1"}}}
SHOW = ("keyvault secret show", "-n", "app-api-key")
# How long the vault may wait for a request that was sent, in seconds.
PATIENCE = 30


def as_a_program(suite):
    """Some of it as everybody does it; and it prints the same as in one process."""
    mark = suite.mark()
    made = suite.drive("keyvault secret set", "-n", "program", "--value", "of-nobody-s-business",
                       variant="by the program", by=suite.program)
    suite.nothing_without_a_token(mark)
    shown = suite.drive("keyvault secret show", "-n", "program", variant="by the program",
                        by=suite.program)
    suite.check(shown == made == suite.ask("keyvault secret show", "-n", "program"), "the same")
    suite.drive("keyvault secret delete", "-n", "program", variant="by the program",
                by=suite.program)
    text = suite.drive("keyvault secret show", "-n", "program", variant="that is deleted",
                       by=suite.program, expect=3)
    found = suite.drive("keyvault secret show", "-n", "program", expect=3,
                        variant="that is deleted, in one process")
    suite.check(text == found, "the same words")
    for file in suite.place["told"]:
        told = pathlib.Path(file).read_text()
        suite.check(told or suite.at_the_vault_itself, f"something in {file}")
        suite.check("of-nobody-s-business" not in told, f"no value in {file}")


def haste(suite):
    """Several programs at once, each of which has to be challenged."""
    values = {f"hasty-{number}": f"v{number}" for number in range(4)}
    mark = suite.mark()

    def made(item):
        name, value = item
        return suite.ask("keyvault secret set", "-n", name, "--value", value, by=suite.program)

    with concurrent.futures.ThreadPoolExecutor(len(values)) as pool:
        found = list(pool.map(made, values.items()))
    suite.note("az keyvault secret", "az keyvault secret set", "four programs at once")
    suite.check({each["name"]: each["value"] for each in found} == values, "all of them")
    suite.nothing_without_a_token(mark)


def claims_challenge(suite):
    """401 with claims, whatever the CLI makes of it."""
    claims = base64.b64encode(json.dumps(CLAIMS).encode()).decode()
    authority = f"{suite.place['issuer_url']}/{suite.place['tenant']}/oauth2/authorize"
    suite.script("/secrets/app-api-key", 401, UNAUTHORIZED, {
        "WWW-Authenticate": f'Bearer realm="", authorization_uri="{authority}", '
                            f'error="insufficient_claims", claims="{claims}"'})
    suite.drive(*SHOW, variant="after a claims challenge", expect=EITHER)


def throttling(suite):
    suite.script("/secrets/app-api-key", 429, THROTTLED, {"Retry-After": "1"})
    suite.drive(*SHOW, variant="throttled once")
    for _ in range(4):
        suite.script("/secrets/app-api-key", 429, THROTTLED, {"Retry-After": "0"})
    suite.drive(*SHOW, variant="throttled for good", expect=1)
    suite.script("/secrets/app-api-key", 503, {"error": {"code": "x", "message": "y"}},
                 {"Retry-After": "0"})
    suite.drive(*SHOW, variant="after a 503")


def gone(suite):
    """Somebody who presses Ctrl-C, or closes the window, disturbs nobody."""
    suite.script("/secrets/app-api-key", held=True)
    mark = suite.mark()
    arguments = suite.vault(SHOW[1:])
    with subprocess.Popen([AZ, *SHOW[0].split(), *arguments], stdout=subprocess.DEVNULL) as program:
        until = time.monotonic() + PATIENCE
        while not any(entry["caller"] for entry in suite.arrived(mark)):
            if time.monotonic() > until or program.poll() is not None:
                break
        program.kill()
    suite.note("az keyvault secret", "az keyvault secret show", "and going away")
    suite.check(any(entry["caller"] for entry in suite.arrived(mark)), "it had asked")
    suite.control("/release", {})
    suite.drive(*SHOW, variant="after having gone away")


SCENARIOS = (as_a_program, haste, claims_challenge, throttling, gone)

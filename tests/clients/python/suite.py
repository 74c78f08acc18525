"""The official Python clients, driven through a place and written down.

    suite.py PLACE.json RESULTS.json

A step is one call of a public method: what came of it, and what reached the vault meanwhile. The
suite knows the vault's URL, an identity and, through the control of the embedded vault, what
arrived there. What stands between it does not know.
"""

import http.client
import importlib.metadata
import json
import pathlib
import re
import ssl
import sys
import traceback
import urllib.parse

from azure.core.exceptions import HttpResponseError
from azure.core.paging import ItemPaged
from azure.core.polling import LROPoller
from azure.identity import ClientSecretCredential
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient
from azure.keyvault.secrets import SecretClient

CLIENTS = (SecretClient, KeyClient, CryptographyClient, CertificateClient)
PACKAGES = ("azure-identity", "azure-keyvault-certificates", "azure-keyvault-keys",
            "azure-keyvault-secrets")
VERSION = re.compile(r"[0-9a-f]{32}")


class Abandon(Exception):
    """The scenario cannot go on; what is wrong is written down."""


class Suite:
    """One run in one place."""

    def __init__(self, place):
        self.place = place
        self.steps = []
        self.refusals = []
        self.credentials = {}
        control = urllib.parse.urlsplit(place["control_url"])
        trust = ssl.create_default_context(cafile=place["ca_file"])
        self.connection = http.client.HTTPSConnection(control.netloc, context=trust, timeout=30)

    @property
    def at_the_vault_itself(self):
        return self.place["place"] == "direct"

    def credential(self, person="admin"):
        if person not in self.credentials:
            self.credentials[person] = ClientSecretCredential(
                self.place["tenant"], self.place["people"][person], self.place["client_secret"],
                authority=self.place["issuer_url"], disable_instance_discovery=True)
        return self.credentials[person]

    def options(self):
        """What an application has to set: nothing, where the vault has its own name."""
        return {} if self.place["verify"] else {"verify_challenge_resource": False}

    def client(self, kind, person="admin", **options):
        return kind(self.place["vault_url"], self.credential(person), **self.options(), **options)

    def crypto(self, key, person="admin", **options):
        return CryptographyClient(key, self.credential(person), **self.options(), **options)

    def control(self, path, body=None):
        """Asks the control of the embedded vault."""
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
        self.connection.request(method, path, data)
        return json.load(self.connection.getresponse())

    def script(self, path, status=None, body=None, headers=None, held=False):
        """Has the next request for `path` answered otherwise, or held back."""
        order = {"path": path, "held": held}
        if status is not None:
            order["answer"] = {"status": status, "headers": headers or {}, "body": body or {}}
        self.control("/script", order)

    def mark(self):
        return self.control("/journal")["next"]

    def arrived(self, mark):
        """The requests that reached the vault since `mark`."""
        return self.control(f"/journal?since={mark}")["entries"]

    def calls(self, mark):
        """The same, as they are written down: those with a token, without what is random."""
        return [_call(entry) for entry in self.arrived(mark) if entry["caller"]]

    def drive(self, client, operation, *arguments, variant="", expect=None, compared=True,
              **options):
        """One step. With `expect`, that exception is the right outcome, and is given back."""
        mark, outcome, problem, result = self.mark(), "ok", None, None
        try:
            result = _whole(getattr(client, operation)(*arguments, **options))
            if expect is not None and expect is not EITHER:
                problem = f"expected {expect.__name__}"
        except Exception as error:  # noqa: BLE001: whatever it is, it is what the user sees
            result, outcome = error, _named(error)
            wanted = HttpResponseError if expect is EITHER else expect
            if wanted is None or not isinstance(error, wanted):
                problem = f"{outcome}: {error}"
        calls = self.calls(mark)
        self.note(type(client).__name__, operation, variant, outcome=outcome, calls=calls,
                  problem=problem, compared=compared)
        if problem:
            raise Abandon
        return result

    def note(self, client, operation, variant="", outcome="ok", calls=(), problem=None,
             compared=False):
        self.steps.append({
            "client": client, "operation": operation, "variant": variant, "outcome": outcome,
            "calls": list(calls), "problem": problem, "compared": compared})

    def check(self, holds, what):
        """Has the last step fail, unless `holds`."""
        if not holds:
            self.steps[-1]["problem"] = f"not so: {what}"
            raise Abandon

    def run(self, scenario):
        """Runs a scenario; what goes wrong in it is a step that failed."""
        try:
            scenario(self)
        except Abandon:
            pass
        except Exception as error:  # noqa: BLE001: the other scenarios go on
            if not isinstance(error, HttpResponseError):
                traceback.print_exc()
            self.note("suite", scenario.__name__, problem=f"{type(error).__name__}: {error}")

    def nothing_is_left_out(self):
        """Each public method of each client was driven: a new one fails here."""
        driven = {(step["client"], step["operation"]) for step in self.steps}
        for kind in CLIENTS:
            missing = [name for name in public_methods(kind) if (kind.__name__, name) not in driven]
            problem = f"not driven: {', '.join(missing)}" if missing else None
            self.note(kind.__name__, "every public method", problem=problem)

    def results(self):
        versions = {name: importlib.metadata.version(name) for name in PACKAGES}
        return {"versions": versions, "steps": self.steps, "refusals": self.refusals}


EITHER = object()
"""For operations whose answer is the vault's to choose: compared with the vault itself."""


def public_methods(kind):
    names = [name for name in dir(kind) if not name.startswith("_")]
    return [name for name in names if not isinstance(getattr(kind, name), property)]


def _whole(result):
    """The result, when there is nothing more to come."""
    if isinstance(result, ItemPaged):
        return list(result)
    if isinstance(result, LROPoller) or hasattr(result, "wait") and hasattr(result, "result"):
        result.wait()
        return result.result()
    return result


def _named(error):
    name = type(error).__name__
    if isinstance(error, HttpResponseError) and error.status_code:
        code = error.error.code if error.error else None
        return f"{name} {error.status_code}" + (f" {code}" if code else "")
    return name


def _call(entry):
    path, _, query = entry["path_and_query"].partition("?")
    kept = []
    for parameter in query.split("&"):
        name, _, value = parameter.partition("=")
        name = name.replace("%2D", "-").replace("%24", "$")
        if name == "$skiptoken":
            value = "…"
        if name != "api-version" and name:
            kept.append(f"{name}={value}")
    path = VERSION.sub("{version}", path)
    # The order of parameters is no part of what is asked.
    asked = "&".join(sorted(kept))
    return f"{entry['method']} {path}{'?' if kept else ''}{asked} {entry['status']}"


def main(place_file, results_file):
    # Imported here, for they import this.
    import behaviour
    import certificates
    import crypto
    import keys
    import roles
    import vault_secrets
    suite = Suite(json.loads(pathlib.Path(place_file).read_text()))
    for module in (vault_secrets, keys, crypto, certificates, behaviour, roles):
        for scenario in module.SCENARIOS:
            suite.run(scenario)
    suite.nothing_is_left_out()
    pathlib.Path(results_file).write_text(json.dumps(suite.results(), indent=1))


if __name__ == "__main__":
    # Under its own name as well, so that the scenarios import this very module.
    sys.modules["suite"] = sys.modules["__main__"]
    main(*sys.argv[1:])

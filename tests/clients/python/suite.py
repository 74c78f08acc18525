"""The official Python clients, driven through a place and written down.

    suite.py PLACE.json RESULTS.json        the synchronous clients
    suite.py PLACE.json RESULTS.json aio    the asynchronous ones, by the same scenarios

A step is one call of a public method: what came of it, and what reached the vault meanwhile. The
suite knows the vault's URL, an identity and, through the control of the embedded vault, what
arrived there. What stands between it does not know.
"""

import concurrent.futures
import importlib.metadata
import json
import pathlib
import sys

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential, WorkloadIdentityCredential
from azure.keyvault.certificates import CertificateClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient
from azure.keyvault.secrets import SecretClient

from harness.steps import Abandon, Steps

CLIENTS = (SecretClient, KeyClient, CryptographyClient, CertificateClient)
PACKAGES = ("azure-identity", "azure-keyvault-certificates", "azure-keyvault-keys",
            "azure-keyvault-secrets")


class Suite(Steps):
    """One run of the Python clients in one place."""

    telling = (HttpResponseError,)
    # What the asynchronous suite has others of.
    clients = CLIENTS
    by_secret, by_workload = ClientSecretCredential, WorkloadIdentityCredential

    def __init__(self, place):
        super().__init__(place)
        self.credentials = {}

    def credential(self, person="admin"):
        if person not in self.credentials:
            self.credentials[person] = self.by_secret(
                self.place["tenant"], self.place["people"][person], self.place["client_secret"],
                authority=self.place["issuer_url"], disable_instance_discovery=True)
        return self.credentials[person]

    def workload(self, person, token_file):
        return self.by_workload(
            tenant_id=self.place["tenant"], client_id=self.place["people"][person],
            token_file_path=str(token_file), authority=self.place["issuer_url"],
            disable_instance_discovery=True)

    def options(self):
        """What an application has to set: nothing, where the vault has its own name."""
        return {} if self.place["verify"] else {"verify_challenge_resource": False}

    def client(self, kind, person="admin", credential=None, **options):
        credential = credential or self.credential(person)
        return self.waiting(self.kind(kind)(self.place["vault_url"], credential, **self.options(),
                                            **options))

    def crypto(self, key, person="admin", **options):
        made = self.kind(CryptographyClient)(key, self.credential(person), **self.options(),
                                             **options)
        return self.waiting(made)

    def local(self, jwk):
        """A crypto client for a key that is here."""
        return self.waiting(self.kind(CryptographyClient).from_jwk(jwk))

    def kind(self, kind):
        """The class of this name that is driven."""
        return next(each for each in self.clients if each.__name__ == kind.__name__)

    def offers(self, kind, method):
        return hasattr(self.kind(kind), method)

    def waiting(self, client):
        """The client, with methods that return when all is done."""
        return client

    def spoken(self, operation):
        """What the clients call the operation."""
        return operation

    def named(self, client):
        return type(client).__name__

    def at_once(self, client, operation, calls):
        """Calls a method with each of the arguments, none waiting for another."""
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(lambda call: getattr(client, operation)(*call), calls))

    def close(self):
        """Ends what the suite leaves open."""

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
        self.note(self.named(client), self.spoken(operation), variant, outcome=outcome,
                  calls=calls, problem=problem, compared=compared)
        if problem:
            raise Abandon
        return result


EITHER = object()
"""For operations whose answer is the vault's to choose: compared with the vault itself."""


def public_methods(kind):
    names = [name for name in dir(kind) if not name.startswith("_")]
    return [name for name in names if not isinstance(getattr(kind, name), property)]


def _whole(result):
    """The result, when there is nothing more to come."""
    if hasattr(result, "by_page"):
        return list(result)
    if hasattr(result, "wait") and hasattr(result, "result"):
        result.wait()
        return result.result()
    return result


def _named(error):
    name = type(error).__name__
    if isinstance(error, HttpResponseError) and error.status_code:
        code = error.error.code if error.error else None
        return f"{name} {error.status_code}" + (f" {code}" if code else "")
    return name


def main(place_file, results_file, clients="sync"):
    # Imported here, for they import this.
    import aging
    import aio
    import behaviour
    import certificates
    import crypto
    import keys
    import roles
    import vault_secrets
    kind, packages = {"sync": (Suite, PACKAGES), "aio": (aio.Suite, (*PACKAGES, "aiohttp"))}[clients]
    suite = kind(json.loads(pathlib.Path(place_file).read_text()))
    for module in (vault_secrets, keys, crypto, certificates, behaviour, roles, aging):
        for scenario in module.SCENARIOS:
            suite.run(scenario)
    suite.close()
    for driven in suite.clients:
        suite.nothing_is_left_out(driven.__name__, public_methods(driven), "every public method")
    versions = {name: importlib.metadata.version(name) for name in packages}
    pathlib.Path(results_file).write_text(json.dumps(suite.results(versions), indent=1))


if __name__ == "__main__":
    # Under its own name as well, so that the scenarios import this very module.
    sys.modules["suite"] = sys.modules["__main__"]
    main(*sys.argv[1:])

"""The asynchronous clients, driven by the scenarios of the synchronous ones.

Each call is waited for. Of a method `begin_x` with a poller there is here a coroutine `x`.
"""

import asyncio
import inspect

from azure.identity.aio import ClientSecretCredential, WorkloadIdentityCredential
from azure.keyvault.certificates.aio import CertificateClient
from azure.keyvault.keys.aio import KeyClient
from azure.keyvault.keys.crypto.aio import CryptographyClient
from azure.keyvault.secrets.aio import SecretClient

import suite as synchronous


def spoken(operation):
    return operation.removeprefix("begin_")


class _Done:
    """What a poller is when there is nothing to wait for."""

    def __init__(self, result):
        self._result = result

    def wait(self):
        """Waits for nothing."""

    def result(self):
        return self._result


class _Paged:
    """Pages that are read when they are asked for."""

    def __init__(self, run, paged):
        self.run, self.paged = run, paged

    def __iter__(self):
        return iter(self.run(_gathered(self.paged)))

    def by_page(self):
        async def pages():
            return [await _gathered(page) async for page in self.paged.by_page()]
        return iter(self.run(pages()))


async def _gathered(items):
    return [item async for item in items]


class _Waiting:
    """A client of which every method returns when all is done."""

    def __init__(self, run, client):
        self._run, self.behind = run, client

    def __getattr__(self, name):
        found = getattr(self.behind, spoken(name))
        if not callable(found):
            return found

        def call(*arguments, **options):
            result = self._settled(found(*arguments, **options))
            return result if spoken(name) == name else _Done(result)
        return call

    def _settled(self, result):
        if inspect.isawaitable(result):
            return self._run(result)
        if hasattr(result, "by_page"):
            return _Paged(self._run, result)
        if isinstance(result, CryptographyClient):
            return _Waiting(self._run, result)
        return result

    def __enter__(self):
        self._run(self.behind.__aenter__())
        return self

    def __exit__(self, *error):
        self._run(self.behind.__aexit__(*error))


class Suite(synchronous.Suite):
    """One run of the asynchronous clients in one place."""

    clients = (SecretClient, KeyClient, CryptographyClient, CertificateClient)
    by_secret, by_workload = ClientSecretCredential, WorkloadIdentityCredential

    def __init__(self, place):
        super().__init__(place)
        self.runner, self.opened = asyncio.Runner(), []

    def workload(self, person, token_file):
        credential = super().workload(person, token_file)
        self.opened.append(credential)
        return credential

    def waiting(self, client):
        self.opened.append(client)
        return _Waiting(self.runner.run, client)

    def spoken(self, operation):
        return spoken(operation)

    def named(self, client):
        return type(client.behind).__name__

    def at_once(self, client, operation, calls):
        async def gather():
            # One that waits could only do them one after the other.
            method = getattr(client.behind, operation)
            return await asyncio.gather(*(method(*call) for call in calls))
        return self.runner.run(gather())

    def close(self):
        for each in (*self.opened, *self.credentials.values()):
            self.runner.run(each.close())
        self.runner.close()

"""What the suites in Python share: their steps, written down, and the control of the embedded vault.

A step is one call of a client: what came of it, and what reached the vault meanwhile. Nothing here
knows what stands between the client and the vault.
"""

import http.client
import json
import re
import ssl
import traceback
import urllib.parse

VERSION = re.compile(r"[0-9a-f]{32}")


class Abandon(Exception):
    """The scenario cannot go on; what is wrong is written down."""


class Steps:
    """One run in one place."""

    # The errors that say all there is to say.
    telling = ()

    def __init__(self, place):
        self.place = place
        self.steps = []
        self.refusals = []
        control = urllib.parse.urlsplit(place["control_url"])
        trust = ssl.create_default_context(cafile=place["ca_file"])
        self.connection = http.client.HTTPSConnection(control.netloc, context=trust, timeout=30)

    @property
    def at_the_vault_itself(self):
        return self.place["place"] == "direct"

    def control(self, path, body=None):
        """Asks the control of the embedded vault."""
        method, data = ("GET", None) if body is None else ("POST", json.dumps(body))
        self.connection.request(method, path, data)
        answer = self.connection.getresponse()
        told = json.load(answer)
        if answer.status != 200:
            raise RuntimeError(f"{path}: {told}")
        return told

    def script(self, path, status=None, body=None, headers=None, held=False):
        """Has the next request for `path` answered otherwise, or held back."""
        order = {"path": path, "held": held}
        if status is not None:
            order["answer"] = {"status": status, "headers": headers or {}, "body": body or {}}
        self.control("/script", order)

    def forward(self, days):
        """Makes all objects of the vault as much older."""
        self.control("/forward", {"seconds": days * 24 * 3600})

    def mark(self):
        return self.control("/journal")["next"]

    def arrived(self, mark):
        """The requests that reached the vault since `mark`."""
        return self.control(f"/journal?since={mark}")["entries"]

    def calls(self, mark):
        """The same, as they are written down: those with a token, without what is random."""
        return [_call(entry) for entry in self.arrived(mark) if entry["caller"]]

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

    def nothing_without_a_token(self, mark):
        """Nothing that has no token is passed on to the vault. There was something since `mark`."""
        arrived = self.arrived(mark)
        self.check(arrived, "something reaches the vault")
        if not self.at_the_vault_itself:
            self.check(all(entry["caller"] for entry in arrived),
                       "nothing without a token reaches the vault")

    def run(self, scenario):
        """Runs a scenario; what goes wrong in it is a step that failed."""
        try:
            scenario(self)
        except Abandon:
            pass
        except Exception as error:  # noqa: BLE001: the other scenarios go on
            if not isinstance(error, self.telling):
                traceback.print_exc()
            self.note("suite", scenario.__name__, problem=f"{type(error).__name__}: {error}")

    def nothing_is_left_out(self, client, wanted, what):
        """Each of `wanted` was driven: a new one fails here, and so does having none."""
        driven = {step["operation"] for step in self.steps if step["client"] == client}
        missing = [name for name in wanted if name not in driven]
        problem = f"not driven: {', '.join(missing)}" if missing else None
        self.note(client, what, problem=problem if wanted else "there is none")

    def results(self, versions):
        return {"versions": versions, "steps": self.steps, "refusals": self.refusals}


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

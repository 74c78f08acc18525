"""The Azure CLI, driven through a place and written down.

    suite.py PLACE.json RESULTS.json

A step is one command: how it ended, and what reached the vault meanwhile. Starting `az` takes most
of a second, so most commands run in this process, by what `az` itself calls; some run as the
program. The suite knows the vault's name, an identity and a cloud to register; what stands between
it and the vault it does not know.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

from harness.steps import Abandon, Steps

# Each has commands for a vault's content; what is beside them is for ARM or for a managed HSM.
GROUPS = ("keyvault secret", "keyvault key", "keyvault certificate")
# What the others are for, so that a new group is noticed.
ELSEWHERE = {
    "a managed HSM": ("backup", "ekm-connection", "region", "restore", "role", "security-domain",
                      "setting"),
    "the vault as a resource": ("network-rule", "private-endpoint-connection",
                                "private-link-resource"),
}
NOTES = (
    "`az` never compares the challenge with the host, so another name needs no switch. The name of "
    "a vault becomes a URL by the suffix of the cloud, which `az cloud register "
    "--suffix-keyvault-dns` sets; most commands take a URL with `--id` instead.",
    "A cloud is registered here in both placements, for the issuer is not Microsoft's. The cloud "
    "that `az` begins with has Entra and the suffix `.vault.azure.net` already.",
    "`az` has no command that wraps, unwraps or releases a key, or that cancels the creation of a "
    "certificate. It does not wait until a deletion has taken effect.",
    "After a claims challenge `az` gets no other token: it ends with the vault's error, at the "
    "vault itself as well.",
    "Most commands run in one process, by what `az` itself calls; `by the program` says which do "
    "not. Each is challenged anew, as each start of the program is.",
    "Of `az keyvault`, these groups are for something else than a vault's content: "
    + "; ".join(f"for {what} " + ", ".join(f"`{name}`" for name in names)
                for what, names in ELSEWHERE.items()) + ".",
)
PACKAGES = ("azure-cli", "azure-keyvault-certificates", "azure-keyvault-keys",
            "azure-keyvault-secrets")
CLOUD = "Portcullis"
ERROR = re.compile(r"^ERROR: \((\w+)\)", re.MULTILINE)
# The program, beside the Python that runs this.
AZ = pathlib.Path(sys.executable).with_name("az")
EITHER = object()
"""For commands whose answer is the vault's to choose: compared with the vault itself."""


class Failed(Exception):
    """A command ended with an error; the text is what `az` prints."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


class Suite(Steps):
    """One run of the CLI in one place."""

    telling = (Failed,)

    def __init__(self, place):
        super().__init__(place)
        self.folder = pathlib.Path(place["folder"])
        os.environ.update(configuration(self.folder))
        # Its log keeps the first stream it meets.
        self.errors = io.StringIO()

    @functools.cached_property
    def cli(self):
        """What `az` is made of. It stays in the cloud in which it began."""
        # Imported here, for it reads the environment when it is imported.
        from azure.cli.core import get_default_cli
        return get_default_cli()

    def name_and_suffix(self):
        """The vault's name as `--vault-name` has it, and what makes a host of it in this cloud."""
        at = urllib.parse.urlsplit(self.place["vault_url"])
        if self.place["verify"]:
            name, _, rest = at.hostname.partition(".")
            return name, f".{rest}"
        return at.hostname, f":{at.port}"

    def id(self, path):
        return f"{self.place['vault_url']}/{path}"

    def file(self, name):
        return str(self.folder / name)

    def in_process(self, *arguments):
        """Runs a command as `az` does. Gives its output."""
        for kind in ("certificates", "keys", "secrets"):
            # A program that has just started remembers no challenge.
            importlib.import_module(f"azure.keyvault.{kind}._shared.http_challenge_cache").clear()
        out = io.StringIO()
        self.errors.seek(0)
        self.errors.truncate()
        with contextlib.redirect_stderr(self.errors):
            try:
                code = self.cli.invoke(list(arguments), out_file=out)
            except SystemExit as end:  # its parser of arguments ends so
                code = end.code
        if code:
            raise Failed(code, self.errors.getvalue())
        return out.getvalue()

    def program(self, *arguments):
        """The same by the program itself."""
        done = subprocess.run([AZ, *arguments], capture_output=True, text=True, check=False,
                              timeout=60)
        if done.returncode:
            raise Failed(done.returncode, done.stderr)
        return done.stdout

    def vault(self, arguments):
        """The arguments, with the vault's name unless they say by themselves which it is."""
        if "--id" in arguments:
            return arguments
        return (*arguments, "--vault-name", self.name_and_suffix()[0])

    def ask(self, command, *arguments, by=None):
        """Runs a command on the vault. Gives its output, read."""
        out = (by or self.in_process)(*command.split(), *self.vault(arguments))
        return json.loads(out) if out.strip() else None

    def drive(self, command, *arguments, variant="", expect=0, compared=True, by=None):
        """One step. With `expect`, ending with that code is right, and what it prints is given."""
        mark, outcome, problem = self.mark(), "ok", None
        try:
            result = self.ask(command, *arguments, by=by)
            if expect not in (0, EITHER):
                problem = f"expected to end with {expect}"
        except Failed as failed:
            code = ERROR.search(failed.text)
            result, outcome = failed.text, f"exit {failed.code}" + (f" {code[1]}" if code else "")
            if expect not in (failed.code, EITHER):
                problem = f"{outcome}: {failed.text}"
        self.note(group(command), f"az {command}", variant, outcome=outcome,
                  calls=self.calls(mark), problem=problem, compared=compared)
        if problem:
            raise Abandon
        return result

    def log_in(self, person, *proof, variant="", by=None):
        """`az login` as an application, with its secret unless something else is its proof."""
        proof = proof or ("--password", self.place["client_secret"])
        arguments = ("login", "--service-principal", "--username", self.place["people"][person],
                     "--tenant", self.place["tenant"], *proof)
        told = json.loads((by or self.in_process)(*arguments))
        self.note("az", "az login", variant)
        self.check([each["cloudName"] for each in told] == [CLOUD], "a subscription of this cloud")

    def commands(self):
        """Every command of `az keyvault`."""
        invocation = self.cli.invocation_cls(
            cli_ctx=self.cli, parser_cls=self.cli.parser_cls,
            commands_loader_cls=self.cli.commands_loader_cls, help_cls=self.cli.help_cls)
        table = invocation.commands_loader.load_command_table(["keyvault"])
        return sorted(name for name in table if name.startswith("keyvault "))


def configuration(folder):
    """What makes `az` touch nothing outside of the folder, and tell nobody."""
    return {
        "AZURE_CONFIG_DIR": str(folder / "azure"),
        "AZURE_CORE_COLLECT_TELEMETRY": "no",
        "AZURE_CORE_NO_COLOR": "yes",
        # The issuer is none of Microsoft's, whose list of clouds is not asked.
        "AZURE_CORE_INSTANCE_DISCOVERY": "no",
    }


def group(command):
    """`az keyvault key` of `keyvault key rotation-policy show`."""
    return "az " + " ".join(command.split()[:2])


def main(place_file, results_file):
    # Imported here, for they import this.
    import aging
    import behaviour
    import certificates
    import cloud
    import keys
    import roles
    import vault_secrets
    suite = Suite(json.loads(pathlib.Path(place_file).read_text()))
    for module in (cloud, vault_secrets, keys, certificates, behaviour, roles, aging):
        for scenario in module.SCENARIOS:
            suite.run(scenario)
    commands = suite.commands()
    for each in GROUPS:
        wanted = [f"az {command}" for command in commands if command.startswith(f"{each} ")]
        suite.nothing_is_left_out(f"az {each}", wanted, "every command")
    groups = {command.rsplit(" ", 1)[0] for command in commands} - {"keyvault"}
    known = {f"keyvault {name}" for names in ELSEWHERE.values() for name in names} | {*GROUPS}
    new = {" ".join(each.split()[:2]) for each in groups} - known
    suite.note("az", "az keyvault", "every group", problem=f"new: {new}" if new else None)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    results = {**suite.results(versions), "notes": NOTES}
    pathlib.Path(results_file).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    # Under its own name as well, so that the scenarios import this very module.
    sys.modules["suite"] = sys.modules["__main__"]
    main(*sys.argv[1:])

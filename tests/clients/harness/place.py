"""Where a suite runs: a world of its own, and how its clients reach the vault in it."""

import contextlib
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys

from .arm import Arm
from .install import HERE, ROOT, TARGET, program

DIRECT, OWN, UNCHANGED = PLACES = ("direct", "own", "unchanged")
VAULT_HOST = "portcullis-dev.vault.azure.net"
BINARY = ROOT / "target" / "debug" / "portcullis"
# The longest any suite may take in one place, in seconds.
PATIENCE = 600


def namespaces_allowed(script):
    """Whether the unchanged placement can be made on this machine."""
    if not shutil.which("unshare"):
        return False
    probe = ["unshare", "--user", "--map-root-user", "--net", "--mount", sys.executable, script]
    done = subprocess.run([*probe, "--one", "probe", UNCHANGED], capture_output=True, check=False)
    return done.returncode == 0


def run_suite(suite, place):
    """Runs the suite in the place. Gives 0 if it ran to its end, whatever it found."""
    folder = TARGET / "runs" / suite / place
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if place == UNCHANGED:
        _lead_home(folder)
    if suite == "probe":
        with socket.create_server(("127.0.0.1", 443)):
            return 0 if socket.gethostbyname(VAULT_HOST) == "127.0.0.1" else 1
    results = folder / "results.json"
    with _World(folder, place) as world, contextlib.ExitStack() as stack:
        told = world.described()
        if suite == "cli":
            told["arm_url"] = stack.enter_context(world.arm()).url
        described = folder / "place.json"
        described.write_text(json.dumps(told, indent=1))
        command = program(suite, described, results)
        done = subprocess.run(command, env=world.environment(), timeout=PATIENCE, check=False)
    return 0 if done.returncode == 0 and results.exists() else 1


def _lead_home(folder):
    """Has the vault's name lead to this machine, in this process's namespaces alone."""
    with socket.socket() as any_socket:
        up = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {VAULT_HOST}\n::1 localhost\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)


class _World:
    """A running `portcullis dev`."""

    def __init__(self, folder, place):
        self.folder, self.place = folder, place

    def __enter__(self):
        command = [BINARY, "dev", "--directory", self.folder / "world", "--control-port", "0"]
        ports = {"port": 0, "issuer-port": 0, "vault-port": 0, "admin-port": 0}
        if self.place == UNCHANGED:
            ports["port"] = 443
        if self.place != DIRECT:
            command += ["--vault-host", VAULT_HOST]
        for name, port in ports.items():
            command += [f"--{name}", str(port)]
        self.output = self.folder / "portcullis.log"
        self.log = self.output.open("w")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        # Its guide is the last it says before it serves, and `Stop` the guide's last line.
        for line in self.process.stdout:
            self.log.write(line)
            if line.startswith("Stop:"):
                self.log.flush()
                return self
        raise RuntimeError(f"portcullis dev did not start; see {self.output}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=30)
        self.log.close()

    def state(self):
        return json.loads((self.folder / "world" / "dev.json").read_text())

    def described(self):
        """What a suite is told. `vault_url` and `verify` are all that an application would know."""
        state = self.state()
        url = {
            DIRECT: state["vault_url"],
            OWN: state["proxy_url"],
            UNCHANGED: f"https://{VAULT_HOST}",
        }
        return {
            "place": self.place,
            "vault_url": url[self.place],
            "verify": self.place == UNCHANGED,
            "told": [str(self.output), str(self.folder / "world" / "decisions.jsonl")],
            "folder": str(self.folder),
            **{name: state[name] for name in
               ("ca_file", "client_assertion", "client_secret", "control_url", "issuer_url",
                "people", "tenant")},
        }

    def arm(self):
        """A stand-in for ARM, with the certificate that is there for `localhost`."""
        state = self.state()
        place = self.folder / "world"
        return Arm(place / "proxy.crt", place / "proxy.key", state["issuer_url"], state["tenant"])

    def environment(self):
        """What an application is given in order to trust the private CA, and no more of it."""
        ca = str(self.folder / "world" / "ca.pem")
        home = self.folder / "home"
        home.mkdir()
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "REQUESTS_CA_BUNDLE": ca,
            "SSL_CERT_FILE": ca,
            "NODE_EXTRA_CA_CERTS": ca,
            "PYTHONDONTWRITEBYTECODE": "1",
            # What the suites share.
            "PYTHONPATH": str(HERE),
        }

"""What the holder of each built-in role may do, and what `az` prints otherwise."""

import base64

from harness import roles as shared

ZEROES = base64.b64encode(bytes(32)).decode()


def _ask(command, *arguments):
    return f"az {command}", lambda suite: suite.ask(command, *arguments)


def _decrypt(suite):
    which = ("-n", "signing", "--algorithm", "RSA-OAEP")
    sealed = suite.ask("keyvault key encrypt", *which, "--value", ZEROES)
    suite.ask("keyvault key decrypt", *which, "--value", sealed["result"])


def _create_certificate(suite):
    policy = suite.in_process("keyvault", "certificate", "get-default-policy")
    suite.ask("keyvault certificate create", "-n", "role-cert", "--policy", policy)


# The CLI has no command that unwraps or releases a key.
CALLS = {
    "set_secret": _ask("keyvault secret set", "-n", "role", "--value", "v"),
    "get_secret": _ask("keyvault secret show", "-n", "app-api-key"),
    "list_secrets": _ask("keyvault secret list"),
    "delete_secret": _ask("keyvault secret delete", "-n", "role"),
    "purge_secret": _ask("keyvault secret purge", "-n", "role"),
    "create_key": _ask("keyvault key create", "-n", "role"),
    "get_key": _ask("keyvault key show", "-n", "signing"),
    "list_keys": _ask("keyvault key list"),
    "update_key": _ask("keyvault key set-attributes", "-n", "signing", "--enabled", "true"),
    "delete_key": _ask("keyvault key delete", "-n", "role"),
    "purge_key": _ask("keyvault key purge", "-n", "role"),
    "sign": _ask("keyvault key sign", "-n", "signing", "--algorithm", "RS256", "--digest", ZEROES),
    "decrypt": ("az keyvault key decrypt", _decrypt),
    "create_certificate": ("az keyvault certificate create", _create_certificate),
    "get_certificate": _ask("keyvault certificate show", "-n", "role-cert"),
    "list_certificates": _ask("keyvault certificate list"),
    "delete_certificate": _ask("keyvault certificate delete", "-n", "role-cert"),
    "purge_certificate": _ask("keyvault certificate purge", "-n", "role-cert"),
}


def roles(suite):
    def become(person):
        suite.log_in(person, variant="as somebody else")
        return suite
    shared.drive(suite, CALLS, become, _seen)
    become("admin")


def _seen(error):
    text = getattr(error, "text", str(error))
    return f"exit code {getattr(error, 'code', None)}", text, "ERROR: (Forbidden)" in text


SCENARIOS = (roles,)

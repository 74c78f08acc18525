"""What the holder of each built-in role may do, and what the user of a client sees otherwise."""

import re

RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

# In the order in which one makes what another needs.
OPERATIONS = (
    "set_secret", "get_secret", "list_secrets", "delete_secret", "purge_secret",
    "create_key", "get_key", "list_keys", "update_key", "delete_key", "purge_key", "release_key",
    "sign", "decrypt", "unwrap_key",
    "create_certificate", "get_certificate", "list_certificates", "delete_certificate",
    "purge_certificate",
)

# Who, what they hold, what they may, and one thing they may not. In this order: what the first
# makes, the others need.
ROLES = (
    ("certificates-officer", "Key Vault Certificates Officer",
     ("create_certificate", "get_certificate", "list_certificates"), "get_secret"),
    ("certificate-user", "Key Vault Certificate User",
     ("get_certificate", "get_secret", "get_key"), "delete_certificate"),
    ("crypto-officer", "Key Vault Crypto Officer",
     ("create_key", "get_key", "sign", "delete_key", "purge_key"), "get_secret"),
    ("crypto-user", "Key Vault Crypto User",
     ("get_key", "list_keys", "update_key", "sign", "decrypt"), "create_key"),
    ("encryption-user", "Key Vault Crypto Service Encryption User", ("get_key", "unwrap_key"),
     "sign"),
    ("release-user", "Key Vault Crypto Service Release User", (), "get_key"),
    ("reader", "Key Vault Reader", ("list_secrets", "get_key", "get_certificate"), "get_secret"),
    ("secrets-officer", "Key Vault Secrets Officer",
     ("set_secret", "get_secret", "delete_secret", "purge_secret"), "get_key"),
    ("secrets-user", "Key Vault Secrets User", ("get_secret", "list_secrets"), "set_secret"),
    ("contributor", "Key Vault Contributor", (), "get_secret"),
    ("data-access-admin", "Key Vault Data Access Administrator", (), "list_certificates"),
    ("purge-operator", "Key Vault Purge Operator", (), "purge_secret"),
    ("nobody", "no role", (), "get_secret"),
)


def drive(suite, calls, become, seen):
    """Has everybody do what they may and what they may not.

    `calls` has the operations that the client has: its own name for each, and what does it for the
    result of `become(person)`. `seen(error)` is what the client's user sees of an error: its kind,
    its text, and whether it says that it is forbidden.
    """
    if suite.at_the_vault_itself:
        # It authenticates, and decides no roles.
        return
    # The administrator may do all of it.
    _allowed(suite, calls, become("admin"), "Key Vault Administrator",
             [name for name in calls if name != "release_key"])
    for person, role, allowed, refused in ROLES:
        somebody = become(person)
        allowed = [name for name in allowed if name in calls]
        _allowed(suite, calls, somebody, role, allowed)
        _refused(suite, calls[refused], somebody, role, [calls[name][0] for name in allowed], seen)


def _allowed(suite, calls, somebody, role, allowed):
    for name in (name for name in OPERATIONS if name in allowed):
        shown, call = calls[name]
        problem = None
        try:
            call(somebody)
        except Exception as error:  # noqa: BLE001: whatever it is, it should not be
            problem = f"{type(error).__name__}: {error}"
        suite.note("roles", shown, f"as {role}", problem=problem)


def _refused(suite, call, somebody, role, allowed, seen):
    shown, call = call
    mark, problem = suite.mark(), None
    try:
        call(somebody)
        problem = "it was allowed"
    except Exception as error:  # noqa: BLE001: whatever it is, it is what the user sees
        kind, text, forbidden = seen(error)
        if not forbidden:
            problem = f"{type(error).__name__}: {error}"
        suite.refusals.append({
            "role": role, "allowed": allowed, "operation": shown, "class": kind,
            "text": RANDOM.sub("<id>", text)})
    # A crypto client reads the key first, if it may.
    reading = {"GET"} if shown.endswith("sign") else set()
    if any(entry["method"] not in reading for entry in suite.arrived(mark)):
        problem = "it reached the vault"
    suite.note("roles", shown, f"refused to {role}", outcome="403", problem=problem)

"""Every command on secrets."""

import pathlib

from lifecycle import deleted_and_brought_back


def set_and_show(suite):
    first = suite.drive("keyvault secret set", "-n", "alpha", "--value", "v1", "--tags", "a=b",
                        "--content-type", "text/plain")
    suite.check(first["value"] == "v1" and first["tags"]["a"] == "b", "what was set")
    suite.check(first["id"].startswith(suite.id("secrets/alpha/")), "an id of this host")
    version = first["id"].rsplit("/", 1)[1]
    # A value may look like a link, and must survive all the same.
    url = "https://portcullis-dev.vault.azure.net/secrets/alpha"
    suite.drive("keyvault secret set", "-n", "alpha", "--value", url, variant="a second version")
    shown = suite.drive("keyvault secret show", "-n", "alpha")
    suite.check(shown["value"] == url, "the latest version, word for word")
    shown = suite.drive("keyvault secret show", "-n", "alpha", "--version", version,
                        variant="by version")
    suite.check(shown["value"] == "v1" and shown["contentType"] == "text/plain", "the first")
    shown = suite.drive("keyvault secret show", "--id", first["id"], variant="by id")
    suite.check(shown["value"] == "v1", "the first")
    shown = suite.drive("keyvault secret show", "--id", suite.id("secrets/alpha"),
                        variant="by id without a version")
    suite.check(shown["value"] == url, "the latest")
    text = suite.drive("keyvault secret show", "-n", "nope", variant="that is not there", expect=3)
    suite.check("SecretNotFound" in text, "the vault's own words")


def files(suite):
    """Content that is no text is kept as text, and comes back as it was."""
    source, target = pathlib.Path(suite.file("bytes")), pathlib.Path(suite.file("bytes.back"))
    source.write_bytes(bytes(range(256)))
    suite.drive("keyvault secret set", "-n", "filed", "--file", str(source), "--encoding", "base64",
                variant="from a file")
    suite.drive("keyvault secret download", "-n", "filed", "--file", str(target))
    suite.check(target.read_bytes() == source.read_bytes(), "every byte")


def update(suite):
    suite.ask("keyvault secret set", "-n", "updated", "--value", "v")
    changed = suite.drive("keyvault secret set-attributes", "-n", "updated", "--content-type", "x/y",
                          "--expires", "2030-01-02T00:00:00Z", "--tags", "z=1")
    suite.check(changed["contentType"] == "x/y" and changed["tags"] == {"z": "1"}, "the changes")
    suite.check(changed["attributes"]["expires"].startswith("2030-01-02"), "its end")
    changed = suite.drive("keyvault secret set-attributes", "-n", "updated", "--enabled", "false",
                          variant="disabling it")
    suite.check(changed["attributes"]["enabled"] is False, "disabled")
    suite.drive("keyvault secret show", "-n", "updated", variant="that is disabled", expect=1)


def lists(suite):
    for number in range(2):
        suite.ask("keyvault secret set", "-n", "listed", "--value", str(number))
    listed = suite.drive("keyvault secret list")
    suite.check({"alpha", "listed"} <= {each["name"] for each in listed}, "all names")
    by_id = suite.drive("keyvault secret list", "--id", suite.place["vault_url"], variant="by id")
    suite.check(by_id == listed, "the same")
    few = suite.drive("keyvault secret list", "--maxresults", "2", variant="two a page")
    suite.check(few == listed[:2], "the first two")
    versions = suite.drive("keyvault secret list-versions", "-n", "listed")
    suite.check(len(versions) == 2, "both versions")


def many_pages(suite):
    """More than the service puts on one page without being asked."""
    wanted = {f"many-{number:02}" for number in range(30)}
    for name in sorted(wanted):
        suite.ask("keyvault secret set", "-n", name, "--value", "v")
    listed = suite.drive("keyvault secret list", variant="more than 25")
    suite.check(wanted <= {each["name"] for each in listed}, "every page")


def life_cycle(suite):
    suite.ask("keyvault secret set", "-n", "mortal", "--value", "v", "--tags", "kept=yes")
    back, restored = deleted_and_brought_back(suite, "secret", "mortal")
    suite.check(back["name"] == "mortal", "recovered")
    suite.check(restored["tags"]["kept"] == "yes", "restored with its tags")
    suite.check(suite.ask("keyvault secret show", "-n", "mortal")["value"] == "v", "and its value")


SCENARIOS = (set_and_show, files, update, lists, many_pages, life_cycle)

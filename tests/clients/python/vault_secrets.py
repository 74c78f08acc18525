"""Every operation on secrets."""

import datetime

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.secrets import ContentType, SecretClient

# Deleting takes effect at once here; there is no reason to wait two seconds.
SOON = {"_polling_interval": 0.05}
NOT_FOUND = {"error": {"code": "SecretNotFound", "message": "not yet"}}


def set_and_get(suite):
    client = suite.client(SecretClient)
    first = suite.drive(client, "set_secret", "alpha", "v1", tags={"a": "b"},
                        content_type="text/plain")
    suite.check(first.value == "v1" and first.properties.tags == {"a": "b"}, "what was set")
    # A value may look like a link, and must survive all the same.
    url = "https://portcullis-dev.vault.azure.net/secrets/alpha"
    second = suite.drive(client, "set_secret", "alpha", url, variant="a second version")
    latest = suite.drive(client, "get_secret", "alpha")
    suite.check(latest.value == url, "the latest version, word for word")
    suite.check(latest.id.startswith(suite.place["vault_url"] + "/"), "an id of this host")
    old = suite.drive(client, "get_secret", "alpha", first.properties.version, variant="by version")
    suite.check(old.value == "v1" and old.properties.content_type == "text/plain", "the first")
    suite.check(second.properties.version == latest.properties.version, "the second is the latest")
    missing = suite.drive(client, "get_secret", "nope", variant="that is not there",
                          expect=ResourceNotFoundError)
    suite.check("SecretNotFound" in missing.message, "the vault's own words")
    big = "x" * 25_000
    suite.drive(client, "set_secret", "big", big, variant="25 000 characters")
    suite.check(client.get_secret("big").value == big, "the whole value")
    suite.drive(client, "set_secret", "umlaut", "Gruß 🗝 ", variant="any characters")
    suite.check(client.get_secret("umlaut").value == "Gruß 🗝 ", "every character")


def update(suite):
    client = suite.client(SecretClient)
    made = client.set_secret("updated", "v")
    day = datetime.datetime(2030, 1, 2, tzinfo=datetime.timezone.utc)
    changed = suite.drive(client, "update_secret_properties", "updated", content_type="x/y",
                          enabled=True, expires_on=day, tags={"z": "1"})
    suite.check(changed.content_type == "x/y" and changed.expires_on == day, "what was changed")
    changed = suite.drive(client, "update_secret_properties", "updated", made.properties.version,
                          variant="disabling a version", enabled=False)
    suite.check(changed.enabled is False, "disabled")
    suite.drive(client, "get_secret", "updated", variant="that is disabled",
                expect=HttpResponseError)


def lists(suite):
    client = suite.client(SecretClient)
    for number in range(2):
        client.set_secret("listed", str(number))
    names = [each.name for each in suite.drive(client, "list_properties_of_secrets")]
    suite.check({"alpha", "listed", "updated"} <= set(names), "all names")
    versions = suite.drive(client, "list_properties_of_secret_versions", "listed")
    suite.check(len(versions) == 2 and all(each.version for each in versions), "both versions")
    few = suite.drive(client, "list_properties_of_secrets", variant="two a page", max_page_size=2)
    suite.check([each.name for each in few] == names, "the same in small pages")


def many_pages(suite):
    """More than the service puts on one page without being asked."""
    client = suite.client(SecretClient)
    wanted = {f"many-{number:02}" for number in range(30)}
    for name in sorted(wanted):
        client.set_secret(name, "v")
    pages = list(client.list_properties_of_secrets().by_page())
    found = {each.name for page in pages for each in page}
    listed = suite.drive(client, "list_properties_of_secrets", variant="more than 25")
    suite.check(len(pages) > 1 and wanted <= found, "several pages")
    suite.check({each.name for each in listed} == found, "every page")


def life_cycle(suite):
    client = suite.client(SecretClient)
    client.set_secret("mortal", "v", tags={"kept": "yes"})
    backup = suite.drive(client, "backup_secret", "mortal")
    gone = suite.drive(client, "begin_delete_secret", "mortal", **SOON)
    suite.check(gone.recovery_id.startswith(suite.place["vault_url"] + "/"), "a link of this host")
    deleted = suite.drive(client, "get_deleted_secret", "mortal")
    suite.check(deleted.name == "mortal" and deleted.scheduled_purge_date, "the deleted secret")
    names = [each.name for each in suite.drive(client, "list_deleted_secrets")]
    suite.check("mortal" in names, "among the deleted")
    back = suite.drive(client, "begin_recover_deleted_secret", "mortal", **SOON)
    suite.check(back.name == "mortal" and client.get_secret("mortal").value == "v", "recovered")
    client.begin_delete_secret("mortal", **SOON).wait()
    suite.drive(client, "purge_deleted_secret", "mortal")
    suite.drive(client, "get_deleted_secret", "mortal", variant="that is purged",
                expect=ResourceNotFoundError)
    restored = suite.drive(client, "restore_secret_backup", backup)
    suite.check(restored.tags == {"kept": "yes"}, "restored with its tags")
    suite.check(client.get_secret("mortal").value == "v", "restored with its value")


def pollers_poll(suite):
    """Azure: deleting takes a while, in which the deleted secret is not found."""
    client = suite.client(SecretClient)
    client.set_secret("slow", "v")
    for _ in range(2):
        suite.script("/deletedsecrets/slow", 404, NOT_FOUND)
    gone = suite.drive(client, "begin_delete_secret", "slow", variant="polled", **SOON)
    suite.check(gone.name == "slow", "the deleted secret")
    suite.script("/secrets/slow", 404, NOT_FOUND)
    suite.drive(client, "begin_recover_deleted_secret", "slow", variant="polled", **SOON)
    suite.check(client.get_secret("slow").value == "v", "recovered")


def content_types(suite):
    """A certificate's secret in another form: new in api-version 2026-04-01."""
    client = suite.client(SecretClient)
    suite.drive(client, "get_secret", "tls", variant="as PEM", out_content_type=ContentType.PEM)


def raw(suite):
    with suite.client(SecretClient) as client:
        answer = suite.drive(client, "send_request", HttpRequest("GET", "/secrets/alpha"))
        suite.check(answer.status_code == 200 and answer.json()["value"], "the vault's answer")
    client = suite.client(SecretClient)
    client.get_secret("alpha")
    suite.drive(client, "close")


SCENARIOS = (set_and_get, update, lists, many_pages, life_cycle, pollers_poll, content_types, raw)

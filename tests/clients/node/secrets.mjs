// Every operation on secrets.

import { SecretClient } from "@azure/keyvault-secrets";

// Deleting takes effect at once here; there is no reason to wait two seconds.
const soon = { intervalInMs: 50 };
const notFound = { error: { code: "SecretNotFound", message: "not yet" } };

async function setAndGet(suite) {
  const client = suite.client(SecretClient);
  const options = { tags: { a: "b" }, contentType: "text/plain" };
  const first = await suite.drive(client, ["setSecret", "alpha", "v1", options]);
  suite.check(first.value === "v1" && first.properties.tags.a === "b", "what was set");
  // A value may look like a link, and must survive all the same.
  const url = "https://portcullis-dev.vault.azure.net/secrets/alpha";
  await suite.drive(client, ["setSecret", "alpha", url], { variant: "a second version" });
  const latest = await suite.drive(client, ["getSecret", "alpha"]);
  suite.check(latest.value === url, "the latest version, word for word");
  suite.check(latest.properties.id.startsWith(`${suite.place.vault_url}/`), "an id of this host");
  const { version } = first.properties;
  const old = await suite.drive(client, ["getSecret", "alpha", { version }], {
    variant: "by version",
  });
  suite.check(old.value === "v1" && old.properties.contentType === "text/plain", "the first");
  await suite.drive(client, ["getSecret", "nope"], {
    variant: "that is not there",
    expect: /^RestError 404 SecretNotFound$/,
  });
  await suite.drive(client, ["setSecret", "umlaut", "Gruß 🗝 "], { variant: "any characters" });
  suite.check((await client.getSecret("umlaut")).value === "Gruß 🗝 ", "every character");
}

async function update(suite) {
  const client = suite.client(SecretClient);
  const { version } = (await client.setSecret("updated", "v")).properties;
  const wanted = { contentType: "x/y", expiresOn: new Date("2030-01-02T00:00:00Z") };
  const changed = await suite.drive(client, ["updateSecretProperties", "updated", version, wanted]);
  suite.check(changed.contentType === "x/y", "the content type");
  suite.check(changed.expiresOn.getTime() === wanted.expiresOn.getTime(), "the expiry");
  const disabled = { enabled: false };
  await suite.drive(client, ["updateSecretProperties", "updated", "", disabled], {
    variant: "disabling the latest",
  });
  await suite.drive(client, ["getSecret", "updated"], {
    variant: "that is disabled",
    expect: /^RestError 403/,
  });
}

async function lists(suite) {
  const client = suite.client(SecretClient);
  await client.setSecret("listed", "0");
  await client.setSecret("listed", "1");
  const found = await suite.drive(client, ["listPropertiesOfSecrets"]);
  const names = found.map((each) => each.name);
  suite.check(["alpha", "listed"].every((name) => names.includes(name)), "all names");
  const versions = await suite.drive(client, ["listPropertiesOfSecretVersions", "listed"]);
  suite.check(versions.length === 2 && versions.every((each) => each.version), "both versions");
}

/** More than the service puts on one page without being asked. */
async function manyPages(suite) {
  const client = suite.client(SecretClient);
  const wanted = Array.from({ length: 30 }, (_, number) => `many-${100 + number}`);
  for (const name of wanted) {
    await client.setSecret(name, "v");
  }
  const found = await suite.drive(client, ["listPropertiesOfSecrets"], {
    variant: "more than 25",
  });
  const names = new Set(found.map((each) => each.name));
  suite.check(wanted.every((name) => names.has(name)), "every page");
  const sizes = [];
  for await (const page of client.listPropertiesOfSecrets().byPage({ maxPageSize: 10 })) {
    sizes.push(page.length);
  }
  suite.check(sizes.length > 3 && Math.max(...sizes) <= 10, "pages of the size asked for");
}

async function lifeCycle(suite) {
  const client = suite.client(SecretClient);
  await client.setSecret("mortal", "v", { tags: { kept: "yes" } });
  const backup = await suite.drive(client, ["backupSecret", "mortal"]);
  const gone = await suite.drive(client, ["beginDeleteSecret", "mortal", soon]);
  suite.check(gone.recoveryId.startsWith(`${suite.place.vault_url}/`), "a link of this host");
  const deleted = await suite.drive(client, ["getDeletedSecret", "mortal"]);
  suite.check(deleted.name === "mortal" && deleted.scheduledPurgeDate, "the deleted secret");
  const listed = await suite.drive(client, ["listDeletedSecrets"]);
  suite.check(listed.some((each) => each.name === "mortal"), "among the deleted");
  const back = await suite.drive(client, ["beginRecoverDeletedSecret", "mortal", soon]);
  suite.check(back.name === "mortal", "recovered");
  await (await client.beginDeleteSecret("mortal", soon)).pollUntilDone();
  await suite.drive(client, ["purgeDeletedSecret", "mortal"]);
  const restored = await suite.drive(client, ["restoreSecretBackup", backup]);
  suite.check(restored.tags.kept === "yes", "restored with its tags");
  suite.check((await client.getSecret("mortal")).value === "v", "restored with its value");
}

/** Azure: deleting takes a while, in which the deleted secret is not found. */
async function pollersPoll(suite) {
  const client = suite.client(SecretClient);
  await client.setSecret("slow", "v");
  await suite.script("/deletedsecrets/slow", 404, notFound);
  await suite.script("/deletedsecrets/slow", 404, notFound);
  const variant = "polled";
  await suite.drive(client, ["beginDeleteSecret", "slow", soon], { variant });
  // It looks for the secret before it asks for it.
  await suite.script("/secrets/slow", 404, notFound);
  await suite.script("/secrets/slow", 404, notFound);
  await suite.drive(client, ["beginRecoverDeletedSecret", "slow", soon], { variant });
  suite.check((await client.getSecret("slow")).value === "v", "recovered");
}

/** A certificate's secret in another form: new in api-version 2026-04-01. */
async function contentTypes(suite) {
  const client = suite.client(SecretClient);
  const outContentType = "application/x-pem-file";
  await suite.drive(client, ["getSecret", "tls", { outContentType }], { variant: "as PEM" });
}

export const scenarios = [
  setAndGet,
  update,
  lists,
  manyPages,
  lifeCycle,
  pollersPoll,
  contentTypes,
];

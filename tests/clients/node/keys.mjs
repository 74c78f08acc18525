// Every operation on keys but using them.

import { generateKeyPairSync } from "node:crypto";

import { KeyClient } from "@azure/keyvault-keys";

const soon = { intervalInMs: 50 };
const notFound = { error: { code: "KeyNotFound", message: "not yet" } };
const releasePolicy = {
  version: "1.0.0",
  anyOf: [
    {
      authority: "https://attest.example.com",
      allOf: [{ claim: "sdk-test", equals: "true" }],
    },
  ],
};

async function create(suite) {
  const client = suite.client(KeyClient);
  for (const keySize of [2048, 3072, 4096]) {
    const key = await suite.drive(client, ["createRsaKey", `rsa-${keySize}`, { keySize }], {
      variant: String(keySize),
    });
    suite.check(key.key.n.length === keySize / 8, "the size");
  }
  for (const curve of ["P-256", "P-256K", "P-384", "P-521"]) {
    const name = `ec-${curve.toLowerCase()}`;
    const key = await suite.drive(client, ["createEcKey", name, { curve }], { variant: curve });
    suite.check(key.key.crv === curve && !key.key.d, "the curve, and no private part");
  }
  const options = { keyOps: ["sign", "verify"], tags: { a: "b" }, enabled: true };
  const key = await suite.drive(client, ["createKey", "generic", "RSA", options]);
  suite.check(key.keyOperations.join() === "sign,verify", "the operations");
  suite.check(key.id.startsWith(`${suite.place.vault_url}/`), "an id of this host");
  await suite.drive(client, ["createOctKey", "oct", { keySize: 256 }], {
    variant: "which a vault refuses",
    expect: /^RestError 400/,
  });
}

/** As a premium vault has it. */
async function hardware(suite) {
  const client = suite.client(KeyClient);
  for (const [operation, kind] of [
    ["createRsaKey", "RSA-HSM"],
    ["createEcKey", "EC-HSM"],
  ]) {
    const name = kind.toLowerCase();
    const key = await suite.drive(client, [operation, name, { hsm: true }], { variant: kind });
    suite.check(key.keyType === kind, kind);
  }
}

async function readAndUpdate(suite) {
  const client = suite.client(KeyClient);
  const made = await client.createEcKey("read");
  const { version } = made.properties;
  const latest = await suite.drive(client, ["getKey", "read"]);
  suite.check(latest.id === made.id, "the same key");
  const same = await suite.drive(client, ["getKey", "read", { version }], {
    variant: "by version",
  });
  suite.check(same.id === made.id, "the same version");
  await suite.drive(client, ["getKey", "nope"], {
    variant: "that is not there",
    expect: /^RestError 404 KeyNotFound$/,
  });
  const changed = await suite.drive(client, [
    "updateKeyProperties",
    "read",
    { tags: { q: "r" } },
  ]);
  suite.check(changed.properties.tags.q === "r", "tags");
  const disabled = { enabled: false };
  const after = await suite.drive(client, ["updateKeyProperties", "read", version, disabled], {
    variant: "a version",
  });
  suite.check(after.properties.enabled === false, "disabled");
}

async function importKeys(suite) {
  const client = suite.client(KeyClient);
  const numbers = ["n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"];
  const pairs = {
    RSA: ["rsa", { modulusLength: 2048 }],
    EC: ["ec", { namedCurve: "P-256" }],
  };
  for (const [kty, pair] of Object.entries(pairs)) {
    const jwk = generateKeyPairSync(...pair).privateKey.export({ format: "jwk" });
    const key = { kty, keyOps: ["sign", "verify"], crv: jwk.crv };
    for (const number of numbers.filter((each) => each in jwk)) {
      key[number] = Buffer.from(jwk[number], "base64url");
    }
    const name = `imported-${kty.toLowerCase()}`;
    const given = await suite.drive(client, ["importKey", name, key], { variant: kty });
    const part = kty === "RSA" ? "n" : "x";
    suite.check(key[part].equals(Buffer.from(given.key[part])), "its public part");
    suite.check(!given.key.d, "no private part");
  }
}

async function lists(suite) {
  const client = suite.client(KeyClient);
  await client.createEcKey("listed");
  await client.createEcKey("listed");
  const found = await suite.drive(client, ["listPropertiesOfKeys"]);
  const names = found.map((each) => each.name);
  suite.check(["listed", "generic"].every((name) => names.includes(name)), "all names");
  const small = [];
  for await (const page of client.listPropertiesOfKeys().byPage({ maxPageSize: 2 })) {
    small.push(...page.map((each) => each.name));
  }
  suite.check(small.join() === names.join(), "the same in small pages");
  const versions = await suite.drive(client, ["listPropertiesOfKeyVersions", "listed"]);
  suite.check(versions.length === 2, "both versions");
}

async function lifeCycle(suite) {
  const client = suite.client(KeyClient);
  const made = await client.createEcKey("mortal", { tags: { kept: "yes" } });
  const backup = await suite.drive(client, ["backupKey", "mortal"]);
  const gone = await suite.drive(client, ["beginDeleteKey", "mortal", soon]);
  const { recoveryId } = gone.properties;
  suite.check(recoveryId.startsWith(`${suite.place.vault_url}/`), "a link of this host");
  const deleted = await suite.drive(client, ["getDeletedKey", "mortal"]);
  suite.check(deleted.id === made.id && deleted.properties.scheduledPurgeDate, "the deleted key");
  const listed = await suite.drive(client, ["listDeletedKeys"]);
  suite.check(listed.some((each) => each.name === "mortal"), "among the deleted");
  const back = await suite.drive(client, ["beginRecoverDeletedKey", "mortal", soon]);
  suite.check(back.id === made.id, "recovered");
  await (await client.beginDeleteKey("mortal", soon)).pollUntilDone();
  await suite.drive(client, ["purgeDeletedKey", "mortal"]);
  const restored = await suite.drive(client, ["restoreKeyBackup", backup]);
  suite.check(restored.properties.tags.kept === "yes", "restored with its tags");
  suite.check(Buffer.from(made.key.x).equals(Buffer.from(restored.key.x)), "the same key");
}

async function pollersPoll(suite) {
  const client = suite.client(KeyClient);
  const variant = "polled";
  await client.createEcKey("slow");
  await suite.script("/deletedkeys/slow", 404, notFound);
  await suite.script("/deletedkeys/slow", 404, notFound);
  await suite.drive(client, ["beginDeleteKey", "slow", soon], { variant });
  await suite.script("/keys/slow", 404, notFound);
  await suite.script("/keys/slow", 404, notFound);
  const back = await suite.drive(client, ["beginRecoverDeletedKey", "slow", soon], { variant });
  suite.check(back.name === "slow", "recovered");
}

async function rotation(suite) {
  const client = suite.client(KeyClient);
  const made = await client.createRsaKey("rotated", { keySize: 2048 });
  const turned = await suite.drive(client, ["rotateKey", "rotated"]);
  suite.check(turned.properties.version !== made.properties.version, "a new version");
  const first = await suite.drive(client, ["getKeyRotationPolicy", "rotated"]);
  suite.check(first.lifetimeActions, "a policy");
  const action = { action: "Rotate", timeAfterCreate: "P60D" };
  const policy = { expiresIn: "P90D", lifetimeActions: [action] };
  const changed = await suite.drive(client, ["updateKeyRotationPolicy", "rotated", policy]);
  suite.check(changed.expiresIn === "P90D", "the new policy");
  const kept = await suite.drive(client, ["getKeyRotationPolicy", "rotated"], {
    variant: "that was set",
  });
  const turning = kept.lifetimeActions.filter((each) => each.action === "Rotate");
  suite.check(turning.map((each) => each.timeAfterCreate).join() === "P60D", "the action");
}

/** A vault without attestation can only say no. */
async function release(suite) {
  const client = suite.client(KeyClient);
  const encodedPolicy = Buffer.from(JSON.stringify(releasePolicy));
  const options = { hsm: true, exportable: true, releasePolicy: { encodedPolicy } };
  await suite.drive(client, ["createRsaKey", "released", options], { variant: "exportable" });
  const part = Buffer.from('{"alg":"none"}').toString("base64url");
  await suite.drive(client, ["releaseKey", "released", `${part}.${part}.`], {
    expect: /^RestError 4/,
  });
}

/** What only a managed HSM has; a vault's answer is the vault's to choose. */
async function managedHsm(suite) {
  const client = suite.client(KeyClient);
  await suite.drive(client, ["getRandomBytes", 16], { either: true });
  await client.createEcKey("attested");
  await suite.drive(client, ["getKeyAttestation", "attested"], { either: true });
}

/** Applications stay with the version of the API they know. */
async function older(suite) {
  const client = suite.client(KeyClient, "admin", { serviceVersion: "7.4" });
  await suite.drive(client, ["getKey", "generic"], { variant: "with api-version 7.4" });
}

export const scenarios = [
  create,
  hardware,
  readAndUpdate,
  importKeys,
  lists,
  lifeCycle,
  pollersPoll,
  rotation,
  release,
  managedHsm,
  older,
];

// What clients do beside calling operations: tokens, retries, haste, and going away.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { WorkloadIdentityCredential } from "@azure/identity";
import { SecretClient } from "@azure/keyvault-secrets";

const throttled = { error: { code: "Throttled", message: "too many requests" } };
const unauthorized = { error: { code: "Unauthorized", message: "claims are missing" } };
const claims = { access_token: { nbf: { essential: true, value: "1" } } };
const secret = "/secrets/app-api-key";

/** A credential that remembers what it was asked for. */
function watched(credential) {
  const asked = [];
  const getToken = (scopes, options) => {
    asked.push({ scopes, claims: options?.claims });
    return credential.getToken(scopes, options);
  };
  return { asked, getToken };
}

/** Scope and tenant come from the challenge alone; the first request goes without a token. */
async function theChallenge(suite) {
  const credential = watched(suite.credential());
  const client = new SecretClient(suite.place.vault_url, credential, suite.options());
  const mark = await suite.mark();
  await suite.drive(client, ["setSecret", "challenged", "v"], { variant: "as the first call" });
  const scopes = credential.asked.flatMap((each) => each.scopes);
  suite.check(new Set(scopes).size === 1, "one scope");
  suite.check(scopes[0] === "https://vault.azure.net/.default", "the scope of the challenge");
  if (!suite.atTheVaultItself) {
    const arrived = await suite.arrived(mark);
    suite.check(arrived.every((each) => each.caller), "nothing without a token reaches the vault");
  }
}

/** As in a Kubernetes cluster: an assertion in a file takes the place of a secret. */
async function workloadIdentity(suite) {
  const tokenFilePath = path.join(suite.place.folder, "assertion");
  writeFileSync(tokenFilePath, suite.place.client_assertion);
  const credential = new WorkloadIdentityCredential({
    tenantId: suite.place.tenant,
    clientId: suite.place.people["secrets-user"],
    tokenFilePath,
    authorityHost: suite.place.issuer_url,
    disableInstanceDiscovery: true,
  });
  const client = new SecretClient(suite.place.vault_url, credential, suite.options());
  await suite.drive(client, ["getSecret", "app-api-key"], { variant: "with a workload identity" });
}

/** 401 with claims: the SDK gets a new token with them, and asks again. */
async function claimsChallenge(suite) {
  const credential = watched(suite.credential());
  const client = new SecretClient(suite.place.vault_url, credential, suite.options());
  await client.getSecret("app-api-key");
  const encoded = Buffer.from(JSON.stringify(claims)).toString("base64");
  const authority = `${suite.place.issuer_url}/${suite.place.tenant}/oauth2/authorize`;
  // Azure: such a challenge names no resource; with one, the SDK would ask as the first time.
  await suite.script(secret, 401, unauthorized, {
    "WWW-Authenticate":
      `Bearer realm="", authorization_uri="${authority}", ` +
      `error="insufficient_claims", claims="${encoded}"`,
  });
  await suite.drive(client, ["getSecret", "app-api-key"], { variant: "after a claims challenge" });
  const asked = credential.asked.map((each) => each.claims);
  suite.check(asked.includes(JSON.stringify(claims)), "a token with these claims");
}

async function throttling(suite) {
  const client = suite.client(SecretClient);
  const call = ["getSecret", "app-api-key"];
  await client.getSecret("app-api-key");
  await suite.script(secret, 429, throttled, { "Retry-After": "1" });
  await suite.drive(client, call, { variant: "throttled once" });
  for (let times = 0; times < 4; times += 1) {
    await suite.script(secret, 429, throttled, { "Retry-After": "0" });
  }
  await suite.drive(client, call, { variant: "throttled for good", expect: /^RestError 429/ });
  for (const status of [500, 503]) {
    const body = { error: { code: "x", message: "y" } };
    await suite.script(secret, status, body, { "Retry-After": "0" });
    await suite.drive(client, call, { variant: `after a ${status}` });
  }
}

/**
 * Many first calls at once, of one client. While its first call is challenged, the SDK sends the
 * others without a token, but with their bodies; and it may lose a body on the way, which the vault
 * answers with 400. Neither may show anywhere.
 */
async function haste(suite) {
  const mark = await suite.mark();
  const values = Array.from({ length: 8 }, (_, number) => `of-nobody-s-business-${number}`);
  const client = suite.client(SecretClient);
  const calls = values.map((value, number) => client.setSecret(`hasty-${number}`, value));
  const settled = await Promise.allSettled(calls);
  suite.note("SecretClient", "setSecret", { variant: "eight first calls at once" });
  for (const [number, { status, value, reason }] of settled.entries()) {
    const well =
      status === "fulfilled" ? value.value === values[number] : reason.statusCode === 400;
    suite.check(well, `what was set, or the body that the SDK lost: ${reason}`);
  }
  if (!suite.atTheVaultItself) {
    const arrived = await suite.arrived(mark);
    suite.check(arrived.every((each) => each.caller), "nothing without a token reaches the vault");
  }
  nothingIsTold(suite, values);
}

/** No value is in what the process writes, be it a log or a record. */
function nothingIsTold(suite, values) {
  for (const file of suite.place.told) {
    const text = readFileSync(file, "utf8");
    suite.check(text || suite.atTheVaultItself, `something in ${file}`);
    suite.check(!values.some((value) => text.includes(value)), `no value in ${file}`);
  }
}

/** A client that does not wait for its answer disturbs nobody. */
async function gone(suite) {
  const client = suite.client(SecretClient);
  await client.getSecret("app-api-key");
  const mark = await suite.mark();
  await suite.control("/script", { path: secret, held: true });
  const leaving = new AbortController();
  const call = client.getSecret("app-api-key", { abortSignal: leaving.signal });
  while ((await suite.mark()) === mark) {
    // It leaves once its request has arrived.
  }
  leaving.abort();
  const [{ reason }] = await Promise.allSettled([call]);
  suite.note("SecretClient", "getSecret", { variant: "and going away", outcome: reason?.name });
  suite.check(reason?.name === "AbortError", "an abort");
  await suite.control("/release", {});
  await suite.drive(client, ["getSecret", "app-api-key"], { variant: "after having gone away" });
}

export const scenarios = [
  theChallenge,
  workloadIdentity,
  claimsChallenge,
  throttling,
  haste,
  gone,
];

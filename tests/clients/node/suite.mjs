// The official clients for Node, driven through a place and written down.
//
//     suite.mjs PLACE.json RESULTS.json
//
// A step is one call of a public method: what came of it, and what reached the vault meanwhile. The
// suite knows the vault's URL, an identity and, through the control of the embedded vault, what
// arrived there. What stands between it does not know.

import { readFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import { createRequire } from "node:module";
import path from "node:path";

import { ClientSecretCredential } from "@azure/identity";
import { CertificateClient } from "@azure/keyvault-certificates";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";

import * as aging from "./aging.mjs";
import * as behaviour from "./behaviour.mjs";
import * as certificates from "./certificates.mjs";
import * as crypto from "./crypto.mjs";
import * as keys from "./keys.mjs";
import * as roles from "./roles.mjs";
import * as secrets from "./secrets.mjs";

const CLIENTS = [SecretClient, KeyClient, CryptographyClient, CertificateClient];
const PACKAGES = [
  "@azure/identity",
  "@azure/keyvault-certificates",
  "@azure/keyvault-keys",
  "@azure/keyvault-secrets",
];
const MODULES = [secrets, keys, crypto, certificates, behaviour, roles, aging];
const require = createRequire(import.meta.url);

/** The scenario cannot go on; what is wrong is written down. */
class Abandon extends Error {}

/** One run in one place. */
class Suite {
  constructor(place) {
    this.place = place;
    this.steps = [];
    this.refusals = [];
    this.agent = new https.Agent({ keepAlive: true });
    this.credentials = new Map();
  }

  get atTheVaultItself() {
    return this.place.place === "direct";
  }

  credential(person = "admin") {
    if (!this.credentials.has(person)) {
      const { tenant, people, client_secret, issuer_url } = this.place;
      const options = { authorityHost: issuer_url, disableInstanceDiscovery: true };
      const made = new ClientSecretCredential(tenant, people[person], client_secret, options);
      this.credentials.set(person, made);
    }
    return this.credentials.get(person);
  }

  /** What an application has to set: nothing, where the vault has its own name. */
  options() {
    return this.place.verify ? {} : { disableChallengeResourceVerification: true };
  }

  client(kind, person = "admin", options = {}) {
    const all = { ...this.options(), ...options };
    return new kind(this.place.vault_url, this.credential(person), all);
  }

  crypto(key, person = "admin") {
    return new CryptographyClient(key, this.credential(person), this.options());
  }

  /** Asks the control of the embedded vault. */
  control(route, body) {
    const method = body === undefined ? "GET" : "POST";
    const options = { method, agent: this.agent };
    return new Promise((resolve, reject) => {
      const request = https.request(this.place.control_url + route, options, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => {
          const told = Buffer.concat(parts).toString();
          return answer.statusCode === 200
            ? resolve(JSON.parse(told))
            : reject(new Error(`${route}: ${told}`));
        });
      });
      request.on("error", reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** Has the next request for a path answered otherwise, or held back. */
  script(at, status, body = {}, headers = {}) {
    return this.control("/script", { path: at, answer: { status, headers, body } });
  }

  /** Makes all objects of the vault as much older. */
  forward(days) {
    return this.control("/forward", { seconds: days * 86_400 });
  }

  async mark() {
    return (await this.control("/journal")).next;
  }

  /** The requests that reached the vault since a mark. */
  async arrived(mark) {
    return (await this.control(`/journal?since=${mark}`)).entries;
  }

  /**
   * One step: `call` is [operation, ...arguments]. With `expect`, a test of the error's text, that
   * error is the right outcome and is given back; `either` takes any answer of a vault.
   */
  async drive(client, call, { variant = "", expect, either = false, compared = true } = {}) {
    const [operation, ...rest] = call;
    const mark = await this.mark();
    let [outcome, problem, result] = ["ok", null, undefined];
    try {
      result = await whole(client[operation](...rest));
      if (expect) {
        problem = `expected ${expect}`;
      }
    } catch (error) {
      [result, outcome] = [error, named(error)];
      if (!(expect?.test(outcome) || (either && error.statusCode))) {
        problem = `${outcome}: ${error.message}`;
      }
    }
    const entries = (await this.arrived(mark)).filter((entry) => entry.caller);
    const calls = entries.map(shown);
    const kind = client.constructor.name;
    this.note(kind, operation, { variant, outcome, calls, problem, compared });
    if (problem) {
      throw new Abandon();
    }
    return result;
  }

  note(client, operation, more = {}) {
    const { variant = "", outcome = "ok", calls = [], problem = null, compared = false } = more;
    this.steps.push({ client, operation, variant, outcome, calls, problem, compared });
  }

  /** Has the last step fail, unless `holds`. */
  check(holds, what) {
    if (!holds) {
      this.steps.at(-1).problem = `not so: ${what}`;
      throw new Abandon();
    }
  }

  /** Runs a scenario; what goes wrong in it is a step that failed. */
  async run(scenario) {
    try {
      await scenario(this);
    } catch (error) {
      if (!(error instanceof Abandon)) {
        const problem = `${error.name}: ${error.message}`;
        this.note("suite", scenario.name, { problem });
      }
    }
  }

  /** Each public method of each client was driven: a new one fails here. */
  nothingIsLeftOut() {
    for (const kind of CLIENTS) {
      const driven = new Set(
        this.steps.filter((step) => step.client === kind.name).map((step) => step.operation),
      );
      const missing = publicMethods(kind).filter((name) => !driven.has(name));
      const problem = missing.length ? `not driven: ${missing.join(", ")}` : null;
      this.note(kind.name, "every public method", { problem });
    }
  }

  results() {
    const versions = Object.fromEntries(PACKAGES.map((name) => [name, installed(name).version]));
    return { versions, steps: this.steps, refusals: this.refusals };
  }
}

function installed(name) {
  const main = require.resolve(name);
  const root = main.slice(0, main.lastIndexOf(name) + name.length);
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json")));
  return { root, version };
}

/** The methods of a class but those its declarations call private: at run time all look alike. */
function publicMethods(kind) {
  const name = PACKAGES.find((each) => readDeclarations(each).includes(`class ${kind.name} `));
  const hidden = new Set(
    [...readDeclarations(name).matchAll(/^ {4}private (\w+);/gm)].map((match) => match[1]),
  );
  const members = Object.entries(Object.getOwnPropertyDescriptors(kind.prototype));
  return members
    .filter(([member, { value }]) => typeof value === "function" && member !== "constructor")
    .map(([member]) => member)
    .filter((member) => !hidden.has(member));
}

function readDeclarations(name) {
  const esm = path.join(installed(name).root, "dist", "esm");
  const files = ["index.d.ts"];
  if (name === "@azure/keyvault-keys") {
    files.push("cryptographyClient.d.ts");
  }
  return files.map((file) => readFileSync(path.join(esm, file), "utf8")).join("\n");
}

/** The result, when there is nothing more to come. */
async function whole(begun) {
  const result = await begun;
  if (result?.pollUntilDone) {
    return result.pollUntilDone();
  }
  if (result?.[Symbol.asyncIterator]) {
    const all = [];
    for await (const each of result) {
      all.push(each);
    }
    return all;
  }
  return result;
}

function named(error) {
  return [error.name, error.statusCode, error.code].filter(Boolean).join(" ");
}

/** A request as it is written down: without what is random. */
function shown({ method, path_and_query: target, status }) {
  const [at, query = ""] = target.split("?");
  const kept = query
    .split("&")
    .map((parameter) => parameter.replace("%2D", "-").replace("%24", "$"))
    .map((parameter) => parameter.replace(/^\$skiptoken=.*/, "$skiptoken=…"))
    .filter((parameter) => parameter && !parameter.startsWith("api-version="))
    .sort();
  const named = at.replaceAll(/[0-9a-f]{32}/g, "{version}");
  return `${method} ${named}${kept.length ? "?" : ""}${kept.join("&")} ${status}`;
}

const [placeFile, resultsFile] = process.argv.slice(2);
const suite = new Suite(JSON.parse(readFileSync(placeFile)));
for (const module of MODULES) {
  for (const scenario of module.scenarios) {
    await suite.run(scenario);
  }
}
suite.nothingIsLeftOut();
writeFileSync(resultsFile, JSON.stringify(suite.results(), null, 1));
suite.agent.destroy();

// What the holder of each built-in role may do, and what the user of the SDK sees otherwise.

import { CertificateClient } from "@azure/keyvault-certificates";
import { KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";

const soon = { intervalInMs: 50 };
const random = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const policy = { issuerName: "Self", subject: "CN=role.example.com" };

const all = async (list) => {
  for await (const each of list) {
    void each;
  }
};
const done = async (begun) => (await begun).pollUntilDone();

// What each call is, as a user of the SDK writes it. In this order: what one makes, the next reads.
const calls = {
  setSecret: (at) => at.secrets.setSecret("role", "v"),
  getSecret: (at) => at.secrets.getSecret("app-api-key"),
  listPropertiesOfSecrets: (at) => all(at.secrets.listPropertiesOfSecrets()),
  beginDeleteSecret: (at) => done(at.secrets.beginDeleteSecret("role", soon)),
  purgeDeletedSecret: (at) => at.secrets.purgeDeletedSecret("role"),
  createRsaKey: (at) => at.keys.createRsaKey("role", { keySize: 2048 }),
  getKey: (at) => at.keys.getKey("signing"),
  listPropertiesOfKeys: (at) => all(at.keys.listPropertiesOfKeys()),
  updateKeyProperties: (at) => at.keys.updateKeyProperties("signing", { enabled: true }),
  beginDeleteKey: (at) => done(at.keys.beginDeleteKey("role", soon)),
  purgeDeletedKey: (at) => at.keys.purgeDeletedKey("role"),
  sign: (at) => at.crypto.sign("RS256", new Uint8Array(32)),
  decrypt: async (at) => {
    const sealed = await at.crypto.encrypt("RSA-OAEP", Buffer.from("text"));
    return at.crypto.decrypt("RSA-OAEP", sealed.result);
  },
  unwrapKey: async (at) => {
    const sealed = await at.crypto.wrapKey("RSA-OAEP", Buffer.from("key"));
    return at.crypto.unwrapKey("RSA-OAEP", sealed.result);
  },
  beginCreateCertificate: (at) =>
    done(at.certificates.beginCreateCertificate("role-cert", policy, soon)),
  getCertificate: (at) => at.certificates.getCertificate("role-cert"),
  listPropertiesOfCertificates: (at) => all(at.certificates.listPropertiesOfCertificates()),
  beginDeleteCertificate: (at) => done(at.certificates.beginDeleteCertificate("role-cert", soon)),
  purgeDeletedCertificate: (at) => at.certificates.purgeDeletedCertificate("role-cert"),
};

// Who, what they hold, what they may, and one thing they may not. In this order: what the first
// makes, the others need.
const holders = [
  [
    "certificates-officer",
    "Key Vault Certificates Officer",
    ["beginCreateCertificate", "getCertificate", "listPropertiesOfCertificates"],
    "getSecret",
  ],
  [
    "certificate-user",
    "Key Vault Certificate User",
    ["getSecret", "getKey", "getCertificate"],
    "beginDeleteCertificate",
  ],
  [
    "crypto-officer",
    "Key Vault Crypto Officer",
    ["createRsaKey", "getKey", "beginDeleteKey", "purgeDeletedKey", "sign"],
    "getSecret",
  ],
  [
    "crypto-user",
    "Key Vault Crypto User",
    ["getKey", "listPropertiesOfKeys", "updateKeyProperties", "sign", "decrypt"],
    "createRsaKey",
  ],
  [
    "encryption-user",
    "Key Vault Crypto Service Encryption User",
    ["getKey", "unwrapKey"],
    "sign",
  ],
  ["release-user", "Key Vault Crypto Service Release User", [], "getKey"],
  [
    "reader",
    "Key Vault Reader",
    ["listPropertiesOfSecrets", "getKey", "getCertificate"],
    "getSecret",
  ],
  [
    "secrets-officer",
    "Key Vault Secrets Officer",
    ["setSecret", "getSecret", "beginDeleteSecret", "purgeDeletedSecret"],
    "getKey",
  ],
  [
    "secrets-user",
    "Key Vault Secrets User",
    ["getSecret", "listPropertiesOfSecrets"],
    "setSecret",
  ],
  ["contributor", "Key Vault Contributor", [], "getSecret"],
  [
    "data-access-admin",
    "Key Vault Data Access Administrator",
    [],
    "listPropertiesOfCertificates",
  ],
  ["purge-operator", "Key Vault Purge Operator", [], "purgeDeletedSecret"],
  ["nobody", "no role", [], "getSecret"],
];

/** The clients of one person. */
function clients(suite, person) {
  return {
    secrets: suite.client(SecretClient, person),
    keys: suite.client(KeyClient, person),
    certificates: suite.client(CertificateClient, person),
    crypto: suite.crypto(`${suite.place.vault_url}/keys/signing`, person),
  };
}

async function roles(suite) {
  if (suite.atTheVaultItself) {
    // It authenticates, and decides no roles.
    return;
  }
  await allowed(suite, "admin", "Key Vault Administrator", Object.keys(calls));
  for (const [person, role, may, mayNot] of holders) {
    await allowed(suite, person, role, may);
    await refused(suite, person, role, may, mayNot);
  }
}

async function allowed(suite, person, role, may) {
  const at = clients(suite, person);
  for (const name of Object.keys(calls).filter((each) => may.includes(each))) {
    let problem = null;
    try {
      await calls[name](at);
    } catch (error) {
      problem = `${error.name}: ${error.message}`;
    }
    suite.note("roles", name, { variant: `as ${role}`, problem });
  }
}

async function refused(suite, person, role, may, name) {
  const mark = await suite.mark();
  let problem = "it was allowed";
  try {
    await calls[name](clients(suite, person));
  } catch (error) {
    problem = error.statusCode === 403 ? null : `${error.name}: ${error.message}`;
    const { code, name: kind, statusCode, message } = error;
    const text = [`statusCode: ${statusCode}`, `code: ${code}`, "message:", message].join("\n");
    suite.refusals.push({
      role,
      allowed: may,
      operation: name,
      class: kind,
      text: text.replaceAll(random, "<id>"),
    });
  }
  // A crypto client reads the key first, if it may.
  const arrived = await suite.arrived(mark);
  if (arrived.some((entry) => name !== "sign" || entry.method !== "GET")) {
    problem = "it reached the vault";
  }
  suite.note("roles", name, { variant: `refused to ${role}`, outcome: "403", problem });
}

export const scenarios = [roles];

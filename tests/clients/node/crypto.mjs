// Using keys: every algorithm, in the vault and, where the SDK does so, in the client.

import { constants, createHash, createPublicKey, generateKeyPairSync, privateDecrypt, verify }
  from "node:crypto";

import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";

const forbidden = { error: { code: "Forbidden", message: "no reading here" } };
const encryption = ["RSA-OAEP", "RSA-OAEP-256", "RSA1_5"];
const withRsa = ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"];
const onCurves = { "P-256": "ES256", "P-256K": "ES256K", "P-384": "ES384", "P-521": "ES512" };
const text = Buffer.from("sixteen and more bytes of text");

// The number in an algorithm's name is the hash's.
const hash = (algorithm) => `sha${algorithm.slice(2, 5)}`;
const digest = (algorithm) => createHash(hash(algorithm)).update(text).digest();

/** A client for a key it may not read: then all of it is done in the vault. */
async function remote(suite, name) {
  await suite.script(`/keys/${name}`, 403, forbidden);
  return suite.crypto(`${suite.place.vault_url}/keys/${name}`);
}

async function encrypt(suite) {
  const key = await suite.client(KeyClient).createRsaKey("cipher", { keySize: 2048 });
  const [local, afar] = [suite.crypto(key), await remote(suite, "cipher")];
  for (const algorithm of encryption) {
    let sealed = await suite.drive(local, ["encrypt", algorithm, text], {
      variant: `${algorithm}, local where it can be`,
    });
    let opened = await suite.drive(local, ["decrypt", algorithm, sealed.result], {
      variant: algorithm,
    });
    suite.check(text.equals(Buffer.from(opened.result)), "the text");
    sealed = await suite.drive(afar, ["encrypt", algorithm, text], {
      variant: `${algorithm}, in the vault`,
    });
    opened = await suite.drive(afar, ["decrypt", algorithm, sealed.result], {
      variant: `${algorithm}, without reading the key`,
    });
    suite.check(text.equals(Buffer.from(opened.result)), "the text");
  }
}

async function wrap(suite) {
  const key = await suite.client(KeyClient).createRsaKey("wrapper", { keySize: 2048 });
  const [local, afar] = [suite.crypto(key), await remote(suite, "wrapper")];
  for (const algorithm of encryption) {
    let sealed = await suite.drive(local, ["wrapKey", algorithm, text], {
      variant: `${algorithm}, local where it can be`,
    });
    let opened = await suite.drive(local, ["unwrapKey", algorithm, sealed.result], {
      variant: algorithm,
    });
    suite.check(text.equals(Buffer.from(opened.result)), "the key");
    sealed = await suite.drive(afar, ["wrapKey", algorithm, text], {
      variant: `${algorithm}, in the vault`,
    });
    opened = await suite.drive(afar, ["unwrapKey", algorithm, sealed.result], {
      variant: `${algorithm}, without reading the key`,
    });
    suite.check(text.equals(Buffer.from(opened.result)), "the key");
  }
}

async function signWithRsa(suite) {
  const client = suite.client(KeyClient);
  for (const keySize of [2048, 3072, 4096]) {
    // They are there already, and take long to make.
    const name = `rsa-${keySize}`;
    const key = await client.getKey(name);
    const [local, afar] = [suite.crypto(key), await remote(suite, name)];
    // Every algorithm with one size, and every size with one algorithm.
    for (const algorithm of keySize === 2048 ? withRsa : withRsa.slice(0, 1)) {
      await signAndVerify(suite, local, afar, algorithm, `${algorithm} with RSA ${keySize}`);
    }
  }
}

async function signOnCurves(suite) {
  const client = suite.client(KeyClient);
  for (const [curve, algorithm] of Object.entries(onCurves)) {
    const name = `signer-${curve.toLowerCase()}`;
    const key = await client.createEcKey(name, { curve });
    const [local, afar] = [suite.crypto(key), await remote(suite, name)];
    await signAndVerify(suite, local, afar, algorithm, algorithm);
  }
}

async function signAndVerify(suite, local, afar, algorithm, name) {
  const hashed = digest(algorithm);
  const signed = await suite.drive(local, ["sign", algorithm, hashed], { variant: name });
  const other = new Uint8Array(signed.result.length);
  for (const [client, place] of [
    [local, "local where it can be"],
    [afar, "in the vault"],
  ]) {
    const found = await suite.drive(client, ["verify", algorithm, hashed, signed.result], {
      variant: `${name}, ${place}`,
    });
    suite.check(found.result, "a good signature");
    suite.check(!(await client.verify(algorithm, hashed, other)).result, "a bad signature");
  }
  const data = await suite.drive(local, ["signData", algorithm, text], { variant: name });
  const found = await suite.drive(local, ["verifyData", algorithm, text, data.result], {
    variant: name,
  });
  // With the key at hand, this SDK verifies all of RSA itself, and as PKCS #1 whatever was asked.
  suite.check(found.result === !algorithm.startsWith("PS"), "a good signature of the data");
  const again = await suite.drive(afar, ["sign", algorithm, hashed], {
    variant: `${name}, without reading the key`,
  });
  suite.check((await local.verify(algorithm, hashed, again.result)).result, "a good signature");
}

/** By the key itself, its id, its id without a version, and its name. */
async function waysToAKey(suite) {
  const keys = suite.client(KeyClient);
  const key = await keys.createRsaKey("ways", { keySize: 2048 });
  const hashed = digest("RS256");
  const byName = await suite.drive(keys, ["getCryptographyClient", "ways"]);
  const { version: keyVersion } = key.properties;
  const byVersion = await suite.drive(keys, ["getCryptographyClient", "ways", { keyVersion }], {
    variant: "by version",
  });
  const ways = {
    "by key": suite.crypto(key),
    "by id": suite.crypto(key.id),
    "by id without a version": suite.crypto(`${suite.place.vault_url}/keys/ways`),
    "by name": byName,
    "by name and version": byVersion,
  };
  for (const [variant, client] of Object.entries(ways)) {
    const signed = await suite.drive(client, ["sign", "RS256", hashed], { variant });
    const { result } = await ways["by key"].verify("RS256", hashed, signed.result);
    suite.check(result, "a good signature");
    suite.check(client.vaultUrl === suite.place.vault_url, "the host of the vault's URL");
  }
}

async function localAlone(suite) {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { n, e } = publicKey.export({ format: "jwk" });
  const bytes = (number) => Buffer.from(number, "base64url");
  const client = new CryptographyClient({
    kty: "RSA",
    keyOps: ["encrypt", "verify", "wrapKey"],
    n: bytes(n),
    e: bytes(e),
  });
  const sealed = await suite.drive(client, ["encrypt", "RSA-OAEP", text], {
    variant: "from a JSON Web Key, local",
  });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const opened = privateDecrypt({ key: privateKey, padding }, Buffer.from(sealed.result));
  suite.check(opened.equals(text), "the text");
}

/** What the vault signs, Node itself verifies. */
async function independent(suite) {
  const key = await suite.client(KeyClient).createEcKey("witness", { curve: "P-256" });
  const signed = await suite.drive(suite.crypto(key), ["signData", "ES256", text], {
    variant: "verified by another library",
  });
  const encoded = (part) => Buffer.from(part).toString("base64url");
  const jwk = { kty: "EC", crv: "P-256", x: encoded(key.key.x), y: encoded(key.key.y) };
  const witness = createPublicKey({ key: jwk, format: "jwk" });
  const how = { key: witness, dsaEncoding: "ieee-p1363" };
  suite.check(verify("sha256", text, how, Buffer.from(signed.result)), "a good signature");
}

export const scenarios = [
  encrypt,
  wrap,
  signWithRsa,
  signOnCurves,
  waysToAKey,
  localAlone,
  independent,
];

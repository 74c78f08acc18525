// Every operation on certificates, and the key and secret behind one.

import { X509Certificate } from "node:crypto";

import { CertificateClient } from "@azure/keyvault-certificates";
import { KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";
import forge from "node-forge";

const soon = { intervalInMs: 50 };
const notFound = { error: { code: "CertificateNotFound", message: "not yet" } };
const missing = /^RestError 404/;

const selfSigned = (name, more = {}) => ({ issuerName: "Self", subject: `CN=${name}`, ...more });
const byAnother = { issuerName: "Unknown", subject: "CN=merge.example.com" };

async function create(suite) {
  const client = suite.client(CertificateClient);
  const policy = selfSigned("first.example.com", {
    subjectAlternativeNames: { dnsNames: ["first.example.com"] },
    validityInMonths: 6,
    keyType: "RSA",
    keySize: 2048,
    contentType: "application/x-pem-file",
  });
  const options = { tags: { a: "b" }, ...soon };
  const made = await suite.drive(client, ["beginCreateCertificate", "first", policy, options]);
  const parsed = new X509Certificate(made.cer);
  suite.check(parsed.subject === "CN=first.example.com", "the subject");
  suite.check(parsed.verify(parsed.publicKey), "a certificate that its own key signed");
  const thumbprint = parsed.fingerprint.replaceAll(":", "").toLowerCase();
  suite.check(made.properties.x509ThumbprintString === thumbprint, "its thumbprint");
  for (const link of [made.properties.id, made.keyId, made.secretId]) {
    suite.check(link.startsWith(`${suite.place.vault_url}/`), "ids of this host");
  }
  const curve = selfSigned("curve.example.com", { keyType: "EC", keyCurveName: "P-384" });
  await suite.drive(client, ["beginCreateCertificate", "curve", curve, soon], {
    variant: "EC P-384",
  });
}

/** A certificate's key signs, and its secret is the whole of it. */
async function keyAndSecret(suite) {
  const made = await suite.client(CertificateClient).getCertificate("first");
  const { version } = made.properties;
  const variant = "of a certificate";
  const secrets = suite.client(SecretClient);
  const secret = await suite.drive(secrets, ["getSecret", "first", { version }], { variant });
  suite.check(secret.value.includes("BEGIN PRIVATE KEY"), "PEM");
  const key = await suite.drive(suite.client(KeyClient), ["getKey", "first"], { variant });
  suite.check(key.properties.managed === true, "a managed key");
  const signer = suite.crypto(made.keyId);
  const signed = await suite.drive(signer, ["sign", "RS256", new Uint8Array(32)], {
    variant: "with a certificate's key",
  });
  const { result } = await signer.verify("RS256", new Uint8Array(32), signed.result);
  suite.check(result, "a good signature");
}

async function readAndUpdate(suite) {
  const client = suite.client(CertificateClient);
  const latest = await suite.drive(client, ["getCertificate", "first"]);
  const { version } = latest.properties;
  suite.check(latest.policy.subject === "CN=first.example.com", "with its policy");
  const same = await suite.drive(client, ["getCertificateVersion", "first", version]);
  suite.check(same.properties.id === latest.properties.id, "the same");
  const variant = "that is not there";
  await suite.drive(client, ["getCertificate", "nope"], { variant, expect: missing });
  const wanted = { tags: { q: "r" } };
  const changed = await suite.drive(client, [
    "updateCertificateProperties",
    "first",
    version,
    wanted,
  ]);
  suite.check(changed.properties.tags.q === "r", "tags");
}

async function policies(suite) {
  const client = suite.client(CertificateClient);
  const first = await suite.drive(client, ["getCertificatePolicy", "first"]);
  suite.check(first.validityInMonths === 6, "the policy it was made by");
  const renewal = { action: "AutoRenew", lifetimePercentage: 70 };
  const wanted = selfSigned("first.example.com", {
    validityInMonths: 12,
    lifetimeActions: [renewal],
  });
  // What it gives back is empty, whatever the answer was.
  await suite.drive(client, ["updateCertificatePolicy", "first", wanted]);
  const changed = await suite.drive(client, ["getCertificatePolicy", "first"], {
    variant: "that was set",
  });
  suite.check(changed.validityInMonths === 12, "the new policy");
  suite.check(changed.lifetimeActions[0].lifetimePercentage === 70, "its action");
}

async function lists(suite) {
  const client = suite.client(CertificateClient);
  const again = selfSigned("again.example.com");
  await (await client.beginCreateCertificate("first", again, soon)).pollUntilDone();
  const found = await suite.drive(client, ["listPropertiesOfCertificates"]);
  const names = found.map((each) => each.name);
  suite.check(["first", "curve"].every((name) => names.includes(name)), "all names");
  const includePending = true;
  await suite.drive(client, ["listPropertiesOfCertificates", { includePending }], {
    variant: "with pending ones",
  });
  const versions = await suite.drive(client, ["listPropertiesOfCertificateVersions", "first"]);
  suite.check(versions.length === 2, "both versions");
}

/** Another CA signs: the operation waits, is cancelled, and is deleted. */
async function pending(suite) {
  const client = suite.client(CertificateClient);
  const poller = await client.beginCreateCertificate("waiting", byAnother, soon);
  poller.stopPolling();
  const begun = await client.getCertificateOperation("waiting", soon);
  suite.note("CertificateClient", "getCertificateOperation");
  const { certificateOperation } = begun.getOperationState();
  suite.check(certificateOperation.status === "inProgress", "in progress");
  suite.check(certificateOperation.csr.length > 0, "a signing request");
  await begun.cancelOperation();
  suite.note("CertificateClient", "getCertificateOperation", { variant: "cancelled" });
  begun.stopPolling();
  await suite.drive(client, ["deleteCertificateOperation", "waiting"]);
}

async function merge(suite) {
  const client = suite.client(CertificateClient);
  const poller = await client.beginCreateCertificate("merged", byAnother, soon);
  poller.stopPolling();
  const csr = (await client.getCertificateOperation("merged", soon)).getOperationState()
    .certificateOperation.csr;
  const der = forge.util.createBuffer(Buffer.from(csr).toString("binary"));
  const request = forge.pki.certificationRequestFromAsn1(forge.asn1.fromDer(der));
  const authority = certificate("Test CA");
  const stranger = certificate("stranger.example.com");
  await suite.drive(client, ["mergeCertificate", "merged", [stranger.der]], {
    variant: "a certificate of another key",
    expect: /^RestError 400/,
  });
  const signed = sign(request.publicKey, request.subject.attributes, authority);
  const merged = await suite.drive(client, ["mergeCertificate", "merged", [signed.der]]);
  suite.check(signed.der.equals(Buffer.from(merged.cer)), "the certificate that was merged");
}

async function importCertificates(suite) {
  const client = suite.client(CertificateClient);
  const given = certificate("imported.example.com");
  for (const [variant, password, how] of [
    ["PFX", "", {}],
    ["PFX with a password", "of the file", {}],
    ["PFX as of old", "of the file", { algorithm: "3des" }],
  ]) {
    const { key, certificate: leaf } = given;
    const asn1 = forge.pkcs12.toPkcs12Asn1(key, [leaf], password, how);
    const pfx = Buffer.from(forge.asn1.toDer(asn1).getBytes(), "binary");
    const name = `imported-${variant.replaceAll(" ", "-")}`;
    const options = password ? { password } : {};
    const kept = await suite.drive(client, ["importCertificate", name, pfx, options], { variant });
    suite.check(given.der.equals(Buffer.from(kept.cer)), "the certificate");
  }
  const info = forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(given.key));
  const pem = forge.pki.privateKeyInfoToPem(info) + forge.pki.certificateToPem(given.certificate);
  const policy = { issuerName: "Unknown", contentType: "application/x-pem-file" };
  // The SDK leaves out the policy, without which the vault takes it for a PFX.
  const call = ["importCertificate", "imported-PEM", Buffer.from(pem), { policy }];
  const variant = "PEM, whose policy the SDK does not send";
  await suite.drive(client, call, { variant, expect: /^RestError 400/ });
}

async function lifeCycle(suite) {
  const client = suite.client(CertificateClient);
  const made = await (
    await client.beginCreateCertificate("mortal-cert", selfSigned("mortal-cert"), soon)
  ).pollUntilDone();
  const backup = await suite.drive(client, ["backupCertificate", "mortal-cert"]);
  const gone = await suite.drive(client, ["beginDeleteCertificate", "mortal-cert", soon]);
  suite.check(gone.recoveryId.startsWith(`${suite.place.vault_url}/`), "a link of this host");
  const deleted = await suite.drive(client, ["getDeletedCertificate", "mortal-cert"]);
  suite.check(deleted.properties.id === made.properties.id, "the deleted one");
  suite.check(deleted.scheduledPurgeDate, "with a date");
  const listed = await suite.drive(client, ["listDeletedCertificates"]);
  suite.check(listed.some((each) => each.name === "mortal-cert"), "among the deleted");
  const back = await suite.drive(client, ["beginRecoverDeletedCertificate", "mortal-cert", soon]);
  suite.check(back.properties.id === made.properties.id, "recovered");
  await (await client.beginDeleteCertificate("mortal-cert", soon)).pollUntilDone();
  await suite.drive(client, ["purgeDeletedCertificate", "mortal-cert"]);
  const restored = await suite.drive(client, ["restoreCertificateBackup", backup]);
  suite.check(Buffer.from(made.cer).equals(Buffer.from(restored.cer)), "restored");
}

async function pollersPoll(suite) {
  const client = suite.client(CertificateClient);
  const variant = "polled";
  const policy = selfSigned("slow.example.com");
  await (await client.beginCreateCertificate("slow-cert", policy, soon)).pollUntilDone();
  await suite.script("/deletedcertificates/slow-cert", 404, notFound);
  await suite.drive(client, ["beginDeleteCertificate", "slow-cert", soon], { variant });
  await suite.script("/certificates/slow-cert", 404, notFound);
  await suite.script("/certificates/slow-cert", 404, notFound);
  await suite.drive(client, ["beginRecoverDeletedCertificate", "slow-cert", soon], { variant });
}

async function issuers(suite) {
  const client = suite.client(CertificateClient);
  const contact = { firstName: "Ada", lastName: "Admin", email: "ada@example.com" };
  const options = {
    accountId: "account",
    password: "of no account",
    organizationId: "org",
    administratorContacts: [contact],
  };
  const made = await suite.drive(client, ["createIssuer", "authority", "Test", options]);
  suite.check(made.id.startsWith(`${suite.place.vault_url}/`), "an id of this host");
  const found = await suite.drive(client, ["getIssuer", "authority"]);
  suite.check(found.accountId === "account" && !found.password, "without its password");
  await suite.drive(client, ["updateIssuer", "authority", { accountId: "another" }]);
  const listed = await suite.drive(client, ["listPropertiesOfIssuers"]);
  suite.check(listed.map((each) => each.id).join() === made.id, "the one issuer");
  await suite.drive(client, ["deleteIssuer", "authority"]);
  const variant = "that is deleted";
  await suite.drive(client, ["getIssuer", "authority"], { variant, expect: missing });
}

async function contacts(suite) {
  const client = suite.client(CertificateClient);
  const wanted = { email: "ada@example.com", name: "Ada", phone: "1" };
  await suite.drive(client, ["setContacts", [wanted]]);
  const found = await suite.drive(client, ["getContacts"]);
  suite.check(found.map((each) => each.email).join() === wanted.email, "the contact");
  await suite.drive(client, ["deleteContacts"]);
  const variant = "that are deleted";
  await suite.drive(client, ["getContacts"], { variant, expect: missing });
}

/** A CA of its own: a key and its certificate. */
function certificate(name) {
  const { privateKey: key, publicKey } = forge.pki.rsa.generateKeyPair(2048);
  const subject = [{ name: "commonName", value: name }];
  const made = sign(publicKey, subject, { key, subject });
  return { key, subject, ...made };
}

function sign(publicKey, subject, authority) {
  const made = forge.pki.createCertificate();
  made.publicKey = publicKey;
  made.serialNumber = `00${forge.util.bytesToHex(forge.random.getBytesSync(8))}`;
  made.validity.notBefore = new Date(Date.now() - 86_400_000);
  made.validity.notAfter = new Date(Date.now() + 90 * 86_400_000);
  made.setSubject(subject);
  made.setIssuer(authority.subject);
  made.sign(authority.key, forge.md.sha256.create());
  const der = forge.asn1.toDer(forge.pki.certificateToAsn1(made)).getBytes();
  return { certificate: made, der: Buffer.from(der, "binary") };
}

export const scenarios = [
  create,
  keyAndSecret,
  readAndUpdate,
  policies,
  lists,
  pending,
  merge,
  importCertificates,
  lifeCycle,
  pollersPoll,
  issuers,
  contacts,
];

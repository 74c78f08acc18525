// What the vault does by itself when the time has come, seen when it has.

import { CertificateClient } from "@azure/keyvault-certificates";
import { KeyClient } from "@azure/keyvault-keys";

const soon = { intervalInMs: 50 };
const DAY = 86_400_000;

async function rotation(suite) {
  const client = suite.client(KeyClient);
  const first = await client.createRsaKey("due", { keySize: 2048 });
  const lifetimeActions = [{ action: "Rotate", timeAfterCreate: "P30D" }];
  await client.updateKeyRotationPolicy("due", { lifetimeActions });
  await suite.forward(29);
  const early = await suite.drive(client, ["getKey", "due"], {
    variant: "before its rotation is due",
  });
  suite.check(early.id === first.id, "the first version");
  await suite.forward(1);
  const later = await suite.drive(client, ["getKey", "due"], {
    variant: "after its rotation fell due",
  });
  suite.check(later.id !== first.id, "a new version");
  const age = later.properties.createdOn - first.properties.createdOn;
  suite.check(Math.floor(age / DAY) === 30, "made when it was due");
  const versions = await suite.drive(client, ["listPropertiesOfKeyVersions", "due"], {
    variant: "after a rotation fell due",
  });
  suite.check(versions.length === 2, "both versions");
}

async function renewal(suite) {
  const client = suite.client(CertificateClient);
  const policy = {
    issuerName: "Self",
    subject: "CN=due.example.com",
    validityInMonths: 2,
    lifetimeActions: [{ action: "AutoRenew", daysBeforeExpiry: 10 }],
  };
  const begun = await client.beginCreateCertificate("due-cert", policy, soon);
  const first = await begun.pollUntilDone();
  await suite.forward(30);
  const early = await suite.drive(client, ["getCertificate", "due-cert"], {
    variant: "before its renewal is due",
  });
  suite.check(Buffer.from(early.cer).equals(Buffer.from(first.cer)), "the first version");
  await suite.forward(31);
  const later = await suite.drive(client, ["getCertificate", "due-cert"], {
    variant: "after its renewal fell due",
  });
  suite.check(!Buffer.from(later.cer).equals(Buffer.from(first.cer)), "a new certificate");
  suite.check(later.properties.expiresOn > first.properties.expiresOn, "that ends later");
}

export const scenarios = [rotation, renewal];

// Whether Node's TLS accepts certificates as it should.
//
//     check.mjs CASES
//
// Each line of CASES is `certificate host accept|refuse`; the files `certificate.crt` and
// `certificate.key` are beside it. What is trusted is what the environment says
// (NODE_EXTRA_CA_CERTS).

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import tls from 'node:tls';

async function outcome(directory, certificate, host) {
  const server = tls.createServer({
    cert: readFileSync(join(directory, `${certificate}.crt`)),
    key: readFileSync(join(directory, `${certificate}.key`)),
  });
  // A client that refuses ends the handshake.
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({
    host: '127.0.0.1',
    port: server.address().port,
    servername: isIP(host) ? '' : host,
    checkServerIdentity: (_, shown) => tls.checkServerIdentity(host, shown),
  });
  try {
    await once(client, 'secureConnect');
    return ['accept', ''];
  } catch (error) {
    return ['refuse', error.message];
  } finally {
    client.destroy();
    server.close();
  }
}

const cases = process.argv[2];
for (const line of readFileSync(cases, 'utf8').trim().split('\n')) {
  const [certificate, host, expected] = line.split(' ');
  const [found, why] = await outcome(dirname(cases), certificate, host);
  const right = found === expected;
  if (!right) process.exitCode = 1;
  const verdict = right ? 'ok' : `WRONG, expected ${expected}`;
  console.log(`node ${certificate} as ${host}: ${found} ${why}: ${verdict}`);
}

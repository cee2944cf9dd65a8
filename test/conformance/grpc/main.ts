// npm run edge -- --port P [--host H] [--impl ours|grpc-js|http2] [--tls DIR] [--with metrics,authenticate,audit,trace]
// Serves grpc.testing.TestService and oprc.DataService over a map until it is stopped. DIR has cert.pem and key.pem, and
// ca.pem where clients must show a certificate.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadTls } from '@oaas/commons/security';
import { createLogger } from '@oaas/commons/telemetry';
import { extras, type Implementation, implementations, serve } from './serve.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    host: { type: 'string', default: '127.0.0.1' },
    impl: { type: 'string', default: 'ours' },
    tls: { type: 'string' },
    with: { type: 'string', default: '' },
  },
});
const impl = implementations.find((name): name is Implementation => name === values.impl);
if (impl === undefined) {
  console.error(`--impl is one of ${implementations.join(', ')}`);
  process.exit(2);
}

async function tlsOf(dir: string) {
  const ca = join(dir, 'ca.pem');
  return loadTls({
    certFile: join(dir, 'cert.pem'),
    keyFile: join(dir, 'key.pem'),
    ...(existsSync(ca) ? { caFile: ca } : {}),
  });
}

const { port, stop } = await serve({
  impl,
  host: values.host,
  port: Number(values.port),
  tls: values.tls === undefined ? undefined : await tlsOf(values.tls),
  logger: createLogger({ service: 'edge', level: 'warn' }),
  extras: extras.filter((extra) => values.with.split(',').includes(extra)),
});
console.log(JSON.stringify({ impl, host: values.host, port }));
// A program that starts this one with a channel to it is told the port, and what has been used so far when it asks.
process.send?.({ port });
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1000, rssBytes: process.memoryUsage.rss() });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stop();
    process.exit(0);
  });
}

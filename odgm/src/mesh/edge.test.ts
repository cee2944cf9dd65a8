import { createEdgeServer, type EdgeServer } from '@oaas/commons/grpc/edge';
import type { TlsMaterial } from '@oaas/commons/security';
import { createLogger } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { hasProgram, tempDir } from '@oaas/commons/testkit';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startMember, type TestMember, untilLinked } from '../../testkit/mesh.ts';
import { dialTcp, dialTls } from './dial.ts';
import { meshPreface } from './handshake.ts';

const program = 'openssl';
const members: TestMember[] = [];
const servers: EdgeServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) server.stop();
  await Promise.all(members.splice(0).map((member) => member.stop()));
});

/** A member that is reached by the port of a gRPC server. */
async function startBehindEdge(number: number, tls?: TlsMaterial): Promise<TestMember> {
  const dial = tls === undefined ? dialTcp : dialTls({ ca: tls.ca, cert: tls.cert, key: tls.key });
  const member = await startMember(number, { dial });
  members.push(member);
  const server = createEdgeServer({
    ...{ clock: systemClock, timers: systemTimers, random: systemRandom },
    ...{ logger: createLogger({ service: 'test', level: 'silent' }), tls },
    otherProtocols: [{ preface: meshPreface, alpn: undefined, accept: (...taken) => member.mesh.accept(...taken) }],
  });
  servers.push(server);
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  return { ...member, address: `127.0.0.1:${port}` };
}

async function exchange(a: TestMember, b: TestMember): Promise<void> {
  for (const { mesh } of [a, b]) mesh.setPeers([a, b]);
  await untilLinked(a, b);
  b.mesh.onRequest(1, (payload) => payload);
  const payload = Buffer.alloc(3_000_000, 7);
  expect(payload.equals(await a.mesh.request(b.number, 1, payload))).toBe(true);
}

describe('links through the port of the gRPC server', () => {
  it('come about in plain', async () => {
    await exchange(await startBehindEdge(1), await startBehindEdge(2));
  });

  const canRun = hasProgram(program, 'version');
  it.skipIf(!canRun)(`come about in TLS, with certificates on both sides${canRun ? '' : ' (no openssl)'}`, async () => {
    const dir = await tempDir();
    try {
      const args = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=grid';
      const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'grid.key', '-out', 'grid.pem'];
      execFileSync(program, [...args.split(' '), ...names], { cwd: dir.path, stdio: 'ignore' });
      const cert = readFileSync(join(dir.path, 'grid.pem'));
      const material = { cert, ca: cert, key: readFileSync(join(dir.path, 'grid.key')) };
      await exchange(await startBehindEdge(1, material), await startBehindEdge(2, material));
    } finally {
      await dir.remove();
    }
  });
});

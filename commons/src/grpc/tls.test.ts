import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { data } from '@oaas/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, tempDir, type TempDir } from '../../testkit/index.ts';
import { loadTls } from '../security/index.ts';
import { createLogger } from '../telemetry/index.ts';
import { type ChannelTls, createGrpcChannel, createGrpcClient, createGrpcServer } from './index.ts';

const program = 'openssl';

const canRun = hasProgram(program, 'version');

describe.skipIf(!canRun)(`mutual TLS${canRun ? '' : ' (skipped: openssl is not on PATH)'}`, () => {
  let dir: TempDir;
  const file = (name: string): string => join(dir.path, name);
  const openssl = (...args: string[]): void => {
    execFileSync(program, args, { cwd: dir.path, stdio: 'ignore' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

  /** An authority, and one certificate for 127.0.0.1 of it that both sides use. */
  function issue(authority: string, name: string): void {
    openssl(
      'req',
      '-x509',
      ...key,
      '-days',
      '2',
      '-subj',
      `/CN=${authority}`,
      '-keyout',
      `${authority}.key`,
      '-out',
      `${authority}.pem`,
    );
    openssl(
      'req',
      ...key,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${authority}.pem`,
      '-CAkey',
      `${authority}.key`,
      '-days',
      '2',
      '-copy_extensions',
      'copy',
      '-out',
      `${name}.pem`,
    );
  }

  beforeAll(async () => {
    dir = await tempDir();
    issue('ours', 'node');
    issue('theirs', 'stranger');
  });
  afterAll(() => dir.remove());

  const material = (name: string): ChannelTls => ({
    ca: readFileSync(file('ours.pem')),
    cert: readFileSync(file(`${name}.pem`)),
    key: readFileSync(file(`${name}.key`)),
  });

  async function call(tls: ChannelTls | undefined): Promise<unknown> {
    const server = createGrpcServer({
      logger: createLogger({ service: 'test', level: 'silent' }),
      tls: await loadTls({ certFile: file('node.pem'), keyFile: file('node.key'), caFile: file('ours.pem') }),
    });
    server.add(data.DataServiceDefinition, { stats: () => Promise.resolve({ shards: [] }) });
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    const channel = createGrpcChannel(`127.0.0.1:${String(port)}`, { tls });
    try {
      return await createGrpcClient(data.DataServiceDefinition, channel).stats({}, { deadlineMs: 5000 });
    } finally {
      channel.close();
      server.stop();
    }
  }

  it('lets in who shows a certificate of the same authority', async () => {
    expect(await call(material('node'))).toEqual({ shards: [] });
  });

  it('keeps out who shows another certificate, none, or speaks no TLS', async () => {
    for (const tls of [material('stranger'), { ca: readFileSync(file('ours.pem')) }, undefined]) {
      await expect(call(tls)).rejects.toMatchObject({ code: 'Unavailable' });
    }
  });

  it('does not talk to a server of another authority', async () => {
    await expect(call({ ...material('node'), ca: readFileSync(file('theirs.pem')) })).rejects.toMatchObject({
      code: 'Unavailable',
    });
  });
});

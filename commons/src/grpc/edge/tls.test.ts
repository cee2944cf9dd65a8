import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, tempDir, type TempDir } from '../../../testkit/index.ts';
import type { TlsMaterial } from '../../security/index.ts';
import { createLogger } from '../../telemetry/index.ts';
import { type ChannelTls, createGrpcChannel, createGrpcClient, createGrpcServer, peerIdentityKey } from '../index.ts';
import { createEdgeChannel } from './channel.ts';
import { systemClock, systemRandom, systemTimers } from '../../system/index.ts';
import { createEdgeServer, type EdgeServerOptions } from './server.ts';
import { definition, handlers, startServer as startOn, type TestHandlers, type TestServer } from './testing.ts';

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const startServer = (
  ...[own, options, port]: [own?: TestHandlers, options?: Partial<EdgeServerOptions>, port?: number]
): Promise<TestServer> => startOn(time, own, options, port);

const program = 'openssl';

const canRun = hasProgram(program, 'version');

describe.skipIf(!canRun)(`TLS${canRun ? '' : ' (skipped: openssl is not on PATH)'}`, () => {
  let dir: TempDir;
  let running: TestServer | undefined;
  const pem = (name: string): Buffer => readFileSync(join(dir.path, name));
  const material = (name: string, ca?: string): TlsMaterial => ({
    cert: pem(`${name}.pem`),
    key: pem(`${name}.key`),
    ...(ca === undefined ? {} : { ca: pem(ca) }),
  });

  function issue(authority: string, ...names: string[]): void {
    const openssl = (...args: string[]): void => {
      execFileSync(program, args, { cwd: dir.path, stdio: 'ignore' });
    };
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const own = ['-keyout', `${authority}.key`, '-out', `${authority}.pem`];
    openssl('req', '-x509', ...key, '-days', '2', '-subj', `/CN=${authority}`, ...own);
    for (const name of names) {
      openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
      const by = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-extfile', 'names.cnf'];
      openssl('x509', '-req', '-days', '2', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`);
    }
  }

  beforeAll(async () => {
    dir = await tempDir();
    writeFileSync(join(dir.path, 'names.cnf'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    issue('ours', 'server', 'client', 'renewed');
    issue('theirs', 'stranger');
  });
  afterAll(() => dir.remove());
  afterEach(() => {
    running?.stop();
  });

  async function call(port: number, tls: ChannelTls | undefined, host = '127.0.0.1'): Promise<unknown> {
    const channel = createEdgeChannel(`${host}:${port}`, { ...time, ...(tls === undefined ? {} : { tls }) });
    try {
      const client = createGrpcClient(definition, channel);
      return (await client.unaryCall({ responseSize: 100_000 }, { deadlineMs: 5000 })).payload?.body.length;
    } finally {
      channel.close();
    }
  }

  it('a client that knows the authority calls, by address and by name', async () => {
    running = await startServer(handlers, { tls: material('server') });
    expect(await call(running.port, { ca: pem('ours.pem') })).toBe(100_000);
    expect(await call(running.port, { ca: pem('ours.pem') }, 'localhost')).toBe(100_000);
  });

  it('a client without the authority, without TLS or with another name in mind does not', async () => {
    running = await startServer(handlers, { tls: material('server') });
    const wrongName = { ca: pem('ours.pem'), serverName: 'elsewhere.test' };
    for (const tls of [{ ca: pem('theirs.pem') }, undefined, wrongName]) {
      await expect(call(running.port, tls)).rejects.toMatchObject({ code: 'Unavailable' });
    }
  });

  it('with an authority the server wants a certificate of it', async () => {
    running = await startServer(handlers, { tls: material('server', 'ours.pem') });
    const ca = pem('ours.pem');
    expect(await call(running.port, { ca, ...material('client') })).toBe(100_000);
    for (const tls of [{ ca }, { ca, ...material('stranger') }]) {
      await expect(call(running.port, { ...tls })).rejects.toMatchObject({ code: 'Unavailable' });
    }
  });

  it('the other carrier calls and is called, with certificates on both sides', async () => {
    running = await startServer(handlers, { tls: material('server', 'ours.pem') });
    const tls = { ca: pem('ours.pem'), ...material('client') };
    const channel = createGrpcChannel(`127.0.0.1:${running.port}`, { tls });
    const response = await createGrpcClient(definition, channel).unaryCall({ responseSize: 100_000 });
    expect(response.payload?.body.length).toBe(100_000);
    channel.close();

    const other = createGrpcServer({
      logger: createLogger({ service: 'test', level: 'silent' }),
      tls: material('server', 'ours.pem'),
    });
    other.add(definition, handlers);
    const { port } = await other.listen({ host: '127.0.0.1', port: 0 });
    expect(await call(port, tls)).toBe(100_000);
    await expect(call(port, { ca: pem('ours.pem') })).rejects.toMatchObject({ code: 'Unavailable' });
    other.stop();
  });

  it.each(['edge', 'grpc-js'] as const)(
    'a handler of a server of %s learns whose certificate it was',
    async (carrier) => {
      const seen: unknown[] = [];
      const own: TestHandlers = {
        emptyCall: (_request, { attributes }) => {
          seen.push(attributes.get(peerIdentityKey));
          return Promise.resolve({});
        },
      };
      const logger = createLogger({ service: 'test', level: 'silent' });
      const ask = async (tls: TlsMaterial, shown: ChannelTls): Promise<void> => {
        const server =
          carrier === 'edge' ? createEdgeServer({ ...time, logger, tls }) : createGrpcServer({ logger, tls });
        server.add(definition, own);
        const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
        const channel = createEdgeChannel(`127.0.0.1:${port}`, { ...time, tls: shown });
        await createGrpcClient(definition, channel).emptyCall({});
        channel.close();
        server.stop();
      };
      const ca = pem('ours.pem');
      await ask(material('server', 'ours.pem'), { ca, ...material('client') });
      // Nobody asked for the certificate, so nobody has verified it.
      await ask(material('server'), { ca, ...material('client') });
      expect(seen).toEqual([
        {
          commonName: 'client',
          dnsNames: ['localhost'],
          uris: [],
          fingerprint: expect.stringMatching(/^[0-9A-F:]{95}$/) as string,
        },
        undefined,
      ]);
    },
  );

  it('a new certificate serves new connections, and those that stand go on', async () => {
    running = await startServer(handlers, { tls: material('server') });
    const tls = { ca: pem('ours.pem') };
    const { client } = running.client({ tls });
    await client.emptyCall({});
    running.server.reloadTls(material('stranger'));
    expect(await client.emptyCall({})).toEqual({});
    await expect(call(running.port, tls)).rejects.toMatchObject({ code: 'Unavailable' });
    running.server.reloadTls(material('renewed'));
    expect(await call(running.port, tls)).toBe(100_000);
  });

  it('another protocol on the port gets its connections behind the handshake, and nothing without one', async () => {
    const peers: string[] = [];
    running = await startServer(handlers, {
      tls: material('server', 'ours.pem'),
      otherProtocols: [
        {
          preface: Buffer.from('OAASMESH1\n'),
          alpn: 'oaas-mesh/1',
          accept: (socket, head) => {
            peers.push(socket instanceof TLSSocket ? String(socket.getPeerCertificate().subject.CN) : 'no TLS');
            socket.end(head);
          },
        },
      ],
    });
    const answer = async (alpn: readonly string[], text: string, own = material('client')): Promise<string> => {
      const socket = connectTls({
        ...{ host: '127.0.0.1', port: running?.port ?? 0, ca: pem('ours.pem'), ALPNProtocols: [...alpn] },
        ...{ cert: own.cert, key: own.key },
      });
      socket.on('error', () => undefined);
      socket.on('secureConnect', () => socket.write(text));
      let got = '';
      socket.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
      await new Promise((resolve) => socket.once('close', resolve));
      return got;
    };
    expect(await answer(['oaas-mesh/1'], 'OAASMESH1\n')).toBe('OAASMESH1\n');
    expect(await answer([], 'OAASMESH1\n')).toBe('OAASMESH1\n');
    expect(peers).toEqual(['client', 'client']);
    expect(await answer([], 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')).toBe('');
    expect(await answer(['something/else'], 'OAASMESH1\n')).toBe('');
    expect(await answer(['oaas-mesh/1'], 'OAASMESH1\n', material('stranger'))).toBe('');
    expect(peers).toHaveLength(2);
    expect(await call(running.port, { ca: pem('ours.pem'), ...material('client') })).toBe(100_000);
  });
});

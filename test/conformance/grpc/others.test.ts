import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { createGrpcClient } from '@oaas/commons/grpc';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { createLogger } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { testing } from '@oaas/proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueCertificates } from './certificates.ts';
import { isOnPath, run, start } from './programs.ts';
import { serve } from './serve.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const grpcioPeer = fileURLToPath(new URL('grpcio_peer.py', import.meta.url));
const python = 'python3';

/** A title that says why the test is skipped. */
const needs = (title: string, program: string, isThere: boolean): string =>
  isThere ? title : `${title} (skipped: ${program} is not there)`;

const has = {
  h2spec: isOnPath('h2spec', '--version'),
  interop: isOnPath('grpc-interop-client'),
  grpcurl: isOnPath('grpcurl', '-version'),
  ghz: isOnPath('ghz', '--version'),
  h2load: isOnPath('h2load', '--version'),
  openssl: isOnPath('openssl', 'version'),
  grpcio: isOnPath(python, '-c', 'import grpc'),
};

/** Every case of the Go interop client that needs no cloud credentials. */
const interopCases = [
  ...['empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream'],
  ...['timeout_on_sleeping_server', 'cancel_after_begin', 'cancel_after_first_response', 'status_code_and_message'],
  ...['special_status_message', 'custom_metadata', 'unimplemented_method', 'unimplemented_service'],
  ...['pick_first_unary', 'rpc_soak', 'channel_soak', 'orca_per_rpc', 'orca_oob'],
];

/** Makes the interop client look at load reports. */
const loadReportConfig = JSON.stringify({ loadBalancingConfig: [{ test_backend_metrics_load_balancer: {} }] });

describe('other implementations against our server', () => {
  let port = 0;
  let stop = (): void => undefined;

  beforeAll(async () => {
    ({ port, stop } = await serve({ impl: 'ours', host: '127.0.0.1', port: 0, logger }));
  });
  afterAll(() => stop());

  it.skipIf(!has.h2spec)(
    needs('h2spec passes all of its 145 cases', 'h2spec', has.h2spec),
    async () => {
      const { output } = await run('h2spec', ['-h', '127.0.0.1', '-p', String(port), '-o', '5']);
      expect(output.trim().split('\n').at(-1)).toBe('145 tests, 145 passed, 0 skipped, 0 failed');
    },
    180_000,
  );

  it.skipIf(!has.interop).each(interopCases)(
    needs('the gRPC interop client passes %s', 'grpc-interop-client', has.interop),
    async (name) => {
      const args = ['-server_host', '127.0.0.1', '-server_port', String(port), '-test_case', name];
      if (name.startsWith('orca')) args.push('-service_config_json', loadReportConfig);
      expect(await run('grpc-interop-client', args)).toMatchObject({ code: 0 });
    },
    60_000,
  );

  it.skipIf(!has.grpcurl)(
    needs('grpcurl lists, describes and calls by reflection, and asks for health', 'grpcurl', has.grpcurl),
    async () => {
      const grpcurl = async (...args: string[]) => (await run('grpcurl', ['-plaintext', ...args])).output;
      const target = `127.0.0.1:${port}`;
      expect(await grpcurl(target, 'list')).toContain('oprc.DataService');
      expect(await grpcurl(target, 'describe', 'grpc.testing.TestService.UnaryCall')).toContain('SimpleRequest');
      const call = await grpcurl('-d', '{"responseSize": 3}', target, 'grpc.testing.TestService/UnaryCall');
      expect(JSON.parse(call)).toMatchObject({ payload: { body: 'AAAA' } });
      expect(await grpcurl(target, 'grpc.health.v1.Health/Check')).toContain('SERVING');
      const missing = await grpcurl('-d', '{"clsId":"a","objectId":"b"}', target, 'oprc.DataService/Get');
      expect(missing).toContain('NotFound');
      expect(missing).toContain('google.rpc.ErrorInfo');
    },
    60_000,
  );

  it.skipIf(!has.ghz)(
    needs('ghz makes calls and streams without an error', 'ghz', has.ghz),
    async () => {
      for (const [method, body] of [
        ['grpc.testing.TestService.UnaryCall', '{"responseSize": 1000}'],
        ['grpc.testing.TestService.StreamingOutputCall', '{"responseParameters":[{"size":10},{"size":100000}]}'],
        ['grpc.testing.TestService.FullDuplexCall', '[{"responseParameters":[{"size":10}]}]'],
      ] as const) {
        const args = ['--insecure', '-n', '300', '-c', '10', '--connections', '3', '-O', 'json', '--call', method];
        const { output } = await run('ghz', [...args, '-d', body, `127.0.0.1:${port}`]);
        expect(JSON.parse(output)).toMatchObject({ statusCodeDistribution: { OK: 300 } });
      }
    },
    60_000,
  );

  it.skipIf(!has.h2load)(
    needs('h2load gets an answer to every request', 'h2load', has.h2load),
    async () => {
      const url = `http://127.0.0.1:${port}/grpc.testing.TestService/EmptyCall`;
      const dir = await tempDir();
      const { writeFile } = await import('node:fs/promises');
      await writeFile(join(dir.path, 'empty.bin'), Uint8Array.of(0, 0, 0, 0, 0));
      const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
      const args = ['-n', '20000', '-c', '10', '-m', '50', '-d', join(dir.path, 'empty.bin'), ...headers, url];
      expect((await run('h2load', args)).output).toContain('20000 succeeded, 0 failed, 0 errored, 0 timeout');
      await dir.remove();
    },
    60_000,
  );

  it.skipIf(!has.grpcio)(
    needs('a client of grpcio makes calls of all kinds', 'grpcio', has.grpcio),
    async () => {
      expect(await run(python, [grpcioPeer, 'client', String(port)])).toEqual({ code: 0, output: 'ok\n' });
    },
    60_000,
  );
});

describe.skipIf(!has.openssl)(needs('over TLS', 'openssl', has.openssl), () => {
  let dir: TempDir;
  let port = 0;
  let stop = (): void => undefined;

  beforeAll(async () => {
    dir = await tempDir();
    issueCertificates(dir.path, ['server']);
    const pem = (name: string): Buffer => readFileSync(join(dir.path, name));
    const tls = { cert: pem('server.pem'), key: pem('server.key') };
    ({ port, stop } = await serve({ impl: 'ours', host: '127.0.0.1', port: 0, logger, tls }));
  });
  afterAll(async () => {
    stop();
    await dir.remove();
  });

  it.skipIf(!has.h2spec)(
    needs('h2spec passes all of its cases', 'h2spec', has.h2spec),
    async () => {
      const { output } = await run('h2spec', ['-t', '-k', '-h', '127.0.0.1', '-p', String(port), '-o', '5']);
      expect(output.trim().split('\n').at(-1)).toMatch(/^\d+ tests, \d+ passed, 0 skipped, 0 failed$/);
    },
    180_000,
  );

  it.skipIf(!has.interop)(
    needs('the gRPC interop client verifies the certificate and passes', 'grpc-interop-client', has.interop),
    async () => {
      const tls = [
        '-use_tls',
        '-use_test_ca',
        '-ca_file',
        join(dir.path, 'ca.pem'),
        '-server_host_override',
        'localhost',
      ];
      for (const name of ['large_unary', 'ping_pong']) {
        const args = [...tls, '-server_host', '127.0.0.1', '-server_port', String(port), '-test_case', name];
        expect(await run('grpc-interop-client', args)).toMatchObject({ code: 0 });
      }
    },
    60_000,
  );
});

describe.skipIf(!has.grpcio)(needs('our client against a server of grpcio', 'grpcio', has.grpcio), () => {
  let peer: Awaited<ReturnType<typeof start>>;
  const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
  let channel: ReturnType<typeof createEdgeChannel>;

  beforeAll(async () => {
    peer = await start(python, [grpcioPeer, 'server']);
    channel = createEdgeChannel(`127.0.0.1:${peer.line}`, time);
  });
  afterAll(() => {
    channel.close();
    peer.child.kill();
  });

  it('makes calls of all kinds', async () => {
    const client = createGrpcClient(testing.TestServiceDefinition, channel);
    expect(await client.emptyCall({})).toEqual({});
    const large = { responseSize: 314_159, payload: { body: Buffer.alloc(271_828) } };
    expect((await client.unaryCall(large)).payload?.body.length).toBe(314_159);
    const many = await Promise.all(Array.from({ length: 300 }, (_, i) => client.unaryCall({ responseSize: i })));
    expect(many.map(({ payload }) => payload?.body.length)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    const sizes = [27_182, 8, 1828, 45_904];
    const payloads = async function* () {
      for (const size of sizes) yield await Promise.resolve({ payload: { body: Buffer.alloc(size) } });
    };
    expect(await client.streamingInputCall(payloads())).toEqual({ aggregatedPayloadSize: 74_922 });
    const wanted = { responseParameters: sizes.map((size) => ({ size })) };
    const got: (number | undefined)[] = [];
    for await (const { payload } of client.streamingOutputCall(wanted)) got.push(payload?.body.length);
    const pings = async function* () {
      for (const size of sizes) yield await Promise.resolve({ responseParameters: [{ size }] });
    };
    for await (const { payload } of client.fullDuplexCall(pings())) got.push(payload?.body.length);
    expect(got).toEqual([...sizes, ...sizes]);
  });

  it('understands its status, its trailers and that it has no such method', async () => {
    const client = createGrpcClient(testing.TestServiceDefinition, channel);
    let trailer: string | undefined;
    const call = client.unaryCall(
      { responseStatus: { code: 2, message: 'nö ☃' } },
      { onTrailer: (metadata) => (trailer = metadata.get('x-trailer')) },
    );
    await expect(call).rejects.toMatchObject({ message: 'nö ☃' });
    expect(trailer).toBe('there');
    await expect(client.unimplementedCall({})).rejects.toMatchObject({ code: 'Unimplemented' });
  });
});

import { createServer as createHttp2 } from 'node:http2';
import { createServer } from 'node:http';
import { createServer as createTcp, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { createGrpcServer } from '@oaas/commons/grpc';
import { HealthRegistry } from '@oaas/commons/lifecycle';
import { createLogger } from '@oaas/commons/telemetry';
import { systemTimers } from '@oaas/commons/time/system';
import { afterEach, describe, expect, it } from 'vitest';
import { checkProbe } from './probe-check.ts';

const open: { close(): unknown }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function listen(server: Server): Promise<number> {
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return (server.address() as AddressInfo).port;
}

function target(port: number) {
  const container = { name: 'main', image: 'x', ports: [{ name: 'web', containerPort: 80 }] };
  return { container, hostPort: () => port, env: { PATH: process.env['PATH'] ?? '' }, cwd: tmpdir() };
}

describe('a probe', () => {
  it('by HTTP succeeds below 400, and tells the status or that nobody listens', async () => {
    const port = await listen(
      createServer((request, response) => response.writeHead(request.url === '/ok' ? 204 : 503).end()),
    );
    expect(await checkProbe({ httpGet: { path: '/ok', port: 'web' } }, target(port))).toEqual({ ok: true });
    expect(await checkProbe({ httpGet: { path: '/', port: 80 } }, target(port))).toMatchObject({
      message: 'HTTP probe failed with statuscode: 503',
    });
    expect(await checkProbe({ httpGet: { port: 80 } }, target(1))).toMatchObject({
      message: expect.stringContaining('ECONNREFUSED') as string,
    });
    expect(await checkProbe({ httpGet: { port: 'other' } }, target(port))).toMatchObject({
      message: 'the container has no port named "other"',
    });
  });

  it('by HTTP fails when there is no answer in time', async () => {
    const port = await listen(createServer(() => undefined));
    const result = await checkProbe({ httpGet: { port: 80 }, timeoutSeconds: 0.1 }, target(port));
    expect(result).toMatchObject({ ok: false, message: expect.stringContaining('no answer within 100 ms') as string });
  });

  it('by TCP succeeds when somebody takes the connection', async () => {
    const port = await listen(createTcp((socket) => socket.destroy()));
    expect(await checkProbe({ tcpSocket: { port: 80 } }, target(port))).toEqual({ ok: true });
    expect(await checkProbe({ tcpSocket: { port: 80 } }, target(1))).toMatchObject({ ok: false });
  });

  it('by gRPC succeeds when the health service says SERVING, and fails where there is none', async () => {
    const logger = createLogger({ service: 'test', level: 'silent' });
    const server = createGrpcServer({ logger, health: new HealthRegistry({ timers: systemTimers }) });
    const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
    expect(await checkProbe({ grpc: { port: 80 } }, target(port))).toEqual({ ok: true });
    expect(await checkProbe({ grpc: { port: 80, service: 'unknown' } }, target(port))).toMatchObject({ ok: false });
    server.stop();
    const other = await listen(createHttp2((request, response) => response.writeHead(404).end()));
    expect(await checkProbe({ grpc: { port: 80 } }, target(other))).toMatchObject({ ok: false });
  });

  it('by command succeeds with exit code 0, and tells what the command printed otherwise', async () => {
    const command = (source: string) => ({ exec: { command: [process.execPath, '-e', source] }, timeoutSeconds: 10 });
    expect(await checkProbe(command(''), target(1))).toEqual({ ok: true });
    expect(await checkProbe(command('console.log("bad"); process.exit(2)'), target(1))).toEqual({
      ok: false,
      message: 'command exited with 2: bad',
    });
  });
});

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HealthRegistry } from '../lifecycle/index.ts';
import { systemTimers } from '../system/index.ts';
import { createLogger, createMetrics, createOpsHandler, type OpsServer, startOpsServer } from './index.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function parts() {
  const health = new HealthRegistry({ timers: systemTimers });
  const metrics = createMetrics({ service: 'test' });
  const logger = createLogger({ service: 'test', level: 'silent' });
  return { health, metrics, logger, status: () => ({ version: '1' }) };
}

async function start(options = parts(), port = 0): Promise<OpsServer & { url: string }> {
  const server = await startOpsServer({ ...options, host: '127.0.0.1', port });
  stops.push(() => server.stop());
  return { ...server, url: `http://127.0.0.1:${String(server.port)}` };
}

describe('the operations server', () => {
  it('answers /health by liveness and /ready by readiness, with the reasons', async () => {
    const options = parts();
    const gate = options.health.gate('readiness', 'store', 'the store opens');
    const { url } = await start(options);
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const refused = await fetch(`${url}/ready?verbose`);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toEqual({
      status: 'failing',
      checks: [{ name: 'store', ok: false, reason: 'the store opens' }],
    });
    gate.pass();
    expect((await fetch(`${url}/ready`)).status).toBe(200);
  });

  it('serves metrics and status', async () => {
    const options = parts();
    options.metrics.counter({ name: 'a_total', help: 'A.' });
    const { url } = await start(options);
    const metrics = await fetch(`${url}/metrics`);
    expect(metrics.headers.get('content-type')).toContain('text/plain');
    expect(await metrics.text()).toContain('a_total{service="test"} 0');
    expect(await (await fetch(`${url}/status`)).json()).toEqual({ version: '1' });
  });

  it('answers all else with a problem document', async () => {
    const { url } = await start();
    for (const request of [
      fetch(`${url}/other`),
      fetch(`${url}/health`, { method: 'POST' }),
      fetch(`${url}/toString`),
    ]) {
      const response = await request;
      expect(response.status).toBe(404);
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      expect(await response.json()).toMatchObject({ code: 'NotFound' });
    }
  });

  it('answers with the error when a page fails, and goes on', async () => {
    const status = () => Promise.reject(new Error('no status'));
    const { url } = await start({ ...parts(), status } as never);
    expect((await fetch(`${url}/status`)).status).toBe(500);
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  it('says so when its port is taken', async () => {
    const { port } = await start();
    await expect(start(parts(), port)).rejects.toMatchObject({ code: 'PortInUse' });
  });

  it('lends its pages to a server that has others', async () => {
    const handler = createOpsHandler(parts());
    const server = createServer((request, response) => {
      void handler(request, response).then((answered) => answered || response.writeHead(418).end());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stops.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    expect((await fetch(`${url}/health`, { method: 'HEAD' })).status).toBe(200);
    expect((await fetch(`${url}/mine`)).status).toBe(418);
  });
});

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { eventually, hasProgram, tempDir } from '@oaas/commons/testkit';
import { systemRandom as random, systemTimers as timers } from '@oaas/commons/time/system';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PodWatch } from './pods.ts';

const program = 'openssl';
const canRun = hasProgram(program, 'version');

let ca = '';
let key = '';
let removeDir: () => Promise<void> = () => Promise.resolve();

beforeAll(async () => {
  if (!canRun) return;
  const dir = await tempDir();
  removeDir = () => dir.remove();
  const args = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=api';
  const files = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'key.pem', '-out', 'cert.pem'];
  execFileSync(program, [...args.split(' '), ...files], { cwd: dir.path, stdio: 'ignore' });
  ca = readFileSync(join(dir.path, 'cert.pem'), 'utf8');
  key = readFileSync(join(dir.path, 'key.pem'), 'utf8');
});
afterAll(() => removeDir());

const pod = (name: string, podIP: string, resourceVersion: string): object => ({
  metadata: { name, resourceVersion },
  status: { podIP, phase: 'Running' },
});

/** An API server that says what the test has it say. */
class Script {
  /** Pods of the next lists. */
  pods: readonly object[] = [];
  version = '1';
  lists = 0;
  /** Status of lists. */
  status = 200;
  /** Open watches, with the versions from which they go on. */
  readonly watches: { readonly since: string; readonly response: ServerResponse }[] = [];
  readonly server: Server = createServer({ cert: ca, key }, (request, response) => {
    const query = new URL(request.url ?? '', 'https://api').searchParams;
    if (query.has('watch')) {
      response.writeHead(200).flushHeaders();
      this.watches.push({ since: query.get('resourceVersion') ?? '', response });
      return;
    }
    this.lists += 1;
    const list = { metadata: { resourceVersion: this.version }, items: this.pods };
    response.writeHead(this.status).end(JSON.stringify(list));
  });

  /** Sends an event on the newest watch, when there are so many. */
  async tell(watches: number, ...events: readonly object[]): Promise<void> {
    await eventually(() => {
      expect(this.watches).toHaveLength(watches);
    });
    for (const event of events) this.watches.at(-1)?.response.write(`${JSON.stringify(event)}\n`);
  }
}

describe.skipIf(!canRun)(`a watch of pods${canRun ? '' : ' (no openssl)'}`, () => {
  let script: Script;
  let watch: PodWatch;
  const problems: Error[] = [];

  beforeEach(async () => {
    problems.length = 0;
    script = new Script();
    await new Promise<void>((done) => script.server.listen(0, '127.0.0.1', done));
    const { port } = script.server.address() as AddressInfo;
    const access = { url: `https://127.0.0.1:${String(port)}`, namespace: 'x', ca, token: () => Promise.resolve('t') };
    watch = new PodWatch({
      access: () => Promise.resolve(access),
      ...{ clusterId: 'blue', defaultPort: 80, timers, random },
      onError: (error) => problems.push(error),
    });
  });
  afterEach(async () => {
    await watch.stop();
    script.server.closeAllConnections();
    await new Promise((done) => script.server.close(done));
  });

  const knows = async (...ids: readonly string[]): Promise<void> => {
    await eventually(async () => {
      expect((await watch.nodes()).map(({ id }) => id)).toEqual(ids);
    });
  };

  it('lists once, and goes on from the last change when the server ends it', async () => {
    script.pods = [pod('b', '10.0.0.2', '1')];
    watch.start();
    expect(await watch.nodes()).toEqual([{ id: 'b', address: '10.0.0.2:80' }]);
    await script.tell(1, { type: 'ADDED', object: pod('a', '10.0.0.1', '7') });
    await knows('a', 'b');
    await script.tell(1, { type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } });
    script.watches[0]?.response.end();
    await script.tell(2, { type: 'DELETED', object: pod('b', '10.0.0.2', '12') });
    await knows('a');
    expect(script.watches.map(({ since }) => since)).toEqual(['1', '9']);
    expect([script.lists, problems.length]).toEqual([1, 0]);
  });

  it('takes what changed unseen from a new list when the version is too old', async () => {
    script.pods = [pod('a', '10.0.0.1', '1'), pod('b', '10.0.0.2', '1')];
    watch.start();
    await knows('a', 'b');
    script.pods = [pod('b', '10.0.0.9', '40')];
    script.version = '41';
    await script.tell(1, { type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old' } });
    await knows('b');
    await script.tell(2);
    expect(script.watches.map(({ since }) => since)).toEqual(['1', '41']);
  });

  it('keeps what is known while the server does not answer, and goes on when it does', async () => {
    script.pods = [pod('a', '10.0.0.1', '1')];
    watch.start();
    await script.tell(1);
    script.status = 500;
    script.watches[0]?.response.destroy();
    await eventually(() => {
      expect(script.lists).toBeGreaterThan(1);
    });
    await knows('a');
    script.pods = [];
    script.status = 200;
    await knows();
    expect(problems).toHaveLength(1);
  });

  it.each([
    [500, 'Unavailable'],
    [403, 'PermissionDenied'],
  ])('says that nothing is known before there was a list: status %d is %s', async (status, code) => {
    script.status = status;
    watch.start();
    await expect(watch.nodes()).rejects.toMatchObject({ code });
    script.status = 200;
    await eventually(() => watch.nodes());
  });
});

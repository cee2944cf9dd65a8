import { eventually } from '@oaas/commons/testkit';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeHello, meshPreface } from '../src/mesh/handshake.ts';
import { type CuttingProxy, proxyClient, startCuttingProxy } from './cutting-proxy.ts';
import { frameBytes } from './mesh.ts';

let server: Server;
let proxy: CuttingProxy;
/** What the node `b` got, on all connections. */
let got: string;
let accepted: Socket[];
const dialled: Socket[] = [];

beforeEach(async () => {
  got = '';
  accepted = [];
  server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString('latin1');
      socket.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  proxy = await startCuttingProxy({ nodes: [{ id: 'b', target }] });
});

afterEach(async () => {
  for (const socket of [...dialled.splice(0), ...accepted]) socket.destroy();
  await proxy.close();
  await new Promise((resolve) => server.close(resolve));
});

/** A connection to `b` of the node `from`, or of a client. */
function dial(from: string): { socket: Socket; echoed: () => string; isClosed: () => boolean } {
  const socket = connect(Number(proxy.addressOf('b').split(':')[1]), '127.0.0.1');
  dialled.push(socket);
  let echoed = '';
  let isClosed = false;
  socket.on('data', (chunk: Buffer) => (echoed += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.on('close', () => (isClosed = true));
  const hello = { version: 1, cluster: 'c', number: 1, id: from, incarnation: 1, purpose: 'peer' as const };
  const first = Buffer.concat([
    meshPreface,
    frameBytes(1, 0, 0, encodeHello({ ...hello, to: { number: 2, id: 'b' } })),
  ]);
  if (from !== proxyClient) for (const byte of first) socket.write(Uint8Array.of(byte));
  return { socket, echoed: () => echoed, isClosed: () => isClosed };
}

describe('the cutting proxy', () => {
  it('knows nodes by their hello and everybody else as clients, and changes no byte of either', async () => {
    const a = dial('a');
    a.socket.write('end of a');
    await eventually(() => got.endsWith('end of a'));
    expect(got.startsWith('OAASMESH1\n')).toBe(true);
    expect(proxy.connections('a', 'b')).toBe(1);
    const client = dial(proxyClient);
    client.socket.write('PRI * HTTP/2.0');
    await eventually(() => client.echoed() === 'PRI * HTTP/2.0');
    expect(proxy.connections(proxyClient, 'b')).toBe(1);
    expect(proxy.connections('a', 'b')).toBe(1);
  });

  it('cuts the links of one pair, those that come later too, and leaves the others alone', async () => {
    const [a, c] = [dial('a'), dial('c')];
    await eventually(() => a.echoed() !== '' && c.echoed() !== '');
    proxy.cut('a', 'b');
    await eventually(() => a.isClosed());
    const again = dial('a');
    await eventually(() => again.isClosed());
    c.socket.write('still here');
    await eventually(() => c.echoed().endsWith('still here'));
    proxy.heal('a', 'b');
    const healed = dial('a');
    await eventually(() => healed.echoed() !== '');
  });

  it('as a black hole lets nothing through and tells nobody, and brings all of it once healed', async () => {
    const a = dial('a');
    await eventually(() => a.echoed() !== '');
    got = '';
    proxy.blackhole('a', 'b');
    a.socket.write('first ');
    a.socket.end('second');
    const other = dial('c');
    other.socket.write('of c');
    await eventually(() => other.echoed().endsWith('of c'));
    expect(got).not.toContain('first');
    expect(accepted[0]?.readableEnded).toBe(false);
    proxy.heal();
    await eventually(() => got.includes('first second') && accepted[0]?.readableEnded === true);
  });

  it('in one direction holds back only what goes that way', async () => {
    const a = dial('a');
    await eventually(() => a.echoed() !== '');
    proxy.blackholeOneWay('b', 'a');
    got = '';
    const before = a.echoed();
    a.socket.write('heard');
    await eventually(() => got === 'heard');
    expect(a.echoed()).toBe(before);
    proxy.heal('b');
    await eventually(() => a.echoed().endsWith('heard'));
  });

  it('delays both ways, in order', async () => {
    const a = dial('a');
    await eventually(() => a.echoed() !== '');
    proxy.delay('a', 'b', 60);
    const before = a.echoed().length;
    const start = performance.now();
    for (const word of ['one ', 'two ', 'three']) {
      a.socket.write(word);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => a.echoed().slice(before) === 'one two three');
    expect(performance.now() - start).toBeGreaterThanOrEqual(110);
  });

  it('holds back a flood without taking it all into memory', async () => {
    const a = dial('a');
    await eventually(() => a.echoed() !== '');
    proxy.blackhole('a', 'b');
    let sent = 0;
    // The proxy stops reading: the socket of the sender does not drain any more.
    for (let i = 0; i < 1000 && a.socket.writableLength < 8_000_000; i += 1) {
      a.socket.write(Buffer.alloc(64 * 1024));
      sent += 64 * 1024;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(a.socket.writableLength).toBeGreaterThan(0);
    proxy.heal();
    await eventually(() => got.length >= sent);
  });
});

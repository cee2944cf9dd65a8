import { oaasError } from '@oaas/commons/errors';
import { eventually } from '@oaas/commons/testkit';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type CuttingProxy, startCuttingProxy } from '../../testkit/cutting-proxy.ts';
import { FrameReader } from './frame-reader.ts';
import { frameKinds, headerBytes } from './frames.ts';
import { decodeHello, encodeHello, type Hello, meshPreface } from './handshake.ts';
import {
  frameBytes,
  link,
  startMember,
  type TestMember,
  type TestMemberOptions,
  untilLinked,
} from '../../testkit/mesh.ts';

const members: TestMember[] = [];
const sockets: Socket[] = [];
let proxy: CuttingProxy | undefined;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(members.splice(0).map((member) => member.stop()));
  await proxy?.close();
  proxy = undefined;
});

async function start(number: number, options?: TestMemberOptions): Promise<TestMember> {
  const member = await startMember(number, options);
  members.push(member);
  return member;
}

async function pair(options?: TestMemberOptions): Promise<[TestMember, TestMember]> {
  const both: [TestMember, TestMember] = [await start(1, options), await start(2, options)];
  await link(...both);
  return both;
}

/** Two members that see each other through the proxy only. */
async function pairThroughProxy(options?: TestMemberOptions): Promise<[TestMember, TestMember, CuttingProxy]> {
  const [a, b] = [await start(1, options), await start(2, options)];
  proxy = await startCuttingProxy({ nodes: [a, b].map(({ id, address }) => ({ id, target: address })) });
  const peers = [a, b].map(({ number, id }) => ({ number, id, address: proxy?.addressOf(id) ?? '' }));
  for (const { mesh } of [a, b]) mesh.setPeers(peers);
  await untilLinked(a, b);
  return [a, b, proxy];
}

const text = (payload: Uint8Array): string => Buffer.from(payload).toString();
const bytes = (words: string): Uint8Array => Buffer.from(words);

describe('messages', () => {
  it('arrive in the order in which they were sent, whatever their size', async () => {
    const [a, b] = await pair();
    const got: number[] = [];
    b.mesh.onMessage(7, (from, payload) => {
      expect(from).toBe(1);
      expect(payload.subarray(4).every((byte) => byte === payload[0])).toBe(true);
      got.push(Buffer.from(payload).readUInt32LE(0));
    });
    const sizes = [4, 5, 30, 100, 4095, 4096, 4097, 70_000, 1_000_000];
    for (let i = 0; i < 300; i += 1) {
      const payload = Buffer.alloc(sizes[i % sizes.length] ?? 4, i % 256);
      payload.writeUInt32LE(i, 0);
      payload[0] = i % 256;
      const parts = i % 3 === 0 ? [payload.subarray(0, 3), payload.subarray(3)] : payload;
      while (!a.mesh.send(2, 7, parts)) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => got.length === 300);
    expect(got).toEqual(Array.from({ length: 300 }, (_, i) => i));
  });

  it('arrive as they were when they were sent, though the sender writes over its buffer at once', async () => {
    const [a, b] = await pair();
    const got: string[] = [];
    b.mesh.onMessage(1, (_from, payload) => got.push(`${payload.length} ${payload.every((byte) => byte === 7)}`));
    const buffer = new Uint8Array(1_000_000);
    const sizes = [100, 5000, 70_000, 1_000_000];
    for (const size of sizes) {
      const part = buffer.subarray(0, size);
      part.fill(7);
      expect(a.mesh.send(2, 1, size === 70_000 ? [part.subarray(0, 10_000), part.subarray(10_000)] : part)).toBe(true);
      part.fill(0);
    }
    await eventually(() => got.length === sizes.length);
    expect(got).toEqual(sizes.map((size) => `${size} true`));
  });

  it('sent in one turn go out in one write', async () => {
    const [a, b] = await pair();
    let count = 0;
    let reads = 0;
    b.mesh.onMessage(1, () => (count += 1));
    for (const socket of await connectionsOf(b)) socket.on('data', () => (reads += 1));
    for (let i = 0; i < 1000; i += 1) a.mesh.send(2, 1, bytes('x'));
    await eventually(() => count === 1000);
    // 17,000 bytes; a ping may come between.
    expect(reads).toBeLessThan(6);
  });

  it('are dropped and counted when there is no link', async () => {
    const a = await start(1);
    a.mesh.setPeers([{ number: 2, id: 'grid-1', address: '127.0.0.1:1' }]);
    expect(a.mesh.send(2, 1, bytes('x'))).toBe(false);
    expect(a.mesh.send(3, 1, bytes('x'))).toBe(false);
    expect(a.mesh.peers()).toMatchObject([{ number: 2, state: 'down', dropped: 1 }]);
  });

  it('larger than a frame are refused at once, for they never fit', async () => {
    const [a] = await pair({ frameBytesMax: 1000 });
    expect(() => a.mesh.send(2, 1, new Uint8Array(1001))).toThrow('over the bound of 1000');
  });

  it('whose handler throws do no harm to the link', async () => {
    const [a, b] = await pair();
    let count = 0;
    b.mesh.onMessage(1, () => {
      count += 1;
      throw new Error('defect');
    });
    a.mesh.send(2, 1, bytes('x'));
    a.mesh.send(2, 1, bytes('y'));
    await eventually(() => count === 2);
    expect(b.mesh.isUp(1)).toBe(true);
    expect(b.lines).toContain('the handler of a message failed');
  });

  it('to a peer that does not read take bounded memory, and are refused until it reads again', async () => {
    const [a, b] = await pair({ queueBytesMax: 1_000_000, silentPingsMax: 10_000 });
    let count = 0;
    b.mesh.onMessage(1, () => (count += 1));
    const [connection] = await connectionsOf(b);
    connection?.pause();
    let sent = 0;
    const payload = new Uint8Array(10_000);
    await eventually(() => {
      for (let i = 0; i < 100; i += 1) sent += a.mesh.send(2, 1, payload) ? 1 : 0;
      expect(a.mesh.peers()[0]?.queuedBytes).toBeLessThanOrEqual(1_000_000);
      return (a.mesh.peers()[0]?.dropped ?? 0) > 1000;
    });
    connection?.resume();
    await eventually(() => count === sent);
    expect(a.mesh.send(2, 1, payload)).toBe(true);
  });
});

describe('requests', () => {
  it('bring back what the handler returns, at once or later', async () => {
    const [a, b] = await pair();
    b.mesh.onRequest(1, (payload, { peer }) => [bytes(peer.id), bytes(' '), payload]);
    b.mesh.onRequest(2, async (payload) => {
      await new Promise((resolve) => setImmediate(resolve));
      return payload;
    });
    expect(text(await a.mesh.request(2, 1, bytes('hello')))).toBe('grid-0 hello');
    expect(text(await a.mesh.request(2, 2, bytes('later')))).toBe('later');
    const many = await Promise.all(Array.from({ length: 500 }, (_, i) => a.mesh.request(2, 2, bytes(String(i)))));
    expect(many.map(text)).toEqual(Array.from({ length: 500 }, (_, i) => String(i)));
  });

  it('bring back the error that the handler threw, with its remedy and details', async () => {
    const [a, b] = await pair();
    b.mesh.onRequest(1, () => {
      throw oaasError('NoLeader', 'no leader', { remedy: 'Ask grid-2.', details: { leader: 3 }, retryAfterMs: 7 });
    });
    b.mesh.onRequest(2, () => Promise.reject(new TypeError('defect')));
    await expect(a.mesh.request(2, 1, bytes(''))).rejects.toMatchObject({
      ...{ code: 'NoLeader', message: 'no leader', remedy: 'Ask grid-2.', details: { leader: 3 }, retryAfterMs: 7 },
    });
    await expect(a.mesh.request(2, 2, bytes(''))).rejects.toMatchObject({ code: 'Internal', message: 'defect' });
    await expect(a.mesh.request(2, 3, bytes(''))).rejects.toMatchObject({ code: 'Unimplemented' });
  });

  it('that nobody answers end with their time, and the handler hears of it', async () => {
    const [a, b] = await pair();
    let isAborted = false;
    b.mesh.onRequest(
      1,
      (_payload, { signal }) =>
        new Promise(() => signal.addEventListener('abort', () => void (isAborted = true), { once: true })),
    );
    await expect(a.mesh.request(2, 1, bytes(''), { timeoutMs: 60 })).rejects.toMatchObject({
      code: 'DeadlineExceeded',
    });
    await eventually(() => isAborted);
  });

  it('end when their signal aborts, also before they are sent', async () => {
    const [a, b] = await pair();
    let isAborted = false;
    b.mesh.onRequest(
      1,
      (_payload, { signal }) => new Promise(() => signal.addEventListener('abort', () => void (isAborted = true))),
    );
    const abort = new AbortController();
    const asked = a.mesh.request(2, 1, bytes(''), { signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    await expect(asked).rejects.toMatchObject({ code: 'Cancelled' });
    await eventually(() => isAborted);
    await expect(a.mesh.request(2, 1, bytes(''), { signal: abort.signal })).rejects.toMatchObject({
      code: 'Cancelled',
    });
  });

  it('are bounded in number, on both sides', async () => {
    const [a, b] = await pair({ limits: { requestsMax: 3 } });
    b.mesh.onRequest(1, () => new Promise(() => undefined));
    const asked = Array.from({ length: 4 }, () => a.mesh.request(2, 1, bytes(''), { timeoutMs: 300 }));
    await expect(asked[3]).rejects.toMatchObject({ code: 'ResourceExhausted' });
    await Promise.allSettled(asked);
    // The handlers never end: the place that they take is not free for new requests.
    await expect(a.mesh.request(2, 1, bytes(''))).rejects.toMatchObject({ code: 'ResourceExhausted' });
  });

  it('fail as soon as the link is lost', async () => {
    const [a, b] = await pair();
    b.mesh.onRequest(1, () => new Promise(() => undefined));
    const asked = a.mesh.request(2, 1, bytes(''));
    for (const socket of await connectionsOf(b)) socket.destroy();
    await expect(asked).rejects.toMatchObject({ code: 'Unavailable', details: { member: 'grid-1' } });
  });
});

describe('streams', () => {
  it('bring chunks in order and whole, and back what the handler returns', async () => {
    const [a, b] = await pair();
    b.mesh.onStream(1, async (header, chunks) => {
      let count = 0;
      for await (const chunk of chunks) {
        expect(chunk.every((byte) => byte === count % 256)).toBe(true);
        expect(chunk.length).toBe((count * 1000) % 500_000);
        count += 1;
      }
      return bytes(`${text(header)}: ${count}`);
    });
    const stream = a.mesh.stream(2, 1, bytes('from 0'));
    for (let i = 0; i < 200; i += 1) await stream.write(Buffer.alloc((i * 1000) % 500_000, i % 256));
    expect(text(await stream.end())).toBe('from 0: 200');
  });

  it('wait for a slow reader: no more than its window and a chunk is ahead', async () => {
    const [a, b] = await pair();
    let go: (() => void) | undefined;
    let read = 0;
    b.mesh.onStream(1, async (_header, chunks) => {
      for await (const chunk of chunks) {
        await new Promise<void>((resolve) => (go = resolve));
        read += chunk.length;
      }
      return bytes('done');
    });
    const stream = a.mesh.stream(2, 1, bytes(''));
    let written = 0;
    const writing = (async () => {
      for (let i = 0; i < 100; i += 1) {
        await stream.write(new Uint8Array(100_000));
        written += 100_000;
        expect(written - read).toBeLessThanOrEqual(1024 * 1024 + 100_000 * 2);
      }
      return stream.end();
    })();
    await eventually(() => written > 1_000_000);
    const timer = setInterval(() => go?.(), 0);
    expect(text(await writing)).toBe('done');
    clearInterval(timer);
    expect(read).toBe(10_000_000);
  });

  it('tell the writer at once when the reader fails, and the reader when the writer gives up', async () => {
    const [a, b] = await pair();
    const ends: unknown[] = [];
    b.mesh.onStream(1, async (_header, chunks) => {
      for await (const chunk of chunks) if (chunk[0] === 2) throw oaasError('StorageFull', 'no room');
      return bytes('');
    });
    b.mesh.onStream(2, async (_header, chunks) => {
      try {
        for await (const chunk of chunks) expect(chunk).toBeDefined();
      } catch (error) {
        ends.push(error);
        throw error;
      }
      return bytes('');
    });
    const failing = a.mesh.stream(2, 1, bytes(''));
    const write = async (): Promise<void> => {
      for (let i = 1; ; i += 1) await failing.write(Uint8Array.of(i));
    };
    await expect(write()).rejects.toMatchObject({ code: 'StorageFull', message: 'no room' });
    const given = a.mesh.stream(2, 2, bytes(''));
    await given.write(bytes('x'));
    given.cancel();
    await expect(given.end()).rejects.toMatchObject({ code: 'Cancelled' });
    await eventually(() => ends.length === 1);
    expect(ends).toMatchObject([{ code: 'Cancelled' }]);
  });

  it('end for both when the link is lost', async () => {
    const [a, b] = await pair();
    let failure: unknown;
    b.mesh.onStream(1, async (_header, chunks) => {
      try {
        for await (const chunk of chunks) expect(chunk).toBeDefined();
      } catch (error) {
        failure = error;
      }
      return bytes('');
    });
    const stream = a.mesh.stream(2, 1, bytes(''));
    await stream.write(bytes('x'));
    for (const socket of await connectionsOf(b)) socket.destroy();
    await expect(stream.end()).rejects.toMatchObject({ code: 'Unavailable' });
    await eventually(() => failure !== undefined);
    expect(failure).toMatchObject({ code: 'Unavailable' });
    await expect(a.mesh.stream(3, 1, bytes('')).end()).rejects.toMatchObject({ code: 'Unavailable' });
  });
});

describe('links', () => {
  it('come back after they were cut, and both ends are told each time', async () => {
    const [a, b, between] = await pairThroughProxy();
    between.cut('grid-0', 'grid-1');
    await eventually(() => !a.mesh.isUp(2) && !b.mesh.isUp(1));
    expect(a.mesh.peers()).toMatchObject([{ state: 'down' }]);
    between.heal();
    await untilLinked(a, b);
    expect(a.links.map(({ state }) => state)).toEqual(['up', 'down', 'up']);
    let got = '';
    b.mesh.onMessage(1, (_from, payload) => (got = text(payload)));
    a.mesh.send(2, 1, bytes('again'));
    await eventually(() => got === 'again');
  });

  it('whose peer falls silent are closed, though nothing says that it is gone', async () => {
    const [a, b, between] = await pairThroughProxy();
    between.blackhole('grid-0', 'grid-1');
    await eventually(() => !a.mesh.isUp(2) && !b.mesh.isUp(1));
    expect(a.links.at(-1)).toMatchObject({ state: 'down', reason: 'the peer was silent for too long' });
    between.heal();
    await untilLinked(a, b);
  });

  it('of which one direction is dead are closed by the end that hears nothing', async () => {
    const [a, b, between] = await pairThroughProxy();
    between.blackholeOneWay('grid-1', 'grid-0');
    await eventually(() => !a.mesh.isUp(2));
    between.heal();
    await untilLinked(a, b);
  });

  it('measure the round trip', async () => {
    const [a] = await pair();
    await eventually(() => a.mesh.peers()[0]?.roundTripMs !== undefined);
    expect(a.mesh.peers()[0]?.roundTripMs).toBeLessThan(10_000);
  });

  it('are one per pair, however often either end dials', async () => {
    const [a, b, between] = await pairThroughProxy({ dialAnywayMs: 0 });
    for (let i = 0; i < 5; i += 1) {
      between.cut('grid-0', 'grid-1');
      await eventually(() => !a.mesh.isUp(2) && !b.mesh.isUp(1));
      between.heal();
      await untilLinked(a, b);
    }
    await eventually(() => between.connections('grid-0', 'grid-1') === 1);
    expect(a.mesh.isUp(2) && b.mesh.isUp(1)).toBe(true);
  });

  it('come about though the lower number does not know where the higher one has moved', async () => {
    const [a, b] = [await start(1), await start(2)];
    a.mesh.setPeers([{ ...b, address: '127.0.0.1:1' }]);
    b.mesh.setPeers([a]);
    await untilLinked(a, b);
  });

  it('go to a new process of the peer at once, though the old one never said good-bye', async () => {
    const [a, b, between] = await pairThroughProxy({ silentPingsMax: 10_000 });
    between.blackhole('grid-0', 'grid-1');
    const later = await start(2, { incarnation: 2, dialAnywayMs: 0 });
    later.mesh.setPeers([a]);
    await eventually(() => a.links.some((event) => event.state === 'up' && event.peer.incarnation === 2));
    expect(a.mesh.peers()[0]?.incarnation).toBe(2);
    expect(b.mesh.isUp(1)).toBe(true);
  });

  it('to peers that are no members any more close', async () => {
    const [a, b] = await pair();
    a.mesh.setPeers([]);
    await eventually(() => !b.mesh.isUp(1));
    expect(a.mesh.peers()).toEqual([]);
    expect(a.links.at(-1)).toMatchObject({ state: 'down' });
    await eventually(() => b.refusals.some(({ reason, byPeer }) => reason === 'unknown' && byPeer));
  });

  it('close with a word to the peer when the member stops', async () => {
    const [a, b] = await pair();
    await b.mesh.close();
    await eventually(() => !a.mesh.isUp(2));
    expect(a.links.at(-1)).toMatchObject({ reason: 'the peer closed the link: the member stops' });
  });
});

describe('refusals', () => {
  async function refused(a: TestMember, b: TestMember): Promise<void> {
    a.mesh.setPeers([{ number: 2, id: 'grid-1', address: b.address }]);
    b.mesh.setPeers([{ number: 1, id: 'grid-0', address: a.address }]);
    await eventually(() => a.refusals.length > 0 && b.refusals.length > 0);
  }

  it('of another cluster reach both ends, and are told once however often it is tried', async () => {
    const [a, b] = [await start(1), await start(2, { clusterId: 'other' })];
    await refused(a, b);
    expect(a.refusals).toMatchObject([{ reason: 'cluster', byPeer: true, clusterId: 'other', peer: { id: 'grid-1' } }]);
    expect(b.refusals).toMatchObject([{ reason: 'cluster', byPeer: false, clusterId: 'test', peer: { id: 'grid-0' } }]);
    expect(a.mesh.peers()).toMatchObject([
      { state: 'refused', problem: expect.stringContaining('of cluster') as string },
    ]);
    await new Promise((resolve) => setTimeout(resolve, 400));
    for (const { lines } of [a, b]) expect(lines.filter((line) => line === 'peer link refused')).toHaveLength(1);
  });

  it('name the member that listens at the address of another', async () => {
    const [a, b] = [await start(1), await start(3)];
    await refused(a, b);
    expect(a.refusals).toMatchObject([{ reason: 'address', byPeer: true, peer: { number: 3 } }]);
  });

  it('name the number that belongs to another id', async () => {
    const [a, b] = [await start(1, { id: 'impostor' }), await start(2)];
    await refused(a, b);
    expect(b.refusals).toMatchObject([{ reason: 'number', byPeer: false, peer: { id: 'impostor' } }]);
  });

  it('end once the cause is gone', async () => {
    const [a, b] = [await start(1), await start(2)];
    a.mesh.setPeers([b]);
    await eventually(() => a.refusals.length > 0);
    expect(a.refusals).toMatchObject([{ reason: 'unknown' }]);
    b.mesh.setPeers([a]);
    await untilLinked(a, b);
    expect(a.mesh.peers()).toMatchObject([{ state: 'up', problem: undefined }]);
  });

  it('meet a process of a member of which a later one has been seen', async () => {
    const b = await start(2);
    const late = await start(1, { incarnation: 5 });
    await link(late, b);
    await late.mesh.close();
    await eventually(() => !b.mesh.isUp(1));
    const early = await start(1, { incarnation: 4 });
    early.mesh.setPeers([b]);
    await eventually(() => early.refusals.length > 0);
    expect(early.refusals).toMatchObject([{ reason: 'stale', byPeer: true }]);
  });

  it('end when that has been gone for long: the clock of the member was set back', async () => {
    const b = await start(2, { laterForMs: 300 });
    const late = await start(1, { incarnation: 5 });
    await link(late, b);
    await late.mesh.close();
    await eventually(() => !b.mesh.isUp(1));
    const early = await start(1, { incarnation: 4 });
    await link(early, b);
    expect(b.mesh.peers()).toMatchObject([{ state: 'up', incarnation: 4 }]);
  });

  it('meet another version of the protocol', async () => {
    const b = await start(2);
    b.mesh.setPeers([{ number: 1, id: 'grid-0', address: '127.0.0.1:1' }]);
    const stranger = dialRaw(b);
    stranger.greet({ version: 2 });
    await eventually(() => stranger.hello?.refused !== undefined);
    expect(stranger.hello?.refused).toMatchObject({ reason: 'version' });
  });
});

describe('bytes that are no frames', () => {
  it('instead of a preface close the connection', async () => {
    const b = await start(2);
    const stranger = dialRaw(b);
    stranger.socket.write('GET / HTTP/1.1\r\n\r\n');
    await eventually(() => stranger.socket.destroyed || stranger.isEnded);
  });

  it('of a stranger cost no more than a small frame', async () => {
    const b = await start(2);
    const stranger = dialRaw(b);
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32BE(30_000_000, 0);
    stranger.socket.write(Buffer.concat([meshPreface, header]));
    await eventually(() => stranger.isEnded);
  });

  it.each([
    ['a frame whose checksum does not hold', (frame: Buffer) => void (frame[headerBytes] = 0xff), 'checksum'],
    ['a frame that claims to be huge', (frame: Buffer) => void frame.writeUInt32BE(2 ** 31, 0), 'over the bound'],
    ['a frame shorter than its header', (frame: Buffer) => void frame.writeUInt32BE(3, 0), 'shorter than its header'],
  ])('close the link with a reason and leave the others alone: %s', async (_name, damage, reason) => {
    const [b, c] = [await start(2), await start(3)];
    const peers = [{ number: 1, id: 'grid-0', address: '127.0.0.1:1' }, b, c];
    b.mesh.setPeers(peers);
    c.mesh.setPeers(peers);
    await untilLinked(b, c);
    const stranger = dialRaw(b);
    stranger.greet();
    await eventually(() => b.mesh.isUp(1));
    const frame = frameBytes(frameKinds.message, 1, 0, bytes('hello'));
    damage(frame);
    stranger.socket.write(frame);
    await eventually(() => !b.mesh.isUp(1));
    expect(b.links.at(-1)).toMatchObject({ state: 'down', reason: expect.stringContaining(reason) as string });
    expect(b.mesh.isUp(3)).toBe(true);
  });

  it.each([
    ['an unknown kind', frameKinds.pong + 1, bytes('')],
    ['a second hello', frameKinds.hello, bytes('')],
    ['a credit of the wrong size', frameKinds.streamCredit, bytes('abc')],
  ])('in frames that are whole close the link too: %s', async (_name, kind, payload) => {
    const b = await start(2);
    b.mesh.setPeers([{ number: 1, id: 'grid-0', address: '127.0.0.1:1' }]);
    const stranger = dialRaw(b);
    stranger.greet();
    await eventually(() => b.mesh.isUp(1));
    stranger.socket.write(frameBytes(kind, 0, 9, payload));
    await eventually(() => !b.mesh.isUp(1));
  });

  it('a stream that sends more than it was allowed loses its link', async () => {
    const b = await start(2);
    b.mesh.onStream(1, () => new Promise(() => undefined));
    b.mesh.setPeers([{ number: 1, id: 'grid-0', address: '127.0.0.1:1' }]);
    const stranger = dialRaw(b);
    stranger.greet();
    await eventually(() => b.mesh.isUp(1));
    stranger.socket.write(frameBytes(frameKinds.streamOpen, 1, 1, bytes('')));
    for (let i = 0; i < 3; i += 1) {
      stranger.socket.write(frameBytes(frameKinds.streamData, 0, 1, new Uint8Array(1024 * 1024)));
    }
    await eventually(() => !b.mesh.isUp(1));
    expect(b.links.at(-1)).toMatchObject({ reason: 'a stream sent more than it was allowed' });
  });

  it('a peer that asks and does not read the answers loses its link before memory does', async () => {
    const b = await start(2, { queueBytesMax: 100_000, silentPingsMax: 10_000 });
    // An answer that there is no room for becomes an error, which is sent in any case.
    const large = oaasError('NotFound', 'no', { details: { text: 'x'.repeat(12_000) } });
    b.mesh.onRequest(1, () => {
      throw large;
    });
    b.mesh.setPeers([{ number: 1, id: 'grid-0', address: '127.0.0.1:1' }]);
    const stranger = dialRaw(b);
    stranger.greet();
    await eventually(() => b.mesh.isUp(1));
    stranger.socket.pause();
    // Ids may come again: each request is answered as it is read. What the system takes for the socket is filled first.
    const requests = Buffer.concat(
      Array.from({ length: 100 }, (_, id) => frameBytes(frameKinds.request, 1, id, bytes(''))),
    );
    while (b.mesh.isUp(1)) {
      await new Promise((resolve) => stranger.socket.write(requests, () => setImmediate(resolve)));
      expect(b.mesh.peers()[0]?.queuedBytes).toBeLessThan(6_000_000);
    }
    expect(b.links.at(-1)).toMatchObject({ reason: 'the peer asks, but does not read its answers' });
  });
});

/** The accepted sockets of a member. */
async function connectionsOf(member: TestMember): Promise<Socket[]> {
  await eventually(() => member.sockets.size > 0);
  return [...member.sockets];
}

/** A connection whose bytes the test writes itself, as member 1 unless it says otherwise. */
function dialRaw(to: TestMember) {
  const socket = connect(Number(to.address.split(':')[1]), '127.0.0.1');
  sockets.push(socket);
  const raw = {
    socket,
    hello: undefined as Hello | undefined,
    isEnded: false,
    greet(changes: Partial<Hello> = {}): void {
      const hello: Hello = {
        ...{ version: 1, cluster: 'test', number: 1, id: 'grid-0', incarnation: 1, purpose: 'peer' },
        ...{ to: { number: to.number, id: to.id }, ...changes },
      };
      socket.write(Buffer.concat([meshPreface, frameBytes(frameKinds.hello, 0, 0, encodeHello(hello))]));
    },
  };
  const reader = new FrameReader(1_000_000, {
    isClosed: false,
    frame: (kind, _channel, _id, payload) => {
      if (kind === frameKinds.hello) raw.hello = decodeHello(payload);
    },
  });
  socket.on('data', (chunk) => void reader.read(chunk));
  socket.on('error', () => undefined);
  socket.on('close', () => (raw.isEnded = true));
  return raw;
}

// Both roles against node:http2 in one process, over a transport that cuts the bytes at random places; and the bytes of
// node:http2 with random damage against our server.
import { createHash } from 'node:crypto';
import { type ClientHttp2Session, connect, createServer, type Http2Server, type IncomingHttpHeaders } from 'node:http2';
import { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../testkit/index.ts';
import type { Random } from '../time/index.ts';
import { http2Codes } from './codes.ts';
import { Http2Connection } from './connection.ts';
import type { Http2Events } from './events.ts';
import { FieldBlock } from './field-block.ts';
import type { Stream } from './stream.ts';

const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random.next() * items.length)]!;
const upTo = (random: Random, max: number): number => Math.floor(random.next() * (max + 1));

/** Cuts `bytes` at random places, often into single bytes at first; to the end that would take too long. */
function cut(random: Random, bytes: Uint8Array): Uint8Array[] {
  const longest = pick(random, [1, 3, 10, 100, 5000, 100_000]);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + 1 + upTo(random, at < 2000 ? longest : longest + 20_000));
    pieces.push(bytes.slice(at, end));
    at = end;
  }
  return pieces;
}

/** Our connection behind a stream that node:http2 takes for a socket. */
function asSocket(connection: Http2Connection, random: Random, record?: (bytes: Uint8Array) => void): Duplex {
  let scheduled = false;
  const flush = (): void => {
    scheduled = false;
    while (connection.outputSize > 0) {
      for (const piece of connection.takeOutput())
        for (const part of cut(random, piece)) duplex.push(Buffer.from(part));
      connection.flushed(false);
    }
  };
  // node:http2 must not be given bytes while it writes.
  const flushSoon = (): void => {
    if (!scheduled) setImmediate(flush);
    scheduled = true;
  };
  const duplex = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      record?.(chunk);
      for (const part of cut(random, chunk)) connection.receive(part, 0);
      flushSoon();
      done();
    },
    final: (done) => {
      connection.abort();
      duplex.push(null);
      done();
    },
  });
  flushSoon();
  return duplex;
}

const noEvents = {
  reset: () => undefined,
  drained: () => undefined,
  settings: () => undefined,
  pong: () => undefined,
  goaway: () => undefined,
  idle: () => undefined,
  closed: () => undefined,
};

/** A server that sends back the fields, the body and how long it was. */
function echoServer(random: Random, closed: Http2Events['closed'] = () => undefined): Http2Connection {
  const connection: Http2Connection = new Http2Connection({
    role: 'server',
    nowMs: 0,
    bounds: {
      streamWindowBytes: pick(random, [1000, 65_535, 1_000_000]),
      connectionWindowBytes: pick(random, [65_535, 1_000_000]),
    },
    events: {
      ...noEvents,
      closed,
      headers(stream, block, end) {
        const fields = block.fields.flatMap((name, i) =>
          i % 2 === 0 && name.startsWith('x-') ? [name, block.fields[i + 1]!] : [],
        );
        connection.sendHeaders(stream.id, new FieldBlock([':status', '200', ...fields]), false);
        stream.context = 0;
        if (end) finish(stream);
      },
      data(stream, bytes, start, end, last) {
        stream.context = Number(stream.context) + end - start;
        const { id } = stream;
        connection.sendData(id, bytes.slice(start, end), false);
        connection.consume(id, end - start);
        if (last) finish(stream);
      },
      trailers: (stream) => finish(stream),
    },
  });
  const finish = (stream: Stream): void =>
    connection.sendTrailers(stream.id, new FieldBlock(['x-bytes', String(stream.context)]));
  return connection;
}

interface Call {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly pieces: number;
}

/** What came back, in a form that two runs can be compared by. */
interface Answer {
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
}

function callsOf(random: Random): Call[] {
  return Array.from({ length: 1 + upTo(random, 15) }, () => {
    const headers: Record<string, string> = {};
    for (let i = upTo(random, 8); i > 0; i -= 1) {
      const value = Array.from({ length: upTo(random, 60) }, () => String.fromCharCode(0x21 + upTo(random, 93))).join(
        '',
      );
      headers[`x-${pick(random, ['a', 'b', 'long-name-of-a-field', 'c-bin'])}-${upTo(random, 4)}`] = value;
    }
    const body = Buffer.alloc(pick(random, [0, 1, 1000, 20_000, 100_000]) + upTo(random, 100), upTo(random, 255));
    return { headers, body, pieces: 1 + upTo(random, 4) };
  });
}

const listed = (headers: IncomingHttpHeaders): string[] =>
  Object.entries(headers)
    .filter(([name]) => name.startsWith('x-'))
    .map(([name, value]) => `${name}=${String(value)}`)
    .sort();

const digest = (chunks: readonly Uint8Array[]): string => {
  const hash = createHash('sha1');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
};

function callByNode(session: ClientHttp2Session, call: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': '/echo', ...call.headers });
    let fields: string[] = [];
    let trailers: string[] = [];
    const chunks: Buffer[] = [];
    stream.on('response', (headers) => (fields = listed(headers)));
    stream.on('trailers', (headers: IncomingHttpHeaders) => (trailers = listed(headers)));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => resolve({ fields, body: digest(chunks), trailers }));
    const step = Math.ceil(call.body.length / call.pieces);
    for (let at = 0; at < call.body.length; at += step) stream.write(call.body.subarray(at, at + step));
    stream.end();
  });
}

async function callAllByNode(socket: Duplex, random: Random, calls: readonly Call[]): Promise<Answer[]> {
  const settings = { initialWindowSize: pick(random, [1000, 5000, 65_535, 1_000_000]), enablePush: false };
  const session = connect('http://test', { createConnection: () => socket, settings });
  const answers = await Promise.all(calls.map((call) => callByNode(session, call)));
  session.destroy();
  return answers;
}

/** What the answer to each call must be. */
const expected = (calls: readonly Call[]): Answer[] =>
  calls.map(({ headers, body }) => ({
    fields: listed(headers),
    body: digest([body]),
    trailers: [`x-bytes=${body.length}`],
  }));

describe('a client of node:http2 and our server', () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))('understand each other, seed %i', async (seed) => {
    const random = seededRandom(seed);
    const calls = callsOf(random);
    const answers = await callAllByNode(asSocket(echoServer(random), random), random, calls);
    expect(answers).toEqual(expected(calls));
  });
});

/** Our client, driven by events. */
function callByUs(
  connection: Http2Connection,
  pending: Map<number, (answer: Answer) => void>,
  call: Call,
): Promise<Answer> {
  return new Promise((resolve) => {
    const fields = [':method', 'POST', ':scheme', 'http', ':path', '/echo', ':authority', 'test'];
    const id = connection.request(new FieldBlock([...fields, ...Object.entries(call.headers).flat()]), false);
    pending.set(id, resolve);
    const step = Math.ceil(call.body.length / call.pieces);
    for (let at = 0; at < call.body.length; at += step) {
      connection.sendData(id, call.body.subarray(at, at + step), false);
    }
    connection.sendData(id, new Uint8Array(0), true);
  });
}

/** A server of node:http2 that answers as `echoServer` does. */
function echoByNode(): Http2Server {
  const server = createServer();
  server.on('stream', (stream, headers) => {
    let length = 0;
    const own = Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-')));
    stream.respond({ ':status': 200, ...own }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-bytes': String(length) }));
    stream.on('data', (chunk: Buffer) => {
      length += chunk.length;
      stream.write(chunk);
    });
    stream.on('end', () => stream.end());
  });
  return server;
}

async function callAllByUs(
  server: Http2Server,
  random: Random,
  calls: readonly Call[],
  record?: (bytes: Uint8Array) => void,
): Promise<Answer[]> {
  const pending = new Map<number, (answer: Answer) => void>();
  const open = new Map<number, { fields: string[]; chunks: Uint8Array[] }>();
  const toLines = (block: FieldBlock): string[] =>
    block.fields
      .flatMap((name, i) => (i % 2 === 0 && name.startsWith('x-') ? [`${name}=${block.fields[i + 1]!}`] : []))
      .sort();
  const events: Http2Events = {
    ...noEvents,
    headers: (stream, block) => open.set(stream.id, { fields: toLines(block), chunks: [] }),
    data(stream, bytes, start, end) {
      open.get(stream.id)?.chunks.push(bytes.slice(start, end));
      connection.consume(stream.id, end - start);
    },
    trailers(stream, block) {
      const answer = open.get(stream.id)!;
      pending.get(stream.id)?.({ fields: answer.fields, body: digest(answer.chunks), trailers: toLines(block) });
    },
  };
  const bounds = { streamWindowBytes: pick(random, [1000, 65_535, 1_000_000]) };
  const connection: Http2Connection = new Http2Connection({ role: 'client', nowMs: 0, events, bounds });
  const socket = asSocket(connection, random, record);
  server.emit('connection', socket);
  const answers = await Promise.all(calls.map((call) => callByUs(connection, pending, call)));
  socket.destroy();
  return answers;
}

describe('our client and a server of node:http2', () => {
  let server: Http2Server;
  beforeAll(() => {
    server = echoByNode();
  });
  afterAll(() => server.close());

  it.each(Array.from({ length: 20 }, (_, seed) => seed))('understand each other, seed %i', async (seed) => {
    const random = seededRandom(1000 + seed);
    const calls = callsOf(random);
    expect(await callAllByUs(server, random, calls)).toEqual(expected(calls));
  });
});

/** Changes some bytes of a copy, but not before `from`. */
function damage(random: Random, bytes: Uint8Array, from: number): Uint8Array {
  const damaged = bytes.slice();
  for (let i = 1 + upTo(random, 4); i > 0; i -= 1) {
    const at = from + upTo(random, damaged.length - from - 1);
    switch (upTo(random, 2)) {
      case 0:
        damaged[at] = upTo(random, 255);
        break;
      case 1:
        damaged[at] = (damaged[at] ?? 0) ^ (1 << upTo(random, 7));
        break;
      default:
        damaged.copyWithin(at, at + upTo(random, 20));
    }
  }
  return damaged;
}

describe('damaged bytes', () => {
  const fromClient: Uint8Array[] = [];
  const fromServer: Uint8Array[] = [];
  const recorder = (into: Uint8Array[]): { record: (bytes: Uint8Array) => void; done: () => void } => {
    const chunks: Uint8Array[] = [];
    return {
      record: (bytes) => chunks.push(bytes.slice()),
      done: () => into.push(Uint8Array.from(Buffer.concat(chunks))),
    };
  };

  beforeAll(async () => {
    const server = echoByNode();
    for (let seed = 0; seed < 5; seed += 1) {
      const random = seededRandom(seed);
      const calls = callsOf(random).map((call) => ({ ...call, body: call.body.subarray(0, 300) }));
      const client = recorder(fromClient);
      await callAllByNode(asSocket(echoServer(random), random, client.record), random, calls);
      client.done();
      const answers = recorder(fromServer);
      await callAllByUs(server, random, calls, answers.record);
      answers.done();
    }
    server.close();
  });

  /** Feeds damaged bytes and says with which code the connection ended, if it did. */
  function feed(role: 'server' | 'client', random: Random, bytes: Uint8Array): number | undefined {
    let code: number | undefined;
    const closed: Http2Events['closed'] = (error) => (code = error?.code);
    const connection = role === 'server' ? echoServer(random, closed) : waitingClient(closed);
    for (const part of cut(random, bytes)) connection.receive(part, 0);
    expect(connection.outputSize + connection.queuedBytes).toBeLessThan(bytes.length * 20 + 10_000);
    connection.abort();
    expect([connection.streamCount, connection.queuedBytes]).toEqual([0, 0]);
    return code;
  }

  it.each(['server', 'client'] as const)(
    'end in an error of the RFC for our %s, never in an exception or in growth',
    (role) => {
      const random = seededRandom(77);
      const codes = new Set<number | undefined>();
      for (let round = 0; round < 2000; round += 1) {
        const bytes = damage(
          random,
          pick(random, role === 'server' ? fromClient : fromServer),
          role === 'server' ? 24 : 0,
        );
        codes.add(feed(role, random, bytes));
      }
      expect(codes).not.toContain(http2Codes.INTERNAL_ERROR);
      // The damage reached many checks.
      expect(codes.size).toBeGreaterThanOrEqual(3);
    },
  );

  /** A client with as many open streams as were recorded. */
  function waitingClient(closed: Http2Events['closed']): Http2Connection {
    const connection: Http2Connection = new Http2Connection({
      role: 'client',
      nowMs: 0,
      events: {
        ...noEvents,
        closed,
        headers: () => undefined,
        data: (stream, _bytes, start, end) => connection.consume(stream.id, end - start),
        trailers: () => undefined,
      },
    });
    for (let i = 0; i < 16; i += 1) {
      connection.request(new FieldBlock([':method', 'POST', ':scheme', 'http', ':path', '/']), true);
    }
    return connection;
  }
});

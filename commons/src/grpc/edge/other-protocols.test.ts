import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock, systemRandom, systemTimers } from '../../system/index.ts';
import type { OtherProtocol } from './other-protocols.ts';
import { handlers, startServer, type TestServer } from './testing.ts';

const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
const preface = Buffer.from('OAASMESH1\n');

let running: TestServer | undefined;
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  running?.stop();
  running = undefined;
});

/** Echoes what comes, with the head first. */
function echo(taken: Socket[] = []): OtherProtocol {
  return {
    preface,
    accept: (socket, head) => {
      sockets.push(socket);
      taken.push(socket);
      socket.write(head);
      socket.on('data', (chunk: Buffer) => socket.write(chunk));
      socket.resume();
    },
  };
}

async function serve(otherProtocols: readonly OtherProtocol[], handshakeMs = 10_000): Promise<TestServer> {
  running = await startServer(time, handlers, { otherProtocols, handshakeMs });
  return running;
}

async function dial(port: number): Promise<{ socket: Socket; received: (length: number) => Promise<string> }> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true);
  sockets.push(socket);
  await once(socket, 'connect');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  return {
    socket,
    received: async (length) => {
      while (text.length < length) await once(socket, 'data');
      return text;
    },
  };
}

describe('another protocol on the port', () => {
  it('gets its connections whole, from the first byte on', async () => {
    const { port } = await serve([echo()]);
    const { socket, received } = await dial(port);
    socket.write('OAASMESH1\nhello');
    expect(await received(15)).toBe('OAASMESH1\nhello');
    socket.write(' again');
    expect(await received(21)).toBe('OAASMESH1\nhello again');
  });

  it('is told by a preface that comes byte by byte', async () => {
    const { port } = await serve([echo()]);
    const { socket, received } = await dial(port);
    for (const byte of preface) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await received(preface.length)).toBe('OAASMESH1\n');
  });

  it('leaves gRPC calls as they are, also with a preface that comes byte by byte', async () => {
    const { port, ...server } = await serve([echo()]);
    expect((await server.client().client.unaryCall({ responseSize: 100_000 })).payload?.body.length).toBe(100_000);
    const { socket, received } = await dial(port);
    for (const byte of Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    // The server's SETTINGS begin with a length, and have the type 4 on stream 0.
    expect((await received(9)).slice(3, 9)).toBe('\x04\0\0\0\0\0');
  });

  it('is not meant by a preface that only begins alike: HTTP/2 answers with its error', async () => {
    const { port } = await serve([echo()]);
    const { socket, received } = await dial(port);
    socket.write('OAASMESH2\n');
    await once(socket, 'end');
    expect(await received(30)).toContain('the client preface is not valid');
  });

  it.each([
    ['nothing', ''],
    ['half of a preface', 'OAASM'],
  ])('a connection that says %s is closed after the time for the handshake', async (_name, bytes) => {
    const { port } = await serve([echo()], 20);
    const { socket } = await dial(port);
    socket.write(bytes);
    await once(socket, 'close');
  });

  it('a connection that hangs up before it has told its protocol is forgotten', async () => {
    const taken: Socket[] = [];
    const { port } = await serve([echo(taken)]);
    const { socket } = await dial(port);
    socket.end('OAASM');
    await once(socket, 'close');
    expect(taken).toEqual([]);
  });

  it('keeps its connections when the server drains and stops', async () => {
    const { port, server } = await serve([echo()]);
    const { socket, received } = await dial(port);
    const idle = await dial(port);
    socket.write('OAASMESH1\n');
    await received(10);
    await server.drain(1000);
    server.stop();
    await once(idle.socket, 'close');
    socket.write('still here');
    expect(await received(20)).toBe('OAASMESH1\nstill here');
  });

  it.each([
    ['no preface', [{ ...echo(), preface: new Uint8Array(0) }]],
    ['the beginning of that of HTTP/2', [{ ...echo(), preface: Buffer.from('PRI * ') }]],
    ['the beginning of another one', [echo(), { ...echo(), preface: Buffer.from('OAAS') }]],
  ])('cannot be set up with %s', async (_name, protocols) => {
    await expect(serve(protocols)).rejects.toMatchObject({ code: 'InvalidArgument' });
  });
});

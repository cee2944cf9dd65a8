import { describe, expect, it } from 'vitest';
import { http2Codes } from './codes.ts';
import { FieldBlock } from './field-block.ts';
import { clientPreface, frameFlags, frameTypes as types } from './frames.ts';
import { frameLines, getBlock, join, literalBlock, rawFrame, request, uint32 } from './testing/frame-lines.ts';
import { Peer } from './testing/peer.ts';

const { END_HEADERS, END_STREAM, PADDED } = frameFlags;
const settings = (...pairs: readonly (readonly [number, number])[]): Uint8Array =>
  rawFrame(
    types.SETTINGS,
    0,
    0,
    pairs.flatMap(([id, value]) => [id >>> 8, id & 0xff, ...uint32(value)]),
  );
const windowUpdate = (id: number, by: number): Uint8Array => rawFrame(types.WINDOW_UPDATE, 0, id, uint32(by));
const ok = new FieldBlock([':status', '200']);
const trailers = new FieldBlock(['grpc-status', '0']);
const requestBlock = new FieldBlock([':method', 'POST', ':scheme', 'http', ':path', '/']);

describe('a server', () => {
  it('greets with its settings and a wider window, and acknowledges those of the client', () => {
    const peer = new Peer('server');
    expect(peer.output()).toEqual(['SETTINGS 0', `WINDOW_UPDATE 0 +${8 * 1024 * 1024 - 65_535}`]);
    peer.receive(clientPreface, settings());
    expect(peer.output()).toEqual(['SETTINGS 0 ack']);
  });

  it('reads the same from any cut of the bytes', () => {
    const data = rawFrame(types.DATA, PADDED | END_STREAM, 3, [2, 1, 2, 3, 0, 0]);
    const bytes = join(
      clientPreface,
      settings([4, 100]),
      request(1),
      request(3, END_HEADERS),
      data,
      windowUpdate(0, 9),
    );
    const whole = new Peer('server').receive(bytes).log;
    expect(whole).toEqual(['settings', 'headers 1 end', 'headers 3', 'data 3 3 end']);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      const peer = new Peer('server').receive(bytes.subarray(0, cut)).receive(bytes.subarray(cut));
      expect(peer.log).toEqual(whole);
    }
    const byByte = new Peer('server');
    for (const byte of bytes) byByte.receive([byte]);
    expect(byByte.log).toEqual(whole);
  });

  it('answers a request with headers, data and trailers', () => {
    const peer = Peer.server();
    peer.receive(request(1));
    peer.connection.respond(1, ok, Uint8Array.of(0, 0, 0, 0, 3), Uint8Array.of(1, 2, 3), trailers);
    expect(peer.output()).toEqual(['HEADERS 1', 'DATA 1 8 bytes', 'HEADERS 1 end']);
    expect(peer.log).toEqual(['headers 1 end', 'idle']);
    expect(peer.connection.streamCount).toBe(0);
  });

  it('asks the client to stop when the answer is complete before the request', () => {
    const peer = Peer.server();
    peer.receive(request(1, END_HEADERS));
    peer.connection.sendHeaders(1, ok, true);
    expect(peer.output()).toEqual(['HEADERS 1 end', 'RST_STREAM 1 code=0']);
    // What was on its way is dropped without complaint.
    peer.receive(rawFrame(types.DATA, END_STREAM, 1, [1, 2, 3]));
    expect(peer.output()).toEqual([]);
  });

  it('sends as much as the window of the stream allows, and the rest when it opens', () => {
    const peer = Peer.server();
    peer.receive(settings([4, 10]), request(1));
    peer.output();
    peer.connection.respond(1, ok, Uint8Array.of(9), new Uint8Array(24), trailers);
    expect(peer.output()).toEqual(['HEADERS 1', 'DATA 1 10 bytes']);
    peer.receive(windowUpdate(1, 5));
    expect(peer.output()).toEqual(['DATA 1 5 bytes']);
    peer.receive(settings([4, 100]));
    expect(peer.output()).toEqual(['SETTINGS 0 ack', 'DATA 1 10 bytes', 'HEADERS 1 end']);
    expect(peer.connection.queuedBytes).toBe(0);
  });

  it('keeps a copy of what waits for the window, also of a Buffer, whose slices are views', () => {
    const peer = Peer.server();
    peer.receive(settings([4, 10]), request(1));
    const payload = Buffer.alloc(30, 1);
    peer.connection.sendHeaders(1, ok, false);
    peer.connection.sendData(1, payload, false);
    payload.fill(0xee);
    peer.receive(windowUpdate(1, 100));
    expect(Buffer.from(peer.bytes()).includes(0xee)).toBe(false);
  });

  it('lets a window below zero open again before it sends', () => {
    const peer = Peer.server();
    peer.receive(settings([4, 10]), request(1));
    peer.connection.sendHeaders(1, ok, false);
    peer.connection.sendData(1, new Uint8Array(20), true);
    peer.output();
    peer.receive(settings([4, 4]), windowUpdate(1, 6));
    expect(peer.output()).toEqual(['SETTINGS 0 ack']);
    peer.receive(windowUpdate(1, 3));
    expect(peer.output()).toEqual(['DATA 1 3 bytes']);
  });

  it('streams that the window of the connection holds back take turns', () => {
    const peer = Peer.server();
    peer.receive(settings([4, 1_000_000]), request(1), request(3));
    for (const id of [1, 3]) {
      peer.connection.sendHeaders(id, ok, false);
      peer.connection.sendData(id, new Uint8Array(100_000), true);
    }
    peer.output();
    peer.receive(windowUpdate(0, 40_000));
    const first = peer.output();
    expect(first.map((line) => line.split(' ')[1])).toContain('3');
    peer.receive(windowUpdate(0, 200_000));
    expect([...first, ...peer.output()].filter((line) => line.endsWith('end'))).toHaveLength(2);
    expect(peer.connection.streamCount).toBe(0);
  });

  it('says when to wait and when to go on', () => {
    const peer = Peer.server();
    peer.receive(request(1));
    peer.connection.sendHeaders(1, ok, false);
    expect(peer.connection.sendData(1, new Uint8Array(60_000), false)).toBe(true);
    expect(peer.connection.sendData(1, new Uint8Array(100_000), false)).toBe(false);
    peer.log.length = 0;
    peer.receive(windowUpdate(0, 1_000_000), windowUpdate(1, 60_000));
    expect(peer.log).toEqual([]);
    peer.receive(windowUpdate(1, 40_000));
    expect(peer.log).toEqual(['drained 1']);
  });

  it('keeps what waits as it was, whatever becomes of the payload that was given', () => {
    const peer = Peer.server();
    peer.receive(settings([4, 10]), request(1));
    peer.connection.takeOutput();
    const payload = new Uint8Array(20).fill(7);
    peer.connection.respond(1, ok, Uint8Array.of(9), payload, trailers);
    payload.fill(1);
    peer.receive(windowUpdate(1, 100));
    const sent = join(...peer.connection.takeOutput());
    expect(sent.filter((byte) => byte === 7)).toHaveLength(20);
  });

  it('holds data back while the socket is slow', () => {
    const peer = Peer.server();
    peer.receive(request(1));
    peer.connection.sendHeaders(1, ok, false);
    peer.output();
    peer.connection.flushed(true);
    peer.connection.sendData(1, new Uint8Array(10), true);
    expect(peer.connection.outputSize).toBe(0);
    peer.connection.flushed(false);
    expect(peer.output()).toEqual(['DATA 1 10 bytes end']);
  });

  it('gives the windows back in large steps', () => {
    const peer = Peer.server({ connectionWindowBytes: 100_000, streamWindowBytes: 80_000 });
    peer.receive(request(1, END_HEADERS));
    peer.onData = (stream, length) => peer.connection.consume(stream.id, length);
    const data = rawFrame(types.DATA, 0, 1, new Uint8Array(10_000));
    for (let i = 0; i < 4; i += 1) peer.receive(data);
    expect(peer.output()).toEqual(['WINDOW_UPDATE 1 +40000']);
    peer.receive(data);
    expect(peer.output()).toEqual(['WINDOW_UPDATE 0 +50000']);
  });

  it('does not open the window of a stream whose data nobody takes', () => {
    const peer = Peer.server({ streamWindowBytes: 65_535 });
    peer.receive(request(1, END_HEADERS));
    const data = rawFrame(types.DATA, 0, 1, new Uint8Array(16_000));
    for (let i = 0; i < 4; i += 1) peer.receive(data);
    expect(peer.output()).toEqual([]);
    peer.receive(data);
    expect(peer.output()).toEqual([`RST_STREAM 1 code=${http2Codes.FLOW_CONTROL_ERROR}`]);
  });

  it('ends gracefully: what is open goes on, what comes later is ignored', () => {
    const peer = Peer.server();
    peer.receive(request(1));
    peer.connection.shutdown();
    const sent = peer.bytes();
    expect(frameLines(sent)).toEqual(['GOAWAY 0 last=2147483647 code=0', 'PING 0']);
    peer.receive(request(3), rawFrame(types.PING, 1, 0, sent.subarray(-8)));
    expect(peer.output()).toEqual(['GOAWAY 0 last=3 code=0']);
    const late = [
      rawFrame(types.DATA, END_STREAM, 5, [1]),
      windowUpdate(5, 1),
      rawFrame(types.RST_STREAM, 0, 5, uint32(8)),
    ];
    peer.receive(request(5, END_HEADERS), ...late);
    expect(peer.error).toBeUndefined();
    for (const id of [1, 3]) peer.connection.sendHeaders(id, ok, true);
    expect(peer.output()).toEqual(['HEADERS 1 end', 'HEADERS 3 end']);
    expect(peer.log).toEqual(['headers 1 end', 'headers 3 end', 'idle']);
  });

  it('a block that comes in parts is one block', () => {
    const peer = Peer.server();
    const fields: string[] = [];
    peer.onHeaders = (_stream, block) => fields.push(...block.fields);
    peer.receive(
      rawFrame(types.HEADERS, END_STREAM, 1, getBlock.subarray(0, 3)),
      rawFrame(types.CONTINUATION, 0, 1, []),
      rawFrame(types.CONTINUATION, END_HEADERS, 1, getBlock.subarray(3)),
    );
    expect(fields).toEqual([':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'test']);
  });

  it('a large block goes out in parts', () => {
    const peer = Peer.server();
    peer.receive(request(1));
    peer.connection.sendHeaders(1, new FieldBlock([':status', '200', 'x-big', '~'.repeat(40_000)]), true);
    expect(peer.output()).toEqual(['HEADERS 1 end', 'CONTINUATION 1', 'CONTINUATION 1']);
  });

  it('the record of a closed stream can be used again within its own event', () => {
    const peer = Peer.server();
    peer.onHeaders = (stream) => peer.connection.sendHeaders(stream.id, ok, true);
    for (let id = 1; id < 2001; id += 2) peer.receive(request(id));
    expect(peer.output()).toHaveLength(1000);
    expect(peer.connection.streamCount).toBe(0);
  });
});

describe('a client', () => {
  it('greets with the preface and opens streams in order', () => {
    const peer = new Peer('client');
    const bytes = peer.bytes();
    expect([...bytes.subarray(0, 24)]).toEqual([...clientPreface]);
    expect(frameLines(bytes.subarray(24))[0]).toBe('SETTINGS 0');
    peer.receive(settings());
    expect([peer.connection.request(requestBlock, true), peer.connection.request(requestBlock, false)]).toEqual([1, 3]);
    expect(peer.output()).toEqual(['SETTINGS 0 ack', 'HEADERS 1 end', 'HEADERS 3']);
  });

  it('gets an informational response, the response, data and trailers', () => {
    const peer = Peer.client();
    peer.connection.request(requestBlock, true);
    const block = (...fields: string[]): Uint8Array => literalBlock(...fields);
    peer.receive(
      rawFrame(types.HEADERS, END_HEADERS, 1, block(':status', '103')),
      rawFrame(types.HEADERS, END_HEADERS, 1, block(':status', '200')),
      rawFrame(types.DATA, 0, 1, [1, 2]),
      rawFrame(types.HEADERS, END_HEADERS | END_STREAM, 1, block('grpc-status', '0')),
    );
    expect(peer.log).toEqual(['headers 1', 'headers 1', 'data 1 2', 'trailers 1', 'idle']);
  });

  it('opens no more streams than the server allows, and hears when there is room', () => {
    const peer = Peer.client();
    peer.receive(settings([3, 2]));
    const ids = [1, 2, 3].map(() => peer.connection.request(requestBlock, true));
    expect(ids).toEqual([1, 3, 0]);
    peer.log.length = 0;
    peer.receive(rawFrame(types.HEADERS, END_HEADERS | END_STREAM, 1, literalBlock(':status', '200')));
    expect(peer.log).toEqual(['headers 1 end', 'settings']);
    expect(peer.connection.request(requestBlock, true)).toBe(5);
  });

  it('hears which streams the server will not look at', () => {
    const peer = Peer.client();
    for (let i = 0; i < 3; i += 1) peer.connection.request(requestBlock, true);
    peer.receive(rawFrame(types.GOAWAY, 0, 0, [...uint32(1), ...uint32(0)]));
    expect(peer.log).toEqual(['reset 3 0 by goaway', 'reset 5 0 by goaway', 'goaway 1 0']);
    expect(peer.connection.canRequest).toBe(false);
    expect(peer.connection.streamCount).toBe(1);
  });

  it('tells every open stream when the socket is gone', () => {
    const peer = Peer.client();
    peer.connection.request(requestBlock, true);
    peer.connection.abort();
    expect(peer.log).toEqual(['reset 1 8 by connection', 'closed']);
  });

  it.each([
    ['a pushed stream', rawFrame(types.PUSH_PROMISE, END_HEADERS, 1, [0, 0, 0, 2, 0x82]), 1],
    ['ENABLE_PUSH from a server', settings([2, 1]), 1],
    ['a response on a stream that is not open', rawFrame(types.HEADERS, END_HEADERS, 7, [0x88]), 1],
    ['a response on an even stream', rawFrame(types.HEADERS, END_HEADERS, 2, [0x88]), 1],
  ])('refuses %s', (_name, bytes, code) => {
    const peer = Peer.client();
    peer.connection.request(requestBlock, true);
    peer.receive(bytes);
    expect(peer.error?.code).toBe(code);
  });

  it.each([
    ['without a status', literalBlock('a', 'b')],
    ['with a field of requests', literalBlock(':status', '200', ':path', '/')],
    ['with an informational status at its end', literalBlock(':status', '100')],
  ])('resets the stream of a response %s', (_name, block) => {
    const peer = Peer.client();
    peer.connection.request(requestBlock, true);
    peer.output();
    peer.receive(rawFrame(types.HEADERS, END_HEADERS | END_STREAM, 1, block));
    expect(peer.output()).toEqual(['RST_STREAM 1 code=1']);
    expect(peer.log).toContain('reset 1 1 by us');
  });
});

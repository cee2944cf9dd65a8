import { describe, expect, it } from 'vitest';
import { http2Codes } from './codes.ts';
import { FieldBlock } from './field-block.ts';
import { frameFlags, frameTypes as types } from './frames.ts';
import { getBlock, literalBlock, rawFrame, request, uint32 } from './testing/frame-lines.ts';
import { Peer } from './testing/peer.ts';

const { END_HEADERS } = frameFlags;
const calm = http2Codes.ENHANCE_YOUR_CALM;
const ok = new FieldBlock([':status', '200']);
const base = [':method', 'POST', ':scheme', 'http', ':path', '/'];

describe('streams', () => {
  it('over the limit are refused, and the others go on', () => {
    const peer = Peer.server({ streamsMax: 2 });
    peer.receive(request(1), request(3), request(5));
    expect(peer.output()).toEqual([`RST_STREAM 5 code=${http2Codes.REFUSED_STREAM}`]);
    peer.connection.sendHeaders(1, ok, true);
    peer.receive(request(7));
    expect(peer.log).toEqual(['headers 1 end', 'headers 3 end', 'headers 7 end']);
  });
});

describe('header blocks', () => {
  it('a list over the limit resets the stream', () => {
    const peer = Peer.server({ headerListBytesMax: 300 });
    peer.receive(rawFrame(types.HEADERS, END_HEADERS, 1, literalBlock(...base, 'a', 'b'.repeat(300))));
    expect(peer.output()).toEqual([`RST_STREAM 1 code=${calm}`]);
  });

  it('CONTINUATION without end ends the connection by its number', () => {
    const peer = Peer.server({ continuationFramesMax: 5 });
    peer.receive(rawFrame(types.HEADERS, 0, 1, getBlock));
    for (let i = 0; i < 6; i += 1) peer.receive(rawFrame(types.CONTINUATION, 0, 1, [0x82]));
    expect(peer.error?.code).toBe(calm);
  });

  it('CONTINUATION without end ends the connection by its bytes', () => {
    const peer = Peer.server({ headerBlockBytesMax: 20_000 });
    peer.receive(rawFrame(types.HEADERS, 0, 1, getBlock), rawFrame(types.CONTINUATION, 0, 1, new Uint8Array(10_000)));
    expect(peer.error).toBeUndefined();
    peer.receive(rawFrame(types.CONTINUATION, 0, 1, new Uint8Array(10_000)));
    expect(peer.error?.code).toBe(calm);
  });

  it('a table that is used beyond what was allowed is a compression error', () => {
    const peer = Peer.server({ headerTableBytesMax: 100 });
    peer.receive(rawFrame(types.HEADERS, END_HEADERS, 1, [0x3f, 0x80, 0x01, ...getBlock]));
    expect(peer.error?.code).toBe(http2Codes.COMPRESSION_ERROR);
  });
});

describe('windows', () => {
  it('data over the window of the connection ends it', () => {
    const peer = Peer.server({ connectionWindowBytes: 65_535, streamWindowBytes: 1_000_000 });
    // The window is given back as bytes come, so only a frame that is larger than all of it can pass it.
    peer.receive(request(1, END_HEADERS));
    const tight = Peer.server({ connectionWindowBytes: 65_535, frameBytesMax: 100_000, streamWindowBytes: 1_000_000 });
    tight.receive(request(1, END_HEADERS), rawFrame(types.DATA, 0, 1, new Uint8Array(65_536)));
    expect(tight.error?.code).toBe(http2Codes.FLOW_CONTROL_ERROR);
    expect(peer.error).toBeUndefined();
  });

  it('a response that waits for a window for too long is given up', () => {
    const peer = Peer.server({ stalledMs: 1000 });
    peer.receive(rawFrame(types.SETTINGS, 0, 0, [0, 4, ...uint32(0)]), request(1));
    peer.connection.sendHeaders(1, ok, false);
    peer.connection.sendData(1, new Uint8Array(10), true);
    peer.output();
    peer.connection.tick(1000);
    expect(peer.output()).toEqual([]);
    peer.connection.tick(1001);
    expect(peer.output()).toEqual([`RST_STREAM 1 code=${http2Codes.CANCEL}`]);
    expect(peer.log.slice(-2)).toEqual(['reset 1 8 by us', 'idle']);
    expect(peer.connection.queuedBytes).toBe(0);
  });

  it('what waits for windows is bounded for all streams together', () => {
    const peer = Peer.server({ queuedBytesMax: 1000 });
    peer.receive(rawFrame(types.SETTINGS, 0, 0, [0, 4, ...uint32(0)]), request(1), request(3));
    peer.connection.sendHeaders(1, ok, false);
    peer.connection.sendHeaders(3, ok, false);
    peer.connection.sendData(1, new Uint8Array(900), true);
    peer.output();
    peer.connection.sendData(3, new Uint8Array(200), true);
    expect(peer.output()).toEqual([`RST_STREAM 3 code=${calm}`]);
    expect(peer.connection.queuedBytes).toBe(900);
  });

  it('frames of one turn are bounded: data waits for the socket', () => {
    const peer = Peer.server({ outputHighWater: 50_000 });
    const wide = [0, 4, ...uint32(10_000_000)];
    peer.receive(
      rawFrame(types.SETTINGS, 0, 0, wide),
      rawFrame(types.WINDOW_UPDATE, 0, 0, uint32(10_000_000)),
      request(1),
    );
    peer.connection.sendHeaders(1, ok, false);
    peer.connection.sendData(1, new Uint8Array(1_000_000), true);
    expect(peer.connection.outputSize).toBeLessThan(70_000);
    expect(peer.output().at(-1)).toMatch(/end$/);
  });
});

const reset = (id: number): Uint8Array => rawFrame(types.RST_STREAM, 0, id, uint32(8));

describe('floods', () => {
  it('streams that are opened and reset at once end the connection', () => {
    const peer = Peer.server({ resets: { burst: 50, perSecond: 10 } });
    for (let i = 0; i < 51; i += 1) peer.receive(request(2 * i + 1), reset(2 * i + 1));
    expect(peer.error?.code).toBe(calm);
  });

  it('streams that the server must reset count as well', () => {
    const peer = Peer.server({ resets: { burst: 50, perSecond: 10 } });
    for (let i = 0; i < 51; i += 1)
      peer.receive(request(2 * i + 1), rawFrame(types.WINDOW_UPDATE, 0, 2 * i + 1, uint32(0)));
    expect(peer.error?.code).toBe(calm);
  });

  it('as many resets in more time are no flood', () => {
    const peer = Peer.server({ resets: { burst: 50, perSecond: 10 } });
    for (let i = 0; i < 500; i += 1) {
      peer.nowMs = i * 100;
      peer.receive(request(2 * i + 1), reset(2 * i + 1));
    }
    expect(peer.error).toBeUndefined();
  });

  const empty = rawFrame(types.DATA, 0, 1, []);
  it.each([
    ['PING', rawFrame(types.PING, 0, 0, new Uint8Array(8))],
    ['SETTINGS', rawFrame(types.SETTINGS, 0, 0, [])],
    ['SETTINGS acknowledgements', rawFrame(types.SETTINGS, 1, 0, [])],
    ['PRIORITY', rawFrame(types.PRIORITY, 0, 1, [0, 0, 0, 3, 1])],
    ['WINDOW_UPDATE', rawFrame(types.WINDOW_UPDATE, 0, 1, uint32(1))],
    ['empty DATA', empty],
    ['unknown frames', rawFrame(0x42, 0, 0, [])],
  ])('%s without end end the connection', (_name, frame) => {
    const peer = Peer.server({ idleFrames: { burst: 100, perSecond: 10 } }).receive(request(1, END_HEADERS));
    for (let i = 0; i < 101; i += 1) peer.receive(frame);
    expect(peer.error?.code).toBe(calm);
  });

  it('a window that opens byte by byte ends the connection, although each byte is sent', () => {
    const peer = Peer.server({ idleFrames: { burst: 100, perSecond: 10 } });
    peer.receive(rawFrame(types.SETTINGS, 0, 0, [0, 4, ...uint32(0)]), request(1));
    peer.connection.sendHeaders(1, ok, false);
    peer.connection.sendData(1, new Uint8Array(10_000), true);
    for (let i = 0; i < 60; i += 1) peer.receive(rawFrame(types.WINDOW_UPDATE, 0, 1, uint32(1)));
    expect(peer.error?.code).toBe(calm);
  });

  it('data for a stream that is closed does not go on without end', () => {
    const peer = Peer.server({ idleFrames: { burst: 100, perSecond: 10 } }).receive(request(1, END_HEADERS));
    peer.connection.reset(1, 8);
    for (let i = 0; i < 104; i += 1) peer.receive(rawFrame(types.DATA, 0, 1, [1]));
    expect(peer.error?.code).toBe(calm);
  });

  it('a server that resets what it has answered is no flood to its client', () => {
    const peer = Peer.client({ resets: { burst: 5, perSecond: 1 } });
    const requestBlock = new FieldBlock(base);
    const response = rawFrame(types.HEADERS, END_HEADERS | frameFlags.END_STREAM, 1, literalBlock(':status', '200'));
    for (let i = 0; i < 100; i += 1) {
      const id = peer.connection.request(requestBlock, true);
      response[8] = id & 0xff;
      peer.receive(response, reset(id));
    }
    expect(peer.error).toBeUndefined();
  });

  it('frames that go along with data are paid for by it', () => {
    const peer = Peer.server({ idleFrames: { burst: 100, perSecond: 10 } }).receive(request(1, END_HEADERS));
    peer.onData = (stream, length) => peer.connection.consume(stream.id, length);
    for (let i = 0; i < 1000; i += 1) {
      peer.receive(rawFrame(types.DATA, 0, 1, [1]), rawFrame(types.PING, 0, 0, new Uint8Array(8)));
    }
    expect(peer.error).toBeUndefined();
  });
});

describe('settings', () => {
  it('that are not acknowledged in time end the connection', () => {
    const peer = new Peer('client', { settingsAckMs: 500 });
    peer.connection.tick(500);
    expect(peer.error).toBeUndefined();
    peer.connection.tick(501);
    expect(peer.error?.code).toBe(http2Codes.SETTINGS_TIMEOUT);
  });
});

import { expect, it } from 'vitest';
import { frameFlags, frameTypes as types } from './frames.ts';
import { getBlock, literalBlock, rawFrame, request, uint32 } from './testing/frame-lines.ts';
import { Peer } from './testing/peer.ts';

const { END_HEADERS, END_STREAM, PADDED, PRIORITY } = frameFlags;
const [PROTOCOL, FLOW, CLOSED, SIZE, COMPRESSION] = [1, 3, 5, 6, 9] as const;
const open = request(1, END_HEADERS);
const headers = (...fields: string[]): Uint8Array =>
  rawFrame(types.HEADERS, END_HEADERS | END_STREAM, 1, literalBlock(...fields));
const base = [':method', 'GET', ':scheme', 'http', ':path', '/'];
const setting = (id: number, value: number): Uint8Array => rawFrame(types.SETTINGS, 0, 0, [0, id, ...uint32(value)]);

/** Frames after the greeting, and the code that the RFC wants; each must end the connection. */
const connectionErrors: readonly (readonly [string, number, ...Uint8Array[]])[] = [
  ['DATA on stream 0', PROTOCOL, rawFrame(types.DATA, 0, 0, [1])],
  ['DATA on an idle stream', PROTOCOL, rawFrame(types.DATA, 0, 1, [1])],
  ['DATA with padding as long as the frame', PROTOCOL, open, rawFrame(types.DATA, PADDED, 1, [3, 0, 0])],
  ['empty DATA that claims padding', PROTOCOL, open, rawFrame(types.DATA, PADDED, 1, [])],
  ['a frame over MAX_FRAME_SIZE', SIZE, open, rawFrame(types.DATA, 0, 1, new Uint8Array(16_385))],
  ['HEADERS on stream 0', PROTOCOL, rawFrame(types.HEADERS, END_HEADERS, 0, getBlock)],
  ['HEADERS on an even stream', PROTOCOL, request(2)],
  ['HEADERS on a lower stream than before', PROTOCOL, request(5), request(3)],
  ['HEADERS with padding over the frame', PROTOCOL, rawFrame(types.HEADERS, END_HEADERS | PADDED, 1, [9, 1])],
  ['HEADERS too short for its priority', SIZE, rawFrame(types.HEADERS, END_HEADERS | PRIORITY, 1, [0, 0])],
  ['HEADERS that cannot be decoded', COMPRESSION, rawFrame(types.HEADERS, END_HEADERS, 1, [0x80])],
  ['a block interrupted by another stream', PROTOCOL, rawFrame(types.HEADERS, 0, 1, getBlock), request(3)],
  ['a block interrupted by PING', PROTOCOL, rawFrame(types.HEADERS, 0, 1, getBlock), rawFrame(types.PING, 0, 0, [])],
  ['a block interrupted by an unknown frame', PROTOCOL, rawFrame(types.HEADERS, 0, 1, []), rawFrame(99, 0, 1, [])],
  ['CONTINUATION without HEADERS', PROTOCOL, rawFrame(types.CONTINUATION, END_HEADERS, 1, getBlock)],
  ['CONTINUATION after the end', PROTOCOL, open, rawFrame(types.CONTINUATION, END_HEADERS, 1, [])],
  ['PRIORITY on stream 0', PROTOCOL, rawFrame(types.PRIORITY, 0, 0, [0, 0, 0, 3, 1])],
  ['RST_STREAM on stream 0', PROTOCOL, rawFrame(types.RST_STREAM, 0, 0, uint32(0))],
  ['RST_STREAM on an idle stream', PROTOCOL, rawFrame(types.RST_STREAM, 0, 1, uint32(0))],
  ['RST_STREAM of 3 bytes', SIZE, open, rawFrame(types.RST_STREAM, 0, 1, [0, 0, 0])],
  ['SETTINGS on a stream', PROTOCOL, rawFrame(types.SETTINGS, 0, 1, [])],
  ['SETTINGS with ACK and content', SIZE, rawFrame(types.SETTINGS, 1, 0, [0, 1, 0, 0, 0, 0])],
  ['SETTINGS of 5 bytes', SIZE, rawFrame(types.SETTINGS, 0, 0, [0, 1, 0, 0, 0])],
  ['ENABLE_PUSH of 2', PROTOCOL, setting(2, 2)],
  ['INITIAL_WINDOW_SIZE over 2^31-1', FLOW, setting(4, 0x80000000)],
  ['MAX_FRAME_SIZE under 2^14', PROTOCOL, setting(5, 16_383)],
  ['MAX_FRAME_SIZE over 2^24-1', PROTOCOL, setting(5, 0x1000000)],
  [
    'INITIAL_WINDOW_SIZE that takes a stream over 2^31-1',
    FLOW,
    open,
    rawFrame(types.WINDOW_UPDATE, 0, 1, uint32(100)),
    setting(4, 0x7fffffff),
  ],
  ['PUSH_PROMISE', PROTOCOL, rawFrame(types.PUSH_PROMISE, END_HEADERS, 1, [0, 0, 0, 2])],
  ['PING on a stream', PROTOCOL, rawFrame(types.PING, 0, 1, new Uint8Array(8))],
  ['PING of 7 bytes', SIZE, rawFrame(types.PING, 0, 0, new Uint8Array(7))],
  ['GOAWAY on a stream', PROTOCOL, rawFrame(types.GOAWAY, 0, 1, new Uint8Array(8))],
  ['GOAWAY of 7 bytes', SIZE, rawFrame(types.GOAWAY, 0, 0, new Uint8Array(7))],
  ['WINDOW_UPDATE of 3 bytes', SIZE, rawFrame(types.WINDOW_UPDATE, 0, 0, [0, 0, 1])],
  ['WINDOW_UPDATE of 0 on the connection', PROTOCOL, rawFrame(types.WINDOW_UPDATE, 0, 0, uint32(0))],
  ['WINDOW_UPDATE on an idle stream', PROTOCOL, rawFrame(types.WINDOW_UPDATE, 0, 1, uint32(1))],
  ['a connection window over 2^31-1', FLOW, rawFrame(types.WINDOW_UPDATE, 0, 0, uint32(0x7fffffff))],
];

it.each(connectionErrors.map(([name, code, ...frames]) => ({ name, code, frames })))(
  '$name ends the connection',
  ({ code, frames }) => {
    const peer = Peer.server().receive(...frames);
    expect(peer.error?.code).toBe(code);
    expect(peer.output().at(-1)).toMatch(new RegExp(`^GOAWAY 0 last=\\d+ code=${code}$`));
    expect(peer.connection.streamCount).toBe(0);
    const after = peer.log.length;
    peer.receive(request(101));
    expect(peer.log).toHaveLength(after);
  },
);

/** The same for errors that end a stream only. */
const streamErrors: readonly (readonly [string, number, ...Uint8Array[]])[] = [
  ['DATA after the end', CLOSED, request(1), rawFrame(types.DATA, 0, 1, [1])],
  ['HEADERS after the end', CLOSED, request(1), request(1)],
  ['trailers without END_STREAM', PROTOCOL, open, rawFrame(types.HEADERS, END_HEADERS, 1, literalBlock('a', 'b'))],
  ['trailers with a pseudo field', PROTOCOL, open, headers(':path', '/')],
  ['PRIORITY of 4 bytes', SIZE, open, rawFrame(types.PRIORITY, 0, 1, [0, 0, 0, 3])],
  ['PRIORITY on itself', PROTOCOL, open, rawFrame(types.PRIORITY, 0, 1, [0, 0, 0, 1, 1])],
  ['WINDOW_UPDATE of 0', PROTOCOL, open, rawFrame(types.WINDOW_UPDATE, 0, 1, uint32(0))],
  ['a stream window over 2^31-1', FLOW, open, rawFrame(types.WINDOW_UPDATE, 0, 1, uint32(0x7fffffff))],
  ['a name in upper case', PROTOCOL, headers(...base, 'Accept', '*')],
  ['a name with a blank', PROTOCOL, headers(...base, 'a b', 'c')],
  ['an empty name', PROTOCOL, headers(...base, '', 'c')],
  ['a value with a line feed', PROTOCOL, headers(...base, 'a', 'b\nc')],
  ['a value that begins with a blank', PROTOCOL, headers(...base, 'a', ' b')],
  ['an unknown pseudo field', PROTOCOL, headers(...base, ':x', 'y')],
  ['a field of responses', PROTOCOL, headers(...base, ':status', '200')],
  ['a pseudo field after others', PROTOCOL, headers(...base, 'a', 'b', ':authority', 'c')],
  ['a pseudo field twice', PROTOCOL, headers(...base, ':path', '/')],
  ['no path', PROTOCOL, headers(...base.slice(0, 4))],
  ['an empty path', PROTOCOL, headers(...base.slice(0, 5), '')],
  ['CONNECT with a path', PROTOCOL, headers(':method', 'CONNECT', ':authority', 'a', ':path', '/')],
  ['connection', PROTOCOL, headers(...base, 'connection', 'close')],
  ['te other than trailers', PROTOCOL, headers(...base, 'te', 'gzip')],
  ['a content-length without content', PROTOCOL, headers(...base, 'content-length', '1')],
  ['two content-lengths', PROTOCOL, headers(...base, 'content-length', '0', 'content-length', '1')],
  ['a content-length that is no number', PROTOCOL, headers(...base, 'content-length', '+1')],
  [
    'less content than its length',
    PROTOCOL,
    rawFrame(types.HEADERS, END_HEADERS, 1, literalBlock(...base, 'content-length', '3')),
    rawFrame(types.DATA, END_STREAM, 1, [1, 2]),
  ],
  [
    'more content than its length',
    PROTOCOL,
    rawFrame(types.HEADERS, END_HEADERS, 1, literalBlock(...base, 'content-length', '1')),
    rawFrame(types.DATA, 0, 1, [1, 2]),
  ],
];

it.each(streamErrors.map(([name, code, ...frames]) => ({ name, code, frames })))(
  '$name ends the stream alone',
  ({ code, frames }) => {
    const peer = Peer.server().receive(...frames);
    expect(peer.output()).toContain(`RST_STREAM 1 code=${code}`);
    expect(peer.error).toBeUndefined();
    expect(peer.connection.streamCount).toBe(0);
    peer.receive(request(3));
    expect(peer.log.at(-1)).toBe('headers 3 end');
  },
);

it.each([
  ['an unknown frame', rawFrame(0x42, 0xff, 1, [1, 2, 3])],
  ['an unknown setting', setting(0xf0, 7)],
  ['PRIORITY on an idle stream', rawFrame(types.PRIORITY, 0, 7, [0, 0, 0, 1, 1])],
  ['an unknown error code', rawFrame(types.RST_STREAM, 0, 1, uint32(0xffff))],
  ['flags without a meaning', rawFrame(types.WINDOW_UPDATE, 0xff, 0, uint32(1))],
  ['the reserved bit', rawFrame(types.DATA, 0, 0x80000001, [1])],
])('%s is no error', (_name, frame) => {
  const peer = Peer.server().receive(open, frame, request(3));
  expect(peer.error).toBeUndefined();
  expect(peer.log.at(-1)).toBe('headers 3 end');
});

it('a wrong preface ends the connection at the first wrong byte', () => {
  const peer = new Peer('server').receive(Uint8Array.from('GET / HTTP/1.1', (c) => c.charCodeAt(0)));
  expect(peer.error?.code).toBe(PROTOCOL);
});

it('a first frame other than SETTINGS ends the connection', () => {
  const peer = new Peer('client').receive(rawFrame(types.PING, 0, 0, new Uint8Array(8)));
  expect(peer.error?.code).toBe(PROTOCOL);
});

import { type Channel, type Client, createGrpcChannel, createGrpcClient } from '@oaas/commons/grpc';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningNode, startNode } from '../../testkit/index.ts';

/** Messages as the bytes that they are. */
const plain = {
  encode: (message: Buffer) => ({ finish: () => message }),
  decode: (input: Uint8Array) => Buffer.from(input),
  fromPartial: (message: Buffer) => message,
};
const method = (name: string) =>
  ({
    name,
    requestType: plain,
    requestStream: false,
    responseType: plain,
    responseStream: false,
    options: {},
  }) as const;
const bytesService = {
  name: 'DataService',
  fullName: 'oprc.DataService',
  methods: {
    Get: method('Get'),
    Set: method('Set'),
    Delete: method('Delete'),
    GetValue: method('GetValue'),
    SetValue: method('SetValue'),
    DeleteValue: method('DeleteValue'),
  },
} as const;

/**
 * Clients of the Python SDK 0.3 send and read these bytes: object ids as uint64 in tag 3, keys as uint32 in tag 4,
 * entries as map<uint32, ValData> in tag 2. Everything here is spelled out by hand, with no generated code between.
 */
let directory: TempDir;
let node: RunningNode;
let channel: Channel;
let raw: Client<typeof bytesService>;

beforeAll(async () => {
  directory = await tempDir();
  node = await startNode({ dataDir: directory.path, collections: [{ name: 'c' }] });
  channel = createGrpcChannel(node.grpc);
  raw = createGrpcClient(bytesService, channel);
});

afterAll(async () => {
  channel.close();
  await node.stop();
  await directory.remove();
});

const call = (method: keyof typeof bytesService.methods, request: Buffer): Promise<Buffer> => raw[method](request);

const field = (tag: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([(tag << 3) | 2, bytes.length]), bytes]);
const text = (tag: number, value: string): Buffer => field(tag, Buffer.from(value));
/** Values below 128 fit in one byte. */
const varint = (tag: number, value: number): Buffer => Buffer.from([tag << 3, value]);
const bytesOf = (...parts: Buffer[]): Buffer => Buffer.concat(parts);

const cls = text(1, 'c');
const valData = (value: string): Buffer => text(1, value);

describe('a client of the legacy form', () => {
  it('writes an object by numbers and gets it back by numbers', async () => {
    const entry = field(2, bytesOf(varint(1, 5), field(2, valData('five'))));
    const metadata = field(1, bytesOf(cls, varint(3, 42)));
    await call('Set', bytesOf(cls, varint(3, 42), field(4, bytesOf(metadata, entry))));

    const response = await call('Get', bytesOf(cls, varint(3, 42)));
    // ObjectResponse.obj(1) { metadata(1) { cls_id(1) "c", object_id(3) 42 … }, entries(2) { 5 -> "five" } … }
    expect(response.includes(bytesOf(cls, Buffer.from([3 << 3, 42])))).toBe(true);
    expect(response.includes(entry)).toBe(true);
    // The current form stands beside it: object_id(4) "42", entries(4) { "5" -> "five" }.
    expect(response.includes(text(4, '42'))).toBe(true);
    expect(response.includes(field(4, bytesOf(text(1, '5'), field(2, valData('five')))))).toBe(true);
  });

  it('reads and writes single values by number, key 0 included, which is not on the wire', async () => {
    await call('SetValue', bytesOf(cls, varint(3, 7), varint(4, 3), field(5, valData('three'))));
    await call('SetValue', bytesOf(cls, varint(3, 7), field(5, valData('zero'))));
    expect(
      (await call('GetValue', bytesOf(cls, varint(3, 7), varint(4, 3)))).includes(field(1, valData('three'))),
    ).toBe(true);
    expect((await call('GetValue', bytesOf(cls, varint(3, 7)))).includes(field(1, valData('zero')))).toBe(true);
    await call('DeleteValue', bytesOf(cls, varint(3, 7), varint(4, 3)));
    const { obj } = await node.data.get({ clsId: 'c', objectId: '7' });
    expect(Object.keys(obj?.entries ?? {})).toEqual(['0']);
  });

  it('deletes by number', async () => {
    await node.data.set({ clsId: 'c', objectId: '9', object: {} });
    await call('Delete', bytesOf(cls, varint(3, 9)));
    await expect(call('Get', bytesOf(cls, varint(3, 9)))).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('sees an object of a current client, with those of its keys that are numbers in its own form', async () => {
    const entries = {
      '12': { data: Buffer.from('x') },
      name: { data: Buffer.from('y') },
      '007': { data: Buffer.from('z') },
    };
    await node.data.set({ clsId: 'c', objectId: '12', object: { entries } });
    const response = await call('Get', bytesOf(cls, varint(3, 12)));
    expect(response.includes(field(2, bytesOf(varint(1, 12), field(2, valData('x')))))).toBe(true);
    expect(response.includes(field(2, bytesOf(varint(1, 7), field(2, valData('z')))))).toBe(false);
    expect(response.includes(field(4, bytesOf(text(1, 'name'), field(2, valData('y')))))).toBe(true);
  });

  it('uses all 64 bits of an id', async () => {
    const largest = Buffer.from([3 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    await call('Set', bytesOf(cls, largest, field(4, Buffer.alloc(0))));
    const { obj } = await node.data.get({ clsId: 'c', objectId: '18446744073709551615' });
    expect(obj?.metadata?.objectId).toBe('18446744073709551615');
    expect((await call('Get', bytesOf(cls, largest))).includes(largest)).toBe(true);
  });
});

it('a client of the current form gets no legacy fields for ids and keys of digits', async () => {
  await node.data.set({ clsId: 'c', objectId: '100', object: { entries: { '5': { data: Buffer.from('v') } } } });
  const { obj } = await node.data.get({ clsId: 'c', objectId: '100' });
  expect(obj?.legacyEntries).toEqual({});
  expect(obj?.metadata?.legacyObjectId).toBeUndefined();
});

import { isDeepStrictEqual } from 'node:util';
import { data } from '@oaas/proto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Codec } from '../../grpc/edge/codec.ts';
import type { MessageType } from '../../grpc/index.ts';
import { dataServiceDefinition } from './definition.ts';

const { methods } = dataServiceDefinition;
/** The hand-written codec beside the generated one, which is the measure of all things here. */
const types = [
  ['EmptyResponse', methods.set.responseType, data.EmptyResponse],
  ['SingleObjectRequest', methods.get.requestType, data.SingleObjectRequest],
  ['SetObjectRequest', methods.set.requestType, data.SetObjectRequest],
  ['ObjectResponse', methods.get.responseType, data.ObjectResponse],
  ['SingleKeyRequest', methods.getValue.requestType, data.SingleKeyRequest],
  ['SetKeyRequest', methods.setValue.requestType, data.SetKeyRequest],
  ['ValueResponse', methods.getValue.responseType, data.ValueResponse],
  ['ValueEnvelope', methods.listValues.responseType, data.ValueEnvelope],
  ['BatchSetValuesRequest', methods.batchSetValues.requestType, data.BatchSetValuesRequest],
] as const satisfies readonly (readonly [string, MessageType, MessageType])[];

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '',
    '__proto__',
    'bench.Class',
    '1',
    'x'.repeat(63),
    'y'.repeat(127),
    'z'.repeat(200),
    'ä'.repeat(70),
  ),
  // Half of a surrogate pair.
  fc.constant('a\ud800b'),
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const uint32 = fc.oneof(fc.nat(200), fc.integer({ min: 0, max: 0xffffffff }));
const int32 = fc.oneof(fc.nat(200), fc.integer());
const uint64 = fc.oneof(fc.nat(200), fc.maxSafeNat());
const legacyId = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const rarely = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 8 }).map((v) => v);
const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const bytes = fc.uint8Array({ maxLength: 200 }).map((content) => Buffer.from(content));
const value = fc.record({
  ...{ data: bytes, type: fc.oneof(fc.constantFrom(0, 1), int32) },
  ...{ ttlMs: seldom(uint64), expiresAtMs: seldom(uint64) },
});
const entries = fc.dictionary(text, value, { maxKeys: 4 });
const metadata = fc.record({
  clsId: text,
  partitionId: uint32,
  legacyObjectId: seldom(legacyId),
  objectId: maybe(text),
  version: maybe(uint64),
});
const trigger = fc.record({ onCreate: fc.array(fc.record({ clsId: text, fnId: text }), { maxLength: 2 }) });
const object = fc.record({
  metadata: maybe(metadata),
  legacyEntries: rarely(fc.dictionary(fc.nat(9).map(String), value, { maxKeys: 2 })).map((found) => found ?? {}),
  event: seldom(fc.record({ dataTrigger: fc.dictionary(text, trigger, { maxKeys: 2 }) })),
  entries,
});
const target = { clsId: text, legacyObjectId: seldom(legacyId), objectId: maybe(text) };
const keyed = { ...target, legacyKey: seldom(uint32), key: maybe(text) };

const messages: Readonly<Record<(typeof types)[number][0], fc.Arbitrary<object>>> = {
  EmptyResponse: fc.constant({}),
  SingleObjectRequest: fc.record({ ...target, partitionId: uint32 }),
  SetObjectRequest: fc.record({ ...target, partitionId: int32, object: maybe(object) }),
  ObjectResponse: fc.record({ obj: maybe(object) }),
  SingleKeyRequest: fc.record({ ...keyed, partitionId: uint32 }),
  SetKeyRequest: fc.record({ ...keyed, partitionId: int32, value: maybe(value) }),
  ValueResponse: fc.record({
    value: maybe(value),
    objectVersion: maybe(uint64),
    key: maybe(text),
    deleted: maybe(fc.boolean()),
  }),
  ValueEnvelope: fc.record({ key: text, value: maybe(value), version: uint64, nextCursor: maybe(bytes) }),
  BatchSetValuesRequest: fc.record({
    ...{ clsId: text, partitionId: uint32, objectId: maybe(text), values: entries },
    deleteKeys: fc.array(text, { maxLength: 3 }),
    expectedObjectVersion: maybe(uint64),
  }),
};

/** The outcome of a function, an error being one outcome whatever it says. */
function outcome<T>(run: () => T): { readonly value: T } | 'error' {
  try {
    return { value: run() };
  } catch {
    return 'error';
  }
}

describe.each(types)('the codec of %s by hand', (name, ours, generated) => {
  const codec = new Codec();
  const type = ours as MessageType;
  const reference = generated as MessageType;

  it('has something to it', () => {
    expect(type.fast).toBeDefined();
  });

  it('writes byte for byte what the generated code writes', () => {
    fc.assert(
      fc.property(messages[name], (message) => {
        const full = reference.fromPartial(message);
        const expected = outcome(() => Buffer.from(reference.encode(full).finish()).toString('hex'));
        expect(outcome(() => Buffer.from(codec.encode(type, full)).toString('hex'))).toEqual(expected);
        expect(outcome(() => Buffer.from(codec.encodePartial(type, message)).toString('hex'))).toEqual(expected);
      }),
      { numRuns: 400 },
    );
  });

  it('takes the place of fields that are missing or null like the generated code', () => {
    const partial = messages[name].chain((message) =>
      fc.record(
        Object.fromEntries(
          Object.entries(message).map(([key, field]) => [
            key,
            fc.constantFrom(field, undefined, null) as fc.Arbitrary<unknown>,
          ]),
        ),
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(partial, (message) => {
        const expected = outcome(() =>
          Buffer.from(reference.encode(reference.fromPartial(message)).finish()).toString('hex'),
        );
        expect(outcome(() => Buffer.from(codec.encodePartial(type, message)).toString('hex'))).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('reads what the generated code reads, also in the middle of a chunk and with fields that nobody knows', () => {
    const unknown = fc.record({ field: fc.integer({ min: 200, max: 5000 }), content: fc.uint8Array({ maxLength: 5 }) });
    fc.assert(
      fc.property(messages[name], fc.array(unknown, { maxLength: 1 }), fc.nat(5), (message, extra, before) => {
        const plain = Buffer.from(reference.encode(reference.fromPartial(message)).finish());
        const added = extra.map(({ field, content }) =>
          Buffer.concat([varint(field * 8 + 2), varint(content.length), content]),
        );
        for (const encoded of [plain, Buffer.concat([...added, plain]), Buffer.concat([plain, ...added, plain])]) {
          const chunk = Buffer.concat([Buffer.alloc(before, 0xff), encoded, Buffer.from([0xff, 1, 2])]);
          const end = before + encoded.length;
          const read = codec.decode(type, chunk, before, end);
          const expected = reference.decode(encoded);
          expect(isDeepStrictEqual(codec.decode(type, new Uint8Array(chunk), before, end), expected)).toBe(true);
          // What was read stays when the chunk is used for something else.
          chunk.fill(0xee);
          expect(isDeepStrictEqual(read, expected)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('takes and refuses broken bytes like the generated code', () => {
    const change = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.nat(3) });
    fc.assert(
      fc.property(messages[name], fc.array(change, { minLength: 1, maxLength: 3 }), (message, changes) => {
        let encoded = Buffer.from(reference.encode(reference.fromPartial(message)).finish());
        for (const { at, byte, cut } of changes) {
          if (encoded.length === 0) return;
          encoded[at % encoded.length] = byte;
          if (cut === 0) encoded = encoded.subarray(0, at % encoded.length);
        }
        const expected = outcome(() => reference.decode(encoded));
        const got = outcome(() => codec.decode(type, encoded, 0, encoded.length));
        expect(isDeepStrictEqual(got, expected)).toBe(true);
      }),
      { numRuns: 600 },
    );
  });
});

it.each([0, 1, 119, 120, 127, 128, 16_360, 16_384, 65_500, 65_536, 70_000, 3_000_000])(
  'values of %i bytes are written and read like by the generated code, one after the other',
  (length) => {
    const codec = new Codec();
    const type = methods.set.requestType as MessageType;
    for (const size of [length, 3, length + 1]) {
      const value = { data: Buffer.alloc(size, 'v'), type: 0 as const };
      const message = data.SetObjectRequest.fromPartial({ clsId: 'c', object: { entries: { a: value, b: value } } });
      const expected = Buffer.from(data.SetObjectRequest.encode(message).finish());
      expect(expected.equals(codec.encodePartial(type, message))).toBe(true);
      const decoded = codec.decode(type, expected, 0, expected.length);
      expect(isDeepStrictEqual(decoded, message)).toBe(true);
    }
  },
);

it('the generated code is not asked for messages of the usual kind', () => {
  const codec = new Codec();
  const calls: string[] = [];
  const watched = (type: MessageType): MessageType => ({
    ...type,
    encode: (message) => {
      calls.push('encode');
      return type.encode(message);
    },
    decode: (input) => {
      calls.push('decode');
      return type.decode(input);
    },
  });
  const target = { clsId: 'bench.Class', partitionId: 3, objectId: 'object-1' };
  const content = { data: Buffer.alloc(1024), type: 1 };
  const usual: Readonly<Record<string, object>> = {
    SetObjectRequest: {
      ...target,
      object: { metadata: { ...target, version: 7 }, entries: { a: content, b: content } },
    },
    ObjectResponse: { obj: { metadata: { ...target, version: 7 }, entries: { a: content } } },
    SetKeyRequest: { ...target, key: 'a', value: content },
    SingleKeyRequest: { ...target, key: 'a' },
    ValueResponse: { key: 'a', value: content, objectVersion: 2 ** 40, deleted: false },
    ValueEnvelope: { key: 'a', value: content, version: 2 ** 40, nextCursor: Buffer.from('b') },
    BatchSetValuesRequest: { ...target, values: { a: content }, deleteKeys: ['b'], expectedObjectVersion: 7 },
  };
  for (const [name, ours] of types) {
    const type = watched(ours);
    const encoded = codec.encodePartial(type, usual[name] ?? target);
    codec.decode(type, encoded, 0, encoded.length);
  }
  expect(calls).toEqual([]);
});

function varint(value: number): Buffer {
  const written: number[] = [];
  let rest = value;
  for (; rest > 127; rest >>>= 7) written.push((rest & 127) | 128);
  return Buffer.from([...written, rest]);
}

it.each([
  ['copies what it reads, so that what is kept of it keeps nothing else', false],
  ['that borrows leaves what it reads where it is', true],
])('a codec %s', (_, borrows) => {
  const message = data.SetObjectRequest.fromPartial({
    clsId: 'c',
    object: { entries: { a: { data: Buffer.from('a') } } },
  });
  const chunk = Buffer.from(data.SetObjectRequest.encode(message).finish());
  const type = methods.set.requestType as MessageType;
  const read = new Codec(borrows).decode(type, chunk, 0, chunk.length) as data.SetObjectRequest;
  chunk.fill(0);
  expect(read.object?.entries['a']?.data).toEqual(borrows ? Buffer.from([0]) : Buffer.from('a'));
});

it.each([
  [
    'by hand',
    (chunk: Buffer) => new Codec(false).decode(methods.set.requestType as MessageType, chunk, 0, chunk.length),
  ],
  ['by the generated code', (chunk: Buffer) => data.SetObjectRequest.decode(chunk)],
])('an entry without a value, as other languages write the empty one, is read %s as an empty value', (_, decode) => {
  const whole = data.SetObjectRequest.encode(
    data.SetObjectRequest.fromPartial({ clsId: 'c', object: { entries: { a: {} } } }),
  ).finish();
  // The generator writes an empty value as field 2 of length 0: it goes, and both lengths around it shrink by its two bytes.
  const at = Buffer.from(whole).indexOf(Buffer.from([0x12, 0x00]));
  const cut = Buffer.concat([whole.subarray(0, at), whole.subarray(at + 2)]);
  const key = cut.indexOf(Buffer.from([0x0a, 0x01, 0x61]));
  cut[key - 1] = (cut[key - 1] ?? 0) - 2;
  cut[key - 3] = (cut[key - 3] ?? 0) - 2;
  const { object } = decode(cut) as data.SetObjectRequest;
  expect(object?.entries).toEqual({ a: expect.objectContaining({ data: Buffer.alloc(0), type: 0 }) as unknown });
});

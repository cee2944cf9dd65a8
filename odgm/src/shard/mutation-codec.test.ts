import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CheckMark, defaultLimits, type Mutation, type Value } from './model.ts';
import { decodeMutation, encodeMutation, firesTriggers } from './mutation-codec.ts';
import type { OutboxChange } from './outbox-change.ts';
import { deathReasons } from './outbox-records.ts';

const name = fc.string({
  unit: fc.constantFrom('a', 'b', 'z', '0', '9', '.', '_', ':', '-'),
  minLength: 1,
  maxLength: 160,
});
const bytes = fc.uint8Array({ maxLength: 300 });
const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const version = fc.option(fc.maxSafeNat(), { nil: undefined });
const value: fc.Arbitrary<Value> = fc.record({
  data: bytes,
  type: fc.constantFrom('bytes', 'crdt-map'),
  expiresAt: fc.option(time, { nil: undefined }),
});
const ref = fc.record({ major: time, minor: fc.nat() });
const letter = fc.record({ major: time, minor: fc.nat(), diedAt: time });
const death = fc.record({
  ref,
  reason: fc.constantFrom(...deathReasons),
  attempts: fc.nat(),
  error: fc.string({ unit: 'grapheme' }),
});
const kept = fc.record({
  ...{ diedAt: time, reason: fc.constantFrom(...deathReasons), attempts: fc.nat(), error: fc.string(), event: bytes },
});
const firing = { at: time, depth: fc.nat() };
const list = <T>(items: fc.Arbitrary<T>) => fc.array(items, { maxLength: 4 });
const mutation: fc.Arbitrary<Mutation | CheckMark | OutboxChange> = fc.oneof(
  fc.record({ type: fc.constant('delete' as const), objectId: name, expectedVersion: version, ...firing }),
  fc.record({
    ...{ type: fc.constant('change' as const), objectId: name, put: fc.constant(new Map<string, Value>()) },
    ...{ remove: list(name), replace: fc.boolean(), event: fc.option(bytes, { nil: undefined }) },
    ...{ expectedVersion: version, ...firing },
  }),
  fc.record({
    ...{ type: fc.constant('outbox' as const), at: time, done: list(ref), dead: list(death) },
    ...{ replay: list(letter), purge: list(letter), add: list(bytes), keep: list(kept) },
  }),
  fc.record({
    type: fc.constant('change' as const),
    objectId: name,
    put: fc.array(fc.tuple(name, value), { maxLength: 5 }).map((entries) => new Map(entries)),
    remove: fc.array(name, { maxLength: 5 }),
    replace: fc.boolean(),
    event: fc.option(bytes, { nil: undefined }),
    expectedVersion: version,
  }),
  fc.record({ type: fc.constant('delete' as const), objectId: name, expectedVersion: version }),
  fc.record({
    type: fc.constant('expire' as const),
    entries: fc.array(fc.record({ objectId: name, key: name, expiresAt: time }), { maxLength: 5 }),
  }),
  fc.record({ type: fc.constant('mark' as const), id: name, algorithm: fc.nat(), scan: fc.boolean() }),
);

/** Buffers and plain arrays of bytes are the same to the codec, not to `toEqual`. */
function plain(part: unknown): unknown {
  if (part instanceof Uint8Array) return [...part];
  if (part instanceof Map || Array.isArray(part)) return [...(part as Iterable<unknown>)].map(plain);
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, plain(value)]));
}

describe('a mutation as bytes', () => {
  it('is read back as it was, with the limits of its proposer', () => {
    fc.assert(
      fc.property(mutation, (original) => {
        const whole = encodeMutation(original, defaultLimits, true);
        const decoded = decodeMutation(whole);
        const hasTime = original.type !== 'mark' && original.type !== 'outbox' && original.type !== 'expire';
        expect(firesTriggers(whole)).toBe(original.type === 'expire' || (hasTime && original.at !== undefined));
        expect(plain(decoded.mutation)).toEqual(plain(original));
        expect(decoded.limits).toEqual(original.type === 'change' ? defaultLimits : undefined);
      }),
    );
  });

  it('says nothing of triggers where none are to be fired, in the bytes of builds that do not know of them', () => {
    fc.assert(
      fc.property(mutation, (original) => {
        if (original.type === 'outbox') return;
        const whole = encodeMutation(original, defaultLimits);
        expect(firesTriggers(whole)).toBe(false);
        expect(plain(decodeMutation(whole).mutation)).not.toMatchObject({ depth: expect.anything() as unknown });
        expect(encodeMutation({ ...original, at: undefined, depth: undefined } as Mutation, defaultLimits)).toEqual(
          whole,
        );
      }),
    );
  });

  it('does not say whether its caller asks for the object: the log is the same for all', () => {
    const change: Mutation = { type: 'change', objectId: 'o', put: new Map(), remove: ['k'], replace: false };
    expect(encodeMutation({ ...change, returnsObject: true }, defaultLimits)).toEqual(
      encodeMutation(change, defaultLimits),
    );
  });

  it('is refused when it is cut anywhere or goes on too long', () => {
    fc.assert(
      fc.property(mutation, fc.nat(), (original, at) => {
        const whole = encodeMutation(original, defaultLimits);
        expect(() => decodeMutation(whole.subarray(0, at % whole.length))).toThrow('cannot be read');
        expect(() => decodeMutation(Buffer.concat([whole, Buffer.from([0])]))).toThrow('cannot be read');
      }),
    );
  });

  it('is refused when it is of another format, so that the replica stops rather than differ', () => {
    const whole = encodeMutation({ type: 'delete', objectId: 'o' }, defaultLimits);
    whole[0] = 9;
    expect(() => decodeMutation(whole)).toThrow(expect.objectContaining({ code: 'DataLoss' }) as Error);
  });

  it('never reads outside of what it was given, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
        const bytes = Uint8Array.from([1, ...body]);
        try {
          decodeMutation(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'DataLoss' });
        }
      }),
    );
  });
});

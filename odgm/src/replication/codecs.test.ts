import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeMessage, type Message, MessageType } from '../raft/index.ts';
import { createMemoryEngine } from '../storage/memory.ts';
import { decodeContext, encodeContext } from './conf-context.ts';
import { type Addressed, FrameWriter, readFrame } from './frame.ts';
import { decodeRecord, encodeMembers, encodeRecord } from './group-record.ts';
import { statePrefix } from './keys.ts';
import { encodeState, StateDecoder } from './snapshot-codec.ts';
import { Reader } from './wire.ts';

const self = 3;
const number = fc.maxSafeNat();
const bytes = fc.uint8Array({ maxLength: 40 });
const entry = fc.record({ term: number, type: fc.constantFrom<0 | 1 | 2>(0, 1, 2), data: bytes });
const addressed = fc.record({
  group: fc.integer({ min: 0, max: 2 ** 48 - 2 }),
  fromEpoch: fc.integer({ min: 1, max: 3 }),
  toEpoch: fc.integer({ min: 1, max: 3 }),
  quiet: fc.boolean(),
  message: fc
    .record({
      type: fc.constantFrom(...Object.values(MessageType)),
      from: fc.constantFrom(self, 9),
      numbers: fc.tuple(number, number, number, number),
      commitTerm: fc.constantFrom(0, 7),
      rejectHint: fc.option(number, { nil: undefined }),
      context: bytes,
      entries: fc.array(entry, { maxLength: 4 }),
      first: fc.integer({ min: 1, max: 2 ** 50 }),
    })
    .map(({ type, from, numbers, commitTerm, rejectHint, context, entries, first }): Message => {
      const message = makeMessage(type, 7, from, numbers[0]);
      message.logTerm = numbers[1];
      message.index = numbers[2];
      message.commit = numbers[3];
      message.commitTerm = commitTerm;
      message.reject = rejectHint !== undefined;
      message.rejectHint = rejectHint ?? 0;
      message.context = context;
      message.entries = entries.map((one, i) => ({ ...one, index: first + i }));
      return message;
    }),
});

function write(all: readonly Addressed[]): Buffer {
  const writer = new FrameWriter();
  for (const { group, fromEpoch, toEpoch, quiet, message } of all) {
    writer.add(group, fromEpoch, toEpoch, quiet, message, self);
  }
  const { size } = writer;
  const payload = Buffer.concat(writer.take());
  expect(payload.length).toBe(size);
  expect(writer.size).toBe(0);
  return payload;
}

const plain = (part: unknown): unknown => {
  if (part instanceof Uint8Array) return [...part];
  if (Array.isArray(part)) return part.map(plain);
  if (typeof part !== 'object' || part === null) return part;
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, plain(value)]));
};

function read(payload: Uint8Array): Addressed[] {
  const found: Addressed[] = [];
  readFrame(payload, self, 7, (one) => found.push(one));
  return found;
}

describe('a payload of messages', () => {
  it('is read back as it was, whatever the groups and their messages are', () => {
    fc.assert(
      fc.property(fc.array(addressed, { minLength: 1, maxLength: 6 }), (all) => {
        expect(plain(read(write(all)))).toEqual(plain(all));
      }),
    );
  });

  it('carries entries of any size, the large ones without a copy', () => {
    const message = makeMessage(MessageType.MsgApp, 7, self, 1);
    const sizes = [0, 100, 31_000, 40_000, 300_000, 5];
    message.entries = sizes.map((size, i) => ({
      term: 1,
      index: 5 + i,
      type: 0,
      data: new Uint8Array(size).fill(i + 1),
    }));
    const writer = new FrameWriter();
    writer.add(1, 1, 1, false, message, self);
    const parts = writer.take();
    expect(parts).toContain(message.entries[4]?.data);
    const [found] = read(Buffer.concat(parts));
    expect(
      found?.message.entries.map(({ data }) =>
        Buffer.compare(data, message.entries[data[0] === undefined ? 0 : data[0] - 1]?.data ?? data),
      ),
    ).toEqual(sizes.map(() => 0));
  });

  it('is written into the buffer of the one before it', () => {
    const writer = new FrameWriter();
    const payloads = [1, 2, 3].map((index) => {
      const message = makeMessage(MessageType.MsgHeartbeat, 7, self, 1);
      message.index = index;
      writer.add(1, 1, 1, false, message, self);
      const [part = new Uint8Array(0)] = writer.take();
      return { copy: Uint8Array.from(part), buffer: part.buffer };
    });
    expect(new Set(payloads.map(({ buffer }) => buffer)).size).toBe(1);
    expect(payloads.map(({ copy }) => read(copy)[0]?.message.index)).toEqual([1, 2, 3]);
  });

  it('that is cut is refused, and nothing outside of it is read', () => {
    fc.assert(
      fc.property(fc.array(addressed, { minLength: 1, maxLength: 3 }), fc.nat(), (all, at) => {
        const payload = write(all);
        const cut = payload.subarray(0, at % payload.length);
        try {
          expect(read(cut).length).toBeLessThan(all.length);
        } catch (error) {
          expect(error).toMatchObject({ code: 'DataLoss' });
        }
      }),
    );
  });
});

describe('what is stored of a group', () => {
  it('is read back as it was', () => {
    const members = {
      confState: { voters: [1, 2], learners: [9], votersOutgoing: [1, 3], learnersNext: [3], autoLeave: true },
      epochs: new Map([[9, 4]]),
    };
    const record = { state: 'present', epoch: 7, generation: 3, applied: 2 ** 40, appliedTerm: 12 } as const;
    expect(decodeRecord(encodeRecord(record, encodeMembers(members)))).toEqual({ ...record, members });
    expect(() => decodeRecord(Buffer.alloc(40))).toThrow(expect.objectContaining({ code: 'StorageCorrupt' }) as Error);
  });

  it('is told apart from a change of members that the core makes by itself', () => {
    const context = encodeContext(
      [
        { type: 'voter', member: 4, epoch: 2 },
        { type: 'remove', member: 1 },
      ],
      Buffer.from('x'),
    );
    expect(decodeContext(context)).toEqual({ epochs: new Map([[4, 2]]), context: Uint8Array.from(Buffer.from('x')) });
    expect(decodeContext(new Uint8Array(0)).epochs.size).toBe(0);
  });
});

describe('a state on its way', () => {
  // Some are longer than several chunks.
  const value = fc.uint8Array({ maxLength: 700, size: 'max' });
  const state = fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), value), { maxLength: 40 });

  it('arrives as it was, however it is cut into chunks and wherever it is resumed', async () => {
    await fc.assert(
      fc.asyncProperty(state, fc.integer({ min: 64, max: 900 }), fc.nat(), async (records, chunkBytes, stop) => {
        const engine = createMemoryEngine();
        const prefix = statePrefix(5, 1);
        await engine.write(records.map(([key, value]) => ({ type: 'put', key: Buffer.concat([prefix, key]), value })));
        await engine.write([{ type: 'put', key: Buffer.concat([statePrefix(5, 2), Uint8Array.of(1)]), value: prefix }]);
        const found = new Map<string, string>();
        const run = (after: Uint8Array | undefined, limit: number): Uint8Array | undefined => {
          const decoder = new StateDecoder();
          let last = after;
          let chunks = 0;
          for (const chunk of encodeState(engine, prefix, after, chunkBytes)) {
            if (chunks++ === limit) return last;
            expect(chunk.length).toBeLessThanOrEqual(chunkBytes);
            for (const { key, value } of decoder.take(chunk)) {
              last = Uint8Array.from(key);
              found.set(Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex'));
            }
          }
          expect(decoder.isComplete).toBe(true);
          return undefined;
        };
        const last = run(undefined, stop % 12);
        run(last, Infinity);
        const expected = new Map(
          records.map(([key, value]) => [Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex')]),
        );
        expect(found).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('that was changed on its way is refused', () => {
    const decoder = new StateDecoder();
    const engine = createMemoryEngine();
    const [chunk] = encodeState(engine, statePrefix(5, 1), undefined, 100);
    if (chunk === undefined) throw new Error('no chunk');
    chunk[5] = 1 ^ (chunk[5] ?? 0);
    expect(() => decoder.take(chunk)).toThrow('checksum');
  });
});

it('numbers above 2^53 are refused rather than rounded', () => {
  expect(() => new Reader(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127)).number()).toThrow();
});

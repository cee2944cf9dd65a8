import { ChunkPool } from '@oaas/commons/http2';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32 } from 'node:zlib';
import { crc32Of } from './crc.ts';
import { FrameQueue } from './frame-queue.ts';
import { FrameReader } from './frame-reader.ts';
import { frameKinds } from './frames.ts';
import { frameBytes } from '../../testkit/mesh.ts';

interface Frame {
  readonly kind: number;
  readonly channel: number;
  readonly id: number;
  readonly payload: string;
}

const anyFrame = fc.record({
  kind: fc.constantFrom(...Object.values(frameKinds)),
  channel: fc.nat(0xffff),
  id: fc.nat(0xffffffff),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.nat(20_000).map((length) => new Uint8Array(length).fill(length)),
  ),
});

/** Frames as the reader gives them, the bytes coming in pieces of the given sizes, which repeat. */
function read(bytes: Uint8Array, sizes: readonly number[], frameBytesMax = 1_000_000) {
  const frames: Frame[] = [];
  const reader = new FrameReader(frameBytesMax, {
    isClosed: false,
    frame: (kind, channel, id, payload) => {
      frames.push({ kind, channel, id, payload: Buffer.from(payload).toString('latin1') });
    },
  });
  let problem: string | undefined;
  for (let at = 0, i = 0; at < bytes.length && problem === undefined; i += 1) {
    const end = at + (sizes[i % sizes.length] ?? 1);
    problem = reader.read(bytes.subarray(at, end));
    at = end;
  }
  return { frames, problem };
}

describe('the reader of frames', () => {
  it('gives the frames that were written, however the bytes are cut and however payloads are parted', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyFrame, fc.integer({ min: 1, max: 5000 })), { maxLength: 12 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 9000 })), { minLength: 1 }),
        (written, sizes) => {
          const queue = new FrameQueue(new ChunkPool());
          for (const [{ kind, channel, id, payload }, part] of written) {
            const parts = [];
            for (let at = 0; at < payload.length; at += part) parts.push(payload.subarray(at, at + part));
            queue.push(kind, channel, id, part % 2 === 0 ? payload : parts, payload.length);
          }
          const batch = queue.take();
          const bytes = Buffer.concat(batch.pieces);
          expect(bytes.length).toBe(batch.bytes);
          // What is written is what a hand would write.
          expect(
            bytes.equals(Buffer.concat(written.map(([f]) => frameBytes(f.kind, f.channel, f.id, f.payload)))),
          ).toBe(true);
          const { frames, problem } = read(bytes, sizes);
          expect(problem).toBeUndefined();
          expect(frames).toEqual(
            written.map(([frame]) => ({ ...frame, payload: Buffer.from(frame.payload).toString('latin1') })),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it('takes no frame of which a bit was flipped, wherever it is and however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }),
        (payload, where, sizes) => {
          const bytes = frameBytes(frameKinds.message, 1, 2, payload);
          const bit = where % (bytes.length * 8);
          bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          // A length that grew waits for more; what follows shows it.
          const more = Buffer.alloc(2 ** 16 + 300);
          expect(read(Buffer.concat([bytes, more]), sizes, 2 ** 16).problem).toBeDefined();
        },
      ),
      { numRuns: 500 },
    );
  });

  it('gives payloads that are views of what was read where it can, and never writes to them again', () => {
    const bytes = Buffer.concat([1, 2, 3].map((fill) => frameBytes(frameKinds.message, 0, 0, Buffer.alloc(100, fill))));
    const payloads: Uint8Array[] = [];
    const reader = new FrameReader(1000, {
      isClosed: false,
      frame: (_kind, _channel, _id, payload) => void payloads.push(payload),
    });
    reader.read(bytes.subarray(0, 180));
    reader.read(bytes.subarray(180));
    expect(payloads.map(({ buffer }) => buffer === bytes.buffer)).toEqual([true, false, true]);
    expect(payloads.map((payload) => new Set(payload).size)).toEqual([1, 1, 1]);
  });
});

describe('crc32Of', () => {
  it('is the checksum of zlib for any range and seed', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.nat(400),
        fc.nat(400),
        fc.nat(0xffffffff),
        (bytes, a, b, seed) => {
          const [start, end] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)];
          // Of nothing zlib's says 0 whatever the seed; here it is the seed, so that parts may be empty.
          const expected = start === end ? seed : crc32(bytes.subarray(start, end), seed);
          expect(crc32Of(bytes, start, end, seed)).toBe(expected);
        },
      ),
    );
  });
});

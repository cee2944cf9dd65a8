import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ContentHash } from './content-hash.ts';
import type { Value } from './model.ts';
import { decodeSummed, decodeValue, valueSize, writeValue } from './records.ts';

function stored(value: Value): Buffer {
  const record = Buffer.alloc(valueSize(value));
  expect(writeValue(record, value, 0)).toBe(record.length);
  return record;
}

function sumOf(value: Value): unknown {
  const hash = new ContentHash();
  hash.object('o');
  hash.addEntry('k', value);
  return hash.sum;
}

describe('the record of a value', () => {
  const data = Buffer.from('x'.repeat(64));

  it.each([
    { data, type: 'bytes' },
    { data, type: 'crdt-map', expiresAt: 2 ** 48 - 1 },
    { data: data.subarray(1), type: 'bytes' },
    { data: Buffer.alloc(0), type: 'crdt-map', expiresAt: 0 },
  ] as const)('is read as it was written: %o', (value) => {
    expect(decodeValue(stored({ ...value }))).toEqual(value);
  });

  it('has the checksum of a larger one beside it, so that nobody has to read the bytes for it', () => {
    expect(decodeSummed(stored({ data, type: 'bytes' })).checksum).toBe(crc32(data));
    expect(decodeSummed(stored({ data: data.subarray(1), type: 'bytes' })).checksum).toBeUndefined();
  });

  it('with a checksum has a format of its own, which a program without it refuses instead of reading on', () => {
    expect(stored({ data, type: 'crdt-map' })[0]).toBe(0x21);
    expect(stored({ data: data.subarray(1), type: 'crdt-map' })[0]).toBe(0x11);
  });

  it('of an older program has none, and counts the same', () => {
    const older = Buffer.concat([Uint8Array.of(0x10), data]);
    expect(decodeSummed(older)).toEqual({ data, type: 'bytes', expiresAt: undefined });
    expect(sumOf(decodeSummed(older))).toEqual(sumOf(decodeSummed(stored({ data, type: 'bytes' }))));
  });

  it('whose bytes are not those of its checksum is found by a scan, which computes it anew', () => {
    const record = stored({ data, type: 'bytes' });
    record[record.length - 1] = 0;
    expect(sumOf(decodeValue(record))).not.toEqual(sumOf(decodeSummed(record)));
  });

  it('that is cut short, or of an unknown format, cannot be read', () => {
    const record = stored({ data, type: 'bytes', expiresAt: 1 });
    expect(() => decodeValue(record.subarray(0, 10))).toThrow('unknown format');
    expect(() => decodeValue(Uint8Array.of(0x30))).toThrow('unknown format');
  });
});

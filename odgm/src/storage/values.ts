import { crc32 } from 'node:zlib';
import { oaasError } from '@oaas/commons/errors';

/** Bytes that a stored value has more than the value: its checksum. */
export const checksumLength = 4;

/** CRC-32 of anything that is followed by its own CRC-32 in little-endian order. */
const residue = 0x2144df1c;

/**
 * Writes `value` and its checksum to `target`. The checksum covers the key too, so that a value which turns up under
 * another key is noticed.
 */
export function seal(key: Uint8Array, value: Uint8Array, target: Buffer, position: number): void {
  target.set(value, position);
  target.writeUInt32LE(crc32(value, crc32(key)), position + value.length);
}

export function isIntact(key: Uint8Array, stored: Uint8Array): boolean {
  return stored.length >= checksumLength && crc32(stored, crc32(key)) === residue;
}

/** The value within a stored one. No copy. Throws `StorageCorrupt` naming the key. */
export function unseal(key: Uint8Array, stored: Uint8Array): Uint8Array {
  if (!isIntact(key, stored)) {
    const name = Buffer.from(key).toString('hex');
    throw oaasError('StorageCorrupt', `the value of key ${name} is damaged`, {
      remedy: 'Repair this replica from the others, or restore the directory from a backup.',
      details: { key: name },
    });
  }
  return stored.subarray(0, stored.length - checksumLength);
}

import { crc32 } from 'node:zlib';

/** From this many bytes on the native checksum is faster in spite of the call out of JavaScript. */
const nativeFrom = 96;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32 (IEEE 802.3, as zlib's) of `bytes[start, end)`, going on from the checksum `seed` of what came before. */
export function crc32Of(bytes: Uint8Array, start: number, end: number, seed: number): number {
  if (end - start >= nativeFrom) return crc32(bytes.subarray(start, end), seed);
  let crc = ~seed;
  for (let i = start; i < end; i += 1) crc = (table[(crc ^ (bytes[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

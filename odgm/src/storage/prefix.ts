/** The smallest key above every key that begins with `prefix`. `prefix` has a byte below 0xff. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let last = prefix.length - 1; last >= 0; last--) {
    const byte = prefix[last] ?? 0;
    if (byte === 0xff) continue;
    // A copy: `slice` of a Buffer would share its memory.
    const end = Uint8Array.from(prefix.subarray(0, last + 1));
    end[last] = byte + 1;
    return end;
  }
  throw new RangeError('a prefix of only 0xff bytes has no end');
}

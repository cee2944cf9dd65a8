/** FNV-1a, 32 bits. Member ids and collection names are ASCII, so code units are bytes. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

/** Final mix of MurmurHash3 (Appleby): spreads FNV's weak high bits, so that near-equal ids get unrelated values. */
export function mixBits(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A stable 32-bit value for the parts, the same on every node and in every version. */
export function stableHash(...parts: readonly string[]): number {
  return mixBits(fnv1a(parts.join('\u0000')));
}

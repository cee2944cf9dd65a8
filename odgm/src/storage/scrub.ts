import type { BaseReader } from './base.ts';
import type { ScrubQuery, ScrubResult } from './engine.ts';
import { isIntact } from './values.ts';

/** Verifies stored values until it has seen enough bytes. */
export function scrub(base: BaseReader, { start, end, maxBytes = 1024 * 1024 }: ScrubQuery): ScrubResult {
  const bad: Uint8Array[] = [];
  let entries = 0;
  let bytes = 0;
  for (const { key, value } of base.range({ start, end })) {
    if (!isIntact(key, value)) bad.push(key);
    entries += 1;
    bytes += key.length + value.length;
    if (bytes < maxBytes) continue;
    const next = new Uint8Array(key.length + 1);
    next.set(key);
    return { entries, bytes, bad, next };
  }
  return { entries, bytes, bad };
}

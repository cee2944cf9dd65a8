import { describe, expect, it } from 'vitest';
import { formatAge, formatBytes, formatCompact, formatMs, formatPercent, plural } from './format.ts';

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [1023, '1,023 B'],
    [1536, '1.5 KiB'],
    [200 * 1024 ** 2, '200 MiB'],
    [3 * 1024 ** 4, '3 TiB'],
  ])('%d bytes read as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0, '0 ms'],
    [420, '420 ms'],
    [1340, '1.3 s'],
    [125_000, '2 min 5 s'],
    [7_200_000, '2 h'],
    [90_000_000, '1 d 1 h'],
  ])('%d ms read as %s', (ms, text) => expect(formatMs(ms)).toBe(text));

  it.each([
    [1000, 1000, 'now'],
    [0, 12_000, '12 s ago'],
    [0, 200_000, '3 min ago'],
    [20_000, 5_000, 'in 15 s'],
  ])('%d seen at %d is %s', (then, now, text) => expect(formatAge(then, now)).toBe(text));

  it('counts stay exact until they are long', () => {
    expect(formatCompact(99_999)).toBe('99,999');
    expect(formatCompact(1_240_000)).toBe('1.2M');
    expect(plural(1, 'shard')).toBe('1 shard');
    expect(plural(0, 'shard')).toBe('0 shards');
    expect(formatPercent(0.999)).toBe('99.9 %');
  });
});

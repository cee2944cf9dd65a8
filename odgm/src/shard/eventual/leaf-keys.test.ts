import { describe, expect, it } from 'vitest';
import { LeafKeys } from './leaf-keys.ts';

describe('the keys of the leaves that objects have', () => {
  it('are what was set last, and unknown of an object that was forgotten or has many', () => {
    const keys = new LeafKeys();
    keys.set('a', ['x']);
    keys.set('a', ['x', 'y']);
    keys.set('b', []);
    expect([keys.of('a'), keys.of('b'), keys.of('c')]).toEqual([['x', 'y'], [], undefined]);
    keys.forget('b');
    keys.set(
      'a',
      Array.from({ length: 100 }, (_, i) => String(i)),
    );
    expect([keys.of('a'), keys.of('b')]).toEqual([undefined, undefined]);
  });

  it('go with the objects that were not used for the longest time, and never come back older than they were', () => {
    const keys = new LeafKeys();
    keys.set('used', ['1']);
    keys.set('unused', ['1']);
    for (let i = 0; i < 3000; i++) keys.set(`a${String(i)}`, []);
    expect(keys.of('used')).toEqual(['1']);
    keys.set('used', ['2']);
    for (let i = 0; i < 3000; i++) keys.set(`b${String(i)}`, []);
    expect(keys.of('used')).toEqual(['2']);
    expect(keys.of('unused')).toBeUndefined();
    keys.forget('used');
    expect(keys.of('used')).toBeUndefined();
  });
});

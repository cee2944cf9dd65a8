import { describe, expect, it } from 'vitest';
import { byNaturalOrder } from './index.ts';

describe('byNaturalOrder', () => {
  it('orders numbers within names by value', () => {
    expect(['n10', 'n9', 'n1', 'm2'].sort(byNaturalOrder)).toEqual(['m2', 'n1', 'n9', 'n10']);
  });
});

import { expect, it } from 'vitest';
import { quantityOf } from './quantity.ts';

it.each([
  ['100m', 0.1],
  ['0.5', 0.5],
  ['2', 2],
  ['1Gi', 2 ** 30],
  ['1.5G', 1.5e9],
  ['2e3', 2000],
  [3, 3],
  ['1E', 1e18],
])('the quantity %s stands for %d', (quantity, value) => {
  expect(quantityOf(quantity)).toBe(value);
});

it.each(['', 'much', '1 Gi', '1Zi'])('"%s" is no quantity', (text) => {
  expect(quantityOf(text)).toBeUndefined();
});

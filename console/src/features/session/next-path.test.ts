import { expect, it } from 'vitest';
import { safeNextPath } from './next-path.ts';

it.each([
  ['/sources?q=a', '/sources?q=a'],
  [null, '/'],
  ['https://evil.example/', '/'],
  ['//evil.example/', '/'],
  ['/\\evil.example', '/'],
  ['/.//evil.example', '/'],
  ['javascript:alert(1)', '/'],
])('after the sign-in %s leads to %s', (next, path) => {
  expect(safeNextPath(next)).toBe(path);
});

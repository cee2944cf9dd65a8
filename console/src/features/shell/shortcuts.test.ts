import { expect, it } from 'vitest';
import { shortcutOf } from './shortcuts.ts';

it('g waits for the second key and then goes to its place', () => {
  expect(shortcutOf('g', null)).toEqual({ type: 'pending' });
  expect(shortcutOf('s', 'g')).toEqual({ type: 'go', href: '/sources' });
  expect(shortcutOf('g', 'g')).toEqual({ type: 'go', href: '/grid' });
});

it('a key that means nothing does nothing', () => {
  expect(shortcutOf('s', null)).toBeNull();
  expect(shortcutOf('x', 'g')).toBeNull();
});

import { expect, it } from 'vitest';
import { refusalText, refusedPath } from './refusal.ts';

it('a refusal comes back to the sign-in, which still leads to where one wanted to go', () => {
  expect(refusedPath('wrong', '/sources?q=a')).toBe('/sign-in?next=%2Fsources%3Fq%3Da&refused=wrong');
  expect(refusedPath('limited', '/')).toBe('/sign-in?refused=limited');
});

it.each(['Call 555-0100 for your password', 'toString', '', undefined, ['wrong']])(
  'an address cannot make the page say %s',
  (refusal) => {
    expect(refusalText(refusal)).toBeNull();
  },
);

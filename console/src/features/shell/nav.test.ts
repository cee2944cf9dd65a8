import { describe, expect, it } from 'vitest';
import { allPlaces, crumbsOf, isHere } from './nav.ts';

describe('the navigation', () => {
  it('marks a place on its own page and on the pages below it, the overview only on its own', () => {
    expect(isHere('/sources', '/sources/gitops')).toBe(true);
    expect(isHere('/sources', '/sources-of-truth')).toBe(false);
    expect(isHere('/', '/sources')).toBe(false);
  });

  it('has one shortcut per place', () => {
    expect(new Set(allPlaces.map((place) => place.shortcut)).size).toBe(allPlaces.length);
  });

  it('leads back step by step, with names decoded', () => {
    expect(crumbsOf('/deployments/hello%3Acloud')).toEqual([
      { href: '/deployments', label: 'Deployments' },
      { href: '/deployments/hello%3Acloud', label: 'hello:cloud' },
    ]);
    expect(crumbsOf('/grid/cloud/hello')).toHaveLength(2);
    expect(crumbsOf('/elsewhere')).toEqual([]);
    expect(crumbsOf('/sources/%zz').at(-1)?.label).toBe('%zz');
  });
});

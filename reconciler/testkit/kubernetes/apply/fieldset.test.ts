import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeFields,
  encodeFields,
  equalSets,
  intersectSets,
  isEmptySet,
  printPaths,
  setOf,
  subtractSets,
  unionSets,
} from './fieldset.ts';

const path = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 });
const set = fc.array(path, { maxLength: 6 }).map((paths) => setOf(...paths));

test('encoding and decoding gives the same set', () => {
  fc.assert(fc.property(set, (a) => equalSets(decodeFields(encodeFields(a)), a)));
});

test('what is taken away and what is common make the whole again', () => {
  fc.assert(
    fc.property(set, set, (a, b) => {
      expect(equalSets(unionSets(subtractSets(a, b), intersectSets(a, b)), a)).toBe(true);
      expect(isEmptySet(intersectSets(subtractSets(a, b), b))).toBe(true);
    }),
  );
});

test('fieldsV1 says by a dot that a path with children is itself in the set', () => {
  expect(encodeFields(setOf(['m'], ['m', 'x']))).toEqual({ 'f:m': { '.': {}, 'f:x': {} } });
  expect(encodeFields(setOf(['m', 'x']))).toEqual({ 'f:m': { 'f:x': {} } });
});

test('paths are printed with their keys, values and indices', () => {
  const fields = { 'f:l': { 'k:{"name":"x","n":1}': { 'f:v': {} }, 'v:"s"': {}, 'i:3': {} } };
  expect(printPaths(decodeFields(fields))).toEqual(['.l[3]', '.l[name="x",n=1].v', '.l[="s"]']);
});

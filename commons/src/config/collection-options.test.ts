import { describe, expect, it } from 'vitest';
import { collectionOptionProblems, collectionOptions, collectionOptionValues } from './collection-options.ts';

describe('options of a collection', () => {
  it('that are known and within their bounds have nothing wrong, and what is left out has its default', () => {
    const given = { maxValueBytes: '1', maxObjectBytes: String(collectionOptions.maxObjectBytes.max) };
    expect(collectionOptionProblems(given)).toEqual([]);
    expect(collectionOptionValues(given)).toEqual({
      maxValueBytes: 1,
      maxEntriesPerObject: 10_000,
      maxObjectBytes: 15 * 1024 * 1024,
    });
  });

  it('that are misspelt are named, with the nearest name that there is', () => {
    expect(collectionOptionProblems({ maxValueByte: '5' })).toEqual([
      {
        ...{ option: 'maxValueByte', value: '5', kind: 'unknown' },
        message: 'there is no option "maxValueByte" (given as "5"); did you mean "maxValueBytes"?',
        remedy: 'Use one of maxValueBytes, maxEntriesPerObject, maxObjectBytes, or leave it out.',
      },
    ]);
    expect(collectionOptionProblems({ node_cont: '2', node_count: '2' }, ['node_count'])).toMatchObject([
      { option: 'node_cont', message: expect.stringContaining('did you mean "node_count"?') as string },
    ]);
    expect(collectionOptionProblems({ toString: '1' })).toMatchObject([{ option: 'toString', kind: 'unknown' }]);
  });

  it.each(['lots', '', '0', '-1', '1.5', 'NaN', String(15 * 1024 * 1024 + 1)])(
    'cannot have the value "%s", and what they could have is said',
    (value) => {
      expect(collectionOptionProblems({ maxValueBytes: value })).toMatchObject([
        {
          ...{ option: 'maxValueBytes', value, kind: 'value', message: `option maxValueBytes cannot be "${value}"` },
          remedy: 'Give maxValueBytes a whole number of bytes, from 1 to 15728640.',
        },
      ]);
    },
  );

  it('that are stored although they are wrong count as the default, or as the largest where they are beyond it', () => {
    const values = { maxValueBytes: 'lots', maxEntriesPerObject: '99999999', maxObjectBytes: '-3', other: 'x' };
    expect(collectionOptionValues(values)).toEqual({
      maxValueBytes: 4 * 1024 * 1024,
      maxEntriesPerObject: 1_000_000,
      maxObjectBytes: 12 * 1024 * 1024,
    });
    expect(collectionOptionValues(JSON.parse('{"__proto__": "1"}') as Record<string, string>)).toEqual(
      collectionOptionValues(),
    );
  });
});

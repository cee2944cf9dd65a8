import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ListDefinition, listQuerySchema, page } from './lists.ts';

interface Row {
  readonly id: string;
  readonly group: string;
  readonly size: number | null;
}
const definition: ListDefinition<Row> = {
  id: (row) => row.id,
  text: (row) => `${row.id} ${row.group}`,
  sort: 'id',
  fields: { id: (row) => row.id, group: (row) => row.group, size: (row) => row.size },
};
const query = (given: Record<string, unknown> = {}) => listQuerySchema.parse(given);

function walk(rows: readonly Row[], given: Record<string, unknown>): readonly Row[] {
  const all: Row[] = [];
  let cursor: string | undefined;
  do {
    const result = page(rows, query({ ...given, ...(cursor === undefined ? {} : { cursor }) }), definition);
    all.push(...result.items);
    cursor = result.nextCursor;
  } while (cursor !== undefined);
  return all;
}

const row = fc.record({
  id: fc.string({ minLength: 1, maxLength: 3 }),
  group: fc.constantFrom('a', 'b'),
  size: fc.option(fc.integer({ min: 0, max: 3 })),
});
const rowsOf = fc.uniqueArray(row, { selector: (each) => each.id, maxLength: 40 });

describe('a list', () => {
  it('gives every row exactly once over its pages, in order, whatever the order and the size of a page', () => {
    fc.assert(
      fc.property(
        rowsOf,
        fc.constantFrom('id', '-id', 'group', '-size', 'size'),
        fc.integer({ min: 1, max: 7 }),
        (rows, sort, limit) => {
          const walked = walk(rows, { sort, limit });
          expect(walked.map((each) => each.id).sort()).toEqual(rows.map((each) => each.id).sort());
          expect(walked).toEqual(walk(rows, { sort, limit: 1000 }));
        },
      ),
    );
  });

  it('neither repeats nor skips rows that stay, when others come and go between two pages', () => {
    const rows = ['a', 'c', 'e', 'g'].map((id) => ({ id, group: 'x', size: 1 }));
    const first = page(rows, query({ limit: 2 }), definition);
    const changed = [{ id: 'b', group: 'x', size: 1 }, ...rows.filter((each) => each.id !== 'c')];
    const second = page(changed, query({ limit: 2, cursor: first.nextCursor }), definition);
    expect(second.items.map((each) => each.id)).toEqual(['e', 'g']);
  });

  it('filters by fields and by free text, and counts what it found', () => {
    const rows = [
      { id: 'Alpha', group: 'x', size: 1 },
      { id: 'beta', group: 'y', size: null },
    ];
    expect(page(rows, query({ q: 'ALP' }), definition)).toMatchObject({ total: 1, items: [{ id: 'Alpha' }] });
    expect(page(rows, query({ group: 'y' }), definition).items.map((each) => each.id)).toEqual(['beta']);
    expect(page(rows, query({ filter: 'bet' }), definition).total).toBe(1);
  });

  it.each([
    [{ sort: 'nope' }],
    [{ color: 'red' }],
    [{ cursor: 'x' }],
    [{ cursor: Buffer.from('["-id","a","a"]').toString('base64url') }],
  ])('refuses %j', (given) => {
    expect(() => page([], query(given), definition)).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }) as Error,
    );
  });
});

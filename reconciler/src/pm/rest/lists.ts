import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { oaasError } from '@oaas/commons/errors';

/** What every list takes; all other parameters are filters on fields. */
export const listQuerySchema = z.looseObject({
  limit: z.coerce.number().int().min(1).max(1000).default(50),
  cursor: z.string().max(2000).optional(),
  sort: z.string().max(100).optional().describe('Field name, "-" in front for descending'),
  q: z.string().max(200).optional().describe('Free text over names'),
});
export type ListQueryInput = z.output<typeof listQuerySchema>;

type Scalar = string | number | boolean | null;

export interface ListDefinition<T> {
  /** Fields by which rows can be sorted and filtered. */
  readonly fields: Readonly<Record<string, (row: T) => Scalar>>;
  /** Unique in the list. */
  readonly id: (row: T) => string;
  /** What free text is looked for in. */
  readonly text: (row: T) => string;
  /** Default order; absent: as given, which then must not change between two pages. */
  readonly sort?: string;
}

export interface ListPage<T> {
  readonly items: readonly T[];
  readonly total: number;
  readonly nextCursor: string | undefined;
}

interface Keyed<T> {
  readonly row: T;
  readonly value: Scalar;
  readonly id: string;
}

const reserved: ReadonlySet<string> = new Set(['limit', 'cursor', 'sort', 'q', 'filter']);

/**
 * One page of a list. The cursor holds where the page ended (value and id), so that rows that come or go in between neither repeat
 * nor hide others. Throws `InvalidArgument` for fields that the list does not have and for cursors of another order.
 */
export function page<T>(rows: readonly T[], query: ListQueryInput, definition: ListDefinition<T>): ListPage<T> {
  const found = filter(rows, query, definition);
  const sort = query.sort ?? definition.sort ?? '';
  const descending = sort.startsWith('-');
  const field = descending ? sort.slice(1) : sort;
  const valueOf = field === '' ? undefined : definition.fields[field];
  if (field !== '' && valueOf === undefined) throw unknownField('sorted', field, definition);
  const keyed = found.map((row, index): Keyed<T> => ({
    row,
    value: valueOf === undefined ? index : valueOf(row),
    id: valueOf === undefined ? '' : definition.id(row),
  }));
  const order = (a: Pick<Keyed<T>, 'value' | 'id'>, b: Pick<Keyed<T>, 'value' | 'id'>) =>
    compare(a.value, b.value) * (descending ? -1 : 1) || compare(a.id, b.id);
  if (valueOf !== undefined) keyed.sort(order);
  const after = query.cursor === undefined ? undefined : decode(query.cursor, sort);
  const start = after === undefined ? 0 : firstAfter(keyed, after, order);
  const items = keyed.slice(start, start + query.limit);
  const last = items.at(-1);
  const isMore = start + items.length < keyed.length;
  return {
    items: items.map((each) => each.row),
    total: keyed.length,
    nextCursor: isMore && last !== undefined ? encode(sort, last) : undefined,
  };
}

/** Sends a page as contracts say: an array, with the paging in the headers. */
export function sendPage<T>(request: FastifyRequest, reply: FastifyReply, result: ListPage<T>): T[] {
  reply.header('x-total-count', String(result.total));
  if (result.nextCursor !== undefined) {
    reply.header('x-next-cursor', result.nextCursor);
    const url = new URL(request.url, 'http://pm');
    url.searchParams.set('cursor', result.nextCursor);
    reply.header('link', `<${url.pathname}${url.search}>; rel="next"`);
  }
  return [...result.items];
}

function filter<T>(rows: readonly T[], query: ListQueryInput, definition: ListDefinition<T>): readonly T[] {
  const wanted = Object.entries(query)
    .filter(([name, value]) => !reserved.has(name) && value !== undefined && value !== '')
    .map(([name, value]) => {
      const field = definition.fields[name];
      if (field === undefined) throw unknownField('filtered', name, definition);
      return { field, value: String(value) };
    });
  // Older clients say `filter` where they mean free text.
  const words = [query.q, query['filter']].filter((each): each is string => typeof each === 'string' && each !== '');
  const texts = words.map((each) => each.toLowerCase());
  if (wanted.length === 0 && texts.length === 0) return rows;
  return rows.filter(
    (row) =>
      wanted.every(({ field, value }) => String(field(row) ?? '') === value) &&
      (texts.length === 0 || texts.every((text) => definition.text(row).toLowerCase().includes(text))),
  );
}

function firstAfter<T>(
  rows: readonly Keyed<T>[],
  after: Pick<Keyed<T>, 'value' | 'id'>,
  order: (a: Pick<Keyed<T>, 'value' | 'id'>, b: Pick<Keyed<T>, 'value' | 'id'>) => number,
): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = rows[middle];
    if (row !== undefined && order(row, after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Nothing before everything, then numbers, then text by code units. */
function compare(a: Scalar, b: Scalar): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  if (typeof a === typeof b) return a < b ? -1 : 1;
  return typeof a < typeof b ? -1 : 1;
}

function encode(sort: string, { value, id }: { readonly value: Scalar; readonly id: string }): string {
  return Buffer.from(JSON.stringify([sort, value, id]), 'utf8').toString('base64url');
}

function decode(cursor: string, sort: string): { readonly value: Scalar; readonly id: string } {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(parsed) && parsed[0] === sort && typeof parsed[2] === 'string')
      return { value: parsed[1] as Scalar, id: parsed[2] };
  } catch {
    // Told below.
  }
  throw oaasError('InvalidArgument', 'the cursor belongs to another list or order', {
    remedy: 'Begin without a cursor.',
  });
}

function unknownField<T>(what: string, name: string, definition: ListDefinition<T>): Error {
  return oaasError('InvalidArgument', `the list cannot be ${what} by "${name}"`, {
    remedy: `Use one of ${Object.keys(definition.fields).join(', ')}.`,
    details: { field: name },
  });
}

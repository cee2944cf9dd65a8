import { describe, expect, it } from 'vitest';
import { formatListState, parseListState, withFilter, withQuery, withSort } from './list-state.ts';

const spec = { filters: ['environment', 'sync'], sort: 'name' };

describe('the state of a list in the address', () => {
  it('survives the way there and back', () => {
    const search = new URLSearchParams('q=hello&sort=-updated_at&environment=edge&cursor=abc&page=3');
    const state = parseListState(search, spec);
    expect(state).toEqual({ q: 'hello', sort: '-updated_at', filter: { environment: 'edge' }, cursor: 'abc', page: 3 });
    expect(formatListState(state, spec, new URLSearchParams())).toBe(`?${search.toString()}`);
  });

  it('leaves defaults out and foreign parameters in', () => {
    const state = parseListState(new URLSearchParams(), spec);
    expect(formatListState(state, spec, new URLSearchParams('tab=history&sync=Failed'))).toBe('?tab=history');
  });

  it('a nonsense page number is the first page', () => {
    expect(parseListState(new URLSearchParams('page=-3'), spec).page).toBe(1);
    expect(parseListState(new URLSearchParams('page=x'), spec).page).toBe(1);
  });

  it('another filter, search or order begins at the first page, because the cursor belongs to the old question', () => {
    const state = parseListState(new URLSearchParams('cursor=abc&page=3'), spec);
    for (const next of [withFilter(state, 'sync', 'Failed'), withQuery(state, 'x'), withSort(state, 'name')]) {
      expect(next).toMatchObject({ cursor: null, page: 1 });
    }
  });

  it('a second click on a column turns the order round', () => {
    const state = parseListState(new URLSearchParams(), spec);
    const once = withSort(state, 'updated_at');
    expect(once.sort).toBe('updated_at');
    expect(withSort(once, 'updated_at').sort).toBe('-updated_at');
    expect(withSort(withSort(once, 'updated_at'), 'updated_at').sort).toBe('updated_at');
  });

  it('an emptied filter is gone', () => {
    const state = parseListState(new URLSearchParams('sync=Failed'), spec);
    expect(withFilter(state, 'sync', '').filter).toEqual({});
  });
});

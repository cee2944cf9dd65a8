/** What a list shows, as the address keeps it: `?q=…&sort=-name&environment=edge&cursor=…&page=2`. */
export interface ListState {
  readonly q: string;
  /** Field name, `-` in front for descending; empty is the server's own order. */
  readonly sort: string;
  readonly filter: Readonly<Record<string, string>>;
  readonly cursor: string | null;
  /** 1-based; only for the reader, the cursor decides. */
  readonly page: number;
}

export interface ListSpec {
  /** Names of the exact filters. */
  readonly filters: readonly string[];
  readonly sort: string;
}

export function parseListState(search: URLSearchParams, spec: ListSpec): ListState {
  const filter: Record<string, string> = {};
  for (const name of spec.filters) {
    const value = search.get(name);
    if (value !== null && value !== '') filter[name] = value;
  }
  const page = Number(search.get('page'));
  return {
    q: search.get('q') ?? '',
    sort: search.get('sort') ?? spec.sort,
    filter,
    cursor: search.get('cursor'),
    page: Number.isInteger(page) && page > 1 ? page : 1,
  };
}

/** The address's query for a state; what is as by default is left out, what is foreign stays. */
export function formatListState(state: ListState, spec: ListSpec, search: URLSearchParams): string {
  const next = new URLSearchParams(search);
  const set = (name: string, value: string | null) => {
    if (value === null || value === '') next.delete(name);
    else next.set(name, value);
  };
  set('q', state.q);
  set('sort', state.sort === spec.sort ? null : state.sort);
  for (const name of spec.filters) set(name, state.filter[name] ?? null);
  set('cursor', state.cursor);
  set('page', state.page > 1 ? String(state.page) : null);
  const text = next.toString();
  return text === '' ? '' : `?${text}`;
}

/** Any other question than "the next page" begins at the first page. */
export function withFilter(state: ListState, name: string, value: string): ListState {
  const others = Object.entries(state.filter).filter(([other]) => other !== name);
  const filter = Object.fromEntries(value === '' ? others : [...others, [name, value]]);
  return { ...state, filter, cursor: null, page: 1 };
}

export function withQuery(state: ListState, q: string): ListState {
  return { ...state, q, cursor: null, page: 1 };
}

/** A click on a column: ascending, then descending, then ascending. */
export function withSort(state: ListState, field: string): ListState {
  return { ...state, sort: state.sort === field ? `-${field}` : field, cursor: null, page: 1 };
}

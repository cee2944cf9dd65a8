/** An object of a grid's admin API. */
export type Json = Readonly<Record<string, unknown>>;

export type Texts = Readonly<Record<string, string>>;

/** With its question mark, where there is anything to ask. */
export function queryOf(parameters: Texts): string {
  const query = new URLSearchParams(parameters).toString();
  return query === '' ? '' : `?${query}`;
}

/** Those that say something: what is empty in a message is left out of a query. */
export function withoutEmpty(texts: Texts): Texts {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''));
}

/** The same value with the keys of all objects as messages have them. */
export function camelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCase);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase()),
      camelCase(inner),
    ]),
  );
}

/** What a controller needs to know of any object: where it is and which one it is. */
export interface Watched {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | undefined;
    readonly uid?: string | undefined;
    readonly resourceVersion?: string | undefined;
  };
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  readonly continueToken?: string | undefined;
}

export type Change<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

/** One collection of objects at a server: read whole, then followed. */
export interface ListWatch<T extends Watched> {
  list(options: { readonly continueToken?: string | undefined; readonly signal: AbortSignal }): Promise<Page<T>>;
  /** Ends when the server ends the watch. */
  watch(options: { readonly resourceVersion: string; readonly signal: AbortSignal }): AsyncIterable<Change<T>>;
  /** The version that was listed or watched from is too old: list again. */
  isExpired(error: unknown): boolean;
}

/** `namespace/name`, or `name` for objects without a namespace. */
export function keyOf(object: Watched): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

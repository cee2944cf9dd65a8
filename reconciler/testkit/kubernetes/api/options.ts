/** How a write is made. */
export interface WriteOptions {
  /** Everything is checked and answered, nothing is stored. */
  readonly dryRun?: boolean;
  /** Who owns the fields that change. Default: `unknown`. */
  readonly fieldManager?: string;
  /** What happens to fields that the schema does not know. Default: Warn. */
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
  readonly subresource?: 'status' | 'scale';
}

/** meta/v1 DeleteOptions, as far as they count here. */
export interface DeleteOptions {
  readonly dryRun?: boolean;
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** What a list selects. */
export interface ListOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Objects per page; 0 or absent: all. */
  readonly limit?: number;
  readonly continue?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: string;
}

export interface WatchOptions {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: string;
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
}

/** The ways of patching, by their media type. */
export const PATCH_TYPES = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;
export type PatchType = keyof typeof PATCH_TYPES;

export interface PatchRequest {
  readonly type: PatchType;
  /** The parsed body. */
  readonly patch: unknown;
  /** For `apply`: takes fields over from other managers. */
  readonly force?: boolean;
}

/** An answered object, or a Status. */
export interface Answer {
  readonly code: number;
  /** The encoded object. */
  readonly bytes: Buffer;
  /** For the Warning header. */
  readonly warnings: readonly string[];
}

export interface ListAnswer {
  readonly resourceVersion: string;
  readonly continue: string | undefined;
  readonly remaining: number | undefined;
  readonly items: readonly Buffer[];
}

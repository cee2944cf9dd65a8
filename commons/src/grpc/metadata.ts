/** Metadata of a call. Keys are lower-case; those that end in `-bin` hold bytes, all others ASCII text. */
export interface ReadonlyMetadata {
  /** The text under `key`; several values are joined by `, `. */
  get(key: string): string | undefined;
  /** The bytes under `key`, which ends in `-bin`. */
  getBinary(key: string): Uint8Array | undefined;
  keys(): readonly string[];
}

/** Metadata to send: text, or bytes under keys that end in `-bin`. */
export type MetadataInput = Readonly<Record<string, string | Uint8Array>>;

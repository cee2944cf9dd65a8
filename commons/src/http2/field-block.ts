/**
 * The fields of one header block or trailer section: name, value, name, value, in order. Names are lower case; a value
 * holds one octet per character (U+0000 to U+00FF). Never changed once made: a connection that gets the same bytes again
 * hands out the same object again, so what its reader found out can be kept in `memo`.
 */
export class FieldBlock {
  readonly fields: readonly string[];
  /** Names whose value must never enter a compression table (RFC 7541 §7.1.3): credentials. */
  readonly sensitive: ReadonlySet<string> | undefined;
  /** Whether the same object is sent again and again, so that its encoded form is worth keeping. */
  readonly reused: boolean;
  /** For the block's reader: anything derived from the fields alone. */
  memo: unknown = undefined;
  /** See message.ts: which readings of this block were checked, and how that ended. */
  checked = 0;
  /** Value of `content-length` once checked; -1 where there is none. */
  contentLength = -1;

  constructor(fields: readonly string[], options: { sensitive?: ReadonlySet<string>; reused?: boolean } = {}) {
    this.fields = fields;
    this.sensitive = options.sensitive;
    this.reused = options.reused === true;
  }

  /** The first value under this name. */
  get(name: string): string | undefined {
    const { fields } = this;
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
    return undefined;
  }
}

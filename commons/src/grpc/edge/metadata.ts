import { oaasError } from '../../errors/index.ts';
import type { FieldBlock } from '../../http2/index.ts';
import type { MetadataInput, ReadonlyMetadata } from '../metadata.ts';
import { decodeBinary, encodeBinary } from './wire.ts';

/** Fields of the protocol itself, which are not metadata of the application. */
const reserved = new Set(['te', 'content-type', 'content-length', 'user-agent', 'host', 'grpc-timeout']);
for (const name of ['grpc-encoding', 'grpc-accept-encoding', 'grpc-status', 'grpc-message']) reserved.add(name);

/** Names that a caller may not set: the protocol's and those of HTTP. */
function isReserved(name: string): boolean {
  return name.startsWith(':') || name.startsWith('grpc-') || reserved.has(name);
}

/** The metadata in a header block or in trailers. Reads the block when asked, copies nothing. */
export class EdgeMetadata implements ReadonlyMetadata {
  readonly #fields: readonly string[];

  constructor(block: Pick<FieldBlock, 'fields'> | undefined) {
    this.#fields = block === undefined ? [] : block.fields;
  }

  get(key: string): string | undefined {
    const fields = this.#fields;
    let text: string | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== key) continue;
      text = text === undefined ? fields[i + 1] : `${text}, ${fields[i + 1] as string}`;
    }
    return text;
  }

  getBinary(key: string): Uint8Array | undefined {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i += 2) {
      // Several values may come joined by commas.
      if (fields[i] === key) return decodeBinary((fields[i + 1] as string).split(',', 1)[0] as string);
    }
    return undefined;
  }

  keys(): readonly string[] {
    const keys = new Set<string>();
    for (let i = 0; i < this.#fields.length; i += 2) {
      const name = this.#fields[i] as string;
      if (!name.startsWith(':') && !reserved.has(name)) keys.add(name);
    }
    return [...keys];
  }
}

/**
 * Adds one entry to fields that are to be sent. Throws `InvalidArgument` for a key or a text that the protocol cannot
 * carry: keys are `[a-z0-9_.-]`, text is printable ASCII without blanks at its ends, bytes go under `-bin` keys only.
 */
export function pushMetadata(fields: string[], key: string, value: string | Uint8Array): void {
  const name = key.toLowerCase();
  if (!/^[a-z0-9_.-]+$/.test(name) || (isReserved(name) && name !== 'grpc-status-details-bin')) {
    throw oaasError('InvalidArgument', `"${name}" cannot be a metadata key`);
  }
  const isBinary = name.endsWith('-bin');
  if (isBinary) {
    fields.push(name, encodeBinary(typeof value === 'string' ? Buffer.from(value) : value));
    return;
  }
  if (typeof value !== 'string' || !/^[ -~]*$/.test(value)) {
    throw oaasError('InvalidArgument', `the metadata value of "${name}" is not printable ASCII`, {
      remedy: 'Send bytes and other text under a key that ends in -bin.',
    });
  }
  fields.push(name, value.trim());
}

export function pushAllMetadata(fields: string[], input: MetadataInput): void {
  for (const [key, value] of Object.entries(input)) pushMetadata(fields, key, value);
}

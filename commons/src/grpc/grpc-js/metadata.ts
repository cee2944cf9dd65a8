import { Metadata } from '@grpc/grpc-js';
import type { MetadataInput, ReadonlyMetadata } from '../metadata.ts';

export function readMetadata(metadata: Metadata): ReadonlyMetadata {
  return {
    get: (key) => {
      const values = metadata.get(key).filter((value) => typeof value === 'string');
      return values.length === 0 ? undefined : values.join(', ');
    },
    getBinary: (key) => metadata.get(key).find((value) => typeof value !== 'string'),
    keys: () => Object.keys(metadata.getMap()),
  };
}

export function toMetadata(input: MetadataInput): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(input)) setMetadata(metadata, key, value);
  return metadata;
}

export function setMetadata(metadata: Metadata, key: string, value: string | Uint8Array): void {
  metadata.set(key, typeof value === 'string' ? value : toBuffer(value));
}

/** The same bytes as a Buffer, which grpc-js insists on; nothing is copied. */
export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

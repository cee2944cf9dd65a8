/** Latin-1 keeps one character per byte, so that strings compare as the bytes do. */
export function textOf(key: Uint8Array): string {
  return bufferOf(key).toString('latin1');
}

export function keyOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The same bytes as a Buffer. No copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function copyOf(bytes: Uint8Array): Buffer {
  // Buffer.from does the same, several times slower.
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}

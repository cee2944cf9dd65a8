import { frameFlags, frameHeaderBytes, frameTypes, readUint32 } from '../frames.ts';
import { HpackEncoder } from '../hpack-encoder.ts';
import { FieldBlock } from '../field-block.ts';

/** For tests: a frame by hand, whatever is wrong with it. */
export function rawFrame(type: number, flags: number, id: number, payload: readonly number[] | Uint8Array): Uint8Array {
  const { length } = payload;
  const head = [length >>> 16, length >>> 8, length, type, flags, id >>> 24, id >>> 16, id >>> 8, id];
  return Uint8Array.from([...head.map((byte) => byte & 0xff), ...payload]);
}

export function join(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function uint32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** Encodes with literals only, so that one block means the same after any other. */
export function literalBlock(...fields: string[]): Uint8Array {
  return new HpackEncoder({ indexing: () => 'literal' }).encode(new FieldBlock(fields)).slice();
}

export const getBlock = literalBlock(':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'test');

/** HEADERS of a request on stream `id`. */
export function request(id: number, flags = frameFlags.END_HEADERS | frameFlags.END_STREAM): Uint8Array {
  return rawFrame(frameTypes.HEADERS, flags, id, getBlock);
}

/** The frames in `bytes`, one line each, such as `RST_STREAM 1 code=2`. */
export function frameLines(bytes: Uint8Array): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = readUint32(Uint8Array.of(0, ...bytes.subarray(at, at + 3)), 0);
    const type = bytes[at + 3];
    const name = Object.entries(frameTypes).find(([, value]) => value === type)?.[0] ?? `type ${type ?? '?'}`;
    const flags = bytes[at + 4] ?? 0;
    const id = readUint32(bytes, at + 5);
    const start = at + frameHeaderBytes;
    let line = `${name} ${id}`;
    if (name === 'RST_STREAM') line += ` code=${readUint32(bytes, start)}`;
    if (name === 'GOAWAY') line += ` last=${readUint32(bytes, start)} code=${readUint32(bytes, start + 4)}`;
    if (name === 'WINDOW_UPDATE') line += ` +${readUint32(bytes, start)}`;
    if (name === 'DATA') line += ` ${length} bytes`;
    if ((name === 'SETTINGS' || name === 'PING') && (flags & frameFlags.ACK) !== 0) line += ' ack';
    if ((name === 'DATA' || name === 'HEADERS') && (flags & frameFlags.END_STREAM) !== 0) line += ' end';
    lines.push(line);
    at = start + length;
  }
  return lines;
}

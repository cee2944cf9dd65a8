import { oaasError } from '@oaas/commons/errors';
import {
  decodeHeader,
  decodeRegister,
  encodeHeader,
  type ObjectHeader,
  putRegister,
  type Register,
  registerBytes,
} from '../../merge/index.ts';
import type { Key } from '../../merkle/index.ts';
import { putText } from '../records.ts';
import { ofTreeKey } from './records.ts';

/**
 * What one replica tells another of an object: its header, and some of its entries, tombstones too. The header always
 * goes along, so that nobody holds an entry and not the header that its batch wrote.
 */
export interface ObjectPatch {
  readonly id: string;
  readonly header: ObjectHeader;
  readonly entries: ReadonlyMap<string, Register>;
}

/** One after the other. Per patch: id (u16 length), header (u32), number of entries (u32), per entry: key (u16), register (u32). Big-endian. */
export function encodePatches(patches: readonly ObjectPatch[]): Buffer {
  let size = 0;
  const heads: Uint8Array[] = [];
  for (const { id, header, entries } of patches) {
    const head = encodeHeader(header);
    heads.push(head);
    size += 10 + id.length + head.length;
    for (const [key, register] of entries) size += 6 + key.length + registerBytes(register);
  }
  const out = Buffer.allocUnsafe(size);
  let at = 0;
  for (const [i, { id, entries }] of patches.entries()) {
    const head = heads[i] ?? new Uint8Array(0);
    at = putName(out, id, at);
    at = out.writeUInt32BE(head.length, at);
    out.set(head, at);
    at = out.writeUInt32BE(entries.size, at + head.length);
    for (const [key, register] of entries) {
      at = putName(out, key, at);
      at = putRegister(out, register, out.writeUInt32BE(registerBytes(register), at));
    }
  }
  return out;
}

function putName(out: Buffer, name: string, at: number): number {
  putText(out, name, out.writeUInt16BE(name.length, at));
  return at + 2 + name.length;
}

/** Patches that lie one after the other. Throws `DataLoss` for bytes that are none. Values are views of `bytes`. */
export function decodePatches(bytes: Uint8Array): ObjectPatch[] {
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const patches: ObjectPatch[] = [];
  let at = 0;
  const take = (width: 2 | 4): Buffer => {
    const length = at + width <= from.length ? from.readUIntBE(at, width) : Infinity;
    at += width + length;
    if (at > from.length) throw oaasError('DataLoss', 'a peer sent bytes that are no state of objects');
    return from.subarray(at - length, at);
  };
  while (at < from.length) {
    const id = take(2).toString('latin1');
    const header = decodeHeader(take(4));
    const entries = new Map<string, Register>();
    if (at + 4 > from.length) throw oaasError('DataLoss', 'a peer sent bytes that are no state of objects');
    const count = from.readUInt32BE(at);
    at += 4;
    for (let i = 0; i < count; i++) {
      const key = take(2).toString('latin1');
      entries.set(key, decodeRegister(take(4)));
    }
    patches.push({ id, header, entries });
  }
  return patches;
}

/** Patches of the first `count` keys that were asked for. */
export interface PatchBytes {
  readonly states: Uint8Array;
  readonly count: number;
}

/**
 * Patches of the first of these keys, as many as `maxBytes` allows, at least one. Keys of one object that follow one
 * another share a patch.
 */
export function takePatches(
  view: {
    header(id: string): ObjectHeader | undefined;
    register(id: string, key: string): Register | undefined;
  },
  keys: readonly Key[],
  maxBytes: number,
): PatchBytes {
  const states: Uint8Array[] = [];
  let bytes = 0;
  let count = 0;
  while (count < keys.length && (count === 0 || bytes < maxBytes)) {
    const { id } = ofTreeKey(keys[count] ?? '');
    const header = view.header(id);
    const entries: [string, Register][] = [];
    let size = 0;
    while (count < keys.length && bytes + size < maxBytes) {
      const next = ofTreeKey(keys[count] ?? '');
      if (next.id !== id) break;
      const register = next.key === undefined ? undefined : view.register(id, next.key);
      if (next.key !== undefined && register !== undefined) entries.push([next.key, register]);
      size += register?.value?.length ?? 0;
      count += 1;
    }
    if (header === undefined) continue;
    const patch = encodePatches([{ id, header, entries: new Map(entries) }]);
    states.push(patch);
    bytes += patch.length;
  }
  return { states: Buffer.concat(states), count };
}

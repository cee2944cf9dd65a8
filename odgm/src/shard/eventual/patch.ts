import { oaasError } from '@oaas/commons/errors';
import {
  decodeHeader,
  decodeRegister,
  encodeHeader,
  encodeRegister,
  type ObjectHeader,
  type Register,
} from '../../merge/index.ts';

/**
 * What one replica tells another of an object: its header, and some of its entries, tombstones too. The header always
 * goes along, so that nobody holds an entry and not the header that its batch wrote.
 */
export interface ObjectPatch {
  readonly id: string;
  readonly header: ObjectHeader;
  readonly entries: ReadonlyMap<string, Register>;
}

/** Per patch: id (u16 length), header (u32), number of entries (u32), per entry: key (u16), register (u32). Big-endian. */
export function encodePatch({ id, header, entries }: ObjectPatch): Uint8Array {
  const head = encodeHeader(header);
  const registers = [...entries].map(([key, register]) => [key, encodeRegister(register)] as const);
  const size = registers.reduce(
    (sum, [key, bytes]) => sum + 6 + key.length + bytes.length,
    10 + id.length + head.length,
  );
  const out = Buffer.allocUnsafe(size);
  let at = out.writeUInt16BE(id.length, 0);
  at += out.write(id, at, 'latin1');
  at = out.writeUInt32BE(head.length, at);
  out.set(head, at);
  at = out.writeUInt32BE(registers.length, at + head.length);
  for (const [key, bytes] of registers) {
    at = out.writeUInt16BE(key.length, at);
    at += out.write(key, at, 'latin1');
    at = out.writeUInt32BE(bytes.length, at);
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
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

/**
 * Where groups lie in a node's storage. State of a group: number of the group (u48), generation (u32), then whatever the
 * state machine appends. What the host keeps: six bytes 0xff, which are no group, then a letter.
 */
const hostPrefix = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] as const;
const recordLetter = 0x47;
const garbageLetter = 0x58;

/** Highest number of a group. */
export const maxGroup = 2 ** 48 - 2;
export const statePrefixLength = 10;

/** What all keys of a group's state begin with. */
export function statePrefix(group: number, generation: number): Buffer {
  const prefix = Buffer.allocUnsafe(statePrefixLength);
  prefix.writeUIntBE(group, 0, 6);
  prefix.writeUInt32BE(generation, 6);
  return prefix;
}

export function recordKey(group: number): Buffer {
  const key = Buffer.from([...hostPrefix, recordLetter, 0, 0, 0, 0, 0, 0]);
  key.writeUIntBE(group, 7, 6);
  return key;
}

export const recordsPrefix = Buffer.from([...hostPrefix, recordLetter]);
export const garbagePrefix = Buffer.from([...hostPrefix, garbageLetter]);

export function groupOfRecordKey(key: Uint8Array): number {
  return bufferOf(key).readUIntBE(7, 6);
}

/** Says that the state of this generation is to be deleted, or is being received and not yet in use. */
export function garbageKey(group: number, generation: number): Buffer {
  const key = Buffer.from([...hostPrefix, garbageLetter, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  key.writeUIntBE(group, 7, 6);
  key.writeUInt32BE(generation, 13);
  return key;
}

export function ofGarbageKey(key: Uint8Array): { readonly group: number; readonly generation: number } {
  const bytes = bufferOf(key);
  return { group: bytes.readUIntBE(7, 6), generation: bytes.readUInt32BE(13) };
}

/** No copy. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

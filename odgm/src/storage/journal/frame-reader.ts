import { crc32 } from 'node:zlib';
import type { HardState, LogEntry, LogEntryType, LogPosition } from '../engine.ts';
import { frameHeaderLength, frameMagic, records, runHeaderLength } from './format.ts';
import type { Span } from './frame-builder.ts';

/** What a frame says, record by record. Bytes are views of the segment: copy what stays. */
export interface RecordVisitor {
  put(key: Buffer, value: Buffer): void;
  remove(key: Buffer): void;
  /** `span.position` counts from the beginning of the segment. */
  run(run: { group: number; first: number; term: number; count: number; bytes: number }, span: Span): void;
  hardState(group: number, hardState: HardState): void;
  reset(group: number, position: LogPosition): void;
  drop(group: number): void;
}

/** Length of the whole frame at a position and its sequence number; `undefined` when no good frame is there. */
export function frameAt(
  segment: Buffer,
  position: number,
  id: number,
): { readonly length: number; readonly sequence: number } | undefined {
  if (position + frameHeaderLength > segment.length) return undefined;
  if (segment.readUInt32LE(position) !== frameMagic || segment.readUInt32LE(position + 4) !== id) return undefined;
  const payload = segment.readUInt32LE(position + 16);
  const end = position + frameHeaderLength + payload;
  if (payload === 0 || end > segment.length) return undefined;
  const checksum = crc32(
    segment.subarray(position, position + 20),
    crc32(segment.subarray(position + frameHeaderLength, end)),
  );
  if (checksum !== segment.readUInt32LE(position + 20)) return undefined;
  return { length: end - position, sequence: segment.readDoubleLE(position + 8) };
}

/** True when bytes at the position look like the beginning of this frame, good or not: two of its first fields fit. */
export function looksBegun(segment: Buffer, position: number, id: number, sequence: number): boolean {
  if (position + frameHeaderLength > segment.length) return false;
  const fits = [
    segment.readUInt32LE(position) === frameMagic,
    segment.readUInt32LE(position + 4) === id,
    segment.readDoubleLE(position + 8) === sequence,
  ];
  return fits.filter(Boolean).length >= 2;
}

/** Position of the first good frame at or behind `position`. */
export function findFrame(segment: Buffer, position: number, id: number): number | undefined {
  for (const at of beginnings(segment, position, id)) if (frameAt(segment, at, id) !== undefined) return at;
  return undefined;
}

/**
 * True when something at or behind `position` shows that this frame was once on disk as a whole: the frame itself, a later
 * one, or the beginning of the one after it, good or not, at or behind `next`.
 */
export function wasWhole(segment: Buffer, position: number, id: number, sequence: number, next: number): boolean {
  for (const at of beginnings(segment, position, id)) {
    const hasNumber = at >= next && at + frameHeaderLength <= segment.length;
    if (hasNumber && segment.readDoubleLE(at + 8) === sequence + 1) return true;
    if ((frameAt(segment, at, id)?.sequence ?? 0) >= sequence) return true;
  }
  return false;
}

/** Positions of what may be frames. */
function* beginnings(segment: Buffer, position: number, id: number): Generator<number> {
  const pattern = Buffer.alloc(8);
  pattern.writeUInt32LE(frameMagic, 0);
  pattern.writeUInt32LE(id, 4);
  for (let at = segment.indexOf(pattern, position); at >= 0; at = segment.indexOf(pattern, at + 1)) yield at;
}

/** Walks through the records of a good frame. False when they make no sense, which a good checksum rules out. */
export function readFrame(segment: Buffer, position: number, length: number, visitor: RecordVisitor): boolean {
  const end = position + length;
  let at = position + frameHeaderLength;
  let checksum = 0;
  let checked = at;
  const number = (offset: number): number => segment.readDoubleLE(at + offset);
  while (at < end) {
    switch (segment[at]) {
      case records.operations:
        at = readOperations(segment, at, visitor);
        break;
      case records.run: {
        checksum = crc32(segment.subarray(checked, at), checksum);
        const rest = segment.readUInt32LE(at + 29);
        const count = segment.readUInt32LE(at + 25);
        const span = { position: at, length: runHeaderLength + rest, seed: checksum, checksum: 0 };
        checked = at + span.length;
        checksum = crc32(segment.subarray(at, checked), checksum);
        span.checksum = checksum;
        visitor.run({ group: number(1), first: number(9), term: number(17), count, bytes: rest - 5 * count }, span);
        at = checked;
        break;
      }
      case records.hardState:
        visitor.hardState(number(1), { term: number(9), vote: number(17), commit: number(25) });
        at += 33;
        break;
      case records.reset:
        visitor.reset(number(1), { index: number(9), term: number(17) });
        at += 25;
        break;
      case records.drop:
        visitor.drop(number(1));
        at += 9;
        break;
      default:
        return false;
    }
  }
  return at === end;
}

function readOperations(segment: Buffer, start: number, visitor: RecordVisitor): number {
  let at = start + 5;
  for (let left = segment.readUInt32LE(start + 1); left > 0; left--) {
    const isPut = segment[at] === 1;
    const keyEnd = at + 7 + segment.readUInt16LE(at + 1);
    const end = keyEnd + segment.readUInt32LE(at + 3);
    const key = segment.subarray(at + 7, keyEnd);
    if (isPut) visitor.put(key, segment.subarray(keyEnd, end));
    else visitor.remove(key);
    at = end;
  }
  return at;
}

/** The entries of a run's record; `undefined` when its checksum does not fit. */
export function readRun(
  record: Buffer,
  group: number,
  { seed, checksum }: Omit<Span, 'position'>,
): LogEntry[] | undefined {
  if (crc32(record, seed) !== checksum || record.readDoubleLE(1) !== group) return undefined;
  const first = record.readDoubleLE(9);
  const term = record.readDoubleLE(17);
  const entries: LogEntry[] = [];
  let at = runHeaderLength;
  for (let i = 0; i < record.readUInt32LE(25); i++) {
    const end = at + 5 + record.readUInt32LE(at + 1);
    const data = record.subarray(at + 5, end);
    entries.push({ term, index: first + i, type: typeOf(record[at]), data });
    at = end;
  }
  return entries;
}

function typeOf(byte: number | undefined): LogEntryType {
  return byte === 1 || byte === 2 ? byte : 0;
}

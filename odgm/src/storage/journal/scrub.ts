import { frameHeaderLength } from './format.ts';
import { findFrame, frameAt } from './frame-reader.ts';
import type { Segment } from './segments.ts';

/** A place in the journal: everything before it is verified. */
export interface JournalPlace {
  readonly segment: number;
  readonly position: number;
}

/** Bytes of a segment without a good frame. */
export interface BadSpan {
  readonly segment: Segment;
  readonly start: number;
  readonly end: number;
}

/** Reads frames from where they are stored and verifies them, until it has seen enough bytes. */
export function scrubSegments(
  segments: readonly Segment[],
  from: JournalPlace,
  maxBytes: number,
): { readonly bytes: number; readonly bad: readonly BadSpan[]; readonly next: JournalPlace | undefined } {
  const bad: BadSpan[] = [];
  let bytes = 0;
  for (const segment of segments) {
    if (segment.id < from.segment) continue;
    let position = segment.id === from.segment ? from.position : 0;
    // What is behind has not been written yet.
    const end = segment.position;
    while (position < end) {
      const length = goodFrame(segment, position, end);
      const next = length === undefined ? nextFrame(segment, position, end) : position + length;
      if (length === undefined) bad.push({ segment, start: position, end: next });
      bytes += next - position;
      position = next;
      if (bytes >= maxBytes) return { bytes, bad, next: { segment: segment.id, position } };
    }
  }
  return { bytes, bad, next: undefined };
}

function goodFrame(segment: Segment, position: number, end: number): number | undefined {
  const header = read(segment, position, Math.min(frameHeaderLength, end - position));
  const length = header.length < frameHeaderLength ? 0 : frameHeaderLength + header.readUInt32LE(16);
  if (length <= frameHeaderLength || position + length > end) return undefined;
  return frameAt(read(segment, position, length), 0, segment.id)?.length;
}

/** Where the next good frame begins, or the end. */
function nextFrame(segment: Segment, position: number, end: number): number {
  const found = findFrame(read(segment, position, end - position), 1, segment.id);
  return found === undefined ? end : position + found;
}

function read({ file }: Segment, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  return bytes.subarray(0, file.readSync(bytes, position));
}

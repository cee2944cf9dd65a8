/**
 * A journal is a sequence of segments (files), a segment a sequence of frames, a frame a sequence of records. A frame is
 * written and flushed as a whole: it is there or not. Numbers are little-endian; "number" is a float64 that holds a
 * safe integer.
 *
 * Frame: magic u32 · segment id u32 · sequence number (from 1, without gaps, over all segments) · payload length u32 ·
 * CRC-32 of the payload and then of the header up to here, u32 · payload. The segment id tells the frames of a file
 * that is used again from those of its former life.
 *
 * One frame is under way at a time, so a frame also says that everything before it, up to its sequence number less one, was
 * on disk when it was begun: a bad frame before it was damaged later. Only the last frame can be torn, and about the last
 * frame nobody says that it was ever whole. A journal that becomes idle therefore gets a seal: a frame with nothing but an
 * operations record of count 0. A program that knows of no seals reads it as that, and files without seals are good ones.
 *
 * Records: kind u8, then
 * - operations: count u32, then for each: 1 put or 0 delete u8 · key length u16 · value length u32 · key · value
 * - run (consecutive log entries of one term): group, first index, term: numbers · count u32 · length of the rest u32 ·
 *   for each: type u8 · data length u32 · data
 * - hardState: group, term, vote, commit: numbers
 * - reset: group, index, term: numbers
 * - drop: group: number
 */
export const frameMagic = 0x314a_4f4a;
export const frameHeaderLength = 24;
export const records = { operations: 1, run: 2, hardState: 3, reset: 4, drop: 5 } as const;
export const runHeaderLength = 33;
/** Bytes of a seal. Every other frame is longer. */
export const sealLength = frameHeaderLength + 5;

const suffix = '.journal';

/** Ids are written with leading zeros, so that names sort as ids do. */
export function segmentName(id: number): string {
  return `${String(id).padStart(10, '0')}${suffix}`;
}

/** Id of a segment by its name; `undefined` for another file. */
export function segmentId(name: string): number | undefined {
  return /^\d{10}\.journal$/.test(name) ? Number(name.slice(0, -suffix.length)) : undefined;
}

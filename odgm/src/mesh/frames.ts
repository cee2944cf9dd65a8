import type { MeshPayload } from './port.ts';

/**
 * Frame: u32 length of what follows the checksum · u32 CRC-32 of that · u8 kind · u8 zero · u16 channel · u32 id · payload.
 * All numbers are big-endian. The id belongs to the end that opened the request or stream, or sent the ping;
 * others have 0.
 */
export const frameKinds = {
  /** First frame of either end: who it is. */
  hello: 1,
  /** Last frame: why the link closes, as text. */
  close: 2,
  message: 3,
  request: 4,
  /** Answer to a request, or to a stream once its handler is done. */
  response: 5,
  /** The same when it failed. */
  error: 6,
  /** The end that opened the request or stream gives it up. */
  cancel: 7,
  streamOpen: 8,
  streamData: 9,
  /** u32 of bytes that the writer may send on top of what it was allowed before. */
  streamCredit: 10,
  streamEnd: 11,
  ping: 12,
  /** With the id of the ping that it answers. */
  pong: 13,
} as const;

export type FrameKind = (typeof frameKinds)[keyof typeof frameKinds];

export const headerBytes = 16;
/** The part of the header that the checksum covers, with the payload. */
export const coveredHeaderBytes = 8;
export const channelMax = 0xffff;

export function payloadLength(payload: MeshPayload): number {
  if (payload instanceof Uint8Array) return payload.length;
  let length = 0;
  for (const part of payload) length += part.length;
  return length;
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

export const noBytes = new Uint8Array(0);

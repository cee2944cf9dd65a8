import type { MemberChange } from './types.ts';
import { Reader, Writer } from './wire.ts';

/** Context of a configuration change: count x (member, epoch) of members that come with another epoch than 1, then the proposer's own bytes. */
export function encodeContext(changes: readonly MemberChange[], context: Uint8Array): Buffer {
  const epochs = changes.filter(({ epoch = 1 }) => epoch !== 1);
  const writer = new Writer(8 + 16 * epochs.length + context.length);
  writer.number(epochs.length);
  for (const { member, epoch = 1 } of epochs) {
    writer.number(member);
    writer.number(epoch);
  }
  writer.raw(context);
  return writer.finish();
}

export function decodeContext(bytes: Uint8Array): {
  readonly epochs: Map<number, number>;
  readonly context: Uint8Array;
} {
  const epochs = new Map<number, number>();
  // The core leaves a joint configuration with a change of its own, which has none.
  if (bytes.length === 0) return { epochs, context: bytes };
  const reader = new Reader(bytes);
  for (let left = reader.number(); left > 0; left--) epochs.set(reader.number(), reader.number());
  return { epochs, context: Uint8Array.from(reader.raw(bytes.length - reader.at)) };
}

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MessageQueue } from './message-queue.ts';
import { MessageReader } from './message-reader.ts';
import { ReceiveCredit } from './receive-credit.ts';

/** A stream of messages, cut into frames, and a reader that takes one now and then. */
function receive(sizes: readonly number[], frameBytes: number, readAfter: readonly boolean[]) {
  let credited = 0;
  const credit = new ReceiveCredit((bytes) => (credited += bytes));
  const queue: MessageQueue = new MessageQueue(
    (bytes) => {
      credit.read(bytes);
      credit.unfinished(reader.held, queue.isEmpty);
    },
    () => undefined,
  );
  const sink = {
    message: (_bytes: Uint8Array, start: number, end: number) => {
      credit.completed();
      queue.push(end - start, end - start + 5);
    },
  };
  const reader = new MessageReader(sink, 1_000_000, false);
  const bytes = Buffer.concat(
    sizes.map((size) => {
      const message = Buffer.alloc(size + 5);
      message.writeUInt32BE(size, 1);
      return message;
    }),
  );
  let arrived = 0;
  for (let frame = 0; arrived < bytes.length; frame += 1) {
    const end = Math.min(bytes.length, arrived + frameBytes);
    reader.feed(bytes, arrived, end);
    arrived = end;
    credit.unfinished(reader.held, queue.isEmpty);
    // Never more than what came: the window of the sender must not grow.
    expect(credited).toBeLessThanOrEqual(arrived);
    // What the reader waits for is always credited: a message of any size gets through any window.
    if (queue.isEmpty) expect(credited).toBe(arrived);
    if (readAfter[frame % readAfter.length] === true && !queue.isEmpty) void queue.next();
  }
  while (!queue.isEmpty) void queue.next();
  return { credited, arrived };
}

it('what was read is credited exactly once, however messages and frames lie', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 3000 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 10 }),
      (sizes, frameBytes, readAfter) => {
        const { credited, arrived } = receive(sizes, frameBytes, readAfter);
        expect(credited).toBe(arrived);
      },
    ),
  );
});

import { createLogger } from '@oaas/commons/telemetry';
import { systemTimers } from '@oaas/commons/time/system';
import { openDurableEngine } from '../src/storage/durable.ts';

/**
 * A program for tests that kill it: writes to the storage directory of its first argument without end, and prints the
 * number of every call that was acknowledged. Call n puts n under two keys, and appends entry n to the log of a group.
 */
const [directory = '', first = '1'] = process.argv.slice(2);
const engine = await openDurableEngine({
  directory,
  owner: 'the storage writer',
  timers: systemTimers,
  logger: createLogger({ service: 'storage-writer', level: 'silent' }),
  segmentBytes: 256 * 1024,
  flushAgeMs: 20,
  flushKeys: 64,
});

let next = Number(first);
const filler = 'x'.repeat(300);

async function write(): Promise<void> {
  for (;;) {
    const n = next++;
    const value = Buffer.from(`${String(n)} ${filler}`);
    const key = (name: string): Buffer => Buffer.from(`${name}${String(n % 500)}`);
    await engine.append(
      [{ group: 1, entries: [{ index: n, term: 1, type: 0, data: value }] }],
      [
        { type: 'put', key: key('a'), value },
        { type: 'put', key: key('b'), value },
      ],
    );
    if (n % 100 === 0) engine.compact(1, n - 50);
    process.stdout.write(`${String(n)}\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, write));

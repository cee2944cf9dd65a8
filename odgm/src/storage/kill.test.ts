import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createLogger } from '@oaas/commons/telemetry';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemTimers } from '@oaas/commons/time/system';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDurableEngine } from './durable.ts';

const program = fileURLToPath(new URL('../../testkit/storage-writer.ts', import.meta.url));
let directory: TempDir;
beforeEach(async () => {
  directory = await tempDir();
});
afterEach(() => directory.remove());

/** Runs the writer until it has acknowledged `count` calls, and kills it. Gives the last number that it printed. */
async function writeAndKill(first: number, count: number): Promise<number> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, directory.path, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  let acknowledged = 0;
  child.stdout.setEncoding('utf8');
  for await (const chunk of child.stdout as AsyncIterable<string>) {
    output += chunk;
    acknowledged += chunk.split('\n').length - 1;
    if (acknowledged >= count) child.kill('SIGKILL');
  }
  const numbers = output.split('\n').slice(0, -1).map(Number);
  // Calls are acknowledged in their order.
  expect(numbers).toEqual(numbers.map((_, i) => first + i));
  return numbers.at(-1) ?? 0;
}

it('a process that is killed in the middle of writes loses none that it acknowledged, time after time', async () => {
  let first = 1;
  for (let round = 0; round < 3; round++) {
    const last = await writeAndKill(first, 1500);
    expect(last).toBeGreaterThanOrEqual(first + 1499);
    const logger = createLogger({ service: 'test', level: 'silent' });
    const engine = await openDurableEngine({
      directory: directory.path,
      owner: 'the test',
      timers: systemTimers,
      logger,
    });
    const log = engine.log(1);
    const end = log.lastIndex;
    expect(end).toBeGreaterThanOrEqual(last);
    const entries = log.entries(log.firstIndex, end + 1, Infinity);
    expect(entries.map(({ data }) => parseInt(Buffer.from(data).toString(), 10))).toEqual(
      entries.map(({ index }) => index),
    );
    // Each key has its newest number, the same under both names.
    for (let n = Math.max(1, end - 499); n <= end; n++) {
      const [a, b] = ['a', 'b'].map((name) => {
        const value = engine.get(Buffer.from(`${name}${String(n % 500)}`));
        return value === undefined ? undefined : parseInt(Buffer.from(value).toString(), 10);
      });
      expect([a, b]).toEqual([n, n]);
    }
    await engine.close();
    first = end + 1;
  }
});

import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger } from '@oaas/commons/telemetry';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Child } from './child.ts';
import { ProcessList } from './orphans.ts';
import { ambient } from './testkit/cluster.ts';

let temp: TempDir;
beforeEach(async () => {
  temp = await tempDir();
});
afterEach(() => temp.remove());

function child(source: string, isReady: () => Promise<boolean>): Child {
  return new Child({
    name: 'thing',
    command: [process.execPath, '-e', source],
    env: {},
    cwd: temp.path,
    logPath: join(temp.path, 'thing.log'),
    isReady,
    processes: new ProcessList(join(temp.path, 'processes')),
    logger: createLogger({ service: 'test', level: 'silent' }),
    ...ambient,
  });
}

describe('a program of the platform', () => {
  it('is started again when it ends, and its log goes on in the same file', async () => {
    const mark = join(temp.path, 'mark');
    const source = `
      const { existsSync, writeFileSync } = require('node:fs');
      if (existsSync('mark')) { console.log('second'); writeFileSync('ready', ''); setInterval(() => {}, 1000); }
      else { console.log('first'); writeFileSync('mark', ''); process.exit(4); }`;
    const running = child(source, () => Promise.resolve(existsSync(join(temp.path, 'ready')))).start();
    await running.ready(20_000, new AbortController().signal);
    expect(existsSync(mark)).toBe(true);
    await running.stop(1000);
    expect(await readFile(join(temp.path, 'thing.log'), 'utf8')).toBe('first\n-- ended: {"code":4}\nsecond\n');
  });

  it('that ends again and again before it was ready is given up with its last words', async () => {
    const running = child(`console.log('cannot'); process.exit(1)`, () => Promise.resolve(false)).start();
    await expect(running.ready(60_000, new AbortController().signal)).rejects.toThrow(
      /ended with exit code 1, 3 times(.|\n)*cannot/,
    );
    await running.stop(1000);
  });

  it('that does not answer in time is named with its log', async () => {
    const running = child(`setInterval(() => {}, 1000)`, () => Promise.reject(new Error('refused'))).start();
    await expect(running.ready(300, new AbortController().signal)).rejects.toMatchObject({
      message: expect.stringContaining('thing did not answer within 0.3 s') as string,
      remedy: expect.stringContaining('thing.log') as string,
    });
    await running.stop(1000);
  });

  it('keeps no more of its output than two files of a bound', async () => {
    await writeFile(join(temp.path, 'thing.log'), 'x'.repeat(11 * 1024 * 1024));
    const source = `console.log('a'); setTimeout(() => console.log('b'), 50); setInterval(() => {}, 1000)`;
    const running = child(source, () => Promise.resolve(true)).start();
    await eventually(() => existsSync(join(temp.path, 'thing.log.old')));
    await running.stop(1000);
    expect((await readFile(join(temp.path, 'thing.log'), 'utf8')).length).toBeLessThan(100);
  });
});

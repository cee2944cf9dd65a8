import { mkdir, open, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createLogger } from '@oaas/commons/telemetry';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemTimers } from '@oaas/commons/time/system';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDurableEngine } from './durable.ts';

let directory: TempDir;
beforeEach(async () => {
  directory = await tempDir();
});
afterEach(() => directory.remove());

const logger = createLogger({ service: 'test', level: 'silent' });
const openAs = (owner: string, path = directory.path, onCorruption?: (error: Error) => void) =>
  openDurableEngine({ directory: path, owner, timers: systemTimers, logger, segmentBytes: 256 * 1024, onCorruption });
const key = (n: number): Buffer => Buffer.from(`key-${String(n).padStart(4, '0')}`);

async function fill(): Promise<string> {
  const storage = await openAs('the writer');
  for (let n = 0; n < 50; n++) await storage.write([{ type: 'put', key: key(n), value: Buffer.alloc(4096, 1) }]);
  await storage.close();
  return join(directory.path, 'base', 'data.mdb');
}

describe('a directory', () => {
  it('has one user at a time, and the other is told who it is', async () => {
    const first = await openAs('node A');
    await expect(openAs('node B')).rejects.toMatchObject({
      code: 'StorageLocked',
      details: { holder: 'node A' },
    });
    await first.close();
    const second = await openAs('node B');
    await second.close();
  });

  it('has one user also when two start at the same moment', async () => {
    const outcomes = await Promise.allSettled(['A', 'B', 'C'].map((owner) => openAs(owner)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') await outcome.value.close();
      else expect(outcome.reason).toMatchObject({ code: 'StorageLocked' });
    }
  });

  it('is locked by a process that does not say who it is, such as one that is stopped', async () => {
    await mkdir(directory.path, { recursive: true });
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(join(directory.path, 'owner.sock'), resolve));
    await expect(openAs('node B')).rejects.toMatchObject({
      code: 'StorageLocked',
      details: { holder: 'a process that does not answer' },
    });
    silent.close();
  });

  it('is locked whatever path leads to it, a long one or a link', async () => {
    const long = join(directory.path, 'x'.repeat(120));
    await mkdir(long);
    await symlink(long, join(directory.path, 'link'));
    const first = await openAs('node A', long);
    await expect(openAs('node B', join(directory.path, 'link'))).rejects.toMatchObject({ code: 'StorageLocked' });
    await first.close();
  });

  it('holds nothing of a lock after closing', async () => {
    const storage = await openAs('node A');
    await storage.close();
    expect((await readdir(directory.path)).filter((name) => name.includes('sock'))).toEqual([]);
  });

  it('of the format of an unreleased version is refused, and says what to do', async () => {
    await writeFile(join(directory.path, 'data.mdb'), Buffer.alloc(8192));
    await expect(openAs('A')).rejects.toMatchObject({
      code: 'FailedPrecondition',
      message: expect.stringContaining(directory.path) as string,
      remedy: expect.stringContaining('Move the directory away') as string,
    });
  });

  it('that cannot be made is named', async () => {
    await writeFile(join(directory.path, 'file'), '');
    await expect(openAs('A', join(directory.path, 'file', 'sub'))).rejects.toMatchObject({
      code: 'StorageCorrupt',
      message: expect.stringContaining(join('file', 'sub')) as string,
    });
  });
});

describe('the data file', () => {
  it.each<[string, (path: string) => Promise<void>]>([
    ['holds something else', (path) => writeFile(path, Buffer.alloc(20_000, 0x5a))],
    ['is cut off', (path) => truncate(path, 8192)],
    ['is cut off in its second page', (path) => truncate(path, 5000)],
    ['is cut off in its first page', (path) => truncate(path, 100)],
    ['has a damaged first page', (path) => overwrite(path, 24)],
    ['has a damaged second page', (path) => overwrite(path, 4096 + 24)],
    ['names an impossible page size', (path) => overwrite(path, 48, Buffer.from([1, 2, 3, 4]))],
  ])('is refused by name when it %s', async (_, damage) => {
    const path = await fill();
    await damage(path);
    await expect(openAs('the reader')).rejects.toMatchObject({ code: 'StorageCorrupt', details: { path } });
    // The lock was given back.
    await expect(openAs('the reader')).rejects.toMatchObject({ code: 'StorageCorrupt' });
  });

  it('is taken as it is when it is whole, or empty', async () => {
    await fill();
    const storage = await openAs('the reader');
    expect(storage.usage().entries).toBe(50);
    expect(storage.get(key(49))).toHaveLength(4096);
    await storage.close();
    await mkdir(join(directory.path, 'new', 'base'), { recursive: true });
    await writeFile(join(directory.path, 'new', 'base', 'data.mdb'), '');
    const empty = await openAs('the reader', join(directory.path, 'new'));
    expect(empty.usage().entries).toBe(0);
    await empty.close();
  });
});

describe('a page in the middle of the data file', () => {
  it('fails the reads that need it when it is damaged, naming the file, and no others', async () => {
    const writer = await openAs('the writer');
    await writer.write(Array.from({ length: 500 }, (_, n) => ({ type: 'put', key: key(n), value: Buffer.alloc(300) })));
    await writer.close();
    const path = join(directory.path, 'base', 'data.mdb');
    const content = await readFile(path);
    const at = content.indexOf(key(250));
    await overwrite(path, at - (at % 4096), Buffer.alloc(4096, 0xff));
    const told: unknown[] = [];
    const engine = await openAs('the reader', directory.path, (error) => told.push(error));
    const outcomes = Array.from({ length: 500 }, (_, n) => {
      try {
        return engine.get(key(n))?.length;
      } catch (error) {
        return (error as { details: { path: string } }).details.path;
      }
    });
    const failed = outcomes.filter((outcome) => outcome === path);
    expect(failed.length).toBeGreaterThan(0);
    expect(failed.length).toBeLessThan(50);
    expect(outcomes.filter((outcome) => outcome === 300)).toHaveLength(500 - failed.length);
    expect(told).toHaveLength(failed.length);
    await engine.close();
  });
});

async function overwrite(path: string, position: number, bytes: Buffer = Buffer.alloc(16, 0xff)): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, position);
  await file.close();
}

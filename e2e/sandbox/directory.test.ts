import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDirectory } from './directory.ts';
import { processStart } from './orphans.ts';

let temp: TempDir;
let dir: string;
beforeEach(async () => {
  temp = await tempDir();
  dir = join(temp.path, 'box');
});
afterEach(() => temp.remove());

const keep = { fresh: false };
const anew = { fresh: true };

describe('the directory of a sandbox', () => {
  it('is made at the first start, and keeps its secrets to its owner and from start to start', async () => {
    const first = await openDirectory(dir, keep);
    expect((await stat(join(dir, 'secrets.json'))).mode & 0o777).toBe(0o600);
    expect(new Set(Object.values(first.secrets)).size).toBe(6);
    await first.release();
    const second = await openDirectory(dir, keep);
    expect(second.secrets).toEqual(first.secrets);
    await second.release();
  });

  it('is emptied by --fresh, secrets too', async () => {
    const first = await openDirectory(dir, keep);
    await mkdir(join(dir, 'clusters'));
    await writeFile(join(dir, 'processes'), '1 1\n');
    await first.release();
    const second = await openDirectory(dir, anew);
    expect(await readdir(dir)).not.toContain('clusters');
    // Who is still to be ended must not be forgotten.
    expect(await readdir(dir)).toContain('processes');
    expect(second.secrets.pmToken).not.toBe(first.secrets.pmToken);
    await second.release();
  });

  it('is refused when it holds anything else, and --fresh does not touch it either', async () => {
    await mkdir(dir);
    await writeFile(join(dir, 'thesis.txt'), 'years of work');
    for (const options of [keep, anew]) {
      await expect(openDirectory(dir, options)).rejects.toThrow(/holds files and is not a sandbox/);
    }
    expect(await readdir(dir)).toEqual(['thesis.txt']);
  });

  it('of another version is refused', async () => {
    await mkdir(dir);
    await writeFile(join(dir, 'sandbox.json'), '{"format": 99}');
    await expect(openDirectory(dir, keep)).rejects.toThrow(/another version \(format 99\)/);
  });

  it('with a damaged mark is refused in one line, and --fresh does not touch it either', async () => {
    await mkdir(dir);
    await writeFile(join(dir, 'sandbox.json'), '{"for');
    await expect(openDirectory(dir, keep)).rejects.toMatchObject({ code: 'StorageCorrupt' });
    await expect(openDirectory(dir, anew)).rejects.toThrow(/sandbox\.json is damaged: nothing was changed/);
    expect(await readdir(dir)).toEqual(['sandbox.json']);
  });

  it('with damaged secrets is refused, and begun anew by --fresh', async () => {
    await (await openDirectory(dir, keep)).release();
    await writeFile(join(dir, 'secrets.json'), '{"adm');
    await expect(openDirectory(dir, keep)).rejects.toMatchObject({ code: 'StorageCorrupt' });
    await (await openDirectory(dir, anew)).release();
  });

  it('is made with the folders above it', async () => {
    await (await openDirectory(join(dir, 'a', 'b'), keep)).release();
    expect((await stat(join(dir, 'a', 'b'))).mode & 0o777).toBe(0o700);
  });

  it.skipIf(process.platform !== 'linux')(
    'that the system does not make is refused (Linux has such folders)',
    async () => {
      await expect(openDirectory('/proc/sandbox/box', keep)).rejects.toThrow(/cannot be made/);
    },
  );

  it('that another sandbox runs on is refused with the id of its process', async () => {
    const first = await openDirectory(dir, keep);
    await expect(openDirectory(dir, anew)).rejects.toThrow(`is running on ${dir} (process ${String(process.pid)})`);
    await first.release();
  });

  it('whose sandbox was killed is taken over, even when its process id belongs to someone else by now', async () => {
    const first = await openDirectory(dir, keep);
    await first.release();
    await writeFile(join(dir, 'lock'), `${String(process.pid)} 12345`);
    const second = await openDirectory(dir, keep);
    expect(await readFile(join(dir, 'lock'), 'utf8')).toBe(`${String(process.pid)} ${processStart(process.pid) ?? ''}`);
    await second.release();
  });

  it('that is a file is refused', async () => {
    await writeFile(dir, '');
    await expect(openDirectory(dir, keep)).rejects.toThrow(/is not a folder/);
  });

  it.skipIf(process.getuid?.() === 0)('that cannot be written is refused (not tried by root, who can)', async () => {
    await mkdir(dir, { mode: 0o500 });
    await expect(openDirectory(dir, keep)).rejects.toThrow(/cannot be read and written/);
  });
});

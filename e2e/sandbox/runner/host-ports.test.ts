import { join } from 'node:path';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostPorts } from './host-ports.ts';

let temp: TempDir;
let taken: Set<number>;
beforeEach(async () => {
  temp = await tempDir();
  taken = new Set();
});
afterEach(() => temp.remove());

function open(count = 3): HostPorts {
  const isFree = (port: number) => Promise.resolve(!taken.has(port));
  return new HostPorts({ file: join(temp.path, 'ports.json'), first: 100, count, isFree });
}

describe('a loopback port', () => {
  it('stays with its key, also after a restart', async () => {
    const ports = open();
    expect([await ports.reserve('a'), await ports.reserve('b'), await ports.reserve('a')]).toEqual([100, 101, 100]);
    expect(await open().reserve('b')).toBe(101);
  });

  it('that somebody else listens on is skipped', async () => {
    taken.add(100);
    expect(await open().reserve('a')).toBe(101);
  });

  it('that somebody else took meanwhile is changed when its key wants to listen, but not before', async () => {
    const ports = open();
    await ports.reserve('a');
    taken.add(100);
    expect(await ports.reserve('a')).toBe(100);
    expect(await ports.claim('a')).toBe(101);
  });

  it('that was given back is given out again only when all others are in use', async () => {
    const ports = open(2);
    await ports.reserve('a');
    ports.release('a');
    expect(await ports.reserve('b')).toBe(101);
    expect(await ports.reserve('c')).toBe(100);
    await expect(ports.reserve('d')).rejects.toMatchObject({ code: 'ResourceExhausted' });
  });

  it('is never given to two keys that ask at the same time', async () => {
    const ports = open();
    const given = await Promise.all(['a', 'b', 'c'].map((key) => ports.claim(key)));
    expect(new Set(given).size).toBe(3);
  });
});

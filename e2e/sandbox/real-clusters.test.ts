import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findRealClusters } from './real-clusters.ts';

let temp: TempDir;
beforeEach(async () => {
  temp = await tempDir();
});
afterEach(() => temp.remove());

async function kubeconfig(name: string, ...contexts: string[]): Promise<string> {
  const path = join(temp.path, name);
  await writeFile(path, JSON.stringify({ contexts: contexts.map((context) => ({ name: context })) }));
  return path;
}

describe('a real cluster', () => {
  it('is found in the first of several kubeconfigs that has its context', async () => {
    const first = await kubeconfig('first', 'a');
    const second = await kubeconfig('second', 'a', 'b');
    const found = findRealClusters(new Map(Object.entries({ cloud: 'a', edge: 'b' })), {
      KUBECONFIG: `${first}:${second}`,
    });
    expect([...found.values()]).toEqual([
      { kubeconfig: first, context: 'a' },
      { kubeconfig: second, context: 'b' },
    ]);
  });

  it('whose context is nowhere is refused with the contexts that there are', async () => {
    const file = await kubeconfig('only', 'one', 'two');
    expect(() => findRealClusters(new Map([['cloud', 'three']]), { KUBECONFIG: file })).toThrow(
      `--cluster cloud=three: there is no such context; ${file} has one, two.`,
    );
  });

  it('is looked for in ~/.kube/config where KUBECONFIG is not set', () => {
    expect(() => findRealClusters(new Map([['cloud', 'x']]), { HOME: temp.path })).toThrow(/\.kube\/config has none/);
  });
});

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { type Mutation, patchOf } from './patch.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cache = join(root, 'node_modules/.cache/simulation');

/** Bugs that storms over replicas that merge must find. The storms themselves are beside the shard. */
const bugs: readonly Mutation[] = [
  {
    name: 'a tombstone is reaped before all replicas have it',
    file: 'odgm/src/merge/reaping.ts',
    find: 'const isEverywhere = others.every(({ pushed }) => compareStamps(pushed, candidate.at) >= 0);',
    replace: 'const isEverywhere = true;',
  },
  {
    name: 'a tombstone is reaped before all older writes are here',
    file: 'odgm/src/merge/reaping.ts',
    find: 'const cut = others.reduce((earliest, { pulled }) => earlierStamp(earliest, pulled), oldEnough);',
    replace: 'const cut = oldEnough;',
  },
  {
    name: 'keys that changed since the tree was stored are forgotten with a restart',
    file: 'odgm/src/shard/eventual/tree-index.ts',
    find: 'for (const treeKey of decodeDirty(value)) this.#set',
    replace: 'for (const treeKey of decodeDirty(value).slice(1)) this.#set',
  },
];

type Storm = (seed: number) => Promise<unknown>;

async function stormWith(bug: Mutation, number: number): Promise<Storm> {
  const outfile = join(cache, `eventual-${String(process.pid)}-${String(number)}.mjs`);
  const patch = patchOf(bug);
  await build({
    entryPoints: [join(root, 'odgm/testkit/eventual-storm.ts')],
    ...{ outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'silent' },
    plugins: [ownPackagesOnly, patch.plugin],
  });
  if (!patch.wasUsed()) throw new Error(`${bug.file} is not part of the storms`);
  const module = (await import(pathToFileURL(outfile).href)) as { readonly storm: Storm };
  await rm(outfile);
  return module.storm;
}

/** Packages from outside stay what they are. */
const ownPackagesOnly: Plugin = {
  name: 'own packages only',
  setup: (bundle) => {
    bundle.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || path.startsWith('@oaas/') ? undefined : { path, external: true },
    );
  },
};

describe('storms over replicas that merge find that', () => {
  it.each(bugs.map((bug, i) => [bug.name, bug, i] as const))(
    '%s',
    async (_, bug, number) => {
      const buggy = await stormWith(bug, number);
      const runs = async (): Promise<void> => {
        for (let seed = 1; seed <= 100; seed++) await buggy(seed);
      };
      await expect(runs()).rejects.toThrow(/seed \d+: (replicas do not end alike|.* is back|.* is lost)/);
    },
    60_000,
  );
});

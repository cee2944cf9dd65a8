import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { storm } from '../../../testkit/eventual-storm.ts';

const seeds = Number(process.env['EVENTUAL_SEEDS'] ?? 100);

describe('replicas that merge', () => {
  it(`end alike, lose nothing that was acknowledged and bring nothing back, in ${String(seeds)} storms`, async () => {
    let deleted = 0;
    let reaped = 0;
    let replaced = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const report = await storm(seed);
      deleted += report.deleted;
      reaped += report.reaped;
      replaced += report.replaced;
    }
    expect(deleted).toBeGreaterThan(seeds);
    expect(reaped).toBeGreaterThan(seeds);
    expect(replaced).toBeGreaterThan(seeds / 2);
  }, 120_000);
});

/** A bug put into the source, which storms must find. */
const bugs = [
  {
    name: 'a tombstone is reaped before all replicas have it',
    file: 'merge/reaping.ts',
    find: 'const isEverywhere = others.every(({ pushed }) => compareStamps(pushed, candidate.at) >= 0);',
    replace: 'const isEverywhere = true;',
  },
  {
    name: 'a tombstone is reaped before all older writes are here',
    file: 'merge/reaping.ts',
    find: 'const cut = others.reduce((earliest, { pulled }) => earlierStamp(earliest, pulled), oldEnough);',
    replace: 'const cut = oldEnough;',
  },
  {
    name: 'keys that changed since the tree was stored are forgotten with a restart',
    file: 'shard/eventual/tree-index.ts',
    find: 'for (const treeKey of decodeDirty(value)) this.#set',
    replace: 'for (const treeKey of decodeDirty(value).slice(1)) this.#set',
  },
] as const;

type Bug = (typeof bugs)[number];

const source = fileURLToPath(new URL('../../', import.meta.url));
const cache = fileURLToPath(new URL('../../../../node_modules/.cache/eventual', import.meta.url));

/** Storms with a bug in the source; the source itself is left alone. */
async function stormWith(bug: Bug, number: number): Promise<typeof storm> {
  const outfile = join(cache, `${String(process.pid)}-${String(number)}.mjs`);
  const patch: Plugin = {
    name: 'bug',
    setup: (bundle) => {
      bundle.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
        kind === 'entry-point' || path.startsWith('@oaas/') ? undefined : { path, external: true },
      );
      bundle.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (path !== join(source, bug.file)) return undefined;
        const text = await readFile(path, 'utf8');
        if (!text.includes(bug.find)) throw new Error(`the place of "${bug.name}" is not there any more`);
        return { contents: text.replace(bug.find, bug.replace), loader: 'ts' };
      });
    },
  };
  await build({
    entryPoints: [join(source, '../testkit/eventual-storm.ts')],
    ...{ outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'silent' },
    plugins: [patch],
  });
  const module = (await import(pathToFileURL(outfile).href)) as { readonly storm: typeof storm };
  await rm(outfile);
  return module.storm;
}

describe('storms find that', () => {
  it.each(bugs.map((bug, i) => [bug.name, bug, i] as const))('%s', async (_, bug, number) => {
    const buggy = await stormWith(bug, number);
    const runs = async (): Promise<void> => {
      for (let seed = 1; seed <= 80; seed++) await buggy(seed);
    };
    await expect(runs()).rejects.toThrow(/seed \d+: (replicas do not end alike|.* is back|.* is lost)/);
  });
});

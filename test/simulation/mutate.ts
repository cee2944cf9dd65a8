import { readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import type { Mutation } from './mutations.ts';
import { type PlayOptions, type Played } from './play.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cache = join(root, 'node_modules/.cache/simulation');

export type Play = (options: PlayOptions) => Promise<Played>;

/** The simulation with one place of the source changed; the source itself is left alone. */
export async function playWith(mutation: Mutation, number: number): Promise<Play> {
  const outfile = join(cache, `${String(process.pid)}-${String(number)}.mjs`);
  const patch = patchOf(mutation);
  await build({
    entryPoints: [join(root, 'test/simulation/play.ts')],
    ...{ outfile, bundle: true, platform: 'node', format: 'esm', target: 'node20', logLevel: 'silent' },
    plugins: [ownPackagesOnly, patch.plugin],
  });
  if (!patch.wasUsed()) throw new Error(`${mutation.file} is not part of the simulation`);
  const module = (await import(pathToFileURL(outfile).href)) as { readonly play: Play };
  await rm(outfile);
  return module.play;
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

function patchOf({ name, file, find, replace }: Mutation): { readonly plugin: Plugin; wasUsed(): boolean } {
  let isUsed = false;
  const plugin: Plugin = {
    name: 'mutation',
    setup: (bundle) => {
      bundle.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (relative(root, path) !== file) return undefined;
        const source = await readFile(path, 'utf8');
        if (source.split(find).length !== 2) throw new Error(`"${name}" finds its place in ${file} not exactly once`);
        isUsed = true;
        return { contents: source.replace(find, () => replace), loader: 'ts' };
      });
    },
  };
  return { plugin, wasUsed: () => isUsed };
}

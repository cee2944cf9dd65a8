import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';
import { type Mutation, patchOf } from './patch.ts';
import type { Play, World } from './run.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cache = join(root, 'node_modules/.cache/simulation');

const programs: Readonly<Record<World, string>> = { groups: 'play.ts', nodes: 'grid/play.ts', storms: 'storm.ts' };

/** The simulation with one place of the source changed; the source itself is left alone. */
export async function playWith(mutation: Mutation, world: World = 'groups'): Promise<Play> {
  // A module that was imported once is given again for the same name.
  const outfile = join(cache, `${String(process.pid)}-${mutation.name.replaceAll(' ', '-')}.mjs`);
  const patch = patchOf(mutation);
  await build({
    entryPoints: [join(root, 'test/simulation', programs[world])],
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

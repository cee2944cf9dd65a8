import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A bug that is put back into the source, for the time of a run, to see that the run finds it. */
export interface Mutation {
  readonly name: string;
  /** Relative to the root of the repository. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** Changes the place of the source while it is bundled; the source itself is left alone. */
export function patchOf({ name, file, find, replace }: Mutation): { readonly plugin: Plugin; wasUsed(): boolean } {
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

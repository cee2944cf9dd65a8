import { stringify } from 'yaml';
import { customResourceDefinitions } from './crds.ts';

/** Files of `charts/crds`, by name: one manifest each. */
export function crdFiles(): ReadonlyMap<string, string> {
  const header = '# Generated from reconciler/src/record/schema.ts by `npx tsx reconciler/src/record/write-crds.ts`.\n';
  return new Map(
    customResourceDefinitions().map((manifest) => [
      `${manifest.metadata.name}.yaml`,
      header + stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false }),
    ]),
  );
}

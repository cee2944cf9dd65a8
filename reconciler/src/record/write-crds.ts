/** Writes the CRD manifests into `charts/crds`. Run it after a change of the schemas. */
import { mkdir, writeFile } from 'node:fs/promises';
import { crdFiles } from './crd-files.ts';

const folder = new URL('../../../charts/crds/', import.meta.url);
await mkdir(folder, { recursive: true });
for (const [name, content] of crdFiles()) await writeFile(new URL(name, folder), content);

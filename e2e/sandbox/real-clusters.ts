import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { oaasError } from '@oaas/commons/errors';
import { parse } from 'yaml';

/** Where the credentials of a real cluster stand. */
export interface RealCluster {
  /** Path of a kubeconfig. */
  readonly kubeconfig: string;
  readonly context: string;
}

/**
 * Finds the contexts that the flags name in the kubeconfigs of this user: KUBECONFIG (a list of paths), else
 * ~/.kube/config. Throws `ConfigInvalid`, with the contexts that there are, for one that is in none of them.
 */
export function findRealClusters(
  wanted: ReadonlyMap<string, string>,
  env: Readonly<Record<string, string | undefined>>,
): Map<string, RealCluster> {
  const found = new Map<string, RealCluster>();
  if (wanted.size === 0) return found;
  const files = (env['KUBECONFIG'] ?? join(env['HOME'] ?? '', '.kube', 'config'))
    .split(':')
    .filter((file) => file !== '');
  const contexts = new Map<string, string>();
  for (const file of files) for (const name of contextsOf(file)) if (!contexts.has(name)) contexts.set(name, file);
  for (const [name, context] of wanted) {
    const kubeconfig = contexts.get(context);
    if (kubeconfig === undefined) {
      const known = contexts.size === 0 ? 'has none' : `has ${[...contexts.keys()].join(', ')}`;
      throw oaasError(
        'ConfigInvalid',
        `--cluster ${name}=${context}: there is no such context; ${files.join(':')} ${known}.`,
        {
          remedy: 'Name a context of the kubeconfig that KUBECONFIG points to.',
        },
      );
    }
    found.set(name, { kubeconfig, context });
  }
  return found;
}

function contextsOf(file: string): string[] {
  if (!existsSync(file)) return [];
  try {
    const content = parse(readFileSync(file, 'utf8')) as { contexts?: { name?: unknown }[] } | null;
    return (content?.contexts ?? []).flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
  } catch (error) {
    throw oaasError('ConfigInvalid', `${file} cannot be read as a kubeconfig.`, { cause: error });
  }
}

// npm run e2e:kind [-- --context NAME] [PLAYWRIGHT ARGUMENT …]
// The scenarios against a real cluster (kind, or any other): the one that KUBECONFIG and its current context name. Everything happens
// in a namespace of its own, which is removed at the end; the CRDs stay. OAAS_LOAD_IMAGE is a command that brings an image archive into
// the cluster, such as `kind load image-archive`; with it the images are built and loaded first.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isOaasError, toOaasError } from '@oaas/commons/errors';
import { systemClock, systemTimers } from '@oaas/commons/time/system';
import { createKubernetesClient, kinds, type KubernetesClient } from '@oaas/reconciler/kubernetes';
import { parse } from 'yaml';
import { recordType } from './records.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const kubeconfig = process.env['KUBECONFIG'] ?? path.join(homedir(), '.kube', 'config');

const args = process.argv.slice(2);
const at = args.indexOf('--context');
const [, given] = at < 0 ? [] : args.splice(at, 2);
const context = given ?? currentContext();
if (context === undefined) skip(`${kubeconfig} names no cluster`);

const api = createKubernetesClient({ kubeconfig, context, clock: systemClock, timers: systemTimers });
const version = await api.serverVersion({ timeoutMs: 10_000 }).catch((error: unknown) => toOaasError(error));
if (version instanceof Error) skip(`the cluster of the context ${context} does not answer: ${version.message}`);

const namespace = `oaas-e2e-${Date.now().toString(36)}`;
console.log(`e2e:kind: Kubernetes ${version}, context ${context}, namespace ${namespace}`);
loadImages();
await api.create(
  kinds.namespace,
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  { fieldManager: 'oaas-e2e' },
);
let status: number | null;
try {
  status = run(process.execPath, ['node_modules/@playwright/test/cli.js', 'test', '-c', 'e2e/kind', ...args], {
    KUBECONFIG: kubeconfig,
    OAAS_E2E_CONTEXT: context,
    OPRC_CRM_K8S_NAMESPACE: namespace,
  });
} finally {
  await removeNamespace(api);
  await api.close();
}
process.exit(status ?? 1);

function currentContext(): string | undefined {
  if (!existsSync(kubeconfig)) return undefined;
  const content = parse(readFileSync(kubeconfig, 'utf8')) as { 'current-context'?: string } | null;
  return content?.['current-context'];
}

function skip(why: string): never {
  console.log(`e2e:kind is skipped: ${why}. Point KUBECONFIG to a cluster, or name one of its contexts by --context.`);
  process.exit(0);
}

function loadImages(): void {
  const [command, ...first] = (process.env['OAAS_LOAD_IMAGE'] ?? '').split(' ').filter((part) => part !== '');
  if (command === undefined) {
    console.log('e2e:kind: the images are taken as the cluster has them; OAAS_LOAD_IMAGE would build and load them');
    return;
  }
  const archives = mkdtempSync(path.join(tmpdir(), 'oaas-images-'));
  try {
    check(run(process.execPath, ['images/build.mjs', '--archive', archives]), 'the images could not be built');
    for (const file of readdirSync(archives)) {
      check(run(command, [...first, path.join(archives, file)]), `${command} could not load ${file}`);
    }
  } finally {
    rmSync(archives, { recursive: true, force: true });
  }
}

function run(command: string, given: readonly string[], env: Record<string, string> = {}): number | null {
  return spawnSync(command, given, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status;
}

function check(result: number | null, message: string): void {
  if (result === 0) return;
  console.error(`e2e:kind: ${message}`);
  process.exit(1);
}

/** Nobody is left who would take the finalizers away, and with them the namespace would stay for ever. */
async function removeNamespace(client: KubernetesClient): Promise<void> {
  try {
    const { items } = await client.list(recordType, { namespace });
    for (const { metadata } of items) {
      const key = { name: metadata.name, namespace };
      await client.patch(recordType, key, 'merge', { metadata: { finalizers: null } }, { fieldManager: 'oaas-e2e' });
    }
  } catch (error) {
    // Without the CRDs there are no records.
    if (!isOaasError(error, 'NotFound')) throw error;
  } finally {
    await client.delete(kinds.namespace, { name: namespace });
  }
}

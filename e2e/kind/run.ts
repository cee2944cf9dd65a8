// npm run e2e:kind [-- --context NAME] [PLAYWRIGHT ARGUMENT …]
// The scenarios against a real cluster (kind, or any other): the one that KUBECONFIG and its current context name. Everything happens
// in a namespace of its own, which is removed at the end; the CRDs stay. OAAS_LOAD_IMAGE is a command that brings an image archive into
// the cluster, such as `kind load image-archive`; with it the images are built and loaded first.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { toOaasError } from '@oaas/commons/errors';
import { systemClock, systemTimers } from '@oaas/commons/time/system';
import { createKubernetesClient, type KubernetesClient } from '@oaas/reconciler/kubernetes';
import { parse } from 'yaml';
import { makeNamespace, removeNamespace } from './namespace.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const kubeconfig = process.env['KUBECONFIG'] ?? path.join(homedir(), '.kube', 'config');

const args = process.argv.slice(2);
const at = args.indexOf('--context');
const [, given] = at < 0 ? [] : args.splice(at, 2);
const context = given ?? currentContext();
if (context === undefined) skip(`${kubeconfig} names no cluster`);

const version = await withCluster(context, (api) => api.serverVersion({ timeoutMs: 10_000 })).catch((error: unknown) =>
  toOaasError(error),
);
if (version instanceof Error) skip(`the cluster of the context ${context} does not answer: ${version.message}`);

const namespace = `oaas-e2e-${Date.now().toString(36)}`;
console.log(`e2e:kind: Kubernetes ${version}, context ${context}, namespace ${namespace}`);
await loadImages();
await withCluster(context, (api) => makeNamespace(api, namespace));
let status: number | null;
try {
  status = await run(process.execPath, ['node_modules/@playwright/test/cli.js', 'test', '-c', 'e2e/kind', ...args], {
    KUBECONFIG: kubeconfig,
    OAAS_E2E_CONTEXT: context,
    OPRC_CRM_K8S_NAMESPACE: namespace,
  });
} finally {
  await withCluster(context, (api) => removeNamespace(api, namespace));
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

/** A client for a moment: connections that idle for the length of the suite may be dead when they are needed again. */
async function withCluster<T>(name: string, work: (api: KubernetesClient) => Promise<T>): Promise<T> {
  const api = createKubernetesClient({ kubeconfig, context: name, clock: systemClock, timers: systemTimers });
  try {
    return await work(api);
  } finally {
    await api.close();
  }
}

async function loadImages(): Promise<void> {
  const [command, ...first] = (process.env['OAAS_LOAD_IMAGE'] ?? '').split(' ').filter((part) => part !== '');
  if (command === undefined) {
    console.log('e2e:kind: the images are taken as the cluster has them; OAAS_LOAD_IMAGE would build and load them');
    return;
  }
  const archives = mkdtempSync(path.join(tmpdir(), 'oaas-images-'));
  try {
    check(await run(process.execPath, ['images/build.mjs', '--archive', archives]), 'the images could not be built');
    for (const file of readdirSync(archives)) {
      check(await run(command, [...first, path.join(archives, file)]), `${command} could not load ${file}`);
    }
  } finally {
    rmSync(archives, { recursive: true, force: true });
  }
}

function run(command: string, given: readonly string[], env: Record<string, string> = {}): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, given, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
    child.once('error', reject);
    child.once('close', resolve);
  });
}

function check(result: number | null, message: string): void {
  if (result === 0) return;
  console.error(`e2e:kind: ${message}`);
  process.exit(1);
}

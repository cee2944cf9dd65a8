import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { startEmbeddedApi, startRealApi } from '@oaas/reconciler/testkit/kubernetes';
import { ApiClient } from './api-client.ts';

/** An API server under test. */
export interface Running {
  readonly api: ApiClient;
  /** Path of a kubeconfig file. */
  readonly kubeconfig: string;
  /** For clients that are not given a kubeconfig. */
  readonly access: { readonly url: string; readonly ca: string; readonly token: () => Promise<string> };
  stop(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** Why it cannot be tested here. */
  readonly missing?: string;
  start(): Promise<Running>;
}

const assets = process.env['KUBEBUILDER_ASSETS'];
const hasAssets =
  assets !== undefined &&
  ['etcd', 'kube-apiserver', 'kube-controller-manager'].every((program) => existsSync(join(assets, program)));

/** The kubectl of KUBEBUILDER_ASSETS or PATH; undefined where there is none. */
export const kubectlPath = [...(assets === undefined ? [] : [assets]), ...(process.env['PATH'] ?? '').split(delimiter)]
  .map((folder) => join(folder, 'kubectl'))
  .find((path) => existsSync(path));

async function prepared(
  endpoint: { url: string; token: string; caPem: string; kubeconfig: string },
  stop: () => Promise<void>,
): Promise<Running> {
  const dir = await mkdtemp(join(tmpdir(), 'conformance-'));
  const kubeconfig = join(dir, 'kubeconfig');
  await writeFile(kubeconfig, endpoint.kubeconfig, { mode: 0o600 });
  const api = new ApiClient(endpoint);
  return {
    api,
    kubeconfig,
    access: { url: endpoint.url, ca: endpoint.caPem, token: () => Promise.resolve(endpoint.token) },
    stop: async () => {
      api.close();
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export const embedded: Target = {
  name: 'the embedded API',
  start: async () => {
    const api = await startEmbeddedApi({
      name: 'embedded',
      clock: systemClock,
      random: systemRandom,
      timers: systemTimers,
    });
    return prepared(api, () => api.stop());
  },
};

export const real: Target = {
  name: 'kube-apiserver',
  ...(hasAssets
    ? {}
    : { missing: 'KUBEBUILDER_ASSETS names no folder with etcd, kube-apiserver and kube-controller-manager' }),
  start: async () => {
    const controllers = ['garbage-collector-controller', 'namespace-controller'];
    const api = await startRealApi({ assets: assets ?? '', controllers });
    return prepared(api, () => api.stop());
  },
};

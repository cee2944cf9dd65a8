import { isOaasError, oaasError } from '@oaas/commons/errors';
import { sleep, type Timers } from '@oaas/commons/time';
import { kinds, type KubernetesApi, type KubeObject } from '../../kubernetes/index.ts';
import { type CustomResourceDefinition, customResourceDefinitions } from '../../record/index.ts';
import type { KubeCondition } from '../objects.ts';

const pollMs = 100;
/** How long the server may take to serve a new kind. */
const establishedMs = 30_000;

/**
 * Applies the CRDs and waits until the server serves them. A newer version of a CRD that is there is overwritten: the
 * CRM that runs decides. Rejects with `PermissionDenied` where it may not, with what to do instead.
 */
export async function applyCrds(api: KubernetesApi, timers: Timers, signal: AbortSignal): Promise<void> {
  for (const manifest of customResourceDefinitions()) {
    try {
      await applyOne(api, timers, manifest, signal);
    } catch (error) {
      if (!isOaasError(error, 'PermissionDenied')) throw error;
      throw oaasError('PermissionDenied', error.message, {
        remedy: 'Install charts/crds with an account that may, and set OPRC_CRM_APPLY_CRDS=false.',
        cause: error,
      });
    }
  }
}

async function applyOne(
  api: KubernetesApi,
  timers: Timers,
  manifest: CustomResourceDefinition,
  signal: AbortSignal,
): Promise<void> {
  const { name } = manifest.metadata;
  let crd = await api.apply(kinds.crd, manifest as unknown as KubeObject, {
    fieldManager: 'oaas-crm-crds',
    force: true,
    signal,
  });
  for (let waitedMs = 0; !isEstablished(crd); waitedMs += pollMs) {
    if (waitedMs >= establishedMs) {
      throw oaasError('DeadlineExceeded', `the CRD ${name} was not established within ${String(establishedMs)} ms`);
    }
    await sleep(timers, pollMs, signal);
    crd = await api.get(kinds.crd, { name }, { signal });
  }
}

function isEstablished(crd: KubeObject): boolean {
  const { conditions } = (crd['status'] ?? {}) as { readonly conditions?: readonly KubeCondition[] };
  return conditions?.some(({ type, status }) => type === 'Established' && status === 'True') ?? false;
}

import { isOaasError, oaasError } from '@oaas/commons/errors';
import { kinds, type KubernetesClient, type KubeObject, type ResourceType } from '@oaas/reconciler/kubernetes';
import { customResourceDefinitions, group, version } from '@oaas/reconciler/record';

const platformKind = (kind: string): ResourceType => ({
  group,
  version,
  kind,
  plural: `${kind.toLowerCase()}s`,
  namespaced: true,
});
export const recordType = platformKind('DeploymentRecord');

const writing = { fieldManager: 'oaas-e2e' } as const;
const establishedMs = 30_000;

/**
 * A namespace for one run, with the CRDs, and with a template that asks for little: all examples at once must fit into a node of two
 * processors.
 */
export async function makeNamespace(api: KubernetesClient, namespace: string): Promise<void> {
  for (const manifest of customResourceDefinitions()) {
    await api.apply(kinds.crd, manifest as unknown as KubeObject, { ...writing, force: true });
  }
  await api.create(kinds.namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }, writing);
  const little = { cpuRequest: '20m', memoryRequest: '64Mi' };
  await create(api, namespace, 'DeploymentTemplate', 'small', {
    templateType: 'k8s_deployment',
    grid: little,
    functions: little,
  });
  await create(api, namespace, 'EnvironmentConfig', 'cloud', { defaultTemplate: 'small' });
}

/** Removes the namespace. Nobody is left who would take the finalizers away, and with them it would stay for ever. */
export async function removeNamespace(api: KubernetesClient, namespace: string): Promise<void> {
  const { items } = await api.list(recordType, { namespace });
  for (const { metadata } of items) {
    const key = { name: metadata.name, namespace };
    await api.patch(recordType, key, 'merge', { metadata: { finalizers: null } }, writing);
  }
  await api.delete(kinds.namespace, { name: namespace });
}

/** Tries until the server serves the kind, whose CRD may be a moment old. */
async function create(
  api: KubernetesClient,
  namespace: string,
  kind: string,
  name: string,
  spec: object,
): Promise<void> {
  const type = platformKind(kind);
  const object = { apiVersion: `${group}/${version}`, kind, metadata: { name, namespace }, spec };
  for (const deadline = Date.now() + establishedMs; ;) {
    try {
      await api.create(type, object, writing);
      return;
    } catch (error) {
      if (!isOaasError(error, 'NotFound')) throw error;
      if (Date.now() > deadline) throw oaasError('DeadlineExceeded', `the server does not serve ${kind}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

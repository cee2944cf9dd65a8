import { isOaasError } from '@oaas/commons/errors';
import type { ListWatch } from '../../controller/index.ts';
import { isExpired, type KubernetesApi, type KubeObject, type ResourceType } from '../../kubernetes/index.ts';

export interface Selection {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
}

/** A collection of the API server as a reflector follows it. */
export function listWatch(api: KubernetesApi, type: ResourceType, selection: Selection): ListWatch<KubeObject> {
  return {
    list: ({ continueToken, signal }) => api.list(type, { ...selection, continueToken, signal }),
    watch: ({ resourceVersion, signal }) => api.watch(type, { ...selection, resourceVersion, signal }),
    isExpired: (error) => isOaasError(error) && isExpired(error),
  };
}

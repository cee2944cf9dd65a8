import { isOaasError, type OaasError, toOaasError } from '@oaas/commons/errors';
import type { Clock, Random, Timers } from '@oaas/commons/time';
import { type ListWatch, Reflector, Store } from '@oaas/reconciler/controller';
import { isExpired, kinds, type KubernetesApi, type ResourceType } from '@oaas/reconciler/kubernetes';
import {
  controllerOf,
  type Deployment,
  type KubeObject,
  type Pod,
  type ReplicaSet,
  type Service,
  type StatefulSet,
  type VolumeClaim,
} from './objects.ts';

function type(group: string, version: string, kind: string, plural: string, namespaced = true): ResourceType {
  return { group, version, kind, plural, namespaced };
}

/** Kinds that only the sandbox's stand-ins for Kubernetes' own controllers touch. */
export const sandboxKinds = {
  ...kinds,
  replicaSet: type('apps', 'v1', 'ReplicaSet', 'replicasets'),
  endpoints: type('', 'v1', 'Endpoints', 'endpoints'),
  endpointSlice: type('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices'),
  secret: type('', 'v1', 'Secret', 'secrets'),
  volume: type('', 'v1', 'PersistentVolume', 'persistentvolumes', false),
} as const satisfies Record<string, ResourceType>;

export interface Ambient {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/** What the sandbox knows of one cluster's objects, kept up to date by watches. One set for all of its controllers. */
export interface Caches {
  readonly pods: Store<Pod>;
  readonly services: Store<Service>;
  readonly deployments: Store<Deployment>;
  readonly replicaSets: Store<ReplicaSet>;
  readonly statefulSets: Store<StatefulSet>;
  readonly claims: Store<VolumeClaim>;
  /** Starts the watches. Resolves when every cache holds what the server has. */
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** Names of the indexes that {@link createCaches} keeps. */
export const byOwner = 'owner';
export const byNamespace = 'namespace';

export function createCaches(api: KubernetesApi, ambient: Ambient, onError: (error: OaasError) => void): Caches {
  const indexes = {
    [byOwner]: (object: KubeObject) => [controllerOf(object)?.uid ?? ''],
    [byNamespace]: (object: KubeObject) => [object.metadata.namespace ?? ''],
  };
  const reflectors: Reflector<KubeObject, KubeObject>[] = [];
  function follow<T extends KubeObject>(resource: ResourceType): Store<T> {
    const store = new Store<T>(indexes);
    const reflector = new Reflector<KubeObject, T>({
      name: resource.plural,
      source: listWatch(api, resource),
      store,
      transform: (object) => withoutManagedFields(object) as T,
      ...ambient,
      onError,
    });
    reflectors.push(reflector as unknown as Reflector<KubeObject, KubeObject>);
    return store;
  }
  return {
    pods: follow<Pod>(sandboxKinds.pod),
    services: follow<Service>(sandboxKinds.service),
    deployments: follow<Deployment>(sandboxKinds.deployment),
    replicaSets: follow<ReplicaSet>(sandboxKinds.replicaSet),
    statefulSets: follow<StatefulSet>(sandboxKinds.statefulSet),
    claims: follow<VolumeClaim>(sandboxKinds.volumeClaim),
    start: async (signal) => {
      for (const reflector of reflectors) reflector.start();
      await Promise.all(reflectors.map((reflector) => reflector.synced(signal)));
    },
    stop: async () => {
      await Promise.all(reflectors.map((reflector) => reflector.stop()));
    },
  };
}

function listWatch(api: KubernetesApi, resource: ResourceType): ListWatch<KubeObject> {
  return {
    list: (options) => api.list(resource, options),
    watch: (options) => api.watch(resource, options),
    isExpired: (error) => isExpired(toOaasError(error)),
  };
}

function withoutManagedFields(object: KubeObject): KubeObject {
  const metadata: Record<string, unknown> = { ...object.metadata };
  delete metadata['managedFields'];
  return { ...object, metadata: metadata as unknown as KubeObject['metadata'] };
}

/** Reads every object of a namespace from the server itself: for a decision that a cache may be too old for. */
export async function listNow<T extends KubeObject>(
  api: KubernetesApi,
  resource: ResourceType,
  namespace: string,
): Promise<T[]> {
  const items: T[] = [];
  let continueToken: string | undefined;
  do {
    const page = await api.list(resource, { namespace, continueToken });
    items.push(...(page.items as readonly T[]));
    continueToken = page.continueToken;
  } while (continueToken !== undefined);
  return items;
}

/** Runs a write whose aim may be reached already: an object that is there, or one that is gone, is no failure. */
export async function tolerating(code: 'AlreadyExists' | 'NotFound', write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    // A precondition that does not hold any more means the object in question is gone.
    if (isOaasError(error, code) || (code === 'NotFound' && isOaasError(error, 'Conflict'))) return;
    throw error;
  }
}

/** The Kubernetes API as a port, and its adapter: raw JSON over shared connections, credentials by client-node. */
export type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  KubernetesApi,
  ListOptions,
  ListPage,
  PatchType,
  PodLogOptions,
  ProxyResponse,
  ProxyTarget,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './api.ts';
export { type ClientOptions, createKubernetesClient, type KubernetesClient } from './client.ts';
export { createdEntries, ownByApply } from './ownership.ts';
export { fieldConflicts, isExpired, kubeReason } from './errors.ts';
export {
  apiVersionOf,
  kinds,
  type KubeMeta,
  type KubeObject,
  type ObjectKey,
  type OwnerReference,
  pathOf,
  type ResourceType,
} from './types.ts';

/**
 * An embedded Kubernetes API server (of version 1.34) for tests and for a sandbox on one machine.
 *
 * What is there: discovery, OpenAPI v2 and v3 without prose, tables; create, read, list with selectors and pages, update,
 * delete, deletecollection, watch with bookmarks and initial events; JSON, merge and strategic merge patch, server-side
 * apply with managedFields; status and scale; dry run and field validation; CustomResourceDefinitions with structural
 * schemas (validation, defaulting, pruning, printer columns); finalizers, garbage collection by owner, namespaces'
 * lifecycle; pod logs and proxies by hooks.
 *
 * What is not there: workload controllers, scheduler, kubelet (who wants pods run brings a process runner); admission
 * webhooks; authorization (one token may do everything, RBAC kinds are stored only); CEL rules; conversion webhooks;
 * answers in protobuf (bodies are read, as `kubectl create configmap` and others send them); the finalizers that protect volumes and the taint of new nodes, which only controllers
 * would take away; exec, attach and port-forward; duplicate keys in a body are not reported by strict validation; ServiceAccount
 * tokens, default ServiceAccounts and `kube-root-ca.crt`; pages of a list show the present, not the first page's revision.
 */
import { createServer } from 'node:https';
import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Clock, Random, Timers } from '@oaas/commons/time';
import { loadIdentity } from './auth.ts';
import { InProcessClient } from './client.ts';
import { Cluster } from './cluster.ts';
import { Handler } from './http/server.ts';
import type { SubresourceHooks } from './http/subresources.ts';
import { builtinFacts } from './kinds/builtin.ts';
import { renderKubeconfig } from './kubeconfig.ts';
import { lmdbStorage } from './store/lmdb.ts';
import { memoryStorage } from './store/storage.ts';

export type { InProcessClient, ResourceReference, WatchHandle } from './client.ts';
export type { DeleteOptions, ListOptions, PatchRequest, PatchType, WatchOptions, WriteOptions } from './api/options.ts';
export type { PodLogOptions, SubresourceHooks } from './http/subresources.ts';
export type { WatchEventType } from './api/watcher.ts';
export { ApiError, type Status } from './status.ts';
export type { KubeObject, ManagedFieldsEntry, ObjectMeta, OwnerReference } from './types.ts';
export { renderKubeconfig, type KubeconfigFacts } from './kubeconfig.ts';
export { startRealApi, type RealApi, type RealApiOptions } from './real.ts';

/** The part of a pino logger that is used here. */
export interface ApiLogger {
  error(fields: object, message: string): void;
}

export interface EmbeddedApiOptions {
  /** Folder for the objects, the certificates and the token; survives restarts and `kill -9`. Absent: in memory. */
  readonly dir?: string;
  /** Port on 127.0.0.1. Default: 0, any free one. */
  readonly port?: number;
  /** Name of the cluster, user and context in the kubeconfig. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly logger?: ApiLogger;
  /** First and last node port of Services. Default: 30000 to 32767. */
  readonly nodePorts?: readonly [number, number];
  readonly subresources?: SubresourceHooks;
  /** The storage failed: every further write is refused, until the server is started anew. */
  readonly onStorageFailure?: (error: unknown) => void;
}

export interface EmbeddedApi {
  /** `https://127.0.0.1:<port>`. */
  readonly url: string;
  /** YAML, with the CA and the token: write it with mode 0600. */
  readonly kubeconfig: string;
  readonly token: string;
  readonly caPem: string;
  /** Such as `v1.34.4`. */
  readonly version: string;
  /** The same API without HTTP, for controllers in this process. */
  readonly client: InProcessClient;
  /** Ends watches and connections, waits for writes under way, and closes the storage. */
  stop(): Promise<void>;
}

const DEFAULT_NODE_PORTS = [30_000, 32_767] as const;

/** Starts the server; it answers when the promise resolves. Rejects when the port is taken or the folder cannot be used. */
export async function startEmbeddedApi(options: EmbeddedApiOptions): Promise<EmbeddedApi> {
  const { dir, clock, random, timers, logger } = options;
  const onError = (error: unknown): void => {
    logger?.error({ err: error }, 'the embedded Kubernetes API met an unexpected error');
  };
  if (dir !== undefined) await mkdir(dir, { recursive: true, mode: 0o700 });
  const identity = await loadIdentity(dir, clock.now());
  const storage = dir === undefined ? memoryStorage() : lmdbStorage(join(dir, 'objects.lmdb'));
  const cluster = new Cluster({
    ...{ storage, clock, random, onError, onStorageFailure: options.onStorageFailure },
    nodePorts: options.nodePorts ?? DEFAULT_NODE_PORTS,
  });
  await cluster.start();
  const handler = new Handler({
    cluster,
    token: identity.token,
    clock,
    random,
    timers,
    hooks: options.subresources ?? {},
    onError,
  });
  const server = createServer({ cert: identity.certPem, key: identity.keyPem }, (request, response) => {
    handler.handle(request, response);
  });
  // Watches are quiet for longer than any request may take.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 60_000;
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port);
    });
  }).catch(async (error: unknown) => {
    await cluster.stop();
    throw error;
  });
  const url = `https://127.0.0.1:${String(port)}`;
  return {
    url,
    kubeconfig: renderKubeconfig({ name: options.name, url, token: identity.token, caPem: identity.caPem }),
    token: identity.token,
    caPem: identity.caPem,
    version: builtinFacts.kubernetes,
    client: new InProcessClient(cluster),
    stop: async () => {
      handler.close();
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      server.closeAllConnections();
      await closed;
      await cluster.stop();
    },
  };
}

import { type OaasError, oaasError, toOaasError } from '@oaas/commons/errors';
import { backoffDelay, type BackoffOptions, type Random, sleep, type Timers } from '@oaas/commons/time';
import { z } from 'zod';
import type { ClusterAccess } from './access.ts';
import { follow, get } from './api-server.ts';
import type { Found } from './dns.ts';

export interface PodWatchOptions {
  /** Asked until it can be told: rejects outside of a cluster. */
  readonly access: () => Promise<ClusterAccess>;
  readonly clusterId: string;
  /** Of a pod that does not name the port of its gRPC services. */
  readonly defaultPort: number;
  readonly timers: Timers;
  readonly random: Random;
  /** Told of the first failure of a row; the watch goes on by itself. */
  readonly onError: (error: OaasError) => void;
}

/** Name of the port of the gRPC services in the pod's specification. */
const portName = 'grpc';
/** After failures in a row: half a second doubling to ten, half of it random. */
const backoff: BackoffOptions = { baseMs: 500, maxMs: 10_000, factor: 2, jitter: 0.5 };
/** The server ends a watch after this time, and a new one goes on from there. */
const watchSeconds = 300;
/** Between watches, so that a server that ends each at once is not flooded. */
const rewatchMs = 100;

const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    resourceVersion: z.string().optional(),
    deletionTimestamp: z.string().optional(),
  }),
  spec: z
    .object({
      containers: z.array(
        z.object({
          ports: z.array(z.object({ name: z.string().optional(), containerPort: z.number() })).default([]),
        }),
      ),
    })
    .optional(),
  status: z.object({ podIP: z.string().optional(), phase: z.string().optional() }).optional(),
});
type Pod = z.infer<typeof podSchema>;
const listSchema = z.object({ metadata: z.object({ resourceVersion: z.string() }), items: z.array(podSchema) });
const eventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['ADDED', 'MODIFIED', 'DELETED']), object: podSchema }),
  z.object({ type: z.literal('BOOKMARK'), object: z.object({ metadata: z.object({ resourceVersion: z.string() }) }) }),
  z.object({
    type: z.literal('ERROR'),
    object: z.object({ code: z.number().default(0), message: z.string().default('') }),
  }),
]);

/**
 * Pods with the label `odgm-cluster=<clusterId>` that have an address and are not ending, as nodes: their names are the
 * ids. They are listed once and then watched; whatever goes wrong with the watch (also that its version is too old, 410)
 * leads to a new list, after a bounded wait that grows. What is known stays known while the API server does not answer.
 */
export class PodWatch {
  readonly #options: PodWatchOptions;
  readonly #stop = new AbortController();
  readonly #found = new Map<string, Found>();
  #running: Promise<void> | undefined;
  #isListed = false;
  #problem: OaasError | undefined;
  #tellTried: () => void = () => undefined;
  readonly #whenTried = new Promise<void>((resolve) => {
    this.#tellTried = resolve;
  });

  constructor(options: PodWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#tellTried();
    await this.#running;
  }

  /**
   * What is known now, in one order; after {@link start} the first answer is waited for. Rejects as long as there was
   * none: with `Unavailable`, and with `PermissionDenied` when the service account may not list pods.
   */
  async nodes(): Promise<Found[]> {
    await this.#whenTried;
    if (!this.#isListed) throw this.#problem ?? oaasError('Unavailable', 'pods are not watched any more');
    return [...this.#found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { timers, random, onError } = this.#options;
    let version: string | undefined;
    let failures = 0;
    const isStopped = (): boolean => signal.aborted;
    while (!isStopped()) {
      let pauseMs = rewatchMs;
      try {
        version ??= await this.#list(signal);
        for await (version of this.#watch(version, signal)) failures = 0;
        failures = 0;
      } catch (thrown) {
        if (isStopped()) return;
        version = undefined;
        const error = toOaasError(thrown);
        this.#problem = error;
        if (failures === 0) onError(error);
        pauseMs = backoffDelay(failures, backoff, random);
        failures += 1;
      }
      this.#tellTried();
      await sleep(timers, pauseMs, signal).catch(() => undefined);
    }
  }

  /** The version of the list. */
  async #list(signal: AbortSignal): Promise<string> {
    const access = await this.#options.access();
    const { items, metadata } = listSchema.parse(JSON.parse(await get(access, this.#path(access), signal)));
    this.#found.clear();
    for (const pod of items) this.#note(pod);
    this.#isListed = true;
    this.#tellTried();
    return metadata.resourceVersion;
  }

  /** Notes what changes, until the server ends the watch. The versions of the changes. */
  async *#watch(version: string, signal: AbortSignal): AsyncGenerator<string> {
    const access = await this.#options.access();
    const since = `&watch=true&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(version)}`;
    const path = `${this.#path(access)}${since}&timeoutSeconds=${String(watchSeconds)}`;
    for await (const line of follow(access, path, (watchSeconds + 30) * 1000, signal)) {
      const { type, object } = eventSchema.parse(JSON.parse(line));
      if (type === 'ERROR') {
        const { code, message } = object;
        throw oaasError('Unavailable', 'the watch of pods ended', { details: { status: code, reason: message } });
      }
      if (type === 'DELETED') this.#found.delete(object.metadata.name);
      else if (type !== 'BOOKMARK') this.#note(object);
      yield object.metadata.resourceVersion ?? version;
    }
  }

  #path({ namespace }: ClusterAccess): string {
    const selector = encodeURIComponent(`odgm-cluster=${this.#options.clusterId}`);
    return `/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`;
  }

  #note({ metadata: { name, deletionTimestamp }, spec, status }: Pod): void {
    const ip = status?.podIP;
    const hasEnded = status?.phase === 'Succeeded' || status?.phase === 'Failed';
    if (ip === undefined || hasEnded || deletionTimestamp !== undefined) {
      this.#found.delete(name);
      return;
    }
    const ports = spec?.containers.flatMap((container) => container.ports) ?? [];
    const port = ports.find((one) => one.name === portName)?.containerPort ?? this.#options.defaultPort;
    this.#found.set(name, { id: name, address: `${ip.includes(':') ? `[${ip}]` : ip}:${String(port)}` });
  }
}

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { isOaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { EventRecorder, type StoreChange } from '@oaas/reconciler/controller';
import type { KubernetesApi, ResourceType } from '@oaas/reconciler/kubernetes';
import type { ProcessList } from '../orphans.ts';
import { type Ambient, type Caches, sandboxKinds, tolerating } from '../workloads/caches.ts';
import { eventSink, referenceOf } from '../workloads/events.ts';
import type { KubeObject, Pod } from '../workloads/objects.ts';
import type { KeyValueSource } from './environment.ts';
import type { HostPorts } from './host-ports.ts';
import type { ImageTable } from './images.ts';
import type { LogQuery } from './logs.ts';
import { type PodApi, type PodContext, PodWorker } from './pod-worker.ts';
import { Slots } from './slots.ts';

export interface RunnerOptions extends Ambient {
  readonly cluster: string;
  readonly nodeName: string;
  /** Folder of the cluster: `pods/` is kept here. */
  readonly dir: string;
  readonly claimDir: (namespace: string, claim: string) => string;
  readonly api: KubernetesApi;
  readonly caches: Caches;
  readonly images: ImageTable;
  readonly ports: HostPorts;
  readonly processes: ProcessList;
  readonly baseEnv: Readonly<Record<string, string>>;
  /** Containers that start at the same time. Default 4: a start takes most of a processor for half a second. */
  readonly startsMax?: number;
  readonly logger: Logger;
}

const fieldManager = 'sandbox-kubelet';

/**
 * A small kubelet: runs the pods of one node as processes of this machine, and writes back what becomes of them.
 *
 * What a pod asks for and what it gets: the image stands for a program (images.ts); `env`, ConfigMaps, Secrets, emptyDirs,
 * claims, probes, restart policy, grace period and logs are as on a node. There is no isolation: a process sees this
 * machine's files and network, limits and securityContext are not enforced, `command` and `args` are not used, and
 * there are no init containers. Files of a ConfigMap are written when a container starts, not when it changes.
 * Paths: an environment value that begins with a mount path is rewritten to where the volume lies here. Addresses:
 * `<service>.<namespace>.svc:<port>` and `<pod>.<service>.<namespace>.svc:<port>` become 127.0.0.1:<port> in environment values
 * and in files of ConfigMaps.
 */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #context: PodContext;
  readonly #events: EventRecorder;
  readonly #workers = new Map<string, PodWorker>();
  #unsubscribe: () => void = () => undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { api, clock, logger } = options;
    this.#events = new EventRecorder({
      sink: eventSink(api, fieldManager, options.nodeName, options.random),
      clock,
      onError: (error) => logger.debug({ err: error }, 'an event was not written'),
    });
    this.#context = {
      cluster: options.cluster,
      podsDir: join(options.dir, 'pods'),
      claimDir: (namespace, name) => {
        const claim = options.caches.claims.get(`${namespace}/${name}`);
        return claim?.status?.phase === 'Bound' ? options.claimDir(namespace, name) : undefined;
      },
      images: options.images,
      ports: options.ports,
      source: keyValueSource(api),
      starts: new Slots(options.startsMax ?? 4),
      processes: options.processes,
      baseEnv: options.baseEnv,
      api: podApi(api),
      clock,
      timers: options.timers,
      logger,
      event: (pod, type, reason, note) => {
        this.#events.record({ regarding: referenceOf(pod), type, reason, action: reason, note });
      },
    };
  }

  /** Takes up the pods of the node. The caches must have synced. */
  async start(): Promise<void> {
    const { caches } = this.#options;
    await this.#removeLeftovers();
    this.#unsubscribe = caches.pods.subscribe((change) => this.#onChange(change));
    for (const object of caches.pods.values()) this.#onChange({ type: 'added', key: '', object });
  }

  /** Ends all processes; objects and files stay. Resolves when no process is left. */
  async stop(graceMs: number): Promise<void> {
    this.#unsubscribe();
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop(graceMs)));
    this.#workers.clear();
  }

  /** What `kubectl logs` shows. Undefined: there is no such pod, container or run. */
  async podLog(
    namespace: string,
    name: string,
    query: LogQuery & { readonly container?: string; readonly previous?: boolean },
  ): Promise<Readable | undefined> {
    const pod = this.#options.caches.pods.get(`${namespace}/${name}`);
    const worker = this.#workers.get(pod?.metadata.uid ?? '');
    return worker?.container(query.container)?.logs.read(query);
  }

  #onChange({ type, object: pod }: StoreChange<Pod>): void {
    const uid = pod.metadata.uid ?? '';
    const worker = this.#workers.get(uid);
    if (type === 'deleted') {
      this.#workers.delete(uid);
      void worker?.abandon().catch((error: unknown) => this.#failed(error, pod));
      return;
    }
    if (worker !== undefined) {
      worker.update(pod);
      return;
    }
    if (pod.spec.nodeName === undefined && pod.metadata.deletionTimestamp === undefined) {
      void this.#bind(pod).catch((error: unknown) => this.#failed(error, pod));
    }
    if (pod.spec.nodeName !== this.#options.nodeName) return;
    const started = new PodWorker(pod, this.#context);
    this.#workers.set(uid, started);
    started.start();
  }

  /** A pod that somebody made by hand has no node yet. */
  async #bind(pod: Pod): Promise<void> {
    const { api, nodeName } = this.#options;
    const { name, namespace = 'default' } = pod.metadata;
    const target = { apiVersion: 'v1', kind: 'Node', name: nodeName };
    const binding: ResourceType = { ...sandboxKinds.pod, kind: 'Binding', plural: `pods/${name}/binding` };
    await tolerating(
      'NotFound',
      api.create(
        binding,
        { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target },
        { fieldManager },
      ),
    );
  }

  /** Folders of pods that are no more: they were deleted while the sandbox was not running, or it was killed. */
  async #removeLeftovers(): Promise<void> {
    const folder = this.#context.podsDir;
    const known = new Set([...this.#options.caches.pods.values()].map((pod) => pod.metadata.uid));
    for (const uid of await readdir(folder).catch(() => [])) {
      if (!known.has(uid)) await rm(join(folder, uid), { recursive: true, force: true });
    }
  }

  #failed(error: unknown, pod: Pod): void {
    this.#options.logger.error({ err: toOaasError(error), pod: pod.metadata.name }, 'a pod could not be dealt with');
  }
}

function podApi(api: KubernetesApi): PodApi {
  const keyOf = ({ metadata: { name, namespace } }: KubeObject) => ({ name, namespace });
  return {
    writeStatus: async (pod, status) => {
      // The uid is a precondition: another pod of the same name must not get this status.
      const patch = { metadata: { uid: pod.metadata.uid }, status };
      await api.patch(sandboxKinds.pod, keyOf(pod), 'merge', patch, { fieldManager, subresource: 'status' });
    },
    annotate: async (pod, annotations) => {
      const patch = { metadata: { uid: pod.metadata.uid, annotations } };
      await api.patch(sandboxKinds.pod, keyOf(pod), 'merge', patch, { fieldManager });
    },
    remove: async (pod) => {
      const preconditions = pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid };
      await tolerating('NotFound', api.delete(sandboxKinds.pod, keyOf(pod), { gracePeriodSeconds: 0, preconditions }));
    },
  };
}

function keyValueSource(api: KubernetesApi): KeyValueSource {
  const read = async (type: ResourceType, namespace: string, name: string) => {
    try {
      return await api.get(type, { namespace, name });
    } catch (error) {
      if (isOaasError(error, 'NotFound')) return undefined;
      throw error;
    }
  };
  const decode = (values: unknown, encoding: 'utf8' | 'base64'): [string, Buffer][] =>
    Object.entries((values ?? {}) as Record<string, string>).map(([key, text]) => [key, Buffer.from(text, encoding)]);
  return {
    configMap: async (namespace, name) => {
      const object = await read(sandboxKinds.configMap, namespace, name);
      if (object === undefined) return undefined;
      return new Map([...decode(object['data'], 'utf8'), ...decode(object['binaryData'], 'base64')]);
    },
    secret: async (namespace, name) => {
      const object = await read(sandboxKinds.secret, namespace, name);
      return object === undefined ? undefined : new Map(decode(object['data'], 'base64'));
    },
  };
}

import { type OaasError, toOaasError } from '@oaas/commons/errors';
import { Controller, keyOf } from '@oaas/reconciler/controller';
import { type Ambient, byNamespace, type Caches } from '../workloads/caches.ts';
import { type Backend, backendsOf, hostPortOf } from '../workloads/endpoints.ts';
import { type Service, splitKey } from '../workloads/objects.ts';
import type { HostPorts } from './host-ports.ts';
import { servicePortKey } from './pod-worker.ts';
import { TcpProxy } from './tcp-proxy.ts';

export interface ServiceProxiesOptions extends Ambient {
  readonly cluster: string;
  readonly caches: Caches;
  readonly ports: HostPorts;
  readonly onFailure: (key: string, error: OaasError) => void;
}

interface Listener {
  readonly proxy: TcpProxy;
  readonly port: number;
}

/**
 * What kube-proxy does, with loopback ports: every port of every Service has one (and its nodePort, if it has one),
 * which takes connections while at least one pod behind it is ready, and refuses them otherwise.
 */
export class ServiceProxies {
  readonly #options: ServiceProxiesOptions;
  readonly #controller: Controller;
  /** By service, then by port of the service and kind of listener. */
  readonly #listeners = new Map<string, Map<string, Listener>>();

  constructor(options: ServiceProxiesOptions) {
    this.#options = options;
    const { caches, clock, timers, random, onFailure } = options;
    this.#controller = new Controller({
      name: 'service proxies',
      reconcile: async (key) => {
        await this.#reconcile(key);
        return { done: true };
      },
      clock,
      timers,
      random,
      concurrency: 1,
      backoff: { baseMs: 500, maxMs: 30_000, factor: 2, jitter: 0.5 },
      onFailure,
    });
    this.#controller.watch(caches.services, ({ type, object }) => {
      if (type === 'deleted') this.#release(object);
      return [keyOf(object)];
    });
    this.#controller.watch(caches.pods, ({ object }) =>
      caches.services.byIndex(byNamespace, object.metadata.namespace ?? '').map(keyOf),
    );
  }

  start(): void {
    this.#controller.start();
  }

  async stop(): Promise<void> {
    await this.#controller.stop(1000).catch(() => undefined);
    for (const listeners of this.#listeners.values()) {
      for (const { proxy } of listeners.values()) proxy.close({ cut: true });
    }
    this.#listeners.clear();
  }

  /** Loopback port of a ready pod behind a Service, for the API server's proxy. `port` is a number or a name. */
  resolveService(namespace: string, name: string, port: string): number | undefined {
    const service = this.#options.caches.services.get(`${namespace}/${name}`);
    if (service === undefined) return undefined;
    const isWanted = ({ servicePort }: Backend): boolean =>
      port === '' || servicePort.name === port || String(servicePort.port) === port;
    return this.#ready(service).find(isWanted)?.hostPort;
  }

  /** Loopback port of a pod, for the API server's proxy. `port` is a number or a name; empty: its first. */
  resolvePod(namespace: string, name: string, port: string): number | undefined {
    const pod = this.#options.caches.pods.get(`${namespace}/${name}`);
    const declared = pod?.spec.containers.flatMap((container) => container.ports ?? []);
    const wanted =
      declared?.find((each) => port === '' || each.name === port || String(each.containerPort) === port)
        ?.containerPort ?? (/^\d+$/.test(port) ? Number(port) : undefined);
    return pod === undefined || wanted === undefined ? undefined : hostPortOf(pod, wanted);
  }

  #release({ metadata: { name, namespace = 'default' }, spec }: Service): void {
    const { cluster, ports } = this.#options;
    for (const { port } of spec.ports ?? []) ports.release(servicePortKey(cluster, namespace, name, port));
  }

  #ready(service: Service): Backend[] {
    const pods = this.#options.caches.pods.byIndex(byNamespace, service.metadata.namespace ?? '');
    return backendsOf(service, pods).filter((backend) => backend.isReady);
  }

  async #reconcile(key: string): Promise<void> {
    const wanted = await this.#wanted(key);
    const listeners = this.#listeners.get(key) ?? new Map<string, Listener>();
    for (const [id, { proxy, port }] of listeners) {
      if (wanted.get(id)?.port === port) continue;
      // The pods of a Service that is not there any more, or has no ready ones, are gone or going by themselves.
      proxy.close({ cut: false });
      listeners.delete(id);
    }
    for (const [id, { port, targets }] of wanted) {
      if (listeners.has(id)) continue;
      const proxy = new TcpProxy(targets);
      await proxy.listen(port).catch((error: unknown) => {
        throw toOaasError(error);
      });
      listeners.set(id, { proxy, port });
    }
    if (listeners.size === 0) this.#listeners.delete(key);
    else this.#listeners.set(key, listeners);
  }

  async #wanted(key: string): Promise<Map<string, { port: number; targets: () => number[] }>> {
    const wanted = new Map<string, { port: number; targets: () => number[] }>();
    const service = this.#options.caches.services.get(key);
    if (service === undefined || service.spec.type === 'ExternalName') return wanted;
    const { namespace, name } = splitKey(key);
    const ready = this.#ready(service);
    for (const { port, nodePort } of service.spec.ports ?? []) {
      if (!ready.some((backend) => backend.servicePort.port === port)) continue;
      const targets = (): number[] => {
        const current = this.#options.caches.services.get(key);
        if (current === undefined) return [];
        return this.#ready(current).flatMap((each) => (each.servicePort.port === port ? [each.hostPort] : []));
      };
      const hostPort = await this.#options.ports.reserve(servicePortKey(this.#options.cluster, namespace, name, port));
      wanted.set(`${String(port)} cluster`, { port: hostPort, targets });
      if (nodePort !== undefined) wanted.set(`${String(port)} node`, { port: nodePort, targets });
    }
    return wanted;
  }
}

import { arch, cpus, release, totalmem, type } from 'node:os';
import { isOaasError, type OaasError, toOaasError } from '@oaas/commons/errors';
import { type Timer, toRfc3339 } from '@oaas/commons/time';
import type { KubernetesApi } from '@oaas/reconciler/kubernetes';
import { type Ambient, sandboxKinds, tolerating } from './caches.ts';
import { fieldManager } from './context.ts';

const leaseNamespace = 'kube-node-lease';
/** As a kubelet does it: the lease lasts 40 s and is renewed every 10 s. */
const leaseSeconds = 40;
const renewMs = 10_000;

export interface NodeOptions extends Ambient {
  readonly api: KubernetesApi;
  readonly name: string;
  readonly onError: (error: OaasError) => void;
}

/** The one node of a sandbox cluster: this machine. Its lease says that somebody looks after the pods. */
export class LocalNode {
  readonly #options: NodeOptions;
  #timer: Timer | undefined;

  constructor(options: NodeOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { api, name, timers } = this.#options;
    const labels = {
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': arch() === 'x64' ? 'amd64' : arch(),
    };
    const status = this.#status();
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {}, status };
    await tolerating('AlreadyExists', api.create(sandboxKinds.node, node, { fieldManager }));
    const subresource = 'status' as const;
    await api.patch(sandboxKinds.node, { name }, 'merge', { status }, { fieldManager, subresource });
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: leaseNamespace } };
    await tolerating('AlreadyExists', api.create(sandboxKinds.namespace, namespace, { fieldManager }));
    await this.#renew();
    this.#timer = timers.every(renewMs, () => {
      this.#renew().catch((error: unknown) => {
        if (this.#timer !== undefined && !isOaasError(error, 'Cancelled')) this.#options.onError(toOaasError(error));
      });
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  async #renew(): Promise<void> {
    const { api, name, clock } = this.#options;
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace: leaseNamespace },
      spec: {
        holderIdentity: name,
        leaseDurationSeconds: leaseSeconds,
        // MicroTime: six digits after the point.
        renewTime: toRfc3339(clock.now()).replace('Z', '000Z'),
      },
    };
    await api.apply(sandboxKinds.lease, lease, { fieldManager, force: true });
  }

  #status() {
    const now = toRfc3339(this.#options.clock.now()).replace(/\.\d+Z$/, 'Z');
    const resources = { cpu: String(cpus().length), memory: `${String(Math.floor(totalmem() / 1024))}Ki`, pods: '500' };
    const condition = (kind: string, status: string, reason: string, message: string) => ({
      type: kind,
      status,
      reason,
      message,
      lastHeartbeatTime: now,
      lastTransitionTime: now,
    });
    return {
      addresses: [
        { type: 'InternalIP', address: '127.0.0.1' },
        { type: 'Hostname', address: this.#options.name },
      ],
      capacity: resources,
      allocatable: resources,
      conditions: [
        condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'not measured by the process runner'),
        condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'not measured by the process runner'),
        condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'not measured by the process runner'),
        condition('Ready', 'True', 'KubeletReady', 'the process runner of the sandbox posts ready status'),
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 0 } },
      nodeInfo: {
        machineID: '',
        systemUUID: '',
        bootID: '',
        architecture: arch() === 'x64' ? 'amd64' : arch(),
        operatingSystem: type().toLowerCase(),
        osImage: `Node.js ${process.version}`,
        kernelVersion: release(),
        containerRuntimeVersion: 'process://1',
        kubeletVersion: 'v1.34.0+sandbox',
        kubeProxyVersion: 'v1.34.0+sandbox',
      },
    };
  }
}

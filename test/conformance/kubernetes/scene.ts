/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call -- answers are any JSON, checked by assertions */
import type { Any, ApiClient } from './api-client.ts';
import type { Running } from './targets.ts';

/** What the tests of one target share: the server, and names that nobody else uses. */
export class Scene {
  readonly #running: () => Running;
  #count = 0;

  constructor(running: () => Running) {
    this.#running = running;
  }

  get api(): ApiClient {
    return this.#running().api;
  }

  get kubeconfig(): string {
    return this.#running().kubeconfig;
  }

  /** A new namespace, by its name. */
  async namespace(): Promise<string> {
    const name = this.unique('ns');
    const answer = await this.api.post('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name },
    });
    if (answer.status !== 201) throw new Error(`the namespace was refused: ${JSON.stringify(answer.body)}`);
    return name;
  }

  unique(prefix: string): string {
    this.#count += 1;
    return `${prefix}-${String(this.#count)}`;
  }

  /** The path of a new namespace's ConfigMaps. */
  async configMaps(): Promise<string> {
    return `/api/v1/namespaces/${await this.namespace()}/configmaps`;
  }
}

export function configMap(name: string, data: Record<string, string> = {}, metadata: Any = {}): Any {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}

export function deployment(name: string, more: Any = {}): Any {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'main', image: 'example.io/app:1', ports: [{ containerPort: 80 }] }] },
      },
      ...more,
    },
  };
}

/** What differs between two runs and two servers, taken out: times, uids, versions, addresses. */
export function normalised(object: Any): Any {
  const copy = structuredClone(object);
  const { metadata } = copy;
  for (const field of ['uid', 'creationTimestamp', 'resourceVersion', 'namespace', 'selfLink'])
    Reflect.deleteProperty(metadata as object, field);
  for (const entry of metadata.managedFields ?? []) delete entry.time;
  delete copy.status?.lastPhaseTransitionTime;
  // What admission adds for controllers to take away: the embedded API has neither.
  if (copy.kind === 'Node') delete copy.spec.taints;
  const added = ['kubernetes.io/pvc-protection', 'kubernetes.io/pv-protection'];
  if (metadata.finalizers?.every((item: string) => added.includes(item)) === true) delete metadata.finalizers;
  if (copy.kind === 'Service' && copy.spec.clusterIP !== 'None') {
    delete copy.spec.clusterIP;
    delete copy.spec.clusterIPs;
    for (const port of copy.spec.ports ?? []) if (port.nodePort !== undefined) port.nodePort = 'some';
  }
  return copy;
}

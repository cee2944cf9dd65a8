import type { KubernetesApi, KubeObject } from '../../kubernetes/index.ts';
import { kinds } from '../../kubernetes/index.ts';
import { type ContainerState, type Workload } from '../objects.ts';

/** What a kubelet and the workload controllers would do, step by step and by hand. For tests. */
export class HandKubelet {
  readonly #api: KubernetesApi;
  readonly #namespace: string;

  constructor(api: KubernetesApi, namespace: string) {
    this.#api = api;
    this.#namespace = namespace;
  }

  /** The workload's controller has made all pods, and `ready` of them are ready (default: all). */
  async report(kind: 'StatefulSet' | 'Deployment', name: string, ready?: number): Promise<void> {
    const type = kind === 'StatefulSet' ? kinds.statefulSet : kinds.deployment;
    const key = { name, namespace: this.#namespace };
    const { metadata, spec } = (await this.#api.get(type, key)) as Workload;
    const replicas = spec?.replicas ?? 1;
    const status = {
      observedGeneration: metadata.generation,
      replicas,
      updatedReplicas: replicas,
      readyReplicas: ready ?? replicas,
      availableReplicas: ready ?? replicas,
      ...(kind === 'StatefulSet' ? { currentRevision: 'r1', updateRevision: 'r1' } : {}),
    };
    await this.#api.patch(type, key, 'merge', { status }, { fieldManager: 'kubelet', subresource: 'status' });
  }

  /** Makes a pod of a workload, whose one container is in `state`. */
  async pod(workload: Workload | KubeObject, name: string, state: ContainerState, isReady: boolean): Promise<void> {
    const template = (workload as Workload).spec?.template as unknown as {
      readonly metadata: { readonly labels: Record<string, string> };
      readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string }[] };
    };
    const [container] = template.spec.containers;
    const image = container?.image ?? '';
    await this.#api.create(
      kinds.pod,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: this.#namespace, labels: template.metadata.labels },
        spec: { nodeName: 'node-1', containers: [{ name: container?.name, image }] },
      },
      { fieldManager: 'kubelet' },
    );
    await this.setPod(name, container?.name ?? '', image, state, isReady);
  }

  async setPod(name: string, container: string, image: string, state: ContainerState, isReady: boolean): Promise<void> {
    const status = {
      phase: isReady ? 'Running' : 'Pending',
      conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
      containerStatuses: [{ name: container, image, imageID: '', ready: isReady, restartCount: 0, state }],
    };
    const key = { name, namespace: this.#namespace };
    await this.#api.patch(kinds.pod, key, 'merge', { status }, { fieldManager: 'kubelet', subresource: 'status' });
  }
}

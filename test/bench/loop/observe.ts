import { kinds, type KubernetesClient, type KubeObject, type ResourceType } from '@oaas/reconciler/kubernetes';
import { group, version } from '@oaas/reconciler/record';

const childTypes: readonly ResourceType[] = [kinds.statefulSet, kinds.deployment, kinds.service, kinds.configMap];

export const recordType: ResourceType = {
  group,
  version,
  kind: 'DeploymentRecord',
  plural: 'deploymentrecords',
  namespaced: true,
};

/** Follows one kind from now on; `when` resolves with the time at which `passes` holds for what has been seen. */
export class Follower {
  readonly objects = new Map<string, KubeObject>();
  readonly #abort = new AbortController();
  readonly #waiting = new Set<() => void>();

  static async open(client: KubernetesClient, types: readonly ResourceType[]): Promise<Follower> {
    const follower = new Follower();
    for (const type of types) {
      let page = await client.list(type, { namespace: 'default', limit: 500 });
      for (;;) {
        for (const object of page.items) follower.#put(type, object);
        if (page.continueToken === undefined) break;
        page = await client.list(type, { namespace: 'default', limit: 500, continueToken: page.continueToken });
      }
      const { resourceVersion } = page;
      void follower.#watch(client, type, resourceVersion);
    }
    return follower;
  }

  static children(client: KubernetesClient): Promise<Follower> {
    return Follower.open(client, childTypes);
  }

  async when(passes: (objects: ReadonlyMap<string, KubeObject>) => boolean, withinMs: number): Promise<number> {
    const deadline = performance.now() + withinMs;
    while (!passes(this.objects)) {
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`not within ${withinMs} ms; ${this.objects.size} objects seen`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return performance.now();
  }

  stop(): void {
    this.#abort.abort();
  }

  #put(type: ResourceType, object: KubeObject): void {
    this.objects.set(`${type.kind}/${object.metadata.name}`, object);
  }

  async #watch(client: KubernetesClient, type: ResourceType, resourceVersion: string): Promise<void> {
    try {
      for await (const event of client.watch(type, {
        namespace: 'default',
        resourceVersion,
        timeoutSeconds: 3600,
        signal: this.#abort.signal,
      })) {
        if (event.type === 'BOOKMARK') continue;
        if (event.type === 'DELETED') this.objects.delete(`${type.kind}/${event.object.metadata.name}`);
        else this.#put(type, event.object);
        for (const wake of this.#waiting) wake();
        this.#waiting.clear();
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) console.error(`the watch of ${type.kind} ended`, error);
    }
  }
}

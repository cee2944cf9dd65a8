import { kinds, type KubernetesClient, type KubeObject, type ResourceType } from '@oaas/reconciler/kubernetes';
import { group, version } from '@oaas/reconciler/record';

export const childTypes: readonly ResourceType[] = [
  kinds.statefulSet,
  kinds.deployment,
  kinds.service,
  kinds.configMap,
];

export const recordType: ResourceType = {
  group,
  version,
  kind: 'DeploymentRecord',
  plural: 'deploymentrecords',
  namespaced: true,
};

/** How many objects of these kinds there are. One object of each is read, so that counting weighs nothing. */
export async function countOf(client: KubernetesClient, types: readonly ResourceType[]): Promise<number> {
  const counts = await Promise.all(
    types.map(async (type) => {
      const { items, remaining = 0 } = await client.list(type, { namespace: 'default', limit: 1 });
      return items.length + remaining;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

const countEveryMs = 50;

/** Resolves with the time at which there are `wanted` objects, to within 50 ms. */
export async function untilCount(
  client: KubernetesClient,
  types: readonly ResourceType[],
  wanted: number,
  withinMs: number,
): Promise<number> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const count = await countOf(client, types);
    const now = performance.now();
    if (count >= wanted) return now;
    if (now > deadline) throw new Error(`not within ${withinMs} ms; there are ${count} of ${wanted} objects`);
    await new Promise((resolve) => setTimeout(resolve, countEveryMs));
  }
}

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

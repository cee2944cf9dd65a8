import { toOaasError } from '@oaas/commons/errors';
import { type Random, sleep } from '@oaas/commons/time';
import { mergingReplicasIn } from '@oaas/odgm/testkit/sim';
import { contentOf, put } from '@oaas/odgm/testkit/eventual';
import { EventualShard } from '@oaas/odgm/shard';
import { mergedCollection, mergingShardsOf, type SimGrid } from './grid.ts';
import { goingMs, goTo } from './hops.ts';

/** Objects that many write, and delete: which write stays, the stamps say. */
const contested = 3;

/**
 * Clients of the collection whose replicas merge. They write objects of their own, once each: what was acknowledged must
 * be there in the end, as long as no disk is lost. They fight over some others, which in the end must be alike everywhere.
 */
export class MergingClients {
  /** Writes that were acknowledged. */
  done = 0;
  readonly #grid: SimGrid;
  readonly #random: Random;
  readonly #asked = new Set<string>();
  /** Ids of objects, and who acknowledged them. */
  readonly #acknowledged = new Map<string, string>();
  #isStopped = false;
  #active = 0;

  constructor(grid: SimGrid) {
    this.#grid = grid;
    this.#random = grid.world.randomOf('merging clients');
  }

  start(): void {
    const { plan, world } = this.#grid;
    if (plan.merging === undefined) return;
    for (let i = 0; i < plan.clients; i += 1) this.#loop().catch((error: unknown) => world.fail(error));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#grid.world.until(() => this.#active === 0, 10 * goingMs);
  }

  /** Where replicas are not alike, or not whole yet, or a former one is still there; undefined: nowhere. */
  unrest(): string | undefined {
    const { merging } = this.#grid.plan;
    if (merging === undefined) return undefined;
    for (const [id, { node, engine }] of this.#grid.running) {
      for (const { shard, epoch } of engine === undefined ? [] : mergingReplicasIn(engine)) {
        const recorded = node.meta?.state.shards.get(shard)?.replicas.find(({ member }) => member === node.number);
        if (recorded?.epoch !== epoch) return `${id} still has a former replica of shard ${shard}, of epoch ${epoch}`;
      }
    }
    for (let partition = 0; partition < merging.partitions; partition += 1) {
      const shards = this.#replicasOf(partition);
      const learner = shards.find(({ isPrimary }) => !isPrimary);
      if (learner !== undefined) return `a replica of ${mergedCollection}/${partition} is not whole`;
      // The roots are as of the last announcement.
      if (shards.some(({ index }) => index.isDirty)) return `${mergedCollection}/${partition} has news`;
      const roots = new Set(shards.map(({ index }) => index.root));
      if (roots.size > 1) return `replicas of ${mergedCollection}/${partition} are not alike`;
    }
    return undefined;
  }

  /** Throws when what was acknowledged is gone, or something is there that nobody wrote. `isSafe`: no disk was lost. */
  judge(isSafe: boolean): void {
    const { merging } = this.#grid.plan;
    if (merging === undefined) return;
    const found = new Map<string, string>();
    for (let partition = 0; partition < merging.partitions; partition += 1) {
      const [first, ...others] = this.#replicasOf(partition).map(({ reader }) => contentOf(reader));
      if (first === undefined) throw new Error(`${mergedCollection}/${partition} has no replica`);
      if (others.some(({ size }) => size !== first.size)) throw new Error('replicas differ in their objects');
      for (const [id, text] of first) {
        if (others.some((other) => other.get(id) !== text)) throw new Error(`${id} is not the same everywhere`);
        found.set(id, text);
      }
    }
    for (const [id, text] of found) {
      const isOwn = id.startsWith('own');
      if (isOwn && (!this.#asked.has(id) || !text.endsWith(` a=${id}`))) throw new Error(`${id} is ${text}`);
    }
    if (!isSafe) return;
    for (const [id, by] of this.#acknowledged) {
      if (!found.has(id)) throw new Error(`${id}, which ${by} has acknowledged, is lost`);
    }
  }

  #replicasOf(partition: number): EventualShard[] {
    return [...this.#grid.running.values()].flatMap(({ node }) =>
      mergingShardsOf(node).filter((shard) => shard.collection === mergedCollection && shard.partition === partition),
    );
  }

  async #loop(): Promise<void> {
    const { timers, plan } = this.#grid;
    this.#active += 1;
    while (!this.#isStopped) {
      await sleep(timers, -Math.log(1 - this.#random.next()) * plan.thinkMs);
      await this.#write();
    }
    this.#active -= 1;
  }

  async #write(): Promise<void> {
    const pick = (count: number): number => Math.floor(this.#random.next() * count);
    const isOwn = pick(3) > 0;
    const id = isOwn ? `own${this.#asked.size}` : `all${pick(contested)}`;
    if (isOwn) this.#asked.add(id);
    const mutation =
      !isOwn && pick(3) === 0
        ? ({ type: 'delete', objectId: id } as const)
        : put(id, { a: isOwn ? id : `${pick(1000)}` });
    const { nodes, plan } = this.#grid;
    const partition = Number(id.slice(3)) % (plan.merging?.partitions ?? 1);
    const to = nodes[pick(nodes.length)]?.id ?? '';
    try {
      const heard = await goTo(this.#grid, to, { collection: mergedCollection, partition }, async (shard) => {
        if (shard instanceof EventualShard) await shard.mutate(mutation);
        return true;
      });
      if (heard === undefined) return;
      this.done += 1;
      if (isOwn) this.#acknowledged.set(id, heard.by);
      this.#grid.note(`${heard.by} has acknowledged ${id}`);
    } catch (thrown) {
      const error = toOaasError(thrown);
      if (error.code === 'Internal' || error.code === 'StorageCorrupt') throw error;
    }
  }
}

import { decodeState, encodeState, metaShard, type MetaState, type ShardRecord } from '@oaas/odgm/meta';
import type { Removal, SimNode } from '@oaas/odgm/testkit/sim';
import { type RunningNode, shardsOf, type SimGrid, usedCollection } from './grid.ts';

interface SeenConfig {
  readonly applied: number;
  /** Of both halves, while the configuration is joint. */
  readonly voters: readonly number[];
  readonly incoming: readonly number[];
}

/**
 * Watches what nodes do to replicas, against the newest meta state that any node has applied, which is committed: nothing
 * goes that it wants, or that still has a vote; no change leaves a shard fewer voters than are wanted, but for one whose
 * replica is made anew; and its own numbers only grow.
 */
export class Guard {
  /** Removals that were looked at. */
  removals = 0;
  /** Changes of the meta state that were looked at. */
  metaChanges = 0;
  readonly #grid: SimGrid;
  /** Told when replicas of a shard have changed. */
  onReplicas: (shard: ShardRecord) => void = () => undefined;
  #state: MetaState | undefined;
  #applied = 0;
  readonly #configs = new Map<number, SeenConfig>();
  /** Replicas, as shard/member, that a task makes anew or has made anew. */
  readonly #renewed = new Set<string>();

  constructor(grid: SimGrid) {
    this.#grid = grid;
    grid.world.always((touched) => {
      this.#look(touched);
    });
    grid.onRemoval = (node, removal) => {
      this.#checkRemoval(node, removal);
    };
  }

  /** The newest one that was seen. */
  get state(): MetaState | undefined {
    return this.#state;
  }

  #look(touched: SimNode | undefined): void {
    const members = new Map<number, string>();
    for (const [id, { node, process }] of this.#grid.running) {
      const { meta, number } = node;
      if (meta === undefined) continue;
      const other = members.get(number);
      if (other !== undefined) throw new Error(`${id} and ${other} both are member ${number}`);
      members.set(number, id);
      if (meta.group.applied > this.#applied) this.#advance(meta.group.applied, meta.state);
      if (touched !== undefined && process.node !== touched) continue;
      for (const { group } of shardsOf(node)) {
        const { applied, confState } = group;
        const before = this.#configs.get(group.group);
        if (applied <= (before?.applied ?? 0)) continue;
        const { voters: incoming, votersOutgoing } = confState;
        this.#configs.set(group.group, { applied, incoming, voters: [...incoming, ...votersOutgoing] });
        if (before !== undefined) this.#checkVoters(group.group, before.incoming, incoming);
      }
    }
  }

  #advance(applied: number, state: MetaState): void {
    const before = this.#state;
    // The node goes on to change its own.
    const after = decodeState(encodeState(state));
    this.#applied = applied;
    this.#state = after;
    this.metaChanges += 1;
    for (const { moves } of after.tasks.values()) {
      for (const { shard, from, to, state: at } of moves) {
        if (at === 'running' && from !== undefined && from === to) this.#renewed.add(`${shard}/${from}`);
      }
    }
    if (before === undefined) return;
    for (const shard of after.shards.values()) {
      if (shard.id !== metaShard && shard.epoch !== before.shards.get(shard.id)?.epoch) this.onReplicas(shard);
    }
    if (before.cluster !== undefined && before.cluster.id !== after.cluster?.id)
      throw new Error('the cluster is another');
    for (const what of ['member', 'shard', 'task'] as const) {
      if (after.next[what] < before.next[what]) throw new Error(`the next number of a ${what} went back`);
    }
    for (const shard of after.shards.values()) {
      const earlier = before.shards.get(shard.id);
      if (earlier === undefined) {
        if (shard.id !== metaShard && shard.id < before.next.shard) throw new Error(`shard ${shard.id} is there again`);
      } else if (shard.epoch < earlier.epoch) {
        throw new Error(`the epoch of shard ${shard.id} went back from ${earlier.epoch} to ${shard.epoch}`);
      } else if (shard.epoch === earlier.epoch && JSON.stringify(shard.replicas) !== JSON.stringify(earlier.replicas)) {
        throw new Error(`the replicas of shard ${shard.id} changed within epoch ${shard.epoch}`);
      }
    }
  }

  #checkVoters(id: number, before: readonly number[], after: readonly number[]): void {
    const shard = this.#state?.shards.get(id);
    // Of other collections the wanted number changes meanwhile.
    if (shard?.collection !== usedCollection || after.length >= Math.min(before.length, shard.wanted)) return;
    const gone = before.filter((member) => !after.includes(member) && !this.#renewed.has(`${id}/${member}`));
    if (gone.length === 0) return;
    throw new Error(
      `shard ${id} of ${shard.wanted} voters lost ${gone.join()}: from ${before.join()} to ${after.join()}`,
    );
  }

  #checkRemoval({ node, process }: RunningNode, { group, epoch }: Removal): void {
    this.removals += 1;
    const shard = this.#state?.shards.get(group);
    if (shard === undefined) return;
    const id = `${process.node.id} removes its replica of shard ${group}, epoch ${epoch}`;
    const { number } = node;
    if (shard.replicas.some((replica) => replica.member === number && replica.epoch === epoch)) {
      throw new Error(`${id}, which the committed meta state wants`);
    }
    // A later replica of the member may vote by now; then this one is its predecessor, which it cannot have beside it.
    const voters = this.#configs.get(group)?.voters ?? [];
    if (voters.includes(number)) throw new Error(`${id}, which has a vote: voters are ${voters.join()}`);
  }
}

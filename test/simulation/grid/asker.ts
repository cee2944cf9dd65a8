import { toOaasError } from '@oaas/commons/errors';
import type { Random, Timers } from '@oaas/commons/time';
import { RaftShard } from '@oaas/odgm/shard';
import type { ObjectInput, ObjectOutput, SimWorld } from '@oaas/odgm/testkit/sim';
import { elsewhere, perform, silence, type Target } from '../clients.ts';
import { type SimGrid, usedCollection } from './grid.ts';
import { goTo } from './hops.ts';
import { triggers } from './listener.ts';

/** Asks any node of a grid, and goes where it is sent. */
export class GridAsker implements Target {
  readonly world: SimWorld;
  readonly timers: Timers;
  readonly plan: Target['plan'];
  readonly #grid: SimGrid;
  readonly #random: Random;

  constructor(grid: SimGrid) {
    this.world = grid.world;
    this.timers = grid.timers;
    this.plan = grid.plan;
    this.#grid = grid;
    this.#random = grid.world.randomOf('asker');
  }

  note(line: string): void {
    this.#grid.note(line);
  }

  async ask(key: string, input: ObjectInput): Promise<ObjectOutput | typeof silence | typeof elsewhere> {
    const { nodes, plan } = this.#grid;
    const to = nodes[Math.floor(this.#random.next() * nodes.length)]?.id ?? '';
    const place = { collection: usedCollection, partition: Number(key.slice(1)) % plan.partitions };
    try {
      const heard = await goTo(this.#grid, to, place, async (shard, at): Promise<ObjectOutput | undefined> => {
        if (!(shard instanceof RaftShard)) return undefined;
        const now = this.#grid.running.get(at)?.process.clock.now();
        return perform(shard, key, input, { event: triggers, at: now });
      });
      if (heard === undefined) return elsewhere;
      const { answer } = heard;
      const isChange = input.type === 'put' || input.type === 'cas';
      if (isChange && answer.type === 'done' && answer.version !== undefined) {
        this.#grid.listener.acknowledge(key, answer.version);
      }
      return answer;
    } catch (thrown) {
      const { code, details } = toOaasError(thrown);
      // Nobody answered, or a node that has not started: it does not know of collections yet.
      if (code === 'Unavailable' && details?.['outcome'] === undefined) return silence;
      if (code === 'NotFound') return elsewhere;
      throw thrown;
    }
  }
}

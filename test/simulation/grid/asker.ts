import { toOaasError } from '@oaas/commons/errors';
import type { Random, Timers } from '@oaas/commons/time';
import { RaftShard } from '@oaas/odgm/shard';
import type { ObjectInput, ObjectOutput, SimWorld } from '@oaas/odgm/testkit/sim';
import { callMs, elsewhere, perform, silence, type Target } from '../clients.ts';
import { type SimGrid, usedCollection } from './grid.ts';
import { triggers } from './listener.ts';

/** Times that a client goes where it is sent. */
const hopsMax = 3;

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
    let to = nodes[Math.floor(this.#random.next() * nodes.length)]?.id ?? '';
    for (let hops = 0; hops < hopsMax; hops += 1) {
      try {
        const at = to;
        const answer = await this.#grid.call(undefined, to, callMs, async (node): Promise<ObjectOutput | string> => {
          const located = node.locate(node.collection(usedCollection), Number(key.slice(1)) % plan.partitions);
          if (located.kind === 'remote') return located.member.id;
          if (!(located.shard instanceof RaftShard)) return at;
          const now = this.#grid.running.get(at)?.process.clock.now();
          return perform(located.shard, key, input, { event: triggers, at: now });
        });
        if (typeof answer !== 'string') {
          const isChange = input.type === 'put' || input.type === 'cas';
          if (isChange && answer.type === 'done' && answer.version !== undefined) {
            this.#grid.listener.acknowledge(key, answer.version);
          }
          return answer;
        }
        to = answer;
      } catch (thrown) {
        const { code, details } = toOaasError(thrown);
        // Nobody answered, or a node that has not started: it does not know of collections yet.
        if (code === 'Unavailable' && details?.['outcome'] === undefined) return silence;
        if (code === 'NotFound') return elsewhere;
        throw thrown;
      }
    }
    return elsewhere;
  }
}

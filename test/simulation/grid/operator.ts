import { toOaasError } from '@oaas/commons/errors';
import type { Random } from '@oaas/commons/time';
import type { GridNode } from '@oaas/odgm/node';
import { Tasks } from '@oaas/odgm/testkit/sim';
import { mergedCollection, type SimGrid, specOf, usedCollection } from './grid.ts';
import { isReady } from './quorums.ts';

const timeoutMs = 8000;
const otherCollections = ['a', 'b'];

/** Somebody who rebalances, drains, takes back, repairs, checks and cancels, and puts and deletes collections. */
export class GridOperator {
  /** What was asked for and accepted. */
  acts = 0;
  readonly #grid: SimGrid;
  #isBusy = false;
  #hasSettings = false;

  constructor(grid: SimGrid) {
    this.#grid = grid;
  }

  /** Does something, unless it is still about something else. */
  act(random: Random): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const { nodes, world } = this.#grid;
    const asked = nodes[Math.floor(random.next() * nodes.length)]?.id ?? '';
    const [what, run] = this.#choose(random);
    this.#grid
      .call(undefined, asked, timeoutMs, async (node) => {
        if (!this.#hasSettings) await this.#putSettings(node);
        return run(node);
      })
      .then(
        () => {
          this.acts += 1;
          this.#grid.note(`operator: ${what}`);
        },
        (thrown: unknown) => {
          const error = toOaasError(thrown);
          if (error.code === 'Internal' || error.code === 'StorageCorrupt') world.fail(error);
          this.#grid.note(`operator: ${what}: ${error.message}`);
        },
      )
      .finally(() => {
        this.#isBusy = false;
      });
  }

  /** Lets everything end that would keep the grid from being at rest: members that are drained are taken back. */
  async tidy(node: GridNode): Promise<void> {
    const { meta } = node;
    if (meta === undefined) return;
    for (const { id, kind } of meta.state.tasks.values()) {
      if (kind === 'drain') await meta.propose({ type: 'cancelTask', task: id, actor: 'operator' }).catch(ignore);
    }
    for (const { number, state } of [...meta.state.members.values()]) {
      if (state === 'draining')
        await meta.propose({ type: 'setMemberState', member: number, state: 'up' }).catch(ignore);
    }
  }

  async #putSettings({ meta }: GridNode): Promise<void> {
    const { nodeDownMs, autoRebalance } = this.#grid.plan;
    if (meta === undefined) return;
    await meta.propose({ type: 'setSettings', settings: { nodeDownMs, autoRebalance, checkEveryMs: 60_000 } });
    this.#hasSettings = true;
  }

  #choose(random: Random): [string, (node: GridNode) => Promise<unknown>] {
    const { nodes, plan, timers } = this.#grid;
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random.next() * values.length)] as T;
    const member = pick(nodes).id;
    const partition = String(Math.floor(random.next() * plan.partitions));
    const start = (kind: string, collection = '', of = '', options = {}) => {
      const ask = { kind, collection, member: of, options, planId: '' };
      return (node: GridNode) => {
        const clock = { now: () => this.#grid.world.now, monotonic: () => this.#grid.world.now };
        return new Tasks({ node, clock, timers }).start(ask, 'operator');
      };
    };
    const chance = random.next();
    if (chance < 0.2) return ['rebalance', start('rebalance')];
    if (chance < 0.35) return [`drain ${member}`, start('drain', '', member)];
    if (chance < 0.55) return ['take back', (node) => this.tidy(node)];
    // Whoever has a replica that serves thrown away looks first whether all nodes are there.
    if (chance < (plan.merging === undefined ? 0.75 : 0.65) && isReady(this.#grid)) {
      return [`make ${member}'s replica of ${partition} anew`, start('repair', usedCollection, member, { partition })];
    }
    // Where replicas merge it hands over what only it has, whoever is there by then.
    if (chance < 0.75 && plan.merging !== undefined) {
      const at = String(Math.floor(random.next() * plan.merging.partitions));
      return [
        `make ${member}'s merging replica of ${at} anew`,
        start('repair', mergedCollection, member, { partition: at }),
      ];
    }
    if (chance < 0.8) return ['check', start('consistency-check', '', '', { mode: pick(['fast', 'deep']) })];
    if (chance < 0.85 || !plan.changesCollections) return ['cancel', (node) => this.#cancel(node)];
    const name = pick(otherCollections);
    if (chance < 0.95) {
      const spec = specOf(name, pick([1, 2]), pick([plan.fewestReplicas, plan.replicas]));
      return [
        `put ${name}`,
        (node) => node.meta?.propose({ type: 'putCollection', spec, anew: true }) ?? Promise.resolve(),
      ];
    }
    return [`delete ${name}`, (node) => node.meta?.propose({ type: 'deleteCollection', name }) ?? Promise.resolve()];
  }

  async #cancel({ meta }: GridNode): Promise<void> {
    const task = [...(meta?.state.tasks.values() ?? [])].find(({ state }) => state === 'running');
    if (task !== undefined) await meta?.propose({ type: 'cancelTask', task: task.id, actor: 'operator' });
  }
}

const ignore = (): void => undefined;

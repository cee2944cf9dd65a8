import type { Random } from '@oaas/commons/time';
import type { ShardRecord } from '@oaas/odgm/meta';
import type { SimNode } from '@oaas/odgm/testkit/sim';
import type { SimGrid } from './grid.ts';
import type { Guard } from './guard.ts';

/** A killed process is up again within this. */
const downMaxMs = 1500;
/** What has changed is on some disks and not on others for about so long. */
const freshMs = 600;

/** Kills nodes at once: on demand, and when the places of replicas have just changed. They come back. */
export class Killer {
  isActive = false;
  strikes = 0;
  crashes = 0;
  readonly #grid: SimGrid;
  readonly #random: Random;

  constructor(grid: SimGrid, guard: Guard) {
    this.#grid = grid;
    this.#random = grid.world.randomOf('killer');
    guard.onReplicas = (shard) => {
      if (this.isActive && this.#random.next() < grid.plan.ambushes) this.#strikeAfter(shard);
    };
  }

  kill(nodes: readonly SimNode[]): void {
    const { world } = this.#grid;
    this.strikes += 1;
    for (const node of nodes) {
      this.crashes += 1;
      node.crash();
      world.after(1 + this.#random.next() * downMaxMs, () => {
        if (!node.isUp) node.restart();
      });
    }
  }

  #strikeAfter({ id, replicas }: ShardRecord): void {
    const { nodes, running, world } = this.#grid;
    const members = replicas.map(({ member }) => member);
    const concerned = nodes.filter((node) => members.includes(running.get(node.id)?.node.number ?? 0));
    const struck = this.#random.next() < 0.5 ? nodes : concerned;
    world.after(this.#random.next() * freshMs, () => {
      if (!this.isActive) return;
      this.#grid.note(`ambush on shard ${id}`);
      this.kill(struck);
    });
  }
}

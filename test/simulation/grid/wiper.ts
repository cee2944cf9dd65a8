import type { Random } from '@oaas/commons/time';
import type { SimGrid } from './grid.ts';
import { hasQuorums, isReady } from './quorums.ts';

/** A node whose disk is lost has another one within this. */
const downMaxMs = 5000;

/**
 * Takes a node's disk away: it comes back as another member, under its own name. Never when a group would lose the
 * majority of its voters by that, with all that are lost already: then nothing is promised.
 */
export class Wiper {
  wipes = 0;
  readonly #grid: SimGrid;

  constructor(grid: SimGrid) {
    this.#grid = grid;
  }

  wipe(random: Random): void {
    const { nodes, disks, running, world } = this.#grid;
    const node = nodes[Math.floor(random.next() * nodes.length)];
    const downMs = random.next() * downMaxMs;
    if (node === undefined || !isReady(this.#grid)) return;
    const left = new Set([...running].filter(([id]) => id !== node.id).map(([, one]) => one.node.number));
    if (!hasQuorums(this.#grid, (member) => left.has(member))) return;
    this.wipes += 1;
    this.#grid.note(`${node.id} loses its disk`);
    node.crash();
    disks.get(node.id)?.wipe();
    world.after(downMs, () => {
      if (!node.isUp) node.restart();
    });
  }
}

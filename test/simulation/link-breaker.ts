import type { SimNode } from '@oaas/odgm/testkit/sim';
import type { Cluster, Running } from './cluster.ts';

/**
 * Breaks the link that a snapshot goes over, in the middle of it, again and again: the rest of it is sent when the link is
 * back. By chance alone that hardly ever happens, for the states here are small, and a partition is long against them.
 */
export class LinkBreaker {
  isActive = false;
  strikes = 0;
  readonly #cluster: Cluster;
  readonly #random;
  /** What a node had sent of its snapshots when it was last looked at. */
  readonly #sent = new WeakMap<Running, number>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#random = cluster.world.randomOf('link breaker');
    // Not in every run: others need their snapshots to come to an end.
    if (this.#random.next() >= 0.4) return;
    cluster.world.always((touched) => {
      if (this.isActive) this.#look(touched);
    });
  }

  #look(touched: SimNode | undefined): void {
    for (const node of this.#cluster.running.values()) {
      if (touched !== undefined && node.process.node !== touched) continue;
      const { sending } = node.host.snapshots();
      const sent = sending.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
      const isMore = sent > (this.#sent.get(node) ?? 0);
      this.#sent.set(node, sent);
      const one = sending.find(({ sentBytes }) => sentBytes > 0);
      if (isMore && one !== undefined && this.#random.next() < 0.5) this.#strike(node, one.to);
    }
  }

  /** Not at once: what was sent is to arrive and be stored, or some of it. */
  #strike({ process }: Running, to: number): void {
    const { world, network } = this.#cluster;
    const [from, other] = [process.node.id, this.#cluster.nodeOf(to).id];
    world.afterFor(process, this.#random.next() * 60, () => {
      this.strikes += 1;
      network.reset(from, other);
    });
  }
}

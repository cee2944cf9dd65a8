import { createDataClient, type DataClient } from '@oaas/commons/client';
import type { Channel } from '@oaas/commons/grpc';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import type { Random } from '@oaas/commons/time';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import type { ChaosGrid } from './grid.ts';

/** A call that hears nothing for so long is given up. */
export const callMs = 3000;

/** Clients of every node, by gRPC, as a program far from the grid has them. */
export class NodeClients {
  readonly #grid: ChaosGrid;
  readonly #channels: Channel[] = [];
  readonly #clients: readonly DataClient[];

  constructor(grid: ChaosGrid) {
    this.#grid = grid;
    const parts = { clock: systemClock, timers: systemTimers, random: systemRandom };
    this.#clients = grid.ids.map((id) => {
      const options = { ...parts, connectMs: 1000, backoff: { baseMs: 50, maxMs: 300, factor: 2, jitter: 0.5 } };
      const channel = createEdgeChannel(grid.addressOf(id), options);
      this.#channels.push(channel);
      return createDataClient(channel);
    });
  }

  /** Of a node that runs, if any does: whoever asks one that is down learns nothing. */
  any(random: Random): DataClient {
    const { ids } = this.#grid;
    const up = ids.flatMap((id, i) => (this.#grid.isUp(id) ? [i] : []));
    const among = up.length === 0 ? ids.map((_, i) => i) : up;
    return this.#clients[among[Math.floor(random.next() * among.length)] ?? 0] as DataClient;
  }

  all(): readonly DataClient[] {
    return this.#clients;
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
  }
}

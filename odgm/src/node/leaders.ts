import type { Timer, Timers } from '@oaas/commons/time';
import { channels, type Mesh } from '../mesh/index.ts';

interface Known {
  leader: number;
  term: number;
}

/** Changes of this long go out together: an election storm is one message to each peer. */
const collectMs = 10;
const recordBytes = 16;
/** Records in one message: 64 KiB. */
const recordsPerMessage = 4096;

/**
 * Who leads which shard, as far as this node has heard: each member tells all others what it leads when that changes,
 * and everything when a link comes up. A hint and no more: a wrong one costs a call one more hop.
 */
export class LeaderBoard {
  readonly #mesh: Mesh;
  readonly #timers: Timers;
  readonly #known = new Map<number, Known>();
  readonly #own = new Set<number>();
  readonly #changed = new Set<number>();
  #timer: Timer | undefined;
  #forgetLinks: () => void;

  constructor(options: { readonly mesh: Mesh; readonly timers: Timers }) {
    this.#mesh = options.mesh;
    this.#timers = options.timers;
    this.#mesh.onMessage(channels.leaders, (from, payload) => {
      this.#hear(from, payload);
    });
    this.#forgetLinks = this.#mesh.onLink((event) => {
      if (event.state === 'up') this.#send([event.peer.number], this.#own);
    });
  }

  /** Member number; 0 when nobody is known to lead. */
  leaderOf(shard: number): number {
    return this.#known.get(shard)?.leader ?? 0;
  }

  /** A replica of this node sees this leader. What an older term says does not count. */
  observe(shard: number, leader: number, term: number): void {
    if (!this.#note(shard, leader, term)) return;
    if (leader === this.#mesh.self.number) {
      this.#own.add(shard);
      this.#changed.add(shard);
      this.#timer ??= this.#timers.after(collectMs, () => {
        this.#tell();
      });
    } else {
      this.#own.delete(shard);
    }
  }

  /** The shard is gone. */
  forget(shard: number): void {
    this.#known.delete(shard);
    this.#own.delete(shard);
    this.#changed.delete(shard);
  }

  close(): void {
    this.#timer?.cancel();
    this.#forgetLinks();
  }

  #note(shard: number, leader: number, term: number): boolean {
    const known = this.#known.get(shard);
    if (known === undefined) {
      this.#known.set(shard, { leader, term });
      return leader !== 0;
    }
    if (term < known.term || (term === known.term && (leader === 0 || leader === known.leader))) return false;
    known.leader = leader;
    known.term = term;
    return true;
  }

  #tell(): void {
    this.#timer = undefined;
    const up = this.#mesh.peers().filter(({ state }) => state === 'up');
    this.#send(
      up.map(({ number }) => number),
      this.#changed,
    );
    this.#changed.clear();
  }

  #send(to: readonly number[], shards: ReadonlySet<number>): void {
    const own = [...shards].filter((shard) => this.#own.has(shard));
    for (let from = 0; from < own.length; from += recordsPerMessage) {
      const part = own.slice(from, from + recordsPerMessage);
      const payload = Buffer.allocUnsafe(part.length * recordBytes);
      part.forEach((shard, i) => {
        payload.writeDoubleBE(shard, i * recordBytes);
        payload.writeDoubleBE(this.#known.get(shard)?.term ?? 0, i * recordBytes + 8);
      });
      for (const member of to) this.#mesh.send(member, channels.leaders, payload);
    }
  }

  #hear(from: number, payload: Uint8Array): void {
    const records = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    for (let at = 0; at + recordBytes <= records.length; at += recordBytes) {
      const shard = records.readDoubleBE(at);
      if (this.#note(shard, from, records.readDoubleBE(at + 8))) this.#own.delete(shard);
    }
  }
}

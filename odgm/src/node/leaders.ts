import type { Timer, Timers } from '@oaas/commons/time';
import { channels, type Mesh } from '../mesh/index.ts';

interface Known {
  leader: number;
  term: number;
  /** Round in which it was last said. */
  heard: number;
}

/** Changes of this long go out together: an election storm is one message to each peer. */
const collectMs = 10;
const recordBytes = 16;
/** Each round everything is told again: to who missed it, or could not believe it when it was told first. */
const roundMs = 5000;
/** What nobody has said for so many rounds gives way to any other word: terms of a group that begins anew are low again. */
const staleRounds = 3;
/** And is forgotten after so many: the shard may be gone. */
const forgetRounds = 12;
/** Records in one message: 64 KiB. */
const recordsPerMessage = 4096;

/**
 * Who leads which shard, as far as this node has heard: each member tells all others what it leads when that changes,
 * and everything when a link comes up and every 5 s. A hint: a wrong one costs a call one more hop, and a task some time.
 */
export class LeaderBoard {
  readonly #mesh: Mesh;
  readonly #timers: Timers;
  readonly #known = new Map<number, Known>();
  readonly #own = new Set<number>();
  readonly #changed = new Set<number>();
  readonly #rounds: Timer;
  #round = 0;
  #timer: Timer | undefined;
  #forgetLinks: () => void;

  constructor(options: { readonly mesh: Mesh; readonly timers: Timers }) {
    this.#mesh = options.mesh;
    this.#timers = options.timers;
    this.#mesh.onMessage(channels.leaders, (from, payload) => {
      this.#hear(from, payload);
    });
    this.#rounds = this.#timers.every(roundMs, () => {
      this.#nextRound();
    });
    this.#forgetLinks = this.#mesh.onLink((event) => {
      if (event.state === 'up') this.#send([event.peer.number], this.#own);
    });
  }

  /** Member number; 0 when nobody is known to lead. */
  leaderOf(shard: number): number {
    return this.#known.get(shard)?.leader ?? 0;
  }

  /** A replica of this node sees this leader. What an older term says does not count, except for what the replica itself is. */
  observe(shard: number, leader: number, term: number): void {
    if (leader !== this.#mesh.self.number) {
      this.#own.delete(shard);
      this.#note(shard, leader, term);
      return;
    }
    this.#known.set(shard, { leader, term, heard: this.#round });
    this.#own.add(shard);
    this.#changed.add(shard);
    this.#timer ??= this.#timers.after(collectMs, () => {
      this.#tell();
    });
  }

  /** This node has no replica of the shard any more. Others may go on to lead it. */
  left(shard: number): void {
    this.#own.delete(shard);
    this.#changed.delete(shard);
    const leader = this.leaderOf(shard);
    if (leader === 0 || leader === this.#mesh.self.number) this.#known.delete(shard);
  }

  close(): void {
    this.#timer?.cancel();
    this.#rounds.cancel();
    this.#forgetLinks();
  }

  /** True when that is news. */
  #note(shard: number, leader: number, term: number): boolean {
    const known = this.#known.get(shard);
    if (known === undefined) {
      this.#known.set(shard, { leader, term, heard: this.#round });
      return leader !== 0;
    }
    if (term === known.term && leader === known.leader) {
      known.heard = this.#round;
      return false;
    }
    const isStale = known.heard + staleRounds < this.#round;
    if (!isStale && (term < known.term || (term === known.term && leader === 0))) return false;
    known.leader = leader;
    known.term = term;
    known.heard = this.#round;
    return true;
  }

  #nextRound(): void {
    this.#round += 1;
    for (const [shard, known] of this.#known) {
      if (this.#own.has(shard)) known.heard = this.#round;
      else if (known.heard + forgetRounds < this.#round) this.#known.delete(shard);
    }
    this.#send(this.#up(), this.#own);
  }

  #up(): number[] {
    return this.#mesh.peers().flatMap(({ state, number }) => (state === 'up' ? [number] : []));
  }

  #tell(): void {
    this.#timer = undefined;
    this.#send(this.#up(), this.#changed);
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

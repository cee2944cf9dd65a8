import type { Random } from '@oaas/commons/time';
import { encodeMap, zeroStamp } from '../src/merge/index.ts';
import type { EventualShard, Value } from '../src/shard/index.ts';
import { type EventualGrid, type EventualMember, put } from './eventual.ts';

/** Longer than any storm, with all that its clocks jump. */
const longMs = 24 * 3600_000;
const shortMs = 400;
/** Objects whose maps several replicas write to. */
const maps = 2;

interface Expiring {
  readonly id: string;
  /** What was written last. */
  text: string;
  isLong: boolean;
  /** Another write to it is under way, or how it ended is not known. */
  isRenewing: boolean;
}

/**
 * Entries that expire, in a storm: values of objects of their own, some of which are written anew with a later time, and
 * maps that merge. Replicas hold them for expired, and take them away, each by its own clock.
 */
export class StormExpiry {
  readonly #grid: EventualGrid;
  readonly #random: Random;
  readonly #known: Expiring[] = [];
  #count = 0;
  /** The latest time of any write, acknowledged or not. */
  #last = 0;

  constructor(grid: EventualGrid) {
    this.#grid = grid;
    this.#random = grid.world.randomOf('expiry');
  }

  /** Whether storms of this seed have any. */
  static isIn(grid: EventualGrid): boolean {
    return grid.world.randomOf('expires').next() < 0.4;
  }

  /** Values that were acknowledged. */
  get acknowledged(): number {
    return this.#known.length;
  }

  get ids(): string[] {
    return this.#known.map(({ id }) => id);
  }

  /** Perhaps one of them is written, by a process that is up. */
  step({ shard, node }: EventualMember, onDone: (what: string) => void): void {
    if (shard === undefined || this.#pick(2) > 0) return;
    const name = String((this.#count += 1));
    const isLong = this.#pick(2) === 0;
    const expiresAt = Math.round(node.wallNow() + (isLong ? longMs : 1 + this.#pick(shortMs)));
    const what = this.#pick(4);
    if (what < 2) {
      this.#write(shard, `m${String(this.#pick(maps))}`, mapOf(name), expiresAt, isLong).catch(() => undefined);
      return;
    }
    const renewed = what === 2 ? this.#known[this.#pick(Math.max(1, this.#known.length))] : undefined;
    if (renewed !== undefined) {
      // Elsewhere something later may be known, which wins: only who has seen that writes after it.
      const seen = shard.reader.value(renewed.id, 'a');
      if (renewed.isRenewing || seen === undefined || Buffer.from(seen.data).toString() !== renewed.text) return;
      renewed.isRenewing = true;
      this.#write(shard, renewed.id, valueOf(name), expiresAt, isLong).then(
        () => {
          Object.assign(renewed, { text: name, isLong, isRenewing: false });
          onDone(`${node.id} has written ${renewed.id} anew`);
        },
        () => undefined,
      );
      return;
    }
    const id = `x${name}`;
    this.#write(shard, id, valueOf(name), expiresAt, isLong).then(
      () => {
        this.#known.push({ id, text: name, isLong, isRenewing: false });
        onDone(`${node.id} has written ${id} for ${isLong ? 'long' : 'a while'}`);
      },
      () => undefined,
    );
  }

  /** Whether the clocks of all replicas say that what was to expire soon has, and they have taken it away. */
  get isOver(): boolean {
    return this.#grid.members
      .filter(({ shard }) => shard !== undefined)
      .every(({ shard, node }) => node.wallNow() > this.#last && shard?.reader.expired(1).length === 0);
  }

  /** What is wrong, when all is over; undefined: nothing. `late`: what was not let in. */
  problem(late: ReadonlySet<string>): string | undefined {
    for (const { reader } of this.#grid.shards) {
      for (const { id, isLong, isRenewing } of this.#known) {
        if (isRenewing || late.has(id)) continue;
        const isThere = reader.value(id, 'a') !== undefined;
        if (isThere !== isLong) return `${id}, which ${isLong ? 'stays' : 'expired'}, is ${isThere ? 'back' : 'lost'}`;
      }
    }
    return undefined;
  }

  #write(shard: EventualShard, id: string, value: Value, expiresAt: number, isLong: boolean): Promise<unknown> {
    if (!isLong) this.#last = Math.max(this.#last, expiresAt);
    return shard.mutate({ ...put(id, {}), put: new Map([['a', { ...value, expiresAt }]]) });
  }

  #pick(count: number): number {
    return Math.floor(this.#random.next() * count);
  }
}

function valueOf(name: string): Value {
  return { data: Buffer.from(name), type: 'bytes' };
}

/** A client's map of one element. */
function mapOf(name: string): Value {
  const elements = new Map([[name, { stamp: zeroStamp, value: Buffer.from(name) }]]);
  return { data: Buffer.from(encodeMap({ cleared: zeroStamp, replace: false, elements })), type: 'crdt-map' };
}

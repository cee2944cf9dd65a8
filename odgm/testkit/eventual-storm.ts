import { seededRandom } from '@oaas/commons/testkit';
import type { Membership } from '../src/shard/index.ts';
import { contentOf, EventualGrid, put } from './eventual.ts';

interface Known {
  readonly id: string;
  state: 'written' | 'deleting' | 'deleted';
}

/**
 * Replaces one replica after the other, as tasks do: the new one learns until it has everything, the old one gives all
 * that it has before it goes. Members hear of each record at times of their own.
 */
class Operator {
  readonly #grid: EventualGrid;
  #record: Membership;
  #spare: number;
  #from: number;
  #stage: 'idle' | 'joining' | 'leaving' = 'idle';
  replaced = 0;

  constructor(grid: EventualGrid) {
    this.#grid = grid;
    this.#record = grid.member(1).membership;
    this.#spare = grid.addMember().number;
    this.#from = 1;
    grid.boot(grid.member(this.#spare));
  }

  get voters(): number[] {
    return this.#record.replicas.filter(({ role }) => role === 'voter').map(({ member }) => member);
  }

  /** Goes on if it can, and begins another replacement only when `mayBegin`. */
  step(mayBegin: boolean, hears: () => boolean): void {
    for (const member of this.#grid.members) {
      const isBehind = member.membership.epoch < this.#record.epoch;
      if (isBehind && member.node.isUp && hears()) void this.#grid.follow(member, this.#record);
    }
    const { replicas } = this.#record;
    const others = replicas.filter(({ member }) => member !== this.#from);
    if (this.#stage === 'idle') {
      if (!mayBegin) return;
      this.#from = replicas[this.#record.epoch % replicas.length]?.member ?? 1;
      this.#stage = 'joining';
      this.#write([...replicas, { member: this.#spare, role: 'learner', epoch: this.#record.epoch + 1 }]);
    } else if (this.#stage === 'joining' && this.#isSynced(this.#spare)) {
      const swapped = replicas.map((one) => ({
        ...one,
        role: one.member === this.#from ? ('learner' as const) : ('voter' as const),
      }));
      this.#stage = 'leaving';
      this.#write(swapped);
    } else if (this.#stage === 'leaving' && this.#isSynced(this.#from)) {
      this.#stage = 'idle';
      this.#spare = this.#from;
      this.replaced += 1;
      this.#write(others);
    }
  }

  get isIdle(): boolean {
    return (
      this.#stage === 'idle' && this.#grid.members.every(({ membership }) => membership.epoch === this.#record.epoch)
    );
  }

  /** A voter that stays, and follows this very record, knows that it has had the same as the member. */
  #isSynced(member: number): boolean {
    return this.#grid.members.some(
      ({ number, shard }) =>
        number !== member &&
        number !== this.#from &&
        shard?.isPrimary === true &&
        shard.membership.epoch === this.#record.epoch &&
        shard.isSyncedWith(member),
    );
  }

  #write(replicas: Membership['replicas']): void {
    this.#record = { epoch: this.#record.epoch + 1, replicas };
  }
}

/** What a storm did, so that a test can see that it did something. */
export interface StormReport {
  readonly deleted: number;
  /** Replicas that had reaped up to some stamp in the end. */
  readonly reaped: number;
  /** Replicas that were replaced. */
  readonly replaced: number;
}

/**
 * A while of writes, deletes, faults of the network, pauses and crashes; then peace, until all tombstones are
 * reaped. Throws when the replicas do not end alike, when an acknowledged write is lost, or a deleted object is back.
 */
export async function storm(seed: number): Promise<StormReport> {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random.next() * count);
  const grid = new EventualGrid({ seed, type: pick(2) === 0 ? 'basic' : 'mst', graceMs: 400 });
  grid.start();
  await grid.world.run(50);
  const operator = new Operator(grid);
  const known: Known[] = [];
  let ids = 0;
  grid.network.setFaults({
    ...{ loss: pick(3) * 0.04, duplication: pick(3) * 0.05, reorders: pick(2) === 0, resets: pick(3) * 0.005 },
    ...{ delay: { minMs: 0.1, meanMs: 1 + pick(20), maxMs: 200 }, bytesPerMs: Infinity },
  });
  for (let step = 0; step < 40; step++) {
    const member = grid.member(1 + pick(4));
    operator.step(pick(6) === 0, () => pick(3) === 0);
    const what = pick(20);
    if (what < 8) {
      const id = `u${String((ids += 1))}`;
      const { shard } = member;
      shard?.mutate(put(id, { a: id, b: String(step) })).then(
        () => known.push({ id, state: 'written' }),
        () => undefined,
      );
    } else if (what < 11) {
      member.shard
        ?.mutate(put(`hot${String(pick(3))}`, { [`k${String(pick(3))}`]: String(step) }, pick(3) === 0))
        .catch(() => undefined);
    } else if (what < 15) {
      const victim = known[pick(Math.max(1, known.length))];
      if (victim?.state === 'written' && member.shard?.reader.meta(victim.id) !== undefined) {
        victim.state = 'deleting';
        member.shard.mutate({ type: 'delete', objectId: victim.id }).then(
          () => (victim.state = 'deleted'),
          () => undefined,
        );
      }
    } else if (what === 15) {
      if (member.node.isUp) member.node.crash();
      else member.node.restart();
    } else if (what === 16) {
      grid.network.partition(
        pick(2) === 0
          ? [['n1'], ['n2', 'n3', 'n4']]
          : [
              ['n1', 'n2'],
              ['n3', 'n4'],
            ],
      );
    } else if (what === 17) {
      grid.network.heal();
    } else if (what === 18) {
      member.node.jumpClock(pick(3000) - 1500);
    } else {
      const other = grid.member(1 + pick(4));
      if (other !== member) grid.network.cutOneWay(member.node.id, other.node.id);
    }
    await grid.world.run(pick(120));
  }
  for (const { node } of grid.members) if (!node.isUp) node.restart();
  grid.network.heal();
  grid.network.setFaults({
    ...{ loss: 0, duplication: 0, reorders: false, resets: 0, bytesPerMs: Infinity },
    delay: { minMs: 0.1, meanMs: 0.3, maxMs: 5 },
  });
  for (let round = 0; round < 200 && !operator.isIdle; round++) {
    operator.step(false, () => true);
    await grid.world.run(250);
  }
  if (!operator.isIdle) throw new Error(`seed ${String(seed)}: a replacement does not come to its end`);
  if (!(await grid.converge())) throw new Error(`seed ${String(seed)}: replicas do not end alike`);
  // Long enough for all tombstones to be reaped.
  await grid.world.run(4000);
  if (!(await grid.converge())) throw new Error(`seed ${String(seed)}: replicas are not alike after reaping`);
  const [first, ...others] = grid.shards.map(({ reader }) => contentOf(reader));
  const check = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`seed ${String(seed)}: ${what}`);
  };
  check(grid.shards.length === 3, 'a replica is missing');
  for (const other of others) check(textOf(other) === textOf(first), 'clients see different objects');
  for (const { id, state } of known) {
    if (state === 'deleted') check(first?.has(id) === false, `${id} is back`);
    if (state === 'written') check(first?.get(id)?.includes(`a=${id}`) === true, `${id} is lost`);
  }
  const counted = grid.shards.map(({ counters }) => JSON.stringify(counters));
  check(new Set(counted).size === 1, 'counters differ');
  return {
    deleted: known.filter(({ state }) => state === 'deleted').length,
    replaced: operator.replaced,
    reaped: grid.shards.filter(({ cut }) => cut.ms > 0).length,
  };
}

function textOf(content: ReadonlyMap<string, string> | undefined): string {
  return JSON.stringify([...(content ?? [])]);
}

import { seededRandom } from '@oaas/commons/testkit';
import { compareStamps, headerStamp, type Stamp } from '../src/merge/index.ts';
import { type EventualShard, type Membership, MergingScan, type ScanSource } from '../src/shard/index.ts';
import { decodePatches } from '../src/shard/eventual/patch.ts';
import type { SimWorld } from './sim/index.ts';
import { StormExpiry } from './eventual-storm-expiry.ts';
import { StormNames } from './eventual-storm-names.ts';
import { contentOf, EventualGrid, type EventualMember, put } from './eventual.ts';

interface Known {
  readonly id: string;
  state: 'written' | 'deleting' | 'deleted';
  /** Of its entry `b`. */
  entry: 'written' | 'removing' | 'removed';
}

/** Nobody took anything of it: a write to what is deleted elsewhere meanwhile would make the object anew. */
function isWhole(known: Known | undefined): known is Known {
  return known?.state === 'written' && known.entry === 'written';
}

/** What is drawn for a whole storm, so that what is rare in one is common in another. */
function planOf(pick: (count: number) => number) {
  return {
    type: pick(2) === 0 ? ('basic' as const) : ('mst' as const),
    // Tombstones that hardly stay.
    graceMs: pick(2) === 0 ? 400 : 20,
    steps: pick(3) === 0 ? 100 : 40,
    /** Most milliseconds between two steps. */
    pauseMs: pick(2) === 0 ? 120 : 40,
    /** One in so many steps lets a member hear of a newer record. */
    hears: pick(2) === 0 ? 3 : 20,
    /** … begins another replacement. */
    replaces: pick(2) === 0 ? 6 : 1,
    /** … crashes a member. */
    crashes: pick(3) === 0 ? 3 : 20,
    /** What a crash comes upon is seldom under way on a quick disk. */
    writeMs: pick(2) === 0 ? 1 : 25,
    gossipMs: pick(2) === 0 ? 200 : 50,
    /** Clocks that differ by more than replicas take from one another. */
    clockMs: pick(3) === 0 ? 8000 : 1500,
    meanDelayMs: 1 + pick(20),
    maxDelayMs: pick(3) === 0 ? 1000 : 200,
  };
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
  readonly #forces: boolean;
  replaced = 0;
  /** Replaced while they were down. */
  forced = 0;

  constructor(grid: EventualGrid) {
    this.#grid = grid;
    this.#record = grid.member(1).membership;
    this.#spare = grid.addMember().number;
    this.#from = 1;
    this.#forces = grid.world.randomOf('forces').next() < 0.4;
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
      if (this.#isForced) {
        this.#end(others.map((one) => ({ ...one, role: 'voter' as const })));
        return;
      }
      const swapped = replicas.map((one) => ({
        ...one,
        role: one.member === this.#from ? ('learner' as const) : ('voter' as const),
      }));
      this.#stage = 'leaving';
      this.#write(swapped);
    } else if (this.#stage === 'leaving' && (this.#isForced || this.#isSynced(this.#from))) {
      this.#end(others);
    }
  }

  get #isForced(): boolean {
    return this.#forces && !this.#grid.member(this.#from).node.isUp;
  }

  #end(others: Membership['replicas']): void {
    if (this.#isForced) {
      this.#grid.member(this.#from).owes = this.#record.replicas.find(({ member }) => member === this.#from)?.epoch;
      this.forced += 1;
    }
    this.#stage = 'idle';
    this.#spare = this.#from;
    this.replaced += 1;
    this.#write(others);
  }

  /** What it waits for. */
  get unrest(): string {
    const members = this.#grid.members.map(
      ({ number, membership, owes }) => `${String(number)} knows ${String(membership.epoch)}, owes ${String(owes)}`,
    );
    return `${this.#stage} ${String(this.#record.epoch)} without ${String(this.#from)}; ${members.join('; ')}`;
  }

  get isIdle(): boolean {
    return (
      this.#stage === 'idle' &&
      this.#grid.members.every(({ membership, owes }) => membership.epoch === this.#record.epoch && owes === undefined)
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
    const { trace, now } = this.#grid.world;
    trace.add(`${now.toFixed(3)} recorded ${JSON.stringify(this.#record)}`);
  }
}

/** What a storm did, so that a test can see that it did something. */
export interface StormReport {
  readonly deleted: number;
  /** Replicas that had reaped up to some stamp in the end. */
  readonly reaped: number;
  /** Replicas that were replaced. */
  readonly replaced: number;
  /** … without them, because they were down. */
  readonly forced: number;
  readonly crashes: number;
  /** Labels, and changes of branches, that were acknowledged. */
  readonly named: number;
  /** Values that expire, soon or late, that were acknowledged. */
  readonly expiring: number;
  /** Writes, deletes, labels and changes of branches that were acknowledged. */
  readonly operations: number;
  readonly virtualMs: number;
  /** Of all that happened: the same for the same seed. */
  readonly hash: string;
}

/** A storm that found something. */
export class StormFailure extends Error {
  readonly world: SimWorld;

  constructor(world: SimWorld, cause: unknown) {
    super(`seed ${String(world.seed)}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'StormFailure';
    this.world = world;
  }
}

/**
 * A while of writes, deletes, faults of the network, pauses and crashes; then peace, until all tombstones are
 * reaped. Throws {@link StormFailure} when the replicas do not end alike, when an acknowledged write, label or change of a
 * branch is lost, or a deleted object is back.
 */
export async function storm(seed: number, onTrace?: (line: string) => void): Promise<StormReport> {
  const random = seededRandom(seed);
  const pick = (count: number): number => Math.floor(random.next() * count);
  const plan = planOf(pick);
  const { type, graceMs, writeMs, gossipMs } = plan;
  const known: Known[] = [];
  /** What a former replica came back with too late: the others had gone on without it. */
  const late = new Set<string>();
  let expiring: StormExpiry | undefined;
  const onHandedOver = (former: EventualShard, heir: EventualShard): void => {
    const ids = [...known.map(({ id }) => id), ...(expiring?.ids ?? [])];
    for (const id of ids) if (isLate(former, heir, id)) late.add(id);
  };
  const grid = new EventualGrid({ seed, type, graceMs, writeMs, tuning: { gossipMs }, onTrace, onHandedOver });
  if (StormExpiry.isIn(grid)) expiring = new StormExpiry(grid);
  try {
    return await stormOn(grid, plan, pick, known, late, expiring);
  } catch (error) {
    throw new StormFailure(grid.world, error);
  }
}

async function stormOn(
  grid: EventualGrid,
  plan: ReturnType<typeof planOf>,
  pick: (count: number) => number,
  known: Known[],
  late: ReadonlySet<string>,
  expiring: StormExpiry | undefined,
): Promise<StormReport> {
  let crashes = 0;
  let operations = 0;
  for (const { node } of grid.members) {
    node.watch((change) => {
      if (change === 'crash') crashes += 1;
    });
  }
  const note = (line: string): void => grid.world.trace.add(`${grid.world.now.toFixed(3)} ${line}`);
  const acknowledged = (what: string): void => {
    operations += 1;
    note(what);
  };
  grid.start();
  await grid.world.run(50);
  const operator = new Operator(grid);
  let ids = 0;
  const names = plan.type === 'mst' ? new StormNames(grid, acknowledged) : undefined;
  grid.network.setFaults({
    ...{ loss: pick(3) * 0.04, duplication: pick(3) * 0.05, reorders: pick(2) === 0, resets: pick(3) * 0.005 },
    ...{ delay: { minMs: 0.1, meanMs: plan.meanDelayMs, maxMs: plan.maxDelayMs }, bytesPerMs: Infinity },
  });
  for (let step = 0; step < plan.steps; step++) {
    const member = grid.member(1 + pick(4));
    operator.step(pick(plan.replaces) === 0, () => pick(plan.hears) === 0);
    if (pick(plan.crashes) === 0) crash(member, pick, plan.clockMs);
    names?.step(member);
    expiring?.step(member, acknowledged);
    const what = pick(20);
    if (what < 8) {
      const id = `u${String((ids += 1))}`;
      const { shard } = member;
      shard?.mutate(put(id, { a: id, b: String(step) })).then(
        () => {
          known.push({ id, state: 'written', entry: 'written' });
          acknowledged(`${member.node.id} has written ${id}`);
        },
        () => undefined,
      );
    } else if (what < 11) {
      member.shard
        ?.mutate(put(`hot${String(pick(3))}`, { [`k${String(pick(3))}`]: String(step) }, pick(3) === 0))
        .catch(() => undefined);
    } else if (what < 15) {
      const victim = known[pick(Math.max(1, known.length))];
      if (isWhole(victim) && member.shard?.reader.meta(victim.id) !== undefined) {
        victim.state = 'deleting';
        member.shard.mutate({ type: 'delete', objectId: victim.id }).then(
          () => {
            victim.state = 'deleted';
            acknowledged(`${member.node.id} has deleted ${victim.id}`);
          },
          () => undefined,
        );
      }
    } else if (what === 15) {
      const victim = known[pick(Math.max(1, known.length))];
      if (isWhole(victim) && member.shard?.reader.value(victim.id, 'b') !== undefined) {
        victim.entry = 'removing';
        member.shard.mutate({ ...put(victim.id, {}), remove: ['b'] }).then(
          () => {
            victim.entry = 'removed';
            acknowledged(`${member.node.id} has taken b of ${victim.id} away`);
          },
          () => undefined,
        );
      }
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
      member.node.jumpClock(pick(2 * plan.clockMs) - plan.clockMs);
    } else {
      const other = grid.member(1 + pick(4));
      if (other !== member) grid.network.cutOneWay(member.node.id, other.node.id);
    }
    await grid.world.run(pick(plan.pauseMs));
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
  if (!operator.isIdle) throw new Error(`a replacement does not come to its end: ${operator.unrest}`);
  if (!(await grid.converge())) throw new Error('replicas do not end alike');
  for (let round = 0; round < 400 && expiring?.isOver === false; round++) await grid.world.run(250);
  if (expiring?.isOver === false) throw new Error('what has expired is not taken away');
  for (let round = 0; round < 200 && grid.graves > 0; round++) await grid.world.run(250);
  if (grid.graves > 0) throw new Error('tombstones are not reaped');
  if (!(await grid.converge())) throw new Error('replicas are not alike after reaping');
  for (let round = 0; round < 400 && names?.isSettled === false; round++) await grid.world.run(250);
  if (names?.isSettled === false) throw new Error('replicas do not end alike in labels and branches');
  const [first, ...others] = grid.shards.map(({ reader }) => contentOf(reader));
  const check = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(what);
  };
  check(grid.shards.length === 3, 'a replica is missing');
  for (const other of others) check(textOf(other) === textOf(first), 'clients see different objects');
  for (const { id, state, entry } of known) {
    if (late.has(id)) continue;
    if (state === 'deleted') check(first?.has(id) === false, `${id} is back`);
    if (state === 'written') check(first?.get(id)?.includes(`a=${id}`) === true, `${id} is lost`);
    if (state === 'written' && entry !== 'removing') {
      const isThere = first?.get(id)?.includes(' b=') === true;
      check(isThere === (entry === 'written'), `entry b of ${id} is ${isThere ? 'back' : 'lost'}`);
    }
  }
  for (const problem of [names?.problem(), expiring?.problem(late)]) check(problem === undefined, problem ?? '');
  for (const shard of grid.shards) {
    const { snapshot, location } = await scanned(grid, shard);
    const scan = new MergingScan(snapshot, location);
    while (!scan.isDone) scan.read(4096);
    snapshot.close();
    check(scan.damage.length === 0 && scan.bad.length === 0, `what is stored is damaged: ${scan.damage.join('; ')}`);
  }
  const counted = grid.shards.map(({ counters }) => JSON.stringify(counters));
  check(new Set(counted).size === 1, 'counters differ');
  return {
    deleted: known.filter(({ state }) => state === 'deleted').length,
    replaced: operator.replaced,
    forced: operator.forced,
    named: names?.acknowledged ?? 0,
    expiring: expiring?.acknowledged ?? 0,
    ...{ crashes, operations, virtualMs: grid.world.now, hash: grid.world.trace.hash() },
    reaped: grid.shards.filter(({ cut }) => cut.ms > 0).length,
  };
}

async function scanned(grid: EventualGrid, shard: EventualShard): Promise<ScanSource> {
  const source = shard.scanSource('1');
  await grid.world.run(100);
  return source;
}

/** A process that is up goes, and perhaps comes back at once, with a clock that was set back meanwhile; another one comes. */
function crash({ node }: EventualMember, pick: (count: number) => number, clockMs: number): void {
  if (!node.isUp) {
    node.restart();
    return;
  }
  node.crash();
  if (pick(2) === 0) return;
  if (pick(2) === 0) node.jumpClock(-pick(clockMs));
  node.restart();
}

/** Whether the former replica has something of the object that the heir lacks, and does not let in because it is too old. */
function isLate(former: EventualShard, heir: EventualShard, id: string): boolean {
  const keys = [id, `${id}\u0000a`, `${id}\u0000b`];
  const [brought, held] = [former, heir].map((shard) => decodePatches(shard.take(keys, 65_536).states)[0]);
  if (brought === undefined) return false;
  const isRefused = (stamp: Stamp, there: Stamp | undefined): boolean =>
    compareStamps(stamp, heir.floor) <= 0 && (there === undefined || compareStamps(there, stamp) < 0);
  if (isRefused(headerStamp(brought.header), held && headerStamp(held.header))) return true;
  // The header may have come, newer by a change of another entry, without all of the entries.
  return [...brought.entries].some(([key, { stamp }]) => isRefused(stamp, held?.entries.get(key)?.stamp));
}

function textOf(content: ReadonlyMap<string, string> | undefined): string {
  return JSON.stringify([...(content ?? [])]);
}

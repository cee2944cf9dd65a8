import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareStamps, encodeMap, mapOf, type Register, type RegisterWrite, type Stamp, zeroStamp } from './index.ts';
import { type Part, TestReplica } from './testing.ts';

/** A value, nothing, or one element of a map (a value, or nothing). */
type Put = number | undefined | { readonly element: string; readonly value: number | undefined };

interface Step {
  readonly kind: 'set' | 'merge' | 'delete' | 'send' | 'deliver' | 'exchange' | 'round' | 'reap' | 'cut' | 'expire';
  readonly at: number;
  readonly with: number;
  readonly id: string;
  readonly puts: readonly (readonly [string, Put])[];
  readonly pick: number;
  /** Milliseconds that what is put has to live. */
  readonly ttl?: number | undefined;
  /** How far the wall clock moves: back, too. */
  readonly ms: number;
}

interface Batch extends Step {
  readonly stamp: Stamp;
}

const value = fc.option(fc.nat({ max: 9 }), { nil: undefined });
const put: fc.Arbitrary<Put> = fc.oneof(value, fc.record({ element: fc.constantFrom('x', 'y'), value }));
const stepOf = (...kinds: Step['kind'][]): fc.Arbitrary<Step> =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    at: fc.nat({ max: 2 }),
    with: fc.nat({ max: 2 }),
    id: fc.constantFrom('o', 'p'),
    puts: fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'c'), put), { maxLength: 3, selector: ([key]) => key }),
    pick: fc.nat(),
    ms: fc.integer({ min: -20, max: 100 }),
  });

/** Writes to one map, most of which expires; the clock goes on quickly. */
const expiringStep: fc.Arbitrary<Step> = fc
  .tuple(
    stepOf('merge', 'merge', 'expire', 'send', 'deliver', 'exchange', 'cut', 'reap'),
    fc.option(fc.integer({ min: 1, max: 600 }), { nil: undefined, freq: 4 }),
    fc.constantFrom('x', 'y', 'z'),
    fc.nat({ max: 200 }),
  )
  .map(([step, ttl, element, ms]) => ({ ...step, id: 'o', ttl, ms, puts: [['m', { element, value: 1 }]] }));

/** Two replicas forget a map that has expired, before they hear of a write to it that the other one took just before. */
const forgottenAndWritten: Step[] = (
  [
    { kind: 'merge', at: 0, ttl: 484, ms: 0 },
    { kind: 'cut', at: 0, ms: 1 },
    { kind: 'cut', at: 0, ms: 1 },
    { kind: 'merge', at: 1, ms: 100 },
    { kind: 'expire', at: 0, ms: 500 },
    { kind: 'reap', at: 0, ms: 0 },
    { kind: 'expire', at: 2, ms: 0 },
    { kind: 'reap', at: 2, ms: 0 },
  ] as const
).map((step) => ({
  with: 0,
  id: 'o',
  pick: 0,
  puts: [['m', { element: step.at === 0 ? 'x' : 'y', value: 1 }]],
  ...step,
}));

function writeOf(wanted: Put, expiresAt?: number): RegisterWrite {
  const bytes = (one: number | undefined): Uint8Array | undefined =>
    one === undefined ? undefined : Uint8Array.of(one);
  if (typeof wanted !== 'object') return { type: 'bytes', value: bytes(wanted), expiresAt };
  const elements = new Map([[wanted.element, { stamp: zeroStamp, value: bytes(wanted.value) }]]);
  return { type: 'crdt-map', value: encodeMap({ cleared: zeroStamp, replace: false, elements }), expiresAt };
}

/** Three replicas; what is sent comes late, twice, out of order, or never. */
class Grid {
  readonly replicas = [new TestReplica(1), new TestReplica(2), new TestReplica(3)];
  readonly batches: Batch[] = [];
  readonly #underWay: Part[] = [];
  #now = 1000;

  run(step: Step): void {
    this.#now += step.ms;
    const replica = this.replicas[step.at]!;
    const other = this.replicas[step.with]!;
    const parts = replica.parts();
    switch (step.kind) {
      case 'set':
      case 'merge': {
        const expiresAt = step.ttl === undefined ? undefined : this.#nowOf(replica) + step.ttl;
        const puts = step.puts.map(([key, wanted]) => [key, writeOf(wanted, expiresAt)] as const);
        this.#note(step, replica.change(step.id, puts, step.kind === 'set', this.#nowOf(replica)));
        break;
      }
      case 'delete':
        this.#note(step, replica.delete(step.id, this.#now));
        break;
      case 'send':
        if (parts.length > 0) this.#underWay.push(parts[step.pick % parts.length]!);
        break;
      case 'deliver':
        if (this.#underWay.length > 0) {
          replica.receive(this.#underWay[step.pick % this.#underWay.length]!, this.#nowOf(replica));
        }
        break;
      case 'exchange':
        if (other !== replica) replica.exchange(other, this.#now);
        break;
      case 'round':
        for (const peer of this.replicas) if (peer !== replica) replica.exchange(peer, this.#now);
        break;
      case 'reap':
        replica.advance([1, 2, 3], this.#now, 0);
        break;
      case 'cut':
        for (let round = 0; round < 2; round++) {
          this.#meet();
          for (const one of this.replicas) one.advance([1, 2, 3], this.#now, 0);
        }
        break;
      case 'expire':
        replica.expire(this.#nowOf(replica));
        break;
    }
  }

  /** Everybody meets everybody until nothing is new. */
  settle(): void {
    this.#now += 1000;
    this.#meet();
  }

  #meet(): void {
    for (const [one, two] of [
      [0, 1],
      [1, 2],
      [0, 2],
      [0, 1],
      [1, 2],
    ] as const) {
      this.replicas[one]!.exchange(this.replicas[two]!, this.#now);
    }
  }

  /** Everything that was ever sent comes once more, everywhere. */
  deliverAll(): void {
    for (const part of this.#underWay) for (const replica of this.replicas) replica.receive(part, this.#now);
  }

  reapAll(): void {
    this.#now += 1000;
    for (const replica of this.replicas) replica.advance([1, 2, 3], this.#now, 0);
  }

  expireAll(): void {
    for (const replica of this.replicas) replica.expire(this.#now);
  }

  /** By its own wall clock. */
  #nowOf({ member }: TestReplica): number {
    return this.#now + 150 * (member - 1);
  }

  #note(step: Step, stamp: Stamp | undefined): void {
    if (stamp !== undefined) this.batches.push({ ...step, stamp });
  }
}

type Plain = Map<string, Map<string, number | Map<string, number>>>;

/** What clients must see in the end: all batches, in the order of their stamps, one after the other on plain maps. */
function replayed(batches: readonly Batch[]): Plain {
  const objects: Plain = new Map();
  for (const { kind, id, puts } of [...batches].sort((a, b) => compareStamps(a.stamp, b.stamp))) {
    if (kind === 'delete') {
      objects.delete(id);
      continue;
    }
    const object = (kind === 'merge' ? objects.get(id) : undefined) ?? new Map<string, number | Map<string, number>>();
    objects.set(id, object);
    for (const [key, wanted] of puts) {
      if (wanted === undefined) object.delete(key);
      else if (typeof wanted === 'number') object.set(key, wanted);
      else {
        const held = object.get(key);
        const elements = held instanceof Map ? held : new Map<string, number>();
        object.set(key, elements);
        if (wanted.value === undefined) elements.delete(wanted.element);
        else elements.set(wanted.element, wanted.value);
      }
    }
  }
  return objects;
}

function seen(replica: TestReplica): Plain {
  const plain = ([key, register]: [string, Register]): [string, number | Map<string, number>] => {
    const map = mapOf(register);
    if (map === undefined) return [key, register.value?.[0] ?? -1];
    const elements = [...map.elements].filter(([, element]) => element.value !== undefined);
    return [key, new Map(elements.map(([name, element]) => [name, element.value?.[0] ?? -1]))];
  };
  return new Map([...replica.visible()].map(([id, { values }]) => [id, new Map([...values].map(plain))]));
}

describe('three replicas', () => {
  it('end with one state: all batches in the order of their stamps, whatever was delivered when', () => {
    fc.assert(
      fc.property(
        fc.array(stepOf('set', 'merge', 'merge', 'delete', 'send', 'send', 'deliver', 'deliver', 'exchange'), {
          maxLength: 40,
        }),
        (history) => {
          const grid = new Grid();
          for (const step of history) grid.run(step);
          grid.settle();
          const [one, two, three] = grid.replicas.map((replica) => replica.state());
          expect(two).toBe(one);
          expect(three).toBe(one);
          expect(seen(grid.replicas[0]!)).toEqual(replayed(grid.batches));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('count versions that never go back, grow by 1 for a batch, and in the end say how many there were', () => {
    fc.assert(
      fc.property(fc.array(stepOf('set', 'merge', 'send', 'deliver', 'exchange'), { maxLength: 30 }), (history) => {
        const grid = new Grid();
        const versions = (): (number | undefined)[] =>
          grid.replicas.map((replica) => replica.visible().get('o')?.version);
        for (const step of history) {
          const before = versions();
          grid.run(step);
          versions().forEach((version, i) => {
            expect(version ?? 0).toBeGreaterThanOrEqual(before[i] ?? 0);
            const isBatch = (step.kind === 'set' || step.kind === 'merge') && step.id === 'o' && step.at === i;
            if (isBatch) expect(version).toBe((before[i] ?? 0) + 1);
          });
        }
        grid.settle();
        const count = grid.batches.filter((batch) => batch.id === 'o').length;
        expect(versions()).toEqual(Array(3).fill(count === 0 ? undefined : count));
      }),
      { numRuns: 200 },
    );
  });

  it('reap tombstones and bring nothing back, although old messages still come', () => {
    let reaped = 0;
    const kinds = [
      ...(['set', 'merge', 'delete', 'delete', 'send', 'send', 'deliver', 'deliver'] as const),
      ...(['exchange', 'round', 'round', 'reap', 'reap', 'reap'] as const),
    ];
    fc.assert(
      fc.property(fc.array(stepOf(...kinds), { minLength: 20, maxLength: 80 }), (history) => {
        const grid = new Grid();
        for (const step of history) grid.run(step);
        reaped += grid.replicas.filter(({ reaping }) => reaping.cut.ms > 0).length;
        grid.settle();
        expect(seen(grid.replicas[0]!)).toEqual(replayed(grid.batches));
        for (let round = 0; round < 3; round++) {
          grid.reapAll();
          grid.settle();
        }
        grid.deliverAll();
        for (const replica of grid.replicas) {
          expect(seen(replica)).toEqual(replayed(grid.batches));
          for (const part of replica.parts()) {
            if (part.type === 'entry') expect(part.register.value).toBeDefined();
            else expect(replica.visible().has(part.id)).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
    expect(reaped).toBeGreaterThan(100);
  });

  it('end with one state when each takes away by itself, at any time, what expired, and reaps it', () => {
    let reaped = 0;
    fc.assert(
      fc.property(fc.array(expiringStep, { minLength: 20, maxLength: 80 }), (history) => {
        const grid = new Grid();
        for (const step of history) grid.run(step);
        reaped += grid.replicas.filter(({ reaping }) => reaping.cut.ms > 0).length;
        grid.settle();
        grid.expireAll();
        for (let round = 0; round < 3; round++) {
          grid.reapAll();
          grid.settle();
        }
        const [one, two, three] = grid.replicas.map((replica) => replica.state());
        expect(two).toBe(one);
        expect(three).toBe(one);
      }),
      { numRuns: 1000, examples: [[forgottenAndWritten]] },
    );
    expect(reaped).toBeGreaterThan(100);
  });
});

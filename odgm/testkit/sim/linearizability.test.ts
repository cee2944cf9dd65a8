import { seededRandom } from '@oaas/commons/testkit';
import type { Random } from '@oaas/commons/time';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeVerdict, History } from './history.ts';
import { checkLinearizable, type Operation } from './linearizability.ts';
import { type ObjectInput, objectModel, type ObjectOutput, type ObjectState } from './object-model.ts';

type ObjectOperation = Operation<ObjectInput, ObjectOutput>;

/** What the object does, written the other way round than in the model: with output, for one input. */
function execute(state: ObjectState, input: ObjectInput): { state: ObjectState; output: ObjectOutput } {
  const write = (value: string): { state: ObjectState; output: ObjectOutput } => {
    const version = state.value === value ? state.version : state.version + 1;
    return { state: { value, version }, output: { type: 'done', version } };
  };
  switch (input.type) {
    case 'get':
      return { state, output: { type: 'got', value: state.value, version: state.version } };
    case 'put':
      return write(input.value);
    case 'delete':
      return { state: { value: undefined, version: 0 }, output: { type: 'done', version: 0 } };
    case 'cas':
      if (input.expected === state.version) return write(input.value);
      return { state, output: { type: 'conflict', current: state.version } };
  }
}

interface Generated {
  readonly operations: ObjectOperation[];
}

/** Clients that run at once against one real object: every operation happens at a moment between its call and return. */
function generate(random: Random, options: { count: number; clients: number; unknowns: number }): Generated {
  const events: { at: number; run: () => void }[] = [];
  const operations: { -readonly [K in keyof ObjectOperation]: ObjectOperation[K] }[] = [];
  let state: ObjectState = objectModel.initial;
  let values = 0;
  for (let client = 0; client < options.clients; client += 1) {
    let at = random.next();
    for (let i = 0; i < options.count / options.clients; i += 1) {
      const call = at;
      const happens = call + random.next();
      const returns = happens + random.next();
      at = returns + random.next() * 0.2;
      const isUnknown = random.next() < options.unknowns;
      const neverHappens = isUnknown && random.next() < 0.5;
      const dice = random.next();
      const wantsCas = dice > 0.8;
      const input = (): ObjectInput => {
        if (dice < 0.45) return { type: 'get' };
        if (dice < 0.7) return { type: 'put', value: String((values += 1)) };
        if (dice < 0.8) return { type: 'delete' };
        return { type: 'cas', expected: state.version, value: String((values += 1)) };
      };
      const operation = { input: wantsCas ? { type: 'get' as const } : input() } as (typeof operations)[number];
      operation.call = call;
      operation.return = isUnknown ? Infinity : returns;
      operation.client = `c${client}`;
      operations.push(operation);
      // What a compare-and-set expects is what the client read when it called.
      if (wantsCas) events.push({ at: call, run: () => (operation.input = input()) });
      events.push({
        at: happens,
        run: () => {
          if (neverHappens) return;
          const result = execute(state, operation.input);
          state = result.state;
          if (!isUnknown) operation.output = result.output;
        },
      });
    }
  }
  for (const { run } of events.sort((a, b) => a.at - b.at)) run();
  return { operations };
}

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const check = (operations: readonly ObjectOperation[], configurationsMax = 20_000) =>
  checkLinearizable(objectModel, operations, { configurationsMax });

/** Numbers the events of a hand-written history: [client, input, output, call, return]. */
function history(...rows: [string, ObjectInput, ObjectOutput | undefined, number, number][]): ObjectOperation[] {
  return rows.map(([client, input, output, call, end]) => ({ client, input, output, call, return: end }));
}

const put = (value: string): ObjectInput => ({ type: 'put', value });
const get: ObjectInput = { type: 'get' };
const done: ObjectOutput = { type: 'done' };
const got = (value: string | undefined): ObjectOutput => ({ type: 'got', value });

describe('the linearizability checker', () => {
  it('accepts every history of a real object, however its clients overlap', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 8 }), (seed, clients) => {
        const { operations } = generate(seededRandom(seed), { count: 60, clients, unknowns: 0 });
        expect(check(operations).outcome).toBe('linearizable');
      }),
      { numRuns: 300 },
    );
  });

  it('never refuses a history in which some outcomes are unknown, done or not', () => {
    let gaveUp = 0;
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 5 }), (seed, clients) => {
        const { operations } = generate(seededRandom(seed), { count: 60, clients, unknowns: 0.1 });
        const { outcome } = check(operations);
        expect(outcome).not.toBe('violation');
        gaveUp += outcome === 'gave-up' ? 1 : 0;
      }),
      { numRuns: 200 },
    );
    expect(gaveUp).toBeLessThan(20);
  });

  it('refuses a stale read, a lost write and a resurrected object, wherever they are', () => {
    const counts = { stale: 0, lost: 0, resurrected: 0 };
    for (let seed = 0; seed < 400; seed += 1) {
      const random = seededRandom(seed);
      const operations = generate(random, { count: 40, clients: 1 + (seed % 4), unknowns: 0 }).operations;
      const mutation = (['stale', 'lost', 'resurrected'] as const)[seed % 3] ?? 'stale';
      const mutated = mutate(operations, mutation, random);
      if (mutated === undefined) continue;
      counts[mutation] += 1;
      expect(check(mutated).outcome, `seed ${seed}: ${mutation}`).toBe('violation');
    }
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(40);
  });

  it('refuses most histories in which one read shows what came later', () => {
    const outcomes = { violation: 0, linearizable: 0, 'gave-up': 0 };
    for (let seed = 0; seed < 300; seed += 1) {
      const random = seededRandom(seed);
      const { operations } = generate(random, { count: 60, clients: 1 + (seed % 4), unknowns: 0 });
      const mutated = swapReads(operations, random);
      if (mutated !== undefined) outcomes[check(mutated).outcome] += 1;
    }
    expect(outcomes['gave-up']).toBe(0);
    // Where operations overlap the later value may be right as well.
    expect(outcomes.violation).toBeGreaterThan(3 * outcomes.linearizable);
  });

  it('agrees with a search through all orders on any small history, right or wrong', () => {
    const outcomes = { right: 0, wrong: 0 };
    for (let seed = 0; seed < 3000; seed += 1) {
      const operations = scramble(seededRandom(seed));
      const expected = hasOrder(operations);
      outcomes[expected ? 'right' : 'wrong'] += 1;
      expect(check(operations).outcome, `seed ${seed}`).toBe(expected ? 'linearizable' : 'violation');
    }
    expect(Math.min(outcomes.right, outcomes.wrong)).toBeGreaterThan(300);
  });

  it('names the operation that fits nowhere, and the shortest prefix that fails', () => {
    const operations = history(
      ['a', put('1'), done, 1, 2],
      ['b', put('2'), done, 3, 4],
      ['c', get, got('1'), 5, 6],
      ['a', get, got('2'), 7, 8],
    );
    const verdict = check(operations);
    expect(verdict).toMatchObject({ outcome: 'violation', operation: operations[2], possible: ['2 2'] });
    expect(verdict.outcome === 'violation' && verdict.prefix).toEqual(operations.slice(0, 3));
    expect(check(operations.slice(0, 2)).outcome).toBe('linearizable');
  });

  it('takes an operation of unknown outcome as done late, done early, or never done, but not twice', () => {
    const unknownPut = (...rest: Parameters<typeof history>) =>
      history(['a', put('1'), undefined, 1, Infinity], ...rest);
    expect(check(unknownPut(['b', get, got(undefined), 2, 3], ['b', get, got('1'), 4, 5])).outcome).toBe(
      'linearizable',
    );
    expect(check(unknownPut(['b', get, got(undefined), 2, 3], ['b', put('2'), done, 4, 5])).outcome).toBe(
      'linearizable',
    );
    const backAndForth = unknownPut(
      ['b', get, got('1'), 2, 3],
      ['b', put('2'), done, 4, 5],
      ['b', get, got('1'), 6, 7],
    );
    expect(check(backAndForth).outcome).toBe('violation');
  });

  it('holds versions to what a compare-and-set and a put were told', () => {
    const cas = (expected: number, value: string): ObjectInput => ({ type: 'cas', expected, value });
    const at = (version: number): ObjectOutput => ({ type: 'done', version });
    const both = history(['a', cas(0, '1'), at(1), 1, 3], ['b', cas(0, '2'), at(1), 2, 4]);
    expect(check(both).outcome).toBe('violation');
    const one = history(['a', cas(0, '1'), at(1), 1, 3], ['b', cas(0, '2'), { type: 'conflict', current: 1 }, 2, 4]);
    expect(check(one).outcome).toBe('linearizable');
    expect(check(history(['a', put('1'), at(2), 1, 2])).outcome).toBe('violation');
  });

  it('checks a history in which many writes have an unknown outcome, for most are alike', () => {
    // Every third write of one client fails with a timeout, and every second of those was done none the less.
    const writes = Array.from({ length: 300 }, (_, i): ObjectOperation => {
      const isUnknown = i % 3 === 0;
      const version = Array.from({ length: i + 1 }, (_unused, j) => j).filter((j) => j % 6 !== 0).length;
      const output: ObjectOutput | undefined = isUnknown ? undefined : { type: 'done', version };
      return { input: put(String(i)), output, call: i * 2, return: isUnknown ? Infinity : i * 2 + 1 };
    });
    expect(check(writes)).toEqual({ outcome: 'linearizable', operations: 300 });
    const wrong = { call: 601, return: 602, input: get, output: { type: 'got', value: '1', version: 1 } } as const;
    expect(check([...writes, wrong])).toMatchObject({ outcome: 'violation', operation: wrong });
  });

  it('gives up within its bound instead of guessing', () => {
    const unknown: ObjectOperation[] = Array.from({ length: 16 }, (_, i) => ({
      ...{ input: put(String(i)), output: undefined, call: i, return: Infinity },
    }));
    const reads = Array.from({ length: 16 }, (_, i): ObjectOperation => {
      const output: ObjectOutput = { type: 'got', value: String(i), version: 16 + i };
      return { input: get, output, call: 100 + i * 2, return: 101 + i * 2 };
    });
    expect(check([...unknown, ...reads], 5000)).toMatchObject({ outcome: 'gave-up', configurations: 5000 });
  });

  it('checks ten thousand operations of one key without a search', () => {
    const { operations } = generate(seededRandom(3), { count: 10_000, clients: 4, unknowns: 0 });
    expect(check(operations)).toEqual({ outcome: 'linearizable', operations: 10_000 });
  });
});

describe('a history', () => {
  it('is checked key by key, without what was refused, and told in words', () => {
    const log = new History<ObjectInput, ObjectOutput>();
    log.call('good', put('1'), 'a').returned(done);
    log.call('good', put('2'), 'a').refused();
    log.call('good', get, 'b').returned(got('1'));
    log.call('bad', put('1'), 'a').unknown();
    log.call('bad', get, 'b').returned(got('7'));
    const problems = log.check(objectModel);
    expect(problems).toMatchObject([{ key: 'bad', verdict: { outcome: 'violation' } }]);
    expect(problems.map(describeVerdict).join()).toContain('bad: no order of 2 operations explains');
  });
});

/**
 * Takes a right history and makes it wrong: what comes after all its operations is a delete, another write, and a read
 * that shows what no order can explain.
 */
function mutate(
  operations: readonly ObjectOperation[],
  mutation: 'stale' | 'lost' | 'resurrected',
  random: Random,
): ObjectOperation[] | undefined {
  const end = Math.max(...operations.map((operation) => operation.return));
  const later = (input: ObjectInput, output: ObjectOutput, order: number): ObjectOperation => ({
    ...{ client: 'later', input, output, call: end + order, return: end + order + 0.5 },
  });
  const values = operations.flatMap(({ input }) => (input.type === 'put' ? [input.value] : []));
  const old = values[Math.floor(random.next() * values.length)];
  if (old === undefined) return undefined;
  const remove = later({ type: 'delete' }, { type: 'done', version: 0 }, 1);
  const write = later(put('new'), { type: 'done', version: 1 }, 2);
  switch (mutation) {
    case 'stale':
      return [...operations, remove, write, later(get, got(old), 3)];
    case 'lost':
      return [...operations, remove, write, later(get, got(undefined), 3)];
    case 'resurrected':
      return [...operations, remove, later(get, got(old), 3)];
  }
}

/** Takes a right history and shows one read in its middle what was there at another time. */
function swapReads(operations: readonly ObjectOperation[], random: Random): ObjectOperation[] | undefined {
  const reads = operations.filter(({ input }) => input.type === 'get');
  const one = reads[Math.floor(random.next() * reads.length)];
  const other = reads.find(
    ({ output, call }) =>
      one !== undefined && call > one.return && JSON.stringify(output) !== JSON.stringify(one.output),
  );
  if (one === undefined || other === undefined) return undefined;
  return operations.map((operation) => (operation === one ? { ...one, output: other.output } : operation));
}

/** A few operations with outcomes drawn at random: mostly wrong, sometimes right. */
function scramble(random: Random): ObjectOperation[] {
  const pick = <T>(...from: readonly T[]): T => from[Math.floor(random.next() * from.length)] as T;
  return Array.from({ length: 2 + Math.floor(random.next() * 5) }, (_, i) => {
    const call = random.next();
    const input = pick<ObjectInput>(
      get,
      get,
      put('1'),
      put('2'),
      put(`only ${i}`),
      { type: 'delete' },
      { type: 'cas', expected: 1, value: '3' },
    );
    const output = pick<ObjectOutput>(
      ...(input.type === 'get'
        ? [got('1'), got('2'), got('3'), got(undefined), { ...got('only 0'), version: 2 } as ObjectOutput]
        : input.type === 'cas'
          ? [done, { type: 'conflict' as const }]
          : [done]),
    );
    const isUnknown = random.next() < 0.3;
    return {
      ...{ client: `c${i}`, input, call, output: isUnknown ? undefined : output },
      return: isUnknown ? Infinity : call + random.next() * 0.6,
    };
  });
}

/** Wing and Gong without any cleverness: tries every order. */
function hasOrder(operations: readonly ObjectOperation[], state: ObjectState = objectModel.initial): boolean {
  if (operations.every((operation) => operation.return === Infinity)) return true;
  const firstReturn = Math.min(...operations.map((operation) => operation.return));
  return operations.some((operation) => {
    if (operation.call > firstReturn) return false;
    const next = objectModel.step(state, operation.input, operation.output);
    return (
      next !== undefined &&
      hasOrder(
        operations.filter((other) => other !== operation),
        next,
      )
    );
  });
}

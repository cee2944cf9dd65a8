import { createLogger } from '@oaas/commons/telemetry';
import { seededRandom, simulatedTime } from '@oaas/commons/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SimulatedDisk } from '../../testkit/disk.ts';
import type { Engine, HardState, LogEntry, LogPosition, LogWrite } from './engine.ts';
import { openJournalEngine } from './journal-engine.ts';
import type { WriteOperation } from './port.ts';

/**
 * Random calls, with crashes in between that tear what was not flushed, against a dumb twin. All durable calls go
 * through one journal, so the state after a crash must be that of some prefix of them, with every acknowledged one in
 * it. What was only applied must come back as of one moment, never older than what its log has forgotten. A bit that flips
 * in a journal that had become idle must be found at the next start, or do no harm.
 */
type Step =
  | { readonly type: 'write'; readonly keys: readonly number[]; readonly size: number }
  | {
      readonly type: 'append';
      readonly group: number;
      readonly count: number;
      readonly back: number;
      readonly size: number;
    }
  | { readonly type: 'vote'; readonly group: number }
  | { readonly type: 'apply'; readonly group: number; readonly count: number }
  | { readonly type: 'compact'; readonly group: number; readonly back: number }
  | { readonly type: 'install'; readonly group: number; readonly ahead: number }
  | { readonly type: 'drop'; readonly group: number }
  | { readonly type: 'checkpoint' | 'settle' | 'age' | 'crash' | 'fill' | 'free' | 'look' }
  | { readonly type: 'rot'; readonly at: number; readonly bit: number }
  | { readonly type: 'spin'; readonly turns: number };

const groups = [0, 1, 7];
const group = fc.constantFrom(...groups);
const small = fc.nat({ max: 4 });
const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom(700, 40_000) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('write' as const),
      keys: fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 4 }),
      size,
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('append' as const), group, count: small, back: small, size }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('vote' as const), group }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('apply' as const), group, count: small }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('compact' as const), group, back: small }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('install' as const), group, ahead: small }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('drop' as const), group }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('settle' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constantFrom('checkpoint' as const, 'age' as const, 'look' as const) }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('crash' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('fill' as const, 'free' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('rot' as const), at: fc.nat({ max: 0xffff }), bit: fc.nat({ max: 7 }) }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('spin' as const), turns: fc.nat({ max: 12 }) }) },
);

describe('the journal engine', () => {
  it('comes back from any crash with all that was acknowledged, nothing by half, and no log ahead of its state', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), fc.nat(), async (steps, seed) => {
        const twin = new Twin(seed);
        await twin.open();
        for (const each of steps) await twin.run(each);
        await twin.crash();
        await twin.end();
      }),
      { numRuns: Number(process.env['ODGM_CRASH_RUNS'] ?? 250), seed: Number(process.env['ODGM_CRASH_SEED'] ?? 42) },
    );
  });
});

/** A durable call. */
interface Call {
  readonly change: (state: State) => void;
  outcome: 'waiting' | 'done' | 'refused';
}

interface LogState {
  life: number;
  hardState: HardState;
  base: LogPosition;
  entries: LogEntry[];
}

interface State {
  readonly values: Map<string, string>;
  readonly logs: Map<number, LogState>;
}

class Twin {
  readonly #disk: SimulatedDisk;
  readonly #logger = createLogger({ service: 'test', level: 'silent' });
  #time = simulatedTime();
  #engine: Engine | undefined;
  /** The state that a crash left, and the calls since. */
  #start: State = { values: new Map(), logs: new Map() };
  #calls: Call[] = [];
  #waiting: Promise<unknown>[] = [];
  /** Applied index of each life of a group; what its state must be at each index. */
  #applied = new Map<string, number>();
  readonly #digests = new Map<string, Map<number, string>>();
  #compacted = new Map<string, number>();
  #next = 1;
  #term = 1;
  #wasFull = false;

  constructor(seed: number) {
    this.#disk = new SimulatedDisk({ random: seededRandom(seed) });
  }

  async open(): Promise<void> {
    this.#time = simulatedTime();
    this.#engine = await openJournalEngine({
      files: this.#disk.files(),
      base: this.#disk.base(),
      timers: this.#time.timers,
      logger: this.#logger,
      turn: () => Promise.resolve(),
      segmentBytes: 4096,
      retentionBytes: 12_000,
      cacheBytes: 300,
      flushBytes: 3000,
      flushKeys: 8,
      memtableBytes: 12_000,
      onFailure: (error) => {
        throw error;
      },
    });
  }

  async run(step: Step): Promise<void> {
    const engine = this.#opened();
    switch (step.type) {
      case 'write':
        this.#write(step.keys, step.size);
        return;
      case 'append':
        this.#append(step.group, step.count, step.back, step.size);
        return;
      case 'vote': {
        const hardState = { term: this.#term, vote: this.#next++, commit: this.#next };
        this.#call(engine.append([{ group: step.group, hardState }]), (state) => {
          logOf(state, step.group).hardState = hardState;
        });
        return;
      }
      case 'apply':
        this.#apply(step.group, step.count);
        return;
      case 'compact': {
        const life = this.#lifeOf(step.group);
        const index = (this.#applied.get(life) ?? 0) - step.back;
        if (index <= (this.#compacted.get(life) ?? 0) || this.#durable().logs.get(step.group) === undefined) return;
        if (engine.log(step.group).lastIndex < index) return;
        engine.compact(step.group, index);
        this.#compacted.set(life, index);
        return;
      }
      case 'install':
        this.#install(step.group, step.ahead);
        return;
      case 'drop':
        this.#drop(step.group);
        return;
      case 'settle':
        await this.#settle();
        return;
      case 'checkpoint':
        await engine.checkpoint().catch((error: unknown) => {
          this.#refusal(error);
        });
        return;
      case 'age':
        await this.#time.advance(1500);
        return;
      case 'crash':
        await this.crash();
        return;
      case 'rot':
        await this.#rot(step.at, step.bit);
        return;
      case 'fill':
        this.#disk.capacity = this.#disk.fileBytes + 500;
        this.#wasFull = true;
        return;
      case 'free':
        this.#disk.capacity = Infinity;
        return;
      case 'spin':
        for (let i = 0; i < step.turns; i++) await Promise.resolve();
        return;
      case 'look':
        await this.#settle();
        this.#compare(this.#durable());
    }
  }

  async crash(): Promise<void> {
    this.#disk.crash();
    this.#disk.capacity = Infinity;
    await this.open();
    const possible = this.#possibleStates();
    const found = possible.find((state) => this.#differences(state).length === 0);
    if (found === undefined) {
      throw new Error(`no prefix fits: ${possible.map((state) => this.#differences(state).join('; ')).join(' | ')}`);
    }
    this.#start = found;
    this.#calls = [];
    this.#waiting = [];
    this.#wasFull = false;
    for (const group of groups) this.#takeUp(group);
  }

  /** `at`: byte of the journal's files, one after the other, from the end of what was written to the newest one backwards. */
  async #rot(at: number, bit: number): Promise<void> {
    await this.#settle();
    await this.#time.advance(200);
    this.#disk.crash();
    const [name, offset] = await this.#writtenByte(at);
    this.#disk.flipBit(name, offset, bit);
    const refusal = await this.open().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (refusal === undefined) this.#compare(this.#durable());
    else expect(refusal).toMatchObject({ code: 'StorageCorrupt' });
    // The start has cleared away what is not needed any more.
    if (this.#disk.names().includes(name)) this.#disk.flipBit(name, offset, bit);
    await this.crash();
  }

  async #writtenByte(at: number): Promise<[name: string, offset: number]> {
    const written: [name: string, offset: number][] = [];
    for (const name of this.#disk.names().reverse()) {
      const file = await this.#disk.files().open(name, 'existing');
      const content = Buffer.alloc(await file.size());
      await file.read(content, 0);
      const end = content.findLastIndex((byte) => byte !== 0);
      for (let offset = end; offset >= 0; offset--) written.push([name, offset]);
    }
    return written[at % written.length] ?? [this.#disk.names()[0] ?? '', 0];
  }

  async end(): Promise<void> {
    await this.#settle();
    await this.#opened().close();
  }

  #opened(): Engine {
    if (this.#engine === undefined) throw new Error('not open');
    return this.#engine;
  }

  #call(outcome: Promise<void>, change: Call['change']): void {
    const call: Call = { change, outcome: 'waiting' };
    this.#calls.push(call);
    this.#waiting.push(
      outcome.then(
        () => (call.outcome = 'done'),
        (error: unknown) => {
          this.#refusal(error);
          call.outcome = 'refused';
        },
      ),
    );
  }

  #write(keys: readonly number[], size: number): void {
    const operations: WriteOperation[] = keys.map((n, i) => {
      const key = Buffer.from(`w${String(n)}`);
      if (i % 3 === 2) return { type: 'delete', key };
      return { type: 'put', key, value: Buffer.from(`${String(this.#next++)}${'x'.repeat(size)}`) };
    });
    this.#call(this.#opened().write(operations), (state) => {
      for (const operation of operations) {
        if (operation.type === 'put') state.values.set(String(operation.key), String(operation.value));
        else state.values.delete(String(operation.key));
      }
    });
  }

  #append(group: number, count: number, back: number, size: number): void {
    const { base, entries } = logOf(this.#expected(), group);
    const last = base.index + entries.length;
    const applied = this.#applied.get(this.#lifeOf(group)) ?? 0;
    const first = Math.max(last + 1 - back, applied + 1, base.index + 1);
    if (first <= last) this.#term += 1;
    const added = Array.from({ length: count }, (_, i): LogEntry => {
      // Sometimes a new term begins within a call.
      if (i === 3) this.#term += 1;
      const data = Buffer.from(`${String(this.#next++)}${'y'.repeat(size)}`);
      return { index: first + i, term: this.#term, type: 0, data };
    });
    const write: LogWrite = { group, hardState: { term: this.#term, vote: 0, commit: applied }, entries: added };
    this.#call(this.#opened().append([write]), (state) => {
      change(state, write);
    });
  }

  #apply(group: number, count: number): void {
    const life = this.#lifeOf(group);
    const log = this.#durable().logs.get(group);
    // Only what is durable, and not about to be replaced, may be applied.
    if (log === undefined || !this.#isQuiet()) return;
    const from = this.#applied.get(life) ?? 0;
    for (let index = from + 1; index <= from + count; index++) {
      const entry = log.entries[index - log.base.index - 1];
      if (entry === undefined) return;
      this.#applied.set(life, index);
      this.#opened().apply(this.#stateAt(life, index, String(entry.data)));
    }
  }

  /** As the owner of a group installs a snapshot: its state and the log at once. */
  #install(group: number, ahead: number): void {
    const { base, entries } = logOf(this.#expected(), group);
    const life = this.#lifeOf(group);
    const index = Math.max(base.index + entries.length, this.#applied.get(life) ?? 0) + 1 + ahead;
    this.#term += 1;
    const reset = { index, term: this.#term };
    if (!this.#isQuiet()) return;
    const operations = this.#stateAt(life, index, 'snapshot');
    const write = { group, reset };
    this.#call(this.#opened().append([write], operations), (state) => {
      change(state, write);
    });
    this.#applied.set(life, index);
  }

  #drop(group: number): void {
    const { life } = logOf(this.#expected(), group);
    this.#call(this.#opened().dropGroup(group), (state) => {
      state.logs.set(group, { ...newLog(), life: life + 1 });
    });
  }

  #stateAt(life: string, index: number, content: string): WriteOperation[] {
    let digests = this.#digests.get(life);
    if (digests === undefined) this.#digests.set(life, (digests = new Map<number, string>()));
    const digest = `${String(index)}:${content.slice(0, 20)}`;
    digests.set(index, digest);
    const put = (key: string, value: string): WriteOperation => ({
      type: 'put',
      key: Buffer.from(`s/${life}/${key}`),
      value: Buffer.from(value),
    });
    return [put('index', String(index)), put('digest', digest), put(`at/${String(index % 3)}`, digest)];
  }

  async #settle(): Promise<void> {
    // Writes that wait for a full base go on when its turn comes again.
    this.#disk.capacity = Infinity;
    await Promise.all(this.#waiting.splice(0));
  }

  #refusal(error: unknown): void {
    expect((error as { code?: unknown }).code).toBe('StorageFull');
    expect(this.#wasFull).toBe(true);
  }

  #isQuiet(): boolean {
    return this.#calls.every(({ outcome }) => outcome !== 'waiting');
  }

  /** As after the calls that are done. */
  #durable(): State {
    return this.#after(this.#calls.filter(({ outcome }) => outcome === 'done'));
  }

  /** As after all calls that may still be done. */
  #expected(): State {
    return this.#after(this.#calls.filter(({ outcome }) => outcome !== 'refused'));
  }

  #possibleStates(): State[] {
    const calls = this.#calls.filter(({ outcome }) => outcome !== 'refused');
    const done = calls.filter(({ outcome }) => outcome === 'done').length;
    return Array.from({ length: calls.length - done + 1 }, (_, i) => this.#after(calls.slice(0, done + i)));
  }

  #after(calls: readonly Call[]): State {
    const logs = [...this.#start.logs].map(([g, log]): [number, LogState] => [g, { ...log }]);
    const state = { values: new Map(this.#start.values), logs: new Map(logs) };
    for (const call of calls) call.change(state);
    return state;
  }

  #lifeOf(group: number): string {
    return `${String(group)}.${String(logOf(this.#expected(), group).life)}`;
  }

  #compare(state: State): void {
    expect(this.#differences(state)).toEqual([]);
  }

  #differences(state: State): string[] {
    const engine = this.#opened();
    const found: string[] = [];
    const values = [...engine.range({ start: Buffer.from('w'), end: Buffer.from('x') })];
    const expected = [...state.values].sort(([a], [b]) => (a < b ? -1 : 1));
    const seen = values.map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value).toString()]);
    if (JSON.stringify(seen) !== JSON.stringify(expected)) found.push('values differ');
    for (const group of groups) found.push(...this.#logDifferences(group, logOf(state, group)));
    return found;
  }

  #logDifferences(group: number, { life, base, entries, hardState }: LogState): string[] {
    const log = this.#opened().log(group);
    const name = `${String(group)}.${String(life)}`;
    const found: string[] = [];
    const last = base.index + entries.length;
    const compacted = Math.max(base.index, this.#compacted.get(name) ?? 0);
    const { truncated } = log;
    if (log.lastIndex !== last) found.push(`${name}: last ${String(log.lastIndex)} for ${String(last)}`);
    if (truncated.index < base.index || truncated.index > compacted) {
      found.push(`${name}: truncated ${String(truncated.index)} outside ${String(base.index)}..${String(compacted)}`);
    }
    if (JSON.stringify(log.hardState) !== JSON.stringify(hardState)) found.push(`${name}: hard state`);
    if (found.length > 0) return found;
    const kept = log.entries(log.firstIndex, log.lastIndex + 1, Infinity);
    const expected = entries.slice(log.firstIndex - base.index - 1);
    if (JSON.stringify(kept.map(plain)) !== JSON.stringify(expected.map(plain))) found.push(`${name}: entries`);
    for (const { index, term } of expected) if (log.term(index) !== term) found.push(`${name}: term`);
    const before = entries[truncated.index - base.index - 1] ?? base;
    if (truncated.term !== before.term) found.push(`${name}: term of truncated`);
    const applied = Number(this.#stored(name, 'index') ?? 0);
    if (applied < truncated.index) found.push(`${name}: applied ${String(applied)} < ${String(truncated.index)}`);
    if (applied > (this.#applied.get(name) ?? 0) || applied > last) found.push(`${name}: applied ahead`);
    if (applied > 0) {
      const digest = this.#digests.get(name)?.get(applied);
      if (this.#stored(name, 'digest') !== digest) found.push(`${name}: state is not that of its index`);
      if (this.#stored(name, `at/${String(applied % 3)}`) !== digest) found.push(`${name}: state is torn`);
    }
    return found;
  }

  #stored(life: string, key: string): string | undefined {
    const value = this.#opened().get(Buffer.from(`s/${life}/${key}`));
    return value === undefined ? undefined : Buffer.from(value).toString();
  }

  /** The owner of a group goes on from what is stored. */
  #takeUp(group: number): void {
    const life = this.#lifeOf(group);
    this.#applied.set(life, Number(this.#stored(life, 'index') ?? 0));
    this.#compacted.set(life, this.#opened().log(group).truncated.index);
  }
}

function newLog(): LogState {
  return { life: 0, hardState: { term: 0, vote: 0, commit: 0 }, base: { index: 0, term: 0 }, entries: [] };
}

function logOf(state: State, group: number): LogState {
  let log = state.logs.get(group);
  if (log === undefined) state.logs.set(group, (log = newLog()));
  return log;
}

function change(state: State, { group, reset, hardState, entries }: LogWrite): void {
  const log = logOf(state, group);
  if (reset !== undefined) {
    log.base = reset;
    log.entries = [];
  }
  if (hardState !== undefined) log.hardState = hardState;
  const [first] = entries ?? [];
  if (first !== undefined)
    log.entries = [...log.entries.slice(0, first.index - log.base.index - 1), ...(entries ?? [])];
}

function plain({ index, term, type, data }: LogEntry): unknown[] {
  return [index, term, type, Buffer.from(data).toString()];
}

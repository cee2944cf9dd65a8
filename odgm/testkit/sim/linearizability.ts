/**
 * Checks whether concurrent operations on one thing could have happened one after the other, each at some moment between
 * its call and its return (M. Herlihy, J. Wing, "Linearizability", 1990).
 *
 * Just-in-time linearization (G. Lowe, "Testing for linearizability", 2017), a relative of Wing and Gong's search with the
 * memory of seen configurations that porcupine has too: the history is read once, event by event, with the set of all
 * states that are possible so far. An operation is put into the order only when a return needs it there. So the first
 * return after which no state is left names the failure, and the history up to it is the shortest prefix that fails.
 */

/** What the thing under test should do. Values are immutable. */
export interface SequentialModel<State, Input, Output> {
  readonly initial: State;
  /**
   * The state after `input`, or undefined when it cannot have had this output. Output undefined: nobody knows what came
   * out, which every outcome fits.
   */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** Equal texts for equal states only. */
  keyOf(state: State): string;
  /** True for an operation that never changes the state. One with an unknown outcome is left out. */
  isReadOnly(input: Input): boolean;
  /**
   * Names operations of unknown outcome that can stand in for one another in this history: whatever one of them explains
   * another one with the same name explains as well. Only the first called of them is then tried, which keeps a history
   * with many of them checkable. Undefined for one that has no like.
   */
  likenessOf?(history: readonly Operation<Input, Output>[]): (input: Input) => string | undefined;
}

/** One operation of a history. `call` and `return` are positions in one order of events; no two are equal. */
export interface Operation<Input, Output> {
  readonly input: Input;
  /** Undefined when the outcome is unknown: it may have happened at any time after its call, or never. */
  readonly output: Output | undefined;
  readonly call: number;
  /** Infinity when the outcome is unknown. */
  readonly return: number;
  /** Whose it was, for messages. */
  readonly client?: string | undefined;
}

export type Verdict<Input, Output> =
  | { readonly outcome: 'linearizable'; readonly operations: number }
  | {
      readonly outcome: 'violation';
      /** The operation whose return fits no order. */
      readonly operation: Operation<Input, Output>;
      /** The shortest prefix that fails: all operations called before that return, in order of their calls. */
      readonly prefix: readonly Operation<Input, Output>[];
      /** The states that were possible just before that return, at most 10 of them. */
      readonly possible: readonly string[];
    }
  /** Too many states were possible at once: neither right nor wrong. */
  | { readonly outcome: 'gave-up'; readonly operation: Operation<Input, Output>; readonly configurations: number };

export interface CheckOptions {
  /** Most configurations held at once; over it the check gives up. Default 200,000 (about 50 MiB). */
  readonly configurationsMax?: number | undefined;
  /** Most operations tried and configurations compared, in all; over it the check gives up. Default 10 million (some seconds). */
  readonly stepsMax?: number | undefined;
}

/** A state that is possible now, and which of the open operations it already has in it. */
interface Configuration<State> {
  readonly state: State;
  readonly key: string;
  /** Open operations with a known return that are in it, sorted. */
  readonly known: readonly number[];
  /** Operations of unknown outcome that are in it, sorted. */
  readonly unknown: readonly number[];
  /** Names state and known operations. */
  readonly group: string;
}

export function checkLinearizable<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  options: CheckOptions = {},
): Verdict<Input, Output> {
  const operations = history
    .filter((operation) => operation.return !== Infinity || !model.isReadOnly(operation.input))
    .sort((a, b) => a.call - b.call);
  const { configurationsMax = 200_000, stepsMax = 10_000_000 } = options;
  return new Checker(model, operations, configurationsMax, stepsMax).run(history.length);
}

class Checker<State, Input, Output> {
  private readonly model: SequentialModel<State, Input, Output>;
  private readonly operations: readonly Operation<Input, Output>[];
  private readonly configurationsMax: number;
  private stepsLeft: number;
  /** Indices of operations that were called and have not returned. */
  private readonly open = new Set<number>();
  /** Of an operation of unknown outcome: the one before it that is like it. */
  private readonly likeBefore = new Map<number, number>();

  constructor(
    model: SequentialModel<State, Input, Output>,
    operations: readonly Operation<Input, Output>[],
    configurationsMax: number,
    stepsMax: number,
  ) {
    this.model = model;
    this.operations = operations;
    this.configurationsMax = configurationsMax;
    this.stepsLeft = stepsMax;
    const likeness = model.likenessOf?.(operations);
    const last = new Map<string, number>();
    for (const [index, { input, return: end }] of operations.entries()) {
      const name = end === Infinity ? likeness?.(input) : undefined;
      if (name === undefined) continue;
      const before = last.get(name);
      if (before !== undefined) this.likeBefore.set(index, before);
      last.set(name, index);
    }
  }

  run(total: number): Verdict<Input, Output> {
    const { model, operations } = this;
    let configurations: readonly Configuration<State>[] = [
      configurationOf(model.initial, model.keyOf(model.initial), [], []),
    ];
    const returns = operations.map((_, index) => index).filter((index) => this.at(index).return !== Infinity);
    returns.sort((a, b) => this.at(a).return - this.at(b).return);
    let called = 0;
    for (const index of returns) {
      const operation = this.at(index);
      while (called < operations.length && this.at(called).call < operation.return) this.open.add(called++);
      const next = this.afterReturn(configurations, index);
      if (next === undefined) {
        return { outcome: 'gave-up', operation, configurations: this.configurationsMax };
      }
      if (next.length === 0) {
        const possible = [...new Set(configurations.map(({ key }) => key))].slice(0, 10);
        return { outcome: 'violation', operation, prefix: operations.slice(0, called), possible };
      }
      this.open.delete(index);
      configurations = next;
    }
    return { outcome: 'linearizable', operations: total };
  }

  /** Every configuration that has the operation in it; undefined when there are too many. */
  private afterReturn(
    configurations: readonly Configuration<State>[],
    index: number,
  ): readonly Configuration<State>[] | undefined {
    const done = new Frontier<State>();
    const seen = new Frontier<State>();
    let level: Configuration<State>[] = [];
    let tried = 0;
    for (const configuration of configurations) {
      if (configuration.known.includes(index)) done.add(returned(configuration, index));
      else if (seen.add(configuration)) level.push(configuration);
    }
    // Breadth first: what needs fewer operations is found before what needs more, and makes it superfluous.
    while (level.length > 0) {
      const nextLevel: Configuration<State>[] = [];
      for (const configuration of level) {
        if (!seen.has(configuration)) continue;
        tried += this.open.size;
        for (const candidate of this.open) {
          const next = this.linearize(configuration, candidate);
          if (next === undefined) continue;
          if (candidate === index) done.add(returned(next, index));
          else if (seen.add(next)) nextLevel.push(next);
        }
        if (seen.size + done.size > this.configurationsMax) return undefined;
        if (tried + seen.comparisons + done.comparisons > this.stepsLeft) return undefined;
      }
      level = nextLevel;
    }
    this.stepsLeft -= tried + seen.comparisons + done.comparisons;
    return done.all();
  }

  private linearize(configuration: Configuration<State>, candidate: number): Configuration<State> | undefined {
    const { known, unknown } = configuration;
    const operation = this.at(candidate);
    const isUnknown = operation.return === Infinity;
    if ((isUnknown ? unknown : known).includes(candidate)) return undefined;
    const before = isUnknown ? this.likeBefore.get(candidate) : undefined;
    if (before !== undefined && !unknown.includes(before)) return undefined;
    const state = this.model.step(configuration.state, operation.input, operation.output);
    if (state === undefined) return undefined;
    const key = this.model.keyOf(state);
    // An operation that nobody saw and that changed nothing might as well not have happened.
    if (isUnknown && key === configuration.key) return undefined;
    if (isUnknown) return configurationOf(state, key, known, withOne(unknown, candidate));
    return configurationOf(state, key, withOne(known, candidate), unknown);
  }

  private at(index: number): Operation<Input, Output> {
    return this.operations[index] as Operation<Input, Output>;
  }
}

/**
 * Configurations without those that another one makes superfluous: of two with one state and the same known operations,
 * the one with fewer unknown operations in it can still become all that the other can.
 */
class Frontier<State> {
  size = 0;
  /** Sets that were held against one another. */
  comparisons = 0;
  private readonly groups = new Map<string, Configuration<State>[]>();

  add(configuration: Configuration<State>): boolean {
    const { group: key } = configuration;
    const group = this.groups.get(key);
    if (group === undefined) {
      this.groups.set(key, [configuration]);
      this.size += 1;
      return true;
    }
    this.comparisons += group.length;
    if (group.some(({ unknown }) => isSubset(unknown, configuration.unknown))) return false;
    const rest = group.filter(({ unknown }) => !isSubset(configuration.unknown, unknown));
    this.size += rest.length + 1 - group.length;
    rest.push(configuration);
    this.groups.set(key, rest);
    return true;
  }

  /** False once a better one came. */
  has(configuration: Configuration<State>): boolean {
    return this.groups.get(configuration.group)?.includes(configuration) === true;
  }

  all(): Configuration<State>[] {
    return [...this.groups.values()].flat();
  }
}

function configurationOf<State>(
  state: State,
  key: string,
  known: readonly number[],
  unknown: readonly number[],
): Configuration<State> {
  return { state, key, known, unknown, group: `${known.join(',')} ${key}` };
}

/** The configuration once an operation that is in it has returned. */
function returned<State>({ state, key, known, unknown }: Configuration<State>, index: number): Configuration<State> {
  return configurationOf(
    state,
    key,
    known.filter((other) => other !== index),
    unknown,
  );
}

function withOne(sorted: readonly number[], value: number): number[] {
  const at = sorted.findIndex((other) => other > value);
  return at < 0 ? [...sorted, value] : [...sorted.slice(0, at), value, ...sorted.slice(at)];
}

/** Whether every element of `a` is in `b`; both sorted. */
function isSubset(a: readonly number[], b: readonly number[]): boolean {
  let at = 0;
  for (const value of a) {
    while (at < b.length && (b[at] as number) < value) at += 1;
    if (b[at] !== value) return false;
    at += 1;
  }
  return true;
}

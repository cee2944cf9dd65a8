import {
  type CheckOptions,
  checkLinearizable,
  type Operation,
  type SequentialModel,
  type Verdict,
} from './linearizability.ts';

/** An operation under way. Say one of the three, once; one that is never told of has an unknown outcome. */
export interface Recorded<Output> {
  /** It was done, and this came out. */
  returned(output: Output): void;
  /** It was certainly not done, and never will be. */
  refused(): void;
  /** A timeout or a lost link: it may have been done, may still be, or never. */
  unknown(): void;
}

interface Entry<Input, Output> {
  readonly key: string;
  readonly input: Input;
  readonly client: string | undefined;
  readonly call: number;
  output: Output | undefined;
  return: number;
  isRefused: boolean;
}

/** A violation or a doubt, with the key that it is about. */
export interface KeyVerdict<Input, Output> {
  readonly key: string;
  readonly verdict: Exclude<Verdict<Input, Output>, { outcome: 'linearizable' }>;
}

/**
 * Records what clients asked and got, in the order in which it happened in this process. Linearizability is a property of
 * each key by itself (it is compositional), so that the check is made key by key.
 */
export class History<Input, Output> {
  private readonly entries: Entry<Input, Output>[] = [];
  private clock = 0;

  get size(): number {
    return this.entries.length;
  }

  /** A client asks for something now. */
  call(key: string, input: Input, client?: string): Recorded<Output> {
    const call = (this.clock += 1);
    const entry: Entry<Input, Output> = {
      ...{ key, input, client, call, output: undefined, return: Infinity, isRefused: false },
    };
    this.entries.push(entry);
    return {
      returned: (output) => {
        entry.output = output;
        entry.return = this.clock += 1;
      },
      refused: () => (entry.isRefused = true),
      unknown: () => undefined,
    };
  }

  /** The operations of each key, without those that were refused. */
  byKey(): Map<string, Operation<Input, Output>[]> {
    const keys = new Map<string, Operation<Input, Output>[]>();
    for (const entry of this.entries) {
      if (entry.isRefused) continue;
      const operations = keys.get(entry.key) ?? [];
      operations.push(entry);
      keys.set(entry.key, operations);
    }
    return keys;
  }

  /** What is wrong or in doubt; empty when every key is linearizable. */
  check<State>(model: SequentialModel<State, Input, Output>, options?: CheckOptions): KeyVerdict<Input, Output>[] {
    const problems: KeyVerdict<Input, Output>[] = [];
    for (const [key, operations] of this.byKey()) {
      const verdict = checkLinearizable(model, operations, options);
      if (verdict.outcome !== 'linearizable') problems.push({ key, verdict });
    }
    return problems;
  }
}

/** The verdict as text: what failed, and the last operations before it. */
export function describeVerdict<Input, Output>({ key, verdict }: KeyVerdict<Input, Output>): string {
  const line = ({ call, return: end, client, input, output }: Operation<Input, Output>): string =>
    `  ${call}..${end === Infinity ? '?' : end} ${client ?? ''} ${JSON.stringify(input)} -> ${output === undefined ? '?' : JSON.stringify(output)}`;
  if (verdict.outcome === 'gave-up') {
    return `${key}: too many configurations are possible (bound ${verdict.configurations}) before\n${line(verdict.operation)}`;
  }
  const { operation, prefix, possible } = verdict;
  const before = prefix.filter((other) => other !== operation).slice(-20);
  return [
    `${key}: no order of ${prefix.length} operations explains`,
    line(operation),
    ...[`possible before it: ${possible.join(' | ')}`, 'operations before and during it:', ...before.map(line)],
  ].join('\n');
}

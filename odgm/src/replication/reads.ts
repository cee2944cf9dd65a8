import { oaasError } from '@oaas/commons/errors';
import type { ReadState } from '../raft/index.ts';
import { notLeading } from './pending-proposals.ts';

/** One question to the leader, and all reads that wait for its answer. */
class Round {
  readonly promise: Promise<void>;
  resolve!: () => void;
  reject!: (error: Error) => void;
  /** When its first read came, and when it was last asked; monotonic milliseconds. */
  readonly since: number;
  askedAt = 0;
  firstAskedAt = 0;
  /** Of the first and of the last question. */
  firstContext = 0;
  context = 0;
  /** Applied index that it waits for, once that is known. */
  index = -1;
  /** How many wait for it. */
  reads = 0;

  constructor(since: number) {
    this.since = since;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Every read has the promise too; without one, a refusal would count as unhandled.
    this.promise.catch(() => undefined);
  }
}

/** Questions on their way at once: a second one, when as many wait for it as for the first. */
const maxQuestions = 2;

export interface ReadOptions {
  readonly ask: (context: Uint8Array) => void;
  readonly now: () => number;
  readonly timeoutMs: number;
  /** A question without an answer for this long is asked again: it may be lost. */
  readonly askAgainMs: number;
}

/**
 * Linearizable reads of one group: those that come while questions are on their way share the next one. A read is good
 * once the answered index is applied here (thesis, 6.4).
 */
export class ReadRounds {
  readonly #options: ReadOptions;
  #next: Round | undefined;
  /** Questions on their way, in order. */
  #asked: Round[] = [];
  /** Answered, but the index is not applied yet. */
  #answered: Round[] = [];
  #contexts: number;

  /** `seed`: contexts of an earlier process must not come again soon. */
  constructor(options: ReadOptions, seed: number) {
    this.#options = options;
    this.#contexts = seed;
  }

  get isEmpty(): boolean {
    return this.#next === undefined && this.#asked.length === 0 && this.#answered.length === 0;
  }

  get hasWaiting(): boolean {
    return this.#mayAsk(this.#next);
  }

  /** Resolves when a read is good. The same promise for all reads that wait together. */
  wait(): Promise<void> {
    this.#next ??= new Round(this.#options.now());
    this.#next.reads += 1;
    return this.#next.promise;
  }

  /** Resolves when this index is applied. Nobody has to be asked. */
  until(index: number): Promise<void> {
    const last = this.#answered.at(-1);
    if (last?.index === index) return last.promise;
    const round = new Round(this.#options.now());
    round.index = index;
    this.#answered.push(round);
    return round.promise;
  }

  /** Asks for those that wait, unless enough is on its way. */
  begin(): void {
    const round = this.#next;
    if (round === undefined || !this.#mayAsk(round)) return;
    this.#next = undefined;
    this.#asked.push(round);
    this.#ask(round);
  }

  #mayAsk(round: Round | undefined): boolean {
    if (round === undefined) return false;
    const [first] = this.#asked;
    return first === undefined || (this.#asked.length < maxQuestions && round.reads >= first.reads);
  }

  /** The leader's answer. Gives the time at which it was asked for; undefined for one that is no longer waited for. */
  answer(state: ReadState, applied: number): number | undefined {
    const context = contextOf(state.context);
    const at = this.#asked.findLastIndex((one) => context >= one.firstContext && context <= one.context);
    const asked = this.#asked[at];
    if (asked === undefined) return undefined;
    // Reads of earlier questions began before this one was asked: it is an answer to them as well.
    for (const round of this.#asked.splice(0, at + 1)) {
      if (applied >= state.index) round.resolve();
      else {
        round.index = state.index;
        this.#answered.push(round);
      }
    }
    return asked.firstAskedAt;
  }

  applied(index: number): void {
    if (this.#answered.length === 0) return;
    this.#answered = this.#answered.filter((round) => {
      if (round.index > index) return true;
      round.resolve();
      return false;
    });
  }

  /** Asks again, and refuses what waited for too long. */
  tick(leader: number): void {
    const now = this.#options.now();
    this.#asked = this.#asked.filter((round) => {
      if (now - round.since < this.#options.timeoutMs) return true;
      round.reject(timedOut(leader));
      return false;
    });
    for (const round of this.#asked) if (now - round.askedAt >= this.#options.askAgainMs) this.#ask(round);
    this.#answered = this.#answered.filter((round) => {
      if (now - round.since < this.#options.timeoutMs) return true;
      round.reject(timedOut(leader));
      return false;
    });
  }

  rejectAll(error: Error): void {
    for (const round of [...this.#asked, this.#next, ...this.#answered]) round?.reject(error);
    this.#asked = [];
    this.#next = undefined;
    this.#answered = [];
  }

  #ask(round: Round): void {
    this.#contexts += 1;
    round.context = this.#contexts;
    round.askedAt = this.#options.now();
    if (round.firstContext === 0) {
      round.firstContext = round.context;
      round.firstAskedAt = round.askedAt;
    }
    const context = new Uint8Array(8);
    new DataView(context.buffer).setFloat64(0, round.context);
    this.#options.ask(context);
  }
}

function contextOf(context: Uint8Array): number {
  if (context.length !== 8) return -1;
  return new DataView(context.buffer, context.byteOffset, 8).getFloat64(0);
}

function timedOut(leader: number): Error {
  if (leader === 0) return notLeading(0);
  return oaasError('Unavailable', 'no quorum confirmed the leader in time', { retryAfterMs: 100, details: { leader } });
}

import { isOaasError } from '@oaas/commons/errors';
import type { Timers } from '@oaas/commons/time';
import { type Engine, prefixEnd, type WriteOperation } from '../storage/index.ts';
import { garbageKey, statePrefix } from './keys.ts';

/** Keys deleted between two looks at the event loop. */
const batchKeys = 512;
const pauseMs = 5;

interface Garbage {
  readonly group: number;
  readonly generation: number;
}

/**
 * Deletes states that are not used any more, in the background. Each has a mark in storage that says so until it is
 * gone: after a crash the work goes on. One state at a time.
 */
export class Cleaner {
  readonly #engine: Engine;
  readonly #timers: Timers;
  readonly #onError: (error: unknown) => void;
  readonly #queue: Garbage[] = [];
  /** By group. One number for each group that ever had garbage while this process runs. */
  readonly #highest = new Map<number, number>();
  #isRunning = false;
  #isClosed = false;

  constructor(engine: Engine, timers: Timers, onError: (error: unknown) => void) {
    this.#engine = engine;
    this.#timers = timers;
    this.#onError = onError;
  }

  /** States that wait to be deleted, the one being deleted among them. */
  get waiting(): number {
    return this.#queue.length;
  }

  /** The state must have its mark. */
  add(group: number, generation: number): void {
    this.#queue.push({ group, generation });
    this.#highest.set(group, Math.max(generation, this.#highest.get(group) ?? 0));
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#later(undefined);
  }

  /**
   * Highest generation of the group that is, or was, deleted; 0 for none. Its number must not be used again while this
   * process runs: what is deleted is not in the journal, so that until the next checkpoint a crash brings back what was
   * written to it.
   */
  highest(group: number): number {
    return this.#highest.get(group) ?? 0;
  }

  close(): void {
    this.#isClosed = true;
  }

  #later(from: Uint8Array | undefined): void {
    this.#timers.after(pauseMs, () => {
      if (this.#isClosed) return;
      try {
        this.#step(from);
      } catch (error) {
        this.#isRunning = false;
        this.#onError(error);
      }
    });
  }

  #step(from: Uint8Array | undefined): void {
    const garbage = this.#queue[0];
    if (garbage === undefined) {
      this.#isRunning = false;
      return;
    }
    const prefix = statePrefix(garbage.group, garbage.generation);
    const operations: WriteOperation[] = [];
    let last: Uint8Array | undefined;
    let isDone = false;
    try {
      for (const { key } of this.#engine.range({ start: from ?? prefix, end: prefixEnd(prefix), limit: batchKeys })) {
        operations.push({ type: 'delete', key });
        last = key;
      }
      isDone = operations.length < batchKeys;
    } catch (error) {
      // A damaged value need not be read to be deleted.
      last = damagedKey(error);
      if (last === undefined) throw error;
      operations.push({ type: 'delete', key: last });
    }
    if (isDone) operations.push({ type: 'delete', key: garbageKey(garbage.group, garbage.generation) });
    this.#engine.apply(operations);
    if (isDone) this.#queue.shift();
    this.#later(isDone ? undefined : last);
  }
}

function damagedKey(error: unknown): Uint8Array | undefined {
  const key = isOaasError(error, 'StorageCorrupt') ? error.details?.['key'] : undefined;
  return typeof key === 'string' ? Buffer.from(key, 'hex') : undefined;
}

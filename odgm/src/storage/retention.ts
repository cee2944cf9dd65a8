import type { Logger } from '@oaas/commons/telemetry';
import type { LogWrite } from './engine.ts';
import type { Log } from './group-log.ts';
import type { Segment } from './journal/segments.ts';
import type { StoredSpan } from './pending.ts';

/** A group whose oldest entries keep old journal segments from being cleared away. */
export interface RetentionHint {
  readonly group: number;
  /** Forgetting entries up to this index would free them. */
  readonly index: number;
}

export interface RetentionOptions {
  /** Of the journal, oldest first; changes as it does. */
  readonly segments: readonly Segment[];
  /** By group; changes as they do. */
  readonly logs: ReadonlyMap<number, Log>;
  /** Journal above this is to become less. */
  readonly bytes: number;
  /** Told which owners should forget old entries. */
  readonly onHints: (hints: readonly RetentionHint[]) => void;
  /** Writes a log again as it is, at the head of the journal. */
  readonly append: (write: LogWrite) => Promise<void>;
  readonly logger: Logger;
}

const mebibyte = 1024 * 1024;
/** A log of at most this size is moved to the head of the journal rather than keep an old segment. */
const movedLogBytes = mebibyte;
/** Bytes moved by one look, at most. */
const movedBytes = 16 * mebibyte;

/** Keeps logs that are not used from holding the whole journal, and any log from holding a damaged segment. */
export class Retention {
  readonly #options: RetentionOptions;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** To be called after a checkpoint. Asks the owners of old entries to forget them; small logs are moved. */
  look(): void {
    const { segments, logs, bytes, onHints } = this.#options;
    const retired = segments.findLast(({ isRetired }) => isRetired);
    const old = Math.max(this.#oldSegments(), retired === undefined ? 0 : retired.id + 1);
    if (old === 0) return;
    const hints: RetentionHint[] = [];
    for (const log of logs.values()) {
      const index = lastIn(log, old);
      if (index > 0) hints.push({ group: log.group, index });
    }
    if (hints.length === 0) return;
    onHints(hints);
    let liveBytes = 0;
    for (const log of logs.values()) liveBytes += log.bytes;
    // Moving what is mostly alive would make as much journal as it frees.
    if (liveBytes * 2 > bytes && retired === undefined) return;
    let left = movedBytes;
    for (const { group } of hints) {
      const log = logs.get(group);
      if (log === undefined || log.waiting > 0 || log.bytes > movedLogBytes || lastIn(log, old) === 0) continue;
      left -= log.bytes;
      if (left < 0) return;
      void this.#move(log);
    }
  }

  async #move(log: Log): Promise<void> {
    const { group, truncated: reset, hardState } = log;
    try {
      const entries = log.entries(log.firstIndex, log.lastIndex + 1, Infinity);
      await this.#options.append({ group, reset, hardState, entries });
    } catch (error) {
      this.#options.logger.warn({ err: error, group }, 'a log could not be moved to the head of the journal');
    }
  }

  /** Id below which segments are more than the bound; 0 when all are within it. */
  #oldSegments(): number {
    let bytes = 0;
    for (const { id, capacity, position } of [...this.#options.segments].reverse()) {
      bytes += Math.max(capacity, position);
      if (bytes > this.#options.bytes) return id + 1;
    }
    return 0;
  }
}

/** Index of the last entry of a log in segments below `id`; 0 when there is none. */
function lastIn(log: Log, id: number): number {
  let last = 0;
  for (const run of log.runs()) {
    const stored = run.stored as StoredSpan | undefined;
    if (stored === undefined || stored.segment.id >= id) break;
    last = run.first + run.count - 1;
  }
  return last;
}

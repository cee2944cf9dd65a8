import type { Logger } from '@oaas/commons/telemetry';
import { checkpointChange, type GroupRecord, groupChange, groupRemoval, type StoredState } from './checkpoint.ts';
import type { Log } from './group-log.ts';
import type { Segments } from './journal/segments.ts';
import type { Captured } from './memtables.ts';

export interface CheckpointsOptions {
  readonly segments: Segments;
  /** By group; changes as they do. */
  readonly logs: ReadonlyMap<number, Log>;
  /** Sequence numbers of the last frame, and of the last one that is no seal; undefined before it is open. */
  readonly journal: () => { readonly sequence: number; readonly lastWrite: number } | undefined;
  /** Called when the segments that a checkpoint made needless are gone. */
  readonly cleared: () => void;
  readonly logger: Logger;
}

/** What checkpoints say of the journal and the logs: keeps what has changed since the last one was begun. */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  #dirty = new Set<Log>();
  #dropped = new Set<number>();
  /** The last frame that a checkpoint was begun for, and the segment that it was begun in. */
  #captured = 0;
  #capturedIn = 0;
  /** The last frame that is in the base. */
  stored = 0;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  /** What the base said, when the logs are as the journal has them. `segment`: the one to be written to. */
  opened({ checkpoint, groups }: StoredState, segment: number): void {
    for (const group of groups.keys()) if (!this.#options.logs.has(group)) this.#dropped.add(group);
    this.#capturedIn = segment;
    this.stored = checkpoint?.sequence ?? 0;
  }

  /** What is in the journal of a log is another. */
  readonly changed = (log: Log): void => {
    log.isStored = true;
    this.#dirty.add(log);
  };

  /** Entries were forgotten, which the journal does not say. */
  compacted(log: Log): void {
    this.#dirty.add(log);
  }

  /** There is nothing of the log any more. */
  forgotten(log: Log): void {
    this.#dirty.delete(log);
  }

  /** The journal says that the group is gone. */
  dropped(group: number): void {
    this.#dropped.add(group);
  }

  /** A checkpoint would say something new. */
  get hasNews(): boolean {
    const lastWrite = this.#options.journal()?.lastWrite ?? 0;
    return this.#dirty.size > 0 || this.#dropped.size > 0 || lastWrite > this.#captured;
  }

  /** The journal has gone on to another segment since the last checkpoint was begun, and filled it. */
  get hasGrown(): boolean {
    return (this.#options.segments.last?.id ?? 0) > this.#capturedIn + 1;
  }

  /** What the next checkpoint will say. The memtable that goes with it was just closed. */
  capture(): Captured {
    const { segments, logs, journal, cleared, logger } = this.#options;
    const groups: GroupRecord[] = [];
    for (const { group, truncated, hardState, lastIndex } of this.#dirty) {
      groups.push({ group, truncated, hardState, last: lastIndex });
    }
    const removed = [...this.#dropped].filter((group) => logs.get(group)?.isStored !== true);
    this.#dirty = new Set();
    this.#dropped = new Set();
    this.#captured = journal()?.sequence ?? 0;
    const segment = segments.last;
    this.#capturedIn = segment?.id ?? 0;
    const first = segments.list.find((candidate) => candidate.runs > 0 || candidate === segment);
    const checkpoint = {
      segment: segment?.id ?? 1,
      firstSegment: first?.id ?? 1,
      sequence: this.#captured,
      firstSequence: first?.firstSequence ?? 1,
    };
    return {
      changes: () => [...groups.map(groupChange), ...removed.map(groupRemoval), checkpointChange(checkpoint)],
      done: async () => {
        this.stored = checkpoint.sequence;
        try {
          await segments.dropBelow(checkpoint.firstSegment);
          cleared();
        } catch (error) {
          logger.warn({ err: error }, 'old journal segments could not be cleared away');
        }
      },
    };
  }
}

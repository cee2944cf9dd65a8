import type { Logger } from '@oaas/commons/telemetry';
import { oaasError } from '@oaas/commons/errors';
import { copyOf, textOf } from './bytes.ts';
import type { Checkpoint, GroupRecord, StoredState } from './checkpoint.ts';
import { corruptAt } from './failures.ts';
import type { Log } from './group-log.ts';
import { sealLength, segmentName } from './journal/format.ts';
import { frameAt, looksBegun, readFrame, type RecordVisitor, wasWhole } from './journal/frame-reader.ts';
import type { Segment, Segments } from './journal/segments.ts';

/** Where what is found goes. */
export interface RecoveryTarget {
  readonly log: (group: number) => Log;
  readonly logs: () => Iterable<Log>;
  readonly drop: (group: number) => void;
  readonly set: (key: string, value: Uint8Array | undefined) => void;
}

export interface Recovered {
  /** Of the last good frame, and of the last one that is no seal. */
  readonly sequence: number;
  readonly lastWrite: number;
  readonly frames: number;
  /** The last good frame. */
  readonly newest: Frame | undefined;
}

interface Frame {
  readonly segment: Segment;
  readonly position: number;
  readonly bytes: Buffer;
}

/**
 * Reads and verifies all frames of the journal. Keys and values of frames behind the checkpoint are replayed; logs are
 * put together from all of them. What a crash left of the last frame is cut off. Rejects with `StorageCorrupt`, naming
 * file and offset, for a bad frame that was once whole as a later one, the beginning of one, or the checkpoint says; for a
 * segment that is missing, or a log with a gap.
 */
export async function recover(
  segments: Segments,
  { checkpoint, groups }: StoredState,
  target: RecoveryTarget,
  logger: Logger,
): Promise<Recovered> {
  const found = await neededSegments(segments, checkpoint);
  const recovery = new Recovery(segments, checkpoint, groups, target, logger);
  for (const [i, segment] of found.entries()) await recovery.read(segment, i === found.length - 1);
  return recovery.end();
}

async function neededSegments(segments: Segments, checkpoint: Checkpoint | undefined): Promise<Segment[]> {
  const all = await segments.openAll();
  const from = checkpoint?.firstSegment ?? 1;
  const needed = all.filter(({ id }) => id >= from);
  // What a crash kept from being cleared away.
  for (const { id, file } of all) if (id < from) await file.close();
  await segments.clear(all.filter(({ id }) => id < from));
  let expected = from;
  for (const { id } of needed) {
    if (id !== expected) throw missing(segments, expected);
    expected = id + 1;
  }
  if (checkpoint !== undefined && checkpoint.sequence > 0 && expected <= checkpoint.segment) {
    throw missing(segments, expected);
  }
  return needed;
}

function missing(segments: Segments, id: number): Error {
  const file = segments.pathOf(segmentName(id));
  return oaasError('StorageCorrupt', `the journal segment ${file} is missing`, {
    remedy: 'Put the file back, or move the directory away and let the node be filled from its replicas.',
    details: { file },
  });
}

class Recovery {
  readonly #segments: Segments;
  readonly #checkpoint: Checkpoint | undefined;
  readonly #groups: Map<number, GroupRecord>;
  readonly #target: RecoveryTarget;
  readonly #logger: Logger;
  #sequence: number;
  #lastWrite: number;
  #frames = 0;
  #newest: Frame | undefined;
  #isPastCheckpoint: boolean;
  /** The first place without a good frame, until a segment that goes on from there is found. */
  #end: { readonly segment: Segment; readonly position: number; readonly isTorn: boolean } | undefined;
  #buffer = Buffer.alloc(0);

  constructor(
    segments: Segments,
    checkpoint: Checkpoint | undefined,
    groups: Map<number, GroupRecord>,
    target: RecoveryTarget,
    logger: Logger,
  ) {
    this.#segments = segments;
    this.#checkpoint = checkpoint;
    this.#groups = groups;
    this.#target = target;
    this.#logger = logger;
    this.#sequence = (checkpoint?.firstSequence ?? 1) - 1;
    this.#lastWrite = this.#sequence;
    this.#isPastCheckpoint = checkpoint === undefined;
  }

  async read(segment: Segment, isLast: boolean): Promise<void> {
    const bytes = await this.#load(segment);
    let position = 0;
    let last = 0;
    if (this.#end !== undefined) {
      const next = frameAt(bytes, 0, segment.id);
      if (next?.sequence === this.#sequence + 1) this.#end = undefined;
      else {
        if (!this.#end.isTorn && looksBegun(bytes, 0, segment.id, this.#sequence + 1)) {
          this.#end = { segment, position: 0, isTorn: true };
        }
        if (wasWhole(bytes, 0, segment.id, this.#sequence + 1, 0)) throw this.#damaged(this.#end);
        await this.#keepEmpty(segment, isLast);
        return;
      }
    }
    segment.firstSequence = this.#sequence + 1;
    for (;;) {
      const frame = frameAt(bytes, position, segment.id);
      if (frame?.sequence !== this.#sequence + 1) break;
      this.#reachCheckpoint();
      this.#sequence += 1;
      this.#frames += 1;
      if (frame.length > sealLength) this.#lastWrite = this.#sequence;
      this.#replay(bytes, position, frame.length, segment);
      last = position;
      position += frame.length;
    }
    segment.position = position;
    if (position > 0) this.#newest = { segment, position: last, bytes: Buffer.from(bytes.subarray(last, position)) };
    if (wasWhole(bytes, position, segment.id, this.#sequence + 1, position + sealLength)) {
      throw this.#damaged({ segment, position });
    }
    this.#end = { segment, position, isTorn: looksBegun(bytes, position, segment.id, this.#sequence + 1) };
    if (position === 0 && this.#segments.list.length > 0) await this.#keepEmpty(segment, isLast);
    else this.#segments.list.push(segment);
  }

  /** Throws when the journal ends before its checkpoint, or a log has a gap. */
  end(): Recovered {
    this.#reachCheckpoint();
    const needed = this.#checkpoint?.sequence ?? 0;
    const end = this.#end;
    if (this.#sequence < needed) {
      throw corruptAt(
        this.#segments.pathOf(end?.segment.name ?? segmentName(1)),
        end?.position ?? 0,
        'the journal ends before its checkpoint',
      );
    }
    if (end?.isTorn === true) {
      const { segment, position } = end;
      const file = this.#segments.pathOf(segment.name);
      this.#logger.warn({ file, offset: position }, 'the end of the journal was cut: its last frame was not complete');
    }
    return { sequence: this.#sequence, lastWrite: this.#lastWrite, frames: this.#frames, newest: this.#newest };
  }

  #damaged({ segment, position }: { readonly segment: Segment; readonly position: number }): Error {
    return corruptAt(this.#segments.pathOf(segment.name), position, 'a frame is damaged that was once whole');
  }

  async #load(segment: Segment): Promise<Buffer> {
    const size = await segment.file.size();
    if (this.#buffer.length < size) this.#buffer = Buffer.allocUnsafeSlow(size);
    const bytes = this.#buffer.subarray(0, size);
    const count = await segment.file.read(bytes, 0);
    return bytes.subarray(0, count);
  }

  async #keepEmpty(segment: Segment, isLast: boolean): Promise<void> {
    // Only the newest can have been made ready and not be in use.
    if (isLast) this.#segments.keepForLater(segment);
    else await segment.file.close();
  }

  #replay(bytes: Buffer, position: number, length: number, segment: Segment): void {
    const visitor: RecordVisitor = {
      put: (key, value) => {
        if (this.#isPastCheckpoint) this.#target.set(textOf(key), copyOf(value));
      },
      remove: (key) => {
        if (this.#isPastCheckpoint) this.#target.set(textOf(key), undefined);
      },
      run: ({ group, first, term, count, bytes: size }, span) => {
        const log = this.#target.log(group);
        // Before the checkpoint a log may begin anywhere: what came before was forgotten since.
        if (!this.#isPastCheckpoint && (first > log.lastIndex + 1 || first < log.firstIndex)) {
          log.reset({ index: first - 1, term: 0 });
        }
        const { position: at, length: size2, seed, checksum } = span;
        const stored = { segment, position: at, length: size2, seed, checksum };
        log.add({ first, count, term, bytes: size, entries: undefined, stored });
      },
      hardState: (group, hardState) => {
        this.#target.log(group).setHardState(hardState);
      },
      reset: (group, to) => {
        this.#target.log(group).reset(to);
      },
      drop: (group) => {
        this.#target.drop(group);
      },
    };
    if (!readFrame(bytes, position, length, visitor)) {
      throw corruptAt(this.#segments.pathOf(segment.name), position, 'a frame holds records that are not known');
    }
  }

  /** At the checkpoint the logs must be what it says. */
  #reachCheckpoint(): void {
    const { sequence } = this.#checkpoint ?? { sequence: 0 };
    if (this.#isPastCheckpoint || this.#sequence < sequence) return;
    this.#isPastCheckpoint = true;
    for (const log of [...this.#target.logs()]) if (!this.#groups.has(log.group)) this.#target.drop(log.group);
    for (const { group, truncated, hardState, last } of this.#groups.values()) {
      this.#target.log(group).restore(truncated, hardState, last);
    }
  }
}

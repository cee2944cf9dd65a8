import type { Logger } from '@oaas/commons/telemetry';
import { isFull } from '../failures.ts';
import type { FileSystem, StorageFile } from '../file-system.ts';
import type { LiveCount } from '../group-log.ts';
import { segmentId, segmentName } from './format.ts';

/** One file of the journal. */
export interface Segment extends LiveCount {
  readonly id: number;
  readonly name: string;
  readonly file: StorageFile;
  /** Bytes that it may hold, unless a single frame is larger. */
  readonly capacity: number;
  /** Where the next frame goes. */
  position: number;
  /** Of its first frame; of the frame to come while it is empty. */
  firstSequence: number;
  /** It has a damaged frame: nothing more is written to it. */
  isRetired: boolean;
}

export interface SegmentOptions {
  readonly files: FileSystem;
  readonly segmentBytes: number;
  readonly logger: Logger;
}

/** The first segment is smaller, and each is so many times the one before, so that a node that does little takes little. */
const firstSegmentBytes = 4 * 1024 * 1024;
const growth = 4;
const fillBytes = 1024 * 1024;
/** A checkpoint comes every other segment, and sets free as many. */
const spareNames = ['spare-1', 'spare-2'];

/**
 * The files of a journal, oldest first. The next one is made ready, filled with zeros and flushed, while the last one
 * is in use: writing over what is allocated spares the flush the file system's own records. A file that is no longer
 * needed is used again.
 */
export class Segments {
  readonly #options: SegmentOptions;
  readonly list: Segment[] = [];
  #next: Segment | undefined;
  #preparing: Promise<void> | undefined;
  /** Names of files to be used again. */
  readonly #spares: string[] = [];
  /** There was no space to make the next one ready. Not tried again for this segment. */
  #hasGivenUp = false;

  constructor(options: SegmentOptions) {
    this.#options = options;
  }

  get bytes(): number {
    let bytes = 0;
    for (const { capacity, position } of this.list) bytes += Math.max(capacity, position);
    return bytes;
  }

  get last(): Segment | undefined {
    return this.list.at(-1);
  }

  /** Path of a segment's file, for messages. */
  pathOf(name: string): string {
    return `${this.#options.files.path}/${name}`;
  }

  /** Opens the segments that are there, ascending. Leftovers of a life before are cleared away. */
  async openAll(): Promise<Segment[]> {
    const { files, segmentBytes } = this.#options;
    const found: Segment[] = [];
    for (const { name, size } of await files.list()) {
      const id = segmentId(name);
      if (id !== undefined) {
        const file = await files.open(name, 'existing');
        found.push(segmentOf(id, file, Math.max(size, 1)));
      } else if (spareNames.includes(name) && size === segmentBytes) this.#spares.push(name);
      // Of another size: another version has left it.
      else if (name.startsWith('spare')) await files.remove(name);
    }
    return found.sort((a, b) => a.id - b.id);
  }

  /** Removes closed segments. */
  async clear(segments: readonly Segment[]): Promise<void> {
    for (const { name } of segments) await this.#options.files.remove(name);
  }

  /** Takes a segment that has no frame yet as the next one. */
  keepForLater(segment: Segment): void {
    this.#next = segment;
  }

  /** The segment that a frame of this length goes to. Rejects as the file system does. */
  async place(length: number, sequence: number): Promise<Segment> {
    const last = this.last;
    const hasRoom = last !== undefined && (last.position + length <= last.capacity || last.position === 0);
    if (hasRoom && !last.isRetired) return last;
    await this.#preparing;
    const id = (last?.id ?? 0) + 1;
    const next = this.#next ?? (await (last === undefined ? this.#first() : this.#unfilled(id)));
    this.#next = undefined;
    this.#hasGivenUp = false;
    next.firstSequence = sequence;
    this.list.push(next);
    return next;
  }

  /** Makes the next segment ready once the last one is half full. Never rejects. */
  prepareSoon(): void {
    const last = this.last;
    if (last === undefined || this.#next !== undefined || this.#preparing !== undefined || this.#hasGivenUp) return;
    if (last.position * 2 < last.capacity) return;
    this.#preparing = this.#prepare(last.id + 1, Math.min(this.#options.segmentBytes, last.capacity * growth))
      .catch(async (error: unknown) => {
        this.#hasGivenUp = true;
        if (!isFull(error))
          this.#options.logger.warn({ err: error }, 'the next journal segment could not be made ready');
        await this.#options.files.remove(segmentName(last.id + 1)).catch(() => undefined);
      })
      .finally(() => {
        this.#preparing = undefined;
      });
  }

  /** Clears away the segments below `id`. */
  async dropBelow(id: number): Promise<void> {
    const { files, segmentBytes } = this.#options;
    while (this.list.length > 1 && (this.list[0]?.id ?? id) < id) {
      const segment = this.list.shift();
      if (segment === undefined) return;
      await segment.file.close();
      const canServeAgain = segment.capacity === segmentBytes && segment.position <= segmentBytes && !segment.isRetired;
      const spare = spareNames.find((name) => !this.#spares.includes(name));
      if (canServeAgain && spare !== undefined) {
        await files.rename(segment.name, spare);
        this.#spares.push(spare);
      } else await files.remove(segment.name);
    }
  }

  async close(): Promise<void> {
    await this.#preparing;
    for (const { file } of this.list) await file.close();
    await this.#next?.file.close();
  }

  async #prepare(id: number, length: number): Promise<void> {
    const { files, segmentBytes } = this.#options;
    const name = segmentName(id);
    const spare = this.#spares.pop();
    if (spare !== undefined) {
      await files.rename(spare, name);
      const file = await files.open(name, 'existing');
      await files.syncNames();
      this.#next = segmentOf(id, file, segmentBytes);
      return;
    }
    this.#next = await this.#filled(id, length);
  }

  /** The very first one. Without space for zeros it grows as it is written. */
  async #first(): Promise<Segment> {
    try {
      return await this.#filled(1, Math.min(this.#options.segmentBytes, firstSegmentBytes));
    } catch (error) {
      if (!isFull(error)) throw error;
      return this.#unfilled(1);
    }
  }

  async #filled(id: number, length: number): Promise<Segment> {
    const { files } = this.#options;
    const file = await files.open(segmentName(id), 'new');
    try {
      const zeros = Buffer.alloc(Math.min(fillBytes, length));
      for (let at = 0; at < length; at += zeros.length) {
        // Piece by piece: one large flush would hold up those of the frames.
        await file.writeDurably([at + zeros.length > length ? zeros.subarray(0, length - at) : zeros], at);
      }
      await files.syncNames();
      return segmentOf(id, file, length);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #unfilled(id: number): Promise<Segment> {
    const { files, segmentBytes } = this.#options;
    const file = await files.open(segmentName(id), 'new');
    await files.syncNames();
    return segmentOf(id, file, segmentBytes);
  }
}

function segmentOf(id: number, file: StorageFile, capacity: number): Segment {
  return { id, name: segmentName(id), file, capacity, position: 0, firstSequence: 0, isRetired: false, runs: 0 };
}

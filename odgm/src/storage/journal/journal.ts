import { oaasError } from '@oaas/commons/errors';
import type { Timer, Timers } from '@oaas/commons/time';
import { failed, full, isFull } from '../failures.ts';
import { FrameBuilder } from './frame-builder.ts';
import type { Segment, Segments } from './segments.ts';

/** A call that waits for its frame. */
export interface Pending {
  /** The frame is on disk: the change becomes visible. `position` is that of the frame in its segment. */
  land(segment: Segment, position: number): void;
  /** The frame is not on disk, nor will it be. */
  cancel(): void;
  resolve(): void;
  reject(error: Error): void;
}

export interface JournalOptions {
  readonly segments: Segments;
  /** Where the directory is, for messages. */
  readonly path: string;
  /** Of the last frame that is there, and of the last one that is no seal. */
  readonly sequence: number;
  readonly lastWrite: number;
  readonly timers: Timers;
  /** A journal without writes for this long is sealed, after twice this at the latest. Milliseconds. */
  readonly sealAfterMs: number;
  /** Of the last frame that is known as whole elsewhere: it needs no seal. */
  readonly vouchedFor: () => number;
  /** Bytes that may wait to be written. */
  readonly maxWaitingBytes: number;
  /** Waits until there is room for what the next frame will bring. Rejects with `StorageFull`. */
  readonly room: () => Promise<void> | undefined;
  /** Lets the event loop turn. */
  readonly turn: () => Promise<void>;
  /** Called after each frame that is no seal. */
  readonly landed: () => void;
  /** Called once, when the disk can no longer be trusted. */
  readonly failed: (error: Error) => void;
}

/** A frame does not grow beyond this, except by one call. */
const maxFrameBytes = 8 * 1024 * 1024;

interface Frame {
  readonly builder: FrameBuilder;
  waiting: Pending[];
}

/**
 * The writer: everything that arrives while a frame is written and flushed makes up the next frame. One frame is under
 * way at a time, so that at most the last one on disk can be torn. Frames land in order. When no more come, a seal says
 * that the last one was whole: one for each time that the journal becomes idle, and no timer runs after it.
 */
export class Journal {
  readonly #options: JournalOptions;
  #queue: Frame[] = [newFrame()];
  #spare: Frame[] = [newFrame()];
  #running: Promise<void> | undefined;
  #failure: Error | undefined;
  /** Calls were just refused, and their callers may not know yet. */
  #refusal: Error | undefined;
  #sealing: Timer | undefined;
  /** Of the last frame that landed, and of the last one that is no seal. */
  sequence: number;
  lastWrite: number;
  /** Frames written. */
  frames = 0;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.sequence = options.sequence;
    this.lastWrite = options.lastWrite;
    this.#sealSoon();
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Where to encode a call's records, to be followed by {@link add} at once. Throws when nothing can be taken. */
  begin(bytes: number): FrameBuilder {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#refusal !== undefined) throw this.#refusal;
    const { maxWaitingBytes } = this.#options;
    const waitingBytes = this.#queue.reduce((sum, { builder }) => sum + builder.length, 0);
    if (waitingBytes > maxWaitingBytes) {
      throw oaasError('ResourceExhausted', 'too much waits to be written', {
        remedy: 'Wait for writes to end before starting more.',
        details: { maxWaitingBytes },
        retryAfterMs: 50,
      });
    }
    return this.#filling(bytes).builder;
  }

  add(pending: Pending): void {
    this.#queue.at(-1)?.waiting.push(pending);
    this.#running ??= this.#run();
  }

  /** Resolves when everything that was added so far has landed or failed. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** To be called when nothing is added any more: what is there is sealed. Never rejects. */
  async close(): Promise<void> {
    await this.settled();
    this.#seal();
    await this.settled();
    this.#sealing?.cancel();
  }

  /** Takes no more writes; those that wait are rejected. */
  fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = failed(this.#options.path, cause);
    this.#options.failed(this.#failure);
  }

  #filling(bytes: number): Frame {
    let frame = this.#queue.at(-1);
    if (frame === undefined || (!frame.builder.isEmpty && frame.builder.length + bytes > maxFrameBytes)) {
      frame = this.#spare.pop() ?? newFrame();
      this.#queue.push(frame);
    }
    return frame;
  }

  #sealSoon(): void {
    if (this.#sealing !== undefined || !this.#needsSeal()) return;
    const { timers, sealAfterMs } = this.#options;
    const last = this.sequence;
    this.#sealing = timers.after(sealAfterMs, () => {
      this.#sealing = undefined;
      if (this.sequence === last && this.#running === undefined) this.#seal();
      else this.#sealSoon();
    });
  }

  /** For lack of space there is none, until more was written. */
  #seal(): void {
    if (!this.#needsSeal()) return;
    this.#filling(0).builder.beginOperations(0);
    this.#running ??= this.#run();
  }

  #needsSeal(): boolean {
    return (
      this.lastWrite === this.sequence && this.lastWrite > this.#options.vouchedFor() && this.#failure === undefined
    );
  }

  async #run(): Promise<void> {
    // Lets everything that arrives in this turn of the event loop join the first frame.
    await Promise.resolve();
    while (this.#queue[0]?.builder.isEmpty === false) {
      try {
        await this.#options.room();
        await this.#write();
      } catch (error) {
        // What the disk holds is not known: the system may have dropped what it could not write. Where there was no space,
        // the next frame is written over it.
        if (!isFull(error)) this.fail(error);
        this.#rejectAll(this.#failure ?? full(this.#options.path, error));
      }
    }
    this.#running = undefined;
  }

  async #write(): Promise<void> {
    const frame = this.#queue[0];
    if (frame === undefined) return;
    if (this.#failure !== undefined) throw this.#failure;
    // From here on calls go to the next frame.
    if (this.#queue.length === 1) this.#queue.push(this.#spare.pop() ?? newFrame());
    const { builder } = frame;
    const { segments } = this.#options;
    const segment = await segments.place(builder.length, this.sequence + 1);
    const { position } = segment;
    await segment.file.writeDurably(builder.seal(segment.id, this.sequence + 1), position);
    this.#queue.shift();
    segment.position = position + builder.length;
    this.sequence += 1;
    this.frames += 1;
    if (frame.waiting.length > 0) this.#land(frame, segment, position);
    else this.#release(frame);
    segments.prepareSoon();
  }

  #land(frame: Frame, segment: Segment, position: number): void {
    const { waiting } = frame;
    this.lastWrite = this.sequence;
    this.#release(frame);
    for (const pending of waiting) pending.land(segment, position);
    this.#options.landed();
    for (const pending of waiting) pending.resolve();
    this.#sealSoon();
  }

  /**
   * What waits may build on what could not be written: all of it is refused, and so is what is called before the callers
   * could hear of it. A caller that tries again in the order of its calls then never gets them out of order.
   */
  #rejectAll(error: Error): void {
    this.#refusal = error;
    const frames = this.#queue;
    this.#queue = [];
    const rejected = frames.flatMap(({ waiting }) => waiting);
    for (const frame of frames) this.#release(frame);
    this.#queue = [this.#spare.pop() ?? newFrame()];
    for (const pending of rejected) pending.cancel();
    for (const pending of rejected) pending.reject(error);
    void this.#options.turn().then(() => {
      this.#refusal = undefined;
    });
  }

  #release(frame: Frame): void {
    frame.builder.clear();
    frame.waiting = [];
    if (this.#spare.length < 2) this.#spare.push(frame);
  }
}

function newFrame(): Frame {
  return { builder: new FrameBuilder(), waiting: [] };
}

import { isOaasError, toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Timers } from '@oaas/commons/time';
import type { Message } from '../raft/index.ts';
import type { Engine, LogWrite, WriteOperation } from '../storage/index.ts';

/** Who is told when writes are durable. */
export interface AppendOwner {
  onDurable(batch: AppendBatch, responses: readonly Message[]): void;
}

/** What all groups write in one pass: one flush of the disk. */
export class AppendBatch {
  /** Become durable, and visible, together with the writes. */
  readonly operations: WriteOperation[] = [];
  readonly writes: LogWrite[] = [];
  readonly owners: AppendOwner[] = [];
  readonly responses: Message[][] = [];
  /** Order of submission. */
  order = 0;

  get isEmpty(): boolean {
    return this.writes.length === 0;
  }

  add(write: LogWrite, owner: AppendOwner, responses: Message[]): void {
    this.writes.push(write);
    this.owners.push(owner);
    this.responses.push(responses);
  }

  /** Messages that are true once everything of this owner up to this batch is durable. */
  addResponses(owner: AppendOwner, responses: readonly Message[]): void {
    this.owners.push(owner);
    this.responses.push([...responses]);
  }
}

/** How long writes wait before they are tried again on a full disk. */
const retryMs = 250;

/**
 * Hands batches to the engine without waiting for earlier ones. When the disk is full, they wait in their order and are
 * tried again; nobody is told that they are durable meanwhile.
 */
export class AppendQueue {
  readonly #engine: Engine;
  readonly #timers: Timers;
  readonly #logger: Logger;
  /** The engine does not work any more. */
  readonly #onFailure: (error: Error) => void;
  #order = 0;
  #inFlight = 0;
  #stalled: AppendBatch[] = [];
  #problem: Error | undefined;
  #refusal: Error | undefined;
  #isClosed = false;
  #idle: (() => void)[] = [];

  constructor(options: {
    readonly engine: Engine;
    readonly timers: Timers;
    readonly logger: Logger;
    readonly onFailure: (error: Error) => void;
  }) {
    this.#engine = options.engine;
    this.#timers = options.timers;
    this.#logger = options.logger;
    this.#onFailure = options.onFailure;
  }

  /** Why nothing can be written now. */
  get problem(): Error | undefined {
    return this.#problem;
  }

  /** Why the last write was refused for lack of space; undefined once one was taken. */
  get refusal(): Error | undefined {
    return this.#refusal;
  }

  submit(batch: AppendBatch): void {
    batch.order = this.#order++;
    if (this.#problem === undefined) this.#write(batch);
    else this.#stalled.push(batch);
  }

  /** Resolves when nothing is on its way to the disk. */
  idle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  close(): void {
    this.#isClosed = true;
    this.#stalled = [];
  }

  #write(batch: AppendBatch): void {
    this.#inFlight += 1;
    this.#engine.append(batch.writes, batch.operations).then(
      () => {
        this.#done(batch, undefined);
      },
      (error: unknown) => {
        this.#done(batch, toOaasError(error));
      },
    );
  }

  #done(batch: AppendBatch, error: Error | undefined): void {
    this.#inFlight -= 1;
    if (!this.#isClosed) {
      if (error === undefined) {
        this.#refusal = undefined;
        this.#tell(batch);
      } else if (isOaasError(error, 'StorageFull') || isOaasError(error, 'ResourceExhausted'))
        this.#stall(batch, error);
      else this.#onFailure(error);
    }
    if (this.#inFlight > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #tell(batch: AppendBatch): void {
    const { owners, responses } = batch;
    for (let i = 0; i < owners.length; i++) owners[i]?.onDurable(batch, responses[i] ?? []);
  }

  #stall(batch: AppendBatch, error: Error): void {
    this.#stalled.push(batch);
    this.#refusal = error;
    if (this.#problem !== undefined) return;
    this.#problem = error;
    this.#logger.error({ err: error }, 'log cannot be written; waiting for space');
    this.#timers.after(retryMs, () => {
      this.#retry();
    });
  }

  #retry(): void {
    if (this.#isClosed) return;
    if (this.#inFlight > 0) {
      this.#timers.after(retryMs, () => {
        this.#retry();
      });
      return;
    }
    this.#problem = undefined;
    const batches = this.#stalled.sort((a, b) => a.order - b.order);
    this.#stalled = [];
    for (const batch of batches) this.#write(batch);
  }
}

import type { CommittedEntry, StateMachine } from '../replication/index.ts';
import { statePrefix } from '../replication/index.ts';
import { prefixEnd, type StorageReader, type WriteOperation } from '../storage/index.ts';
import { apply } from './apply.ts';
import { decodeCommand, decodeState, encodeState } from './codec.ts';
import { createMetaState, metaShard } from './state.ts';
import type { ApplyResult, DecodedCommand } from './commands.ts';
import type { MetaState } from './types.ts';

/**
 * How the meta state lies in storage: one image of the whole state, and the commands since. Commands are small and the
 * state is not, so a command costs its own bytes and the image is renewed now and then.
 */
const imageKind = 1;
const commandKind = 2;
/** Commands after which the image is renewed: bounds what a start has to apply again. */
const commandsPerImage = 512;

/** The meta state as a replicated state machine. */
export class MetaMachine implements StateMachine {
  readonly #storage: StorageReader;
  readonly #onChange: () => void;
  #state: MetaState = createMetaState();
  #prefix: Buffer = statePrefix(metaShard, 0);
  /** Indexes of the commands that are stored beside the image. */
  #commands: number[] = [];

  /** `onChange` is called after every change, within the call of the host: it must not call back. */
  constructor(storage: StorageReader, onChange: () => void) {
    this.#storage = storage;
    this.#onChange = onChange;
  }

  /** Changes with every command that is applied: read what is needed in one turn of the event loop. */
  get state(): MetaState {
    return this.#state;
  }

  open(generation: number): void {
    this.#prefix = statePrefix(metaShard, generation);
    const image = this.#storage.get(this.#key(imageKind));
    this.#state = image === undefined ? createMetaState() : decodeState(image);
    this.#commands = [];
    const start = this.#key(commandKind);
    for (const { key, value } of this.#storage.range({ start, end: prefixEnd(start) })) {
      this.#commands.push(indexOfKey(key));
      apply(this.#state, decodeCommand(value));
    }
    this.#onChange();
  }

  apply(entries: readonly CommittedEntry[], results: unknown[]): readonly WriteOperation[] {
    const operations: WriteOperation[] = [];
    let hasChanged = false;
    for (const { index, data, own } of entries) {
      const result = apply(this.#state, (own as DecodedCommand | undefined) ?? decodeCommand(data));
      results.push(result satisfies ApplyResult);
      if (!result.ok || !result.changed) continue;
      hasChanged = true;
      this.#commands.push(index);
      operations.push({ type: 'put', key: this.#key(commandKind, index), value: data });
    }
    if (this.#commands.length >= commandsPerImage) {
      for (const index of this.#commands) operations.push({ type: 'delete', key: this.#key(commandKind, index) });
      this.#commands = [];
      operations.push({ type: 'put', key: this.#key(imageKind), value: encodeState(this.#state) });
    }
    if (hasChanged) this.#onChange();
    return operations;
  }

  #key(kind: number, index?: number): Buffer {
    if (index === undefined) return Buffer.concat([this.#prefix, Buffer.of(kind)]);
    const at = Buffer.allocUnsafe(6);
    at.writeUIntBE(index, 0, 6);
    return Buffer.concat([this.#prefix, Buffer.of(kind), at]);
  }
}

function indexOfKey(key: Uint8Array): number {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUIntBE(key.byteLength - 6, 6);
}

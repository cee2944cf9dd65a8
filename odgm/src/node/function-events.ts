import type { Logger } from '@oaas/commons/telemetry';
import { data } from '@oaas/proto';
import { channels, type Mesh } from '../mesh/index.ts';
import { encodeEvent, firedByFunction, type ShardHandle } from '../shard/index.ts';

/** The end of a function's call with an object. */
export interface EndedCall {
  readonly objectId: string;
  readonly functionName: string;
  readonly succeeded: boolean;
  /** What the function answered. */
  readonly payload: Uint8Array | undefined;
  /** Wall-clock milliseconds. */
  readonly at: number;
  /** Calls of triggers that led to this one, one of the other. */
  readonly depth: number;
}

export interface FunctionEventsOptions {
  readonly mesh: Mesh;
  readonly logger: Logger;
  /** The replica of this node that serves. */
  readonly replica: (shard: number) => ShardHandle | undefined;
  /** Member that takes the writes of a shard, as far as is known; 0 for nobody. */
  readonly writerOf: (shard: number) => number;
  readonly fires: () => boolean;
}

/** Answers that are longer do not travel with their event. */
const payloadMax = 64 * 1024;

/**
 * Sets off the triggers of an object when a call of one of its functions has ended, through whichever node the call came.
 * Nobody waits for it: what cannot be told to the replica that takes the object's writes, or not be stored by it, is
 * lost. Once it is stored it is delivered as events of data are.
 */
export class FunctionEvents {
  readonly #options: FunctionEventsOptions;

  constructor(options: FunctionEventsOptions) {
    this.#options = options;
    options.mesh.onMessage(channels.events, (_from, payload) => {
      this.#guarded(() => {
        const { shard, call } = decode(payload);
        const replica = options.replica(shard);
        if (replica !== undefined) this.#fire(replica, call);
      });
    });
  }

  /** Whether changes that this node takes, and calls that end here, set off triggers now. */
  get fires(): boolean {
    return this.#options.fires();
  }

  /** Returns before anything is done. */
  ended(shard: number, ended: EndedCall): void {
    const { mesh, replica, writerOf, fires } = this.#options;
    if (!fires()) return;
    const call = (ended.payload?.length ?? 0) > payloadMax ? { ...ended, payload: undefined } : ended;
    const own = replica(shard);
    this.#guarded(() => {
      // As far as this replica knows, which may be older: then the object has only just got its triggers.
      if (own !== undefined && own.reader.meta(call.objectId)?.event === undefined) return;
      if (own?.outbox.isActive === true) {
        this.#fire(own, call);
        return;
      }
      const writer = writerOf(shard);
      if (writer !== 0) mesh.send(writer, channels.events, encode(shard, call));
    });
  }

  /** Nothing of this may fail a call that has ended. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the end of a function call sets off no triggers');
    }
  }

  #fire(replica: ShardHandle, { objectId, functionName, succeeded, payload, at, depth }: EndedCall): void {
    const { logger } = this.#options;
    const meta = replica.reader.meta(objectId);
    if (meta?.event === undefined || !replica.outbox.isActive) return;
    const targets = firedByFunction(meta.event, functionName, succeeded);
    if (targets.length === 0) return;
    const { EVENT_TYPE_FUNC_COMPLETE, EVENT_TYPE_FUNC_ERROR } = data.EventType;
    const add = targets.map((target) =>
      encodeEvent({
        ...{ origin: { major: 0, minor: 0, by: 0 }, objectId, key: functionName, depth: depth + 1 },
        ...{ at: Math.max(0, Math.floor(at)), versions: [meta.version, meta.version], payload },
        type: succeeded ? EVENT_TYPE_FUNC_COMPLETE : EVENT_TYPE_FUNC_ERROR,
        target: data.TriggerTarget.encode(target).finish(),
      }),
    );
    replica.outbox.change({ type: 'outbox', at: Math.max(0, Math.floor(at)), add }).catch((error: unknown) => {
      logger.warn({ err: error, shard: replica.id }, 'the end of a function call sets off no triggers');
    });
  }
}

/** As JSON: calls go through the member that has the object as a rule. */
function encode(shard: number, { payload, ...call }: EndedCall): Uint8Array {
  const text = payload === undefined ? undefined : Buffer.from(payload).toString('base64');
  return Buffer.from(JSON.stringify({ shard, call, payload: text }));
}

function decode(message: Uint8Array): { readonly shard: number; readonly call: EndedCall } {
  const { shard, call, payload } = JSON.parse(Buffer.from(message).toString('utf8')) as {
    readonly shard: number;
    readonly call: Omit<EndedCall, 'payload'>;
    readonly payload?: string;
  };
  return { shard, call: { ...call, payload: payload === undefined ? undefined : Buffer.from(payload, 'base64') } };
}

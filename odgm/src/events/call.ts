import { eventIdHeader, triggerDepthHeader } from '@oaas/commons/client';
import { data } from '@oaas/proto';
import type { Invocation } from '../invocation/index.ts';
import { eventId, type OutboxEvent } from '../shard/index.ts';

/** The shard that an event is of. */
export interface EventSource {
  readonly id: number;
  readonly collection: string;
  readonly partition: number;
}

/** A call that an event leads to. */
export interface TriggerCall {
  readonly classId: string;
  readonly invocation: Invocation;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The call of an event's target: with its object where it names one, and the wire's TriggerPayload as payload. What
 * receivers need to tell repeats and order is in the payload's context, and with the event's id and depth in the options
 * and the metadata of the call.
 */
export function callOf(source: EventSource, event: OutboxEvent): TriggerCall {
  const target = targetOf(event);
  const { depth } = event;
  const told = { [eventIdHeader]: eventId(source.id, event.origin), [triggerDepthHeader]: String(depth) };
  const request = {
    clsId: target.clsId,
    partitionId: target.partitionId,
    fnId: target.fnId,
    options: { ...target.reqOptions, ...told },
    payload: Buffer.from(data.TriggerPayload.encode(payloadOf(source, event)).finish()),
  };
  const objectId = target.objectId ?? target.legacyObjectId;
  const invocation: Invocation =
    objectId === undefined
      ? { kind: 'function', request }
      : { kind: 'object', request: { ...request, objectId, legacyObjectId: target.legacyObjectId } };
  return { classId: target.clsId, invocation, metadata: told };
}

export function targetOf({ target }: Pick<OutboxEvent, 'target'>): data.TriggerTarget {
  return data.TriggerTarget.decode(target);
}

/** Of the wire's EventType: `data_create` and such. */
export function eventName(type: data.EventType): string {
  const name = Object.entries(data.EventType).find(([, value]) => value === type)?.[0] ?? '';
  return name.replace('EVENT_TYPE_', '').toLowerCase();
}

/** What the receiver is told. */
export function payloadOf(source: EventSource, event: OutboxEvent): data.TriggerPayload {
  const { origin, type, objectId, key, versions, at, depth, payload } = event;
  const isOfFunction =
    type === data.EventType.EVENT_TYPE_FUNC_COMPLETE || type === data.EventType.EVENT_TYPE_FUNC_ERROR;
  return {
    eventInfo: {
      sourceClsId: source.collection,
      sourcePartitionId: source.partition,
      eventType: type,
      fnId: isOfFunction ? key : undefined,
      key: isOfFunction ? undefined : key,
      timestamp: at,
      sourceObjectId: objectId === '' ? undefined : objectId,
      context: {
        event_id: eventId(source.id, origin),
        sequence: `${String(origin.major)}.${String(origin.minor)}`,
        version_before: String(versions[0]),
        version_after: String(versions[1]),
        depth: String(depth),
      },
    },
    originalPayload: payload === undefined ? undefined : Buffer.from(payload),
  };
}

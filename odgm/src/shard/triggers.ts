import { data } from '@oaas/proto';
import type { EntryChange } from './transaction.ts';

/** What became of one entry of an object, and whom to tell. */
export interface FiredTrigger {
  readonly type: data.EventType;
  readonly key: string;
  readonly target: data.TriggerTarget;
}

/**
 * The triggers that the changes of an object's entries set off, by its ObjectEvent as the wire has it: in the order of
 * keys, and for each key in the order of its targets. Triggers that were configured by number are those of the number's
 * text. Empty for bytes that are no ObjectEvent: every replica finds them alike.
 */
export function firedByData(
  event: Uint8Array,
  changes: readonly Pick<EntryChange, 'key' | 'value' | 'old'>[],
): FiredTrigger[] {
  const triggers = triggersByKey(event);
  if (triggers.size === 0) return [];
  const fired: FiredTrigger[] = [];
  for (const { key, value, old } of [...changes].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))) {
    for (const trigger of triggers.get(key) ?? []) {
      const [type, targets] = happened(trigger, value !== undefined, old !== undefined);
      for (const target of targets) fired.push({ type, key, target });
    }
  }
  return fired;
}

/** The targets of the end of a function's call, in their order. */
export function firedByFunction(event: Uint8Array, functionName: string, succeeded: boolean): data.TriggerTarget[] {
  const triggers = decoded(event)?.funcTrigger;
  const trigger = triggers !== undefined && Object.hasOwn(triggers, functionName) ? triggers[functionName] : undefined;
  if (trigger === undefined) return [];
  return succeeded ? trigger.onComplete : trigger.onError;
}

function happened(
  { onCreate, onUpdate, onDelete }: data.DataTrigger,
  isThere: boolean,
  wasThere: boolean,
): [data.EventType, readonly data.TriggerTarget[]] {
  if (!isThere) return [data.EventType.EVENT_TYPE_DATA_DELETE, wasThere ? onDelete : []];
  if (wasThere) return [data.EventType.EVENT_TYPE_DATA_UPDATE, onUpdate];
  return [data.EventType.EVENT_TYPE_DATA_CREATE, onCreate];
}

/** Keys of entries are in lower case, whatever was asked for. */
function triggersByKey(event: Uint8Array): Map<string, data.DataTrigger[]> {
  const triggers = new Map<string, data.DataTrigger[]>();
  const { dataTrigger = {}, legacyDataTrigger = {} } = decoded(event) ?? {};
  for (const named of [dataTrigger, legacyDataTrigger]) {
    for (const [name, trigger] of Object.entries(named)) {
      const key = name.toLowerCase();
      triggers.set(key, [...(triggers.get(key) ?? []), trigger]);
    }
  }
  return triggers;
}

function decoded(event: Uint8Array): data.ObjectEvent | undefined {
  try {
    return data.ObjectEvent.decode(event);
  } catch {
    return undefined;
  }
}

import type { Conversion } from '../resource.ts';
import type { Json, KubeObject } from '../types.ts';

/** Fields of events.k8s.io/v1 and of the core/v1 Event that is stored. */
const NAMES: readonly [string, string][] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

function renamed(object: KubeObject, apiVersion: string, names: ReadonlyMap<string, string>): KubeObject {
  const out: Json = {};
  for (const [field, value] of Object.entries(object)) out[names.get(field) ?? field] = value;
  return { ...out, apiVersion, kind: 'Event', metadata: object.metadata };
}

const TO_CORE = new Map(NAMES);
const FROM_CORE = new Map(NAMES.map(([events, core]) => [core, events]));

/** Events of both groups are one kind in storage. */
export const eventsConversion: Conversion = {
  toStorage: (object) => renamed(object, 'v1', TO_CORE),
  fromStorage: (object) => renamed(object, 'events.k8s.io/v1', FROM_CORE),
};

import { toRfc3339 } from '@oaas/commons/time';
import type { EventInput, EventSeries, EventSink } from '../../controller/index.ts';
import { kinds, type KubernetesApi } from '../../kubernetes/index.ts';

const controllerName = 'oaas.io/crm';

/** Writes events as events.k8s.io/v1. `instance` names this process. */
export function eventSink(api: KubernetesApi, instance: string): EventSink {
  const writing = { fieldManager: 'oaas-crm', timeoutMs: 5000 };
  // Two events of one millisecond need two names.
  let written = 0;
  return {
    async create(event: EventInput, at: number): Promise<string> {
      const { namespace } = event.regarding;
      const created = await api.create(
        kinds.eventV1,
        {
          apiVersion: 'events.k8s.io/v1',
          kind: 'Event',
          metadata: {
            name: `${event.regarding.name.slice(0, 200)}.${at.toString(16)}.${(written++).toString(16)}`,
            namespace,
            ...(event.annotations === undefined ? {} : { annotations: event.annotations }),
          },
          eventTime: microTime(at),
          reportingController: controllerName,
          reportingInstance: instance.slice(0, 128),
          action: event.action,
          reason: event.reason,
          regarding: event.regarding,
          note: event.note,
          type: event.type,
        },
        writing,
      );
      return created.metadata.name;
    },
    async update(event: EventInput, name: string, series: EventSeries): Promise<void> {
      const patch = { series: { count: series.count, lastObservedTime: microTime(series.lastSeen) } };
      await api.patch(kinds.eventV1, { name, namespace: event.regarding.namespace }, 'merge', patch, writing);
    },
  };
}

/** metav1.MicroTime: six digits of seconds. */
export function microTime(ms: number): string {
  return toRfc3339(ms).replace(/Z$/, '000Z');
}

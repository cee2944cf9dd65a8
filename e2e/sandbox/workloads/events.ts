import { type Random, randomHex, toRfc3339 } from '@oaas/commons/time';
import type { EventSink, ObjectReference } from '@oaas/reconciler/controller';
import type { KubernetesApi } from '@oaas/reconciler/kubernetes';
import { sandboxKinds } from './caches.ts';
import type { KubeObject } from './objects.ts';

export function referenceOf(object: KubeObject): ObjectReference {
  const { name, namespace = 'default', uid = '' } = object.metadata;
  return { apiVersion: object.apiVersion, kind: object.kind, name, namespace, uid };
}

/** Writes core/v1 Events, with the counts that `kubectl describe` shows. `component` is who saw what happened. */
export function eventSink(api: KubernetesApi, component: string, node: string, random: Random): EventSink {
  const fieldManager = component;
  return {
    create: async ({ regarding, type, reason, note }, at) => {
      const time = toRfc3339(at).replace(/\.\d+Z$/, 'Z');
      const { namespace } = regarding;
      const name = `${regarding.name}.${randomHex(random, 8)}`;
      await api.create(
        sandboxKinds.event,
        {
          apiVersion: 'v1',
          kind: 'Event',
          metadata: { name, namespace },
          involvedObject: { ...regarding },
          type,
          reason,
          message: note,
          source: { component, host: node },
          firstTimestamp: time,
          lastTimestamp: time,
          count: 1,
        },
        { fieldManager },
      );
      return name;
    },
    update: async ({ regarding }, name, { count, lastSeen }) => {
      const lastTimestamp = toRfc3339(lastSeen).replace(/\.\d+Z$/, 'Z');
      const key = { name, namespace: regarding.namespace };
      await api.patch(sandboxKinds.event, key, 'merge', { count, lastTimestamp }, { fieldManager });
    },
  };
}

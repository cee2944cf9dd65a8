import { type Controller, keyOf } from '@oaas/reconciler/controller';
import { byNamespace, sandboxKinds, tolerating } from './caches.ts';
import { fieldManager, makeController, type WorkloadContext } from './context.ts';
import { renderEndpoints } from './endpoints.ts';
import { canonicalJson, type KubeObject, splitKey } from './objects.ts';

/** Keeps the Endpoints and EndpointSlices of every Service with a selector equal to its pods. */
export function endpointsController(context: WorkloadContext): Controller {
  const { api, caches } = context;
  /** What was written last, by service: nothing else writes these objects. Bounded by the number of Services. */
  const written = new Map<string, { readonly text: string; readonly slices: readonly string[] }>();

  const controller = makeController(context, 'endpoints', async (key) => {
    const service = caches.services.get(key);
    const { namespace, name } = splitKey(key);
    if (service === undefined) {
      // The slices go with their owner.
      written.delete(key);
      await tolerating('NotFound', api.delete(sandboxKinds.endpoints, { name, namespace }));
      return { done: true };
    }
    if (service.spec.selector === undefined || service.metadata.deletionTimestamp !== undefined) return { done: true };
    const { endpoints, slices } = renderEndpoints(service, caches.pods.byIndex(byNamespace, namespace));
    const text = canonicalJson({ endpoints, slices });
    const before = written.get(key) ?? { text: '', slices: await existingSlices(namespace, name) };
    if (before.text === text) return { done: true };
    await api.apply(sandboxKinds.endpoints, endpoints, { fieldManager, force: true });
    for (const slice of slices) await api.apply(sandboxKinds.endpointSlice, slice, { fieldManager, force: true });
    const names = slices.map((slice) => slice.metadata.name);
    for (const gone of before.slices.filter((each) => !names.includes(each))) {
      await tolerating('NotFound', api.delete(sandboxKinds.endpointSlice, { name: gone, namespace }));
    }
    written.set(key, { text, slices: names });
    return { done: true };
  });

  async function existingSlices(namespace: string, service: string): Promise<string[]> {
    const labelSelector = `kubernetes.io/service-name=${service}`;
    const { items } = await api.list(sandboxKinds.endpointSlice, { namespace, labelSelector });
    return items.map((item) => item.metadata.name);
  }

  controller.watch(caches.services, ({ object }) => [keyOf(object)]);
  controller.watch(caches.pods, (change) => {
    const affected = new Set(servicesOf(change.object));
    // A pod that changed its labels has left the Services that it matched before.
    if (change.type === 'updated') for (const key of servicesOf(change.old)) affected.add(key);
    return [...affected];
  });

  function servicesOf(pod: KubeObject): string[] {
    const labels = pod.metadata.labels ?? {};
    return caches.services
      .byIndex(byNamespace, pod.metadata.namespace ?? '')
      .filter(({ spec }) => Object.entries(spec.selector ?? {}).every(([name, value]) => labels[name] === value))
      .filter(({ spec }) => spec.selector !== undefined)
      .map(keyOf);
  }
  return controller;
}

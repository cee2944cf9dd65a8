import { systemClock, systemTimers } from '@oaas/commons/time/system';
import { isOaasError } from '@oaas/commons/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRealApi, type RealApi } from '../../testkit/kubernetes/real.ts';
import { createKubernetesClient, fieldConflicts, kinds, type KubernetesClient, type KubeObject } from './index.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];

function configMap(name: string, data: Record<string, string>): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data };
}

describe.skipIf(assets === undefined)(
  'the adapter, against a real API server (skipped without KUBEBUILDER_ASSETS)',
  () => {
    let server: RealApi;
    let api: KubernetesClient;
    beforeAll(async () => {
      server = await startRealApi({ assets: assets ?? '' });
      api = createKubernetesClient({ kubeconfigText: server.kubeconfig, clock: systemClock, timers: systemTimers });
    });
    afterAll(async () => {
      await api.close();
      await server.stop();
    });

    it('creates, applies, patches and deletes, and maps refusals to the table of errors', async () => {
      const created = await api.create(kinds.configMap, configMap('a', { x: '1' }), { fieldManager: 't' });
      expect(created.metadata.uid).toBeDefined();
      await expect(api.create(kinds.configMap, configMap('a', {}), { fieldManager: 't' })).rejects.toMatchObject({
        code: 'AlreadyExists',
        details: { reason: 'AlreadyExists', status: 409 },
      });
      await expect(
        api.update(
          kinds.configMap,
          { ...created, metadata: { ...created.metadata, resourceVersion: '1' } },
          { fieldManager: 't' },
        ),
      ).rejects.toMatchObject({ code: 'Conflict' });
      const patched = await api.patch(
        kinds.configMap,
        { name: 'a', namespace: 'default' },
        'merge',
        { data: { y: '2' } },
        { fieldManager: 't' },
      );
      expect(patched['data']).toEqual({ x: '1', y: '2' });
      await api.delete(
        kinds.configMap,
        { name: 'a', namespace: 'default' },
        { preconditions: { uid: created.metadata.uid ?? '' } },
      );
      await expect(api.get(kinds.configMap, { name: 'a', namespace: 'default' })).rejects.toMatchObject({
        code: 'NotFound',
      });
    });

    it('names the fields that another manager owns when an apply is not forced', async () => {
      await api.apply(kinds.configMap, configMap('b', { x: '1' }), { fieldManager: 'one' });
      const error: unknown = await api
        .apply(kinds.configMap, configMap('b', { x: '2' }), { fieldManager: 'two' })
        .catch((thrown: unknown) => thrown);
      expect(isOaasError(error, 'Conflict') && fieldConflicts(error)).toEqual([expect.stringContaining('.data.x')]);
      const forced = await api.apply(kinds.configMap, configMap('b', { x: '2' }), { fieldManager: 'two', force: true });
      expect(forced['data']).toEqual({ x: '2' });
    });

    it('refuses a field that does not exist instead of dropping it', async () => {
      const typo = { ...configMap('c', {}), dta: { x: '1' } };
      await expect(api.apply(kinds.configMap, typo, { fieldManager: 'one' })).rejects.toThrow('dta');
    });

    it('lists page by page and watches from there', async () => {
      for (const name of ['p1', 'p2', 'p3']) {
        const object = configMap(name, {});
        await api.create(
          kinds.configMap,
          { ...object, metadata: { ...object.metadata, labels: { page: 'yes' } } },
          { fieldManager: 't' },
        );
      }
      const listing = { namespace: 'default', labelSelector: 'page=yes', limit: 2 };
      const first = await api.list(kinds.configMap, listing);
      const second = await api.list(kinds.configMap, { ...listing, continueToken: first.continueToken });
      expect([...first.items, ...second.items].map((item) => [item.kind, item.metadata.name])).toEqual([
        ['ConfigMap', 'p1'],
        ['ConfigMap', 'p2'],
        ['ConfigMap', 'p3'],
      ]);
      expect(second.continueToken).toBeUndefined();

      const stop = new AbortController();
      const watch = api
        .watch(kinds.configMap, { namespace: 'default', resourceVersion: second.resourceVersion, signal: stop.signal })
        [Symbol.asyncIterator]();
      const next = watch.next();
      await api.create(kinds.configMap, configMap('w', {}), { fieldManager: 't' });
      expect((await next).value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'w' } } });
      const pending = watch.next();
      stop.abort();
      await expect(pending).rejects.toMatchObject({ code: 'Cancelled' });
    });

    it('tells a dead server from a refusal', async () => {
      const dead = createKubernetesClient({
        kubeconfigText: server.kubeconfig.replace(server.url, 'https://127.0.0.1:1'),
        clock: systemClock,
        timers: systemTimers,
      });
      await expect(dead.serverVersion()).rejects.toMatchObject({ code: 'Unavailable', consequence: 'retry' });
      await dead.close();
    });
  },
);

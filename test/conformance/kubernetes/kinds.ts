/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call -- answers are any JSON, checked by assertions */
import { expect, test } from 'vitest';
import type { Any } from './api-client.ts';
import { MANIFESTS } from './manifests.ts';
import { normalised, type Scene } from './scene.ts';

/**
 * Each manifest is created, and what the server made of it (defaults, generation, who owns which field) is compared with
 * what kube-apiserver 1.34 made of it. `vitest -u` writes the files anew: do so with the real server only.
 */
export function kindBehaviours(scene: Scene): void {
  for (const [name, { path, object }] of Object.entries(MANIFESTS)) {
    test(`${name} gets the defaults and the ownership of the real server`, async () => {
      const namespace = await scene.namespace();
      const prefix = path.includes('{namespace}') ? '' : `${namespace}-`;
      const body = JSON.parse(JSON.stringify(object).replaceAll('{namespace}', namespace));
      body.metadata.name = `${prefix}${body.metadata.name as string}`;
      const target = path.replace('{namespace}', namespace);
      const created = await scene.api.post(target, body);
      expect(created.status, JSON.stringify(created.body)).toBe(201);
      const read = (await scene.api.get(`${target}/${body.metadata.name as string}`)).body;
      const text = JSON.stringify(sorted(normalised(read)), null, 2)
        .replaceAll(read.metadata.uid as string, 'UID')
        .replaceAll(read.metadata.name as string, object.metadata.name as string)
        .replaceAll(namespace, 'NAMESPACE');
      await expect(`${text}\n`).toMatchFileSnapshot(`golden/${name}.generated.json`);
      const table = (
        await scene.api.get(`${target}/${body.metadata.name as string}`, 'application/json;as=Table;v=v1;g=meta.k8s.io')
      ).body;
      const columns = {
        columns: table.columnDefinitions.map(
          (column: Any) => `${column.name as string}${column.priority > 0 ? ' (wide)' : ''}`,
        ),
        cells: table.rows[0].cells.map((cell: unknown, index: number) =>
          steady(cell, table.columnDefinitions[index].name as string, read, object.metadata.name as string),
        ),
      };
      await expect(`${JSON.stringify(columns, null, 2)}\n`).toMatchFileSnapshot(`golden/${name}.table.generated.json`);
      if (path.includes('{namespace}')) return;
      await scene.api.delete(`${target}/${body.metadata.name as string}`);
    });
  }

  test('an Event can be written in either group and read in the other', async () => {
    const namespace = await scene.namespace();
    const core = `/api/v1/namespaces/${namespace}/events`;
    const events = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
    await scene.api.post(core, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'a' },
      involvedObject: { kind: 'Pod', name: 'p', namespace },
      reason: 'R',
      message: 'm',
      type: 'Normal',
      count: 2,
    });
    const seen = (await scene.api.get(`${events}/a`)).body;
    expect(seen).toMatchObject({
      apiVersion: 'events.k8s.io/v1',
      regarding: { kind: 'Pod', name: 'p' },
      note: 'm',
      deprecatedCount: 2,
    });
    await scene.api.post(events, {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: 'b' },
      eventTime: '2026-01-01T00:00:00.000000Z',
      action: 'Do',
      reportingController: 'c',
      reportingInstance: 'i',
      regarding: { kind: 'Pod', name: 'q', namespace },
      reason: 'R',
      note: 'n',
      type: 'Normal',
    });
    expect((await scene.api.get(`${core}/b`)).body).toMatchObject({
      involvedObject: { name: 'q' },
      message: 'n',
      reportingComponent: 'c',
    });
  });

  test('a Service keeps its address and ports, and nobody else gets them', async () => {
    const path = `/api/v1/namespaces/${await scene.namespace()}/services`;
    const service = (name: string, spec: Any = {}) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { type: 'NodePort', ports: [{ port: 80 }], ...spec },
    });
    const first = (await scene.api.post(path, service('a'))).body;
    expect(first.spec.clusterIP).toMatch(/^10\.\d+\.\d+\.\d+$/);
    const nodePort = first.spec.ports[0].nodePort as number;
    expect(nodePort).toBeGreaterThanOrEqual(30_000);
    expect(nodePort).toBeLessThanOrEqual(32_767);
    const updated = (await scene.api.put(`${path}/a`, service('a'))).body;
    expect(updated.spec.clusterIP).toBe(first.spec.clusterIP);
    expect(updated.spec.ports[0].nodePort).toBe(nodePort);
    const taken = await scene.api.post(path, service('b', { clusterIP: first.spec.clusterIP }));
    expect(taken.status).toBe(422);
    expect(taken.body.message).toContain('already allocated');
    const sameNodePort = await scene.api.post(path, service('c', { ports: [{ port: 80, nodePort }] }));
    expect(sameNodePort.status).toBe(422);
    expect(sameNodePort.body.message).toContain('provided port is already allocated');
    const moved = await scene.api.patch(`${path}/a`, 'merge', { spec: { clusterIP: '10.0.255.254' } });
    expect(moved.status).toBe(422);
    const headless = (await scene.api.post(path, service('d', { type: 'ClusterIP', clusterIP: 'None' }))).body;
    expect(headless.spec.clusterIP).toBe('None');
  });

  test('stringData of a Secret becomes data', async () => {
    const path = `/api/v1/namespaces/${await scene.namespace()}/secrets`;
    const { body } = await scene.api.post(path, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 's' },
      stringData: { a: 'plain' },
      data: { b: 'Yg==' },
    });
    expect(body.data).toEqual({ a: 'cGxhaW4=', b: 'Yg==' });
    expect(body.stringData).toBeUndefined();
    expect(body.type).toBe('Opaque');
  });

  test('an immutable ConfigMap cannot be changed', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a' },
      data: { k: 'v' },
      immutable: true,
    });
    const answer = await scene.api.patch(`${path}/a`, 'merge', { data: { k: 'w' } });
    expect(answer.status).toBe(422);
    expect(answer.body.message).toContain('field is immutable when `immutable` is set');
  });

  test('a Deployment whose selector does not match its pods is invalid', async () => {
    const path = `/apis/apps/v1/namespaces/${await scene.namespace()}/deployments`;
    const body = structuredClone((MANIFESTS['deployment'] as { object: Any }).object);
    body.spec.selector = { matchLabels: { app: 'other' } };
    const answer = await scene.api.post(path, body);
    expect(answer.status).toBe(422);
    expect(answer.body.message).toContain('`selector` does not match template `labels`');
    delete body.spec.template.spec.containers[0].image;
    body.spec.selector = { matchLabels: { app: 'web' } };
    const imageless = await scene.api.post(path, body);
    expect(imageless.body.details.causes).toContainEqual({
      reason: 'FieldValueRequired',
      message: 'Required value',
      field: 'spec.template.spec.containers[0].image',
    });
  });

  test('a Lease can be created by an update and renewed', async () => {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${await scene.namespace()}/leases`;
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'l' },
      spec: { holderIdentity: 'me', leaseDurationSeconds: 15, renewTime: '2026-01-01T00:00:00.000000Z' },
    };
    const created = await scene.api.put(`${path}/l`, lease);
    expect(created.status).toBe(201);
    const renewed = await scene.api.put(`${path}/l`, {
      ...created.body,
      spec: { ...lease.spec, renewTime: '2026-01-01T00:00:01.000000Z' },
    });
    expect(renewed.status).toBe(200);
    expect((await scene.api.put(`${path}/l`, { ...created.body, spec: lease.spec })).status).toBe(409);
  });
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted((value as Any)[key])]),
  );
}

/** Cells that differ between runs, by a word. */
function steady(cell: unknown, column: string, object: Any, name: string): unknown {
  if (column === 'Age' || column === 'Created At') return 'SOME TIME';
  // The event's own times, which lie in the past by ever more: 324d, 2y40d.
  if (column.endsWith(' Seen') && /^(\d+y)?(\d+d)?$/.test(String(cell))) return 'LONG AGO';
  if (column === 'Cluster-IP' && cell !== 'None') return 'SOME ADDRESS';
  if (column === 'Port(s)') return String(cell).replace(/:\d+/g, ':SOME');
  return typeof cell === 'string'
    ? cell.replaceAll(object.metadata.name as string, name).replaceAll(object.metadata.uid as string, 'UID')
    : cell;
}

/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-return -- answers are any JSON, checked by assertions */
import { expect, test } from 'vitest';
import { configMap, type Scene } from './scene.ts';

export function watchBehaviours(scene: Scene): void {
  test('a watch from a list sees every later change in order, and nothing before it', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('old'));
    const list = (await scene.api.get(path)).body;
    const watch = await scene.api.watch(`${path}?resourceVersion=${list.metadata.resourceVersion as string}`);
    await scene.api.post(path, configMap('a', { n: '1' }));
    await scene.api.patch(`${path}/a`, 'merge', { data: { n: '2' } });
    await scene.api.delete(`${path}/a`);
    await watch.until((event) => event.type === 'DELETED');
    watch.close();
    expect(watch.events.map((event) => [event.type, event.object.metadata.name, event.object.data?.n])).toEqual([
      ['ADDED', 'a', '1'],
      ['MODIFIED', 'a', '2'],
      ['DELETED', 'a', '2'],
    ]);
    const versions = watch.events.map((event) => Number(event.object.metadata.resourceVersion));
    expect(versions).toEqual([...versions].sort((a, b) => a - b));
    expect(new Set(versions).size).toBe(3);
  });

  test('a watch without a version begins with what is there', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a'));
    const watch = await scene.api.watch(path);
    const event = await watch.until((item) => item.object.metadata.name === 'a');
    watch.close();
    expect(event.type).toBe('ADDED');
  });

  test('a watch gets changes that happened between its version and now', async () => {
    const path = await scene.configMaps();
    const list = (await scene.api.get(path)).body;
    await scene.api.post(path, configMap('a'));
    await scene.api.delete(`${path}/a`);
    const watch = await scene.api.watch(`${path}?resourceVersion=${list.metadata.resourceVersion as string}`);
    await watch.until((event) => event.type === 'DELETED');
    watch.close();
    expect(watch.events.map((event) => event.type)).toEqual(['ADDED', 'DELETED']);
  });

  test('an object that leaves the selector is deleted to the watcher, one that enters is added', async () => {
    const path = await scene.configMaps();
    const list = (await scene.api.get(path)).body;
    const watch = await scene.api.watch(
      `${path}?labelSelector=on%3Dyes&resourceVersion=${list.metadata.resourceVersion as string}`,
    );
    await scene.api.post(path, configMap('a'));
    await scene.api.patch(`${path}/a`, 'merge', { metadata: { labels: { on: 'yes' } } });
    await scene.api.patch(`${path}/a`, 'merge', { metadata: { labels: { on: 'no' } } });
    await watch.until((event) => event.type === 'DELETED');
    watch.close();
    expect(watch.events.map((event) => event.type)).toEqual(['ADDED', 'DELETED']);
    const live = (await scene.api.get(`${path}/a`)).body;
    expect(watch.events[1]?.object.metadata.resourceVersion).toBe(live.metadata.resourceVersion);
  });

  test('a watch of one name sees only that object', async () => {
    const path = await scene.configMaps();
    const watch = await scene.api.watch(`${path}?fieldSelector=metadata.name%3Db`);
    await scene.api.post(path, configMap('a'));
    await scene.api.post(path, configMap('b'));
    const event = await watch.until((item) => item.type === 'ADDED');
    watch.close();
    expect(event.object.metadata.name).toBe('b');
    expect(watch.events).toHaveLength(1);
  });

  test('initial events end with a bookmark that says so', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a'));
    await scene.api.post(path, configMap('b'));
    const watch = await scene.api.watch(
      `${path}?sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    );
    const end = await watch.until((event) => event.type === 'BOOKMARK');
    await scene.api.post(path, configMap('c'));
    await watch.until((event) => event.object.metadata.name === 'c');
    watch.close();
    expect(end.object.kind).toBe('ConfigMap');
    expect(end.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
    expect(watch.events.map((event) => event.object.metadata.name ?? event.type)).toEqual(['a', 'b', 'BOOKMARK', 'c']);
  });

  test('initial events without the match they need are refused', async () => {
    const path = await scene.configMaps();
    expect((await scene.api.get(`${path}?watch=true&sendInitialEvents=true`)).status).toBe(422);
  });

  test('a watch ends after the time that was asked for', async () => {
    const path = await scene.configMaps();
    const answer = await scene.api.get(`${path}?watch=true&timeoutSeconds=1`);
    expect(answer.status).toBe(200);
  });

  test('a watch as a table sends one row per event', async () => {
    const path = await scene.configMaps();
    await scene.api.post(path, configMap('a', { k: 'v' }));
    const watch = await scene.api.watch(path, 'application/json;as=Table;v=v1;g=meta.k8s.io');
    const event = await watch.until((item) => item.type === 'ADDED');
    watch.close();
    expect(event.object.kind).toBe('Table');
    expect(event.object.rows[0].cells.slice(0, 2)).toEqual(['a', 1]);
  });
}

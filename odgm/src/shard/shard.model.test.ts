import { isOaasError } from '@oaas/commons/errors';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { type ShardStore, startShardStore } from '../../testkit/shards.ts';
import { type Mutation, type ShardHandle } from './index.ts';

/** The dumbest object store that keeps the rules: plain maps, one mutation after the other. */
class Model {
  readonly objects = new Map<string, { version: number; entries: Map<string, string> }>();

  apply(step: Step): { version: number; changed: boolean } | 'conflict' {
    const object = this.objects.get(step.id);
    const current = object?.version ?? 0;
    if (step.expected !== undefined && step.expected !== current) return 'conflict';
    if (step.kind === 'delete') return { version: 0, changed: this.objects.delete(step.id) };
    const before = object?.entries ?? new Map<string, string>();
    const after = new Map(step.kind === 'set' ? [] : before);
    if (step.kind === 'change') for (const key of step.remove) after.delete(key);
    for (const [key, text] of step.put) after.set(key, text);
    const isSame = object !== undefined && serialize(before) === serialize(after);
    if (isSame || (object === undefined && step.kind === 'change' && after.size === 0)) {
      return { version: current, changed: false };
    }
    this.objects.set(step.id, { version: current + 1, entries: after });
    return { version: current + 1, changed: true };
  }
}

interface Step {
  readonly kind: 'set' | 'change' | 'delete';
  readonly id: string;
  readonly put: readonly (readonly [string, string])[];
  readonly remove: readonly string[];
  readonly expected: number | undefined;
}

const serialize = (entries: ReadonlyMap<string, string>): string =>
  JSON.stringify([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));

/** Long texts make objects cross the bound up to which they are stored whole, in both directions. */
const key = fc.constantFrom('a', 'b', 'c', 'a.a');
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('set', 'change', 'change', 'delete'),
  id: fc.constantFrom('o', 'p', 'o.p'),
  put: fc.array(fc.tuple(key, fc.constantFrom('', '1', '22', 'x'.repeat(3000), 'y'.repeat(3000))), { maxLength: 4 }),
  remove: fc.array(key, { maxLength: 3 }),
  expected: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined, freq: 4 }),
});

function mutationOf({ kind, id, put, remove, expected }: Step): Mutation {
  if (kind === 'delete') return { type: 'delete', objectId: id, expectedVersion: expected };
  return {
    type: 'change',
    objectId: id,
    put: new Map(put.map(([name, text]) => [name, { data: Buffer.from(text), type: 'bytes' }])),
    remove: kind === 'set' ? [] : remove,
    replace: kind === 'set',
    expectedVersion: expected,
  };
}

let store: ShardStore | undefined;
afterEach(() => store?.stop());

// One whose replicas merge is held against a model of its own: see eventual/transaction.test.ts.
it('a shard answers and ends as the model does, however mutations fall into groups', async () => {
  const opened = (store = await startShardStore('raft'));
  let partition = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 6 }), async (groups) => {
      partition += 1;
      const shard = await opened.open(partition);
      const model = new Model();
      for (const group of groups) {
        const expected = group.map((one) => model.apply(one));
        const outcomes = await Promise.all(
          group.map((one) =>
            shard.mutate(mutationOf(one)).catch((error: unknown) => {
              if (isOaasError(error, 'VersionConflict')) return 'conflict' as const;
              throw error;
            }),
          ),
        );
        expect(outcomes).toEqual(expected);
      }
      expectSame(shard, model);
      await shard.close();
      const reopened = await opened.open(partition);
      expectSame(reopened, model);
      await reopened.close();
    }),
    { numRuns: 300 },
  );
});

function expectSame(shard: ShardHandle, model: Model): void {
  const listed = shard.reader.listObjects({ prefix: '', limit: 0 }).items;
  expect(listed.map(({ id }) => id)).toEqual([...model.objects.keys()].sort());
  let entries = 0;
  let bytes = 0;
  for (const [id, object] of model.objects) {
    const found = shard.reader.object(id);
    const texts = new Map([...(found?.entries ?? [])].map(([name, { data }]) => [name, Buffer.from(data).toString()]));
    expect(found?.meta.version).toBe(object.version);
    expect(found?.meta.entryCount).toBe(object.entries.size);
    expect(serialize(texts)).toBe(serialize(object.entries));
    const values = shard.reader.listValues(id, { prefix: '', limit: 2 });
    expect(values.items.map((item) => item.key)).toEqual([...object.entries.keys()].sort().slice(0, 2));
    expect(values.next !== undefined).toBe(object.entries.size > 2);
    const rest = shard.reader.listValues(id, { prefix: '', limit: 0, cursor: values.next });
    if (values.next !== undefined) expect(values.items.length + rest.items.length).toBe(object.entries.size);
    for (const name of ['a', 'a.a']) {
      const one = shard.reader.value(id, name);
      expect(one && Buffer.from(one.data).toString()).toBe(object.entries.get(name));
    }
    entries += object.entries.size;
    bytes += id.length + [...object.entries].reduce((sum, [name, text]) => sum + name.length + text.length, 0);
  }
  expect(shard.counters).toEqual({ objects: model.objects.size, entries, bytes });
}

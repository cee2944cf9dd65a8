import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNewer, Store, type StoreChange } from './store.ts';

function object(name: string, version: number, uid = 'u', team = 'a') {
  return { metadata: { name, namespace: 'ns', uid, resourceVersion: String(version) }, team };
}

type Thing = ReturnType<typeof object>;

function setup() {
  const store = new Store<Thing>({ team: ({ team }) => [team] });
  const changes: string[] = [];
  store.subscribe((change: StoreChange<Thing>) => {
    changes.push(`${change.type} ${change.key} ${change.object.metadata.uid}`);
  });
  return { store, changes };
}

describe('Store', () => {
  it('tells of each difference once and of an older version never', () => {
    const { store, changes } = setup();
    store.observe(object('x', 2));
    store.observe(object('x', 2));
    store.observe(object('x', 1));
    store.observe(object('x', 3));
    expect(changes).toEqual(['added ns/x u', 'updated ns/x u']);
    expect(store.get('ns/x')?.metadata.resourceVersion).toBe('3');
  });

  it('tells of a deletion when an object was made anew under the same name while nobody looked', () => {
    const { store, changes } = setup();
    store.replace([object('x', 5, 'old')], '9');
    store.replace([object('x', 12, 'new')], '20');
    expect(changes).toEqual(['added ns/x old', 'deleted ns/x old', 'added ns/x new']);
  });

  it('keeps what was written after a list was taken, and drops what the list no longer has', () => {
    const { store } = setup();
    store.replace([object('a', 1), object('b', 2)], '5');
    store.put(object('c', 8));
    store.replace([object('a', 1)], '7');
    expect([...store.keys()].sort()).toEqual(['ns/a', 'ns/c']);
  });

  it('does not bring back by a late answer what the watch has seen deleted', () => {
    const { store } = setup();
    store.observe(object('x', 2));
    store.observeDeleted(object('x', 6));
    store.put(object('x', 4));
    expect(store.size).toBe(0);
    store.put(object('x', 7, 'again'));
    expect(store.get('ns/x')?.metadata.uid).toBe('again');
  });

  it('ignores the deletion of an object whose name is taken by a newer one', () => {
    const { store } = setup();
    store.put(object('x', 9, 'new'));
    store.observeDeleted(object('x', 8, 'old'));
    expect(store.get('ns/x')?.metadata.uid).toBe('new');
  });

  it('finds by index what a plain search finds, whatever happens', () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b', 'c'),
      uid: fc.constantFrom('1', '2'),
      team: fc.constantFrom('red', 'blue'),
      isDelete: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { store } = setup();
        steps.forEach(({ name, uid, team, isDelete }, index) => {
          const next = object(name, index + 1, uid, team);
          if (isDelete) store.observeDeleted(next);
          else store.observe(next);
        });
        for (const team of ['red', 'blue']) {
          const searched = [...store.values()]
            .filter((each) => each.team === team)
            .map(({ metadata }) => metadata.name);
          const found = store.byIndex('team', team).map(({ metadata }) => metadata.name);
          expect(found.sort()).toEqual(searched.sort());
        }
      }),
    );
  });
});

describe('isNewer', () => {
  it.each([
    ['10', '9', true],
    ['9', '10', false],
    ['9', '9', false],
    ['1', '', true],
    ['abc', 'abd', true],
  ])('%s after %s: %s', (a, b, expected) => {
    expect(isNewer(a, b)).toBe(expected);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePage, type Page } from './page.ts';
import { deepKeys, leafOf, rootOf, testHash, testStore, type TestStore } from './testing.ts';
import {
  answerPageRequest,
  decodePageRequest,
  decodePageResponse,
  type Difference,
  encodePageRequest,
  encodePageResponse,
  ExchangeInitiator,
  type ExchangeLimits,
  type ExchangeStep,
  MerkleSearchTree,
  type PageHash,
  type PageRequest,
  type PageResponse,
  type Pages,
} from './index.ts';

const keys = deepKeys(12);
const someKey = fc.constantFrom(...keys);
const sparse = fc.dictionary(someKey, fc.nat({ max: 2 })).map((entries) => new Map(Object.entries(entries)));
/** Most keys, most of them with the same value. */
const dense = fc
  .array(fc.constantFrom(0, 0, 0, 0, 1, 2, undefined), { minLength: keys.length, maxLength: keys.length })
  .map((values) => new Map(keys.flatMap((key, i) => (values[i] === undefined ? [] : [[key, values[i]]]))));
const content = fc.oneof(sparse, dense);
type Content = ReadonlyMap<string, number>;

const leaf = (value: number | undefined): Uint8Array | undefined => (value === undefined ? undefined : leafOf(value));

function differences(a: Content, b: Content): unknown[] {
  return [...new Set([...a.keys(), ...b.keys()])]
    .sort()
    .filter((key) => a.get(key) !== b.get(key))
    .map((key) => ({ key, ours: leaf(a.get(key)), theirs: leaf(b.get(key)) }));
}

/** Over the wire and back. */
function ask(pages: Pages, request: PageRequest): PageResponse {
  const response = answerPageRequest(pages, decodePageRequest(encodePageRequest(request)));
  return decodePageResponse(encodePageResponse(response));
}

interface Outcome {
  readonly found: Difference[];
  readonly end: Extract<ExchangeStep, { type: 'end' }>;
}

function run(
  initiator: ExchangeInitiator,
  responder: Pages,
  watch?: (step: ExchangeStep) => void,
  onAnswer?: (answer: PageResponse) => void,
): Outcome {
  const found: Difference[] = [];
  for (;;) {
    const step = initiator.step();
    watch?.(step);
    if (step.type === 'end') return { found, end: step };
    if (step.type === 'found') found.push(...step.differences);
    else {
      const answer = ask(responder, step.request);
      onAnswer?.(answer);
      initiator.receive(answer);
    }
  }
}

const limits: fc.Arbitrary<Partial<ExchangeLimits>> = fc.record({
  pagesPerRequest: fc.integer({ min: 1, max: 4 }),
  bytesPerResponse: fc.integer({ min: 1, max: 400 }),
  heldPages: fc.integer({ min: 1, max: 6 }),
  differencesPerStep: fc.integer({ min: 1, max: 3 }),
});

describe('an exchange', () => {
  it('finds exactly what differs and gets no page twice, however small its bounds are', () => {
    fc.assert(
      fc.property(content, content, limits, (a, b, bounds) => {
        const [here, there] = [testStore(), testStore()];
        const roots = { ours: rootOf(here.pages, a), theirs: rootOf(there.pages, b) };
        const initiator = new ExchangeInitiator(here.pages, { ...roots, limits: bounds });
        const seen = new Set<string>();
        const outcome = run(initiator, there.pages, undefined, ({ pages }) => {
          for (const page of pages) {
            expect(seen).not.toContain(page.join());
            seen.add(page.join());
          }
        });
        expect(outcome).toEqual({ found: differences(a, b), end: { type: 'end', reason: 'complete' } });
      }),
      { numRuns: 500 },
    );
  });

  it('finds what differs in a range', () => {
    fc.assert(
      fc.property(content, content, limits, someKey, someKey, (a, b, bounds, start, end) => {
        const [here, there] = [testStore(), testStore()];
        const roots = { ours: rootOf(here.pages, a), theirs: rootOf(there.pages, b) };
        const initiator = new ExchangeInitiator(here.pages, { ...roots, limits: bounds, range: { start, end } });
        const within = (whole: Content): Content => new Map([...whole].filter(([key]) => key >= start && key < end));
        expect(run(initiator, there.pages).found).toEqual(differences(within(a), within(b)));
      }),
      { numRuns: 300 },
    );
  });

  it('fetches nothing when the roots are equal', () => {
    const here = testStore();
    const root = rootOf(here.pages, [['a', 1]]);
    const initiator = new ExchangeInitiator(here.pages, { ours: root, theirs: root });
    expect(initiator.step()).toEqual({ type: 'end', reason: 'complete' });
    expect(initiator.counters).toEqual({ requests: 0, pages: 0, bytes: 0 });
  });

  it('fetches pages that are not here once, and a page for each level of a difference', () => {
    const [here, there] = [testStore(10_000), testStore()];
    const many = Array.from({ length: 4000 }, (_, i) => [`key-${i}`, 1] as const);
    const ours = rootOf(here.pages, many);
    const one = fetched(here, there, ours, rootOf(there.pages, [...many, ['key-7', 2] as const]));
    expect(one.pages).toBeLessThanOrEqual(4);
    const changes = Array.from({ length: 20 }, (_, i) => [`key-${i * 131}`, 2] as const);
    const twenty = fetched(here, there, ours, rootOf(there.pages, [...many, ...changes]));
    expect(twenty.pages).toBeLessThanOrEqual(20 * 4);
    expect(twenty.requests).toBeLessThanOrEqual(5);
    const whole = fetched(
      here,
      there,
      here.pages.emptyRoot,
      rootOf(
        there.pages,
        many.map(([key]) => [key, 3]),
      ),
    );
    expect(whole.pages).toBeGreaterThan(200);
    expect(whole.requests).toBeLessThanOrEqual(8);
  });

  function fetched(here: TestStore, there: TestStore, ours: PageHash, theirs: PageHash): ExchangeInitiator['counters'] {
    const initiator = new ExchangeInitiator(here.pages, { ours, theirs });
    const seen = new Set<PageHash>();
    run(initiator, there.pages, (step) => {
      if (step.type !== 'fetch') return;
      for (const hash of step.request.hashes) {
        expect(seen.has(hash) || here.pages.has(hash)).toBe(false);
        seen.add(hash);
      }
    });
    return initiator.counters;
  }

  it('goes on where another one stopped, and gives nothing twice', () => {
    let stops = 0;
    fc.assert(
      fc.property(dense, dense, (a, b) => {
        const [here, there] = [testStore(), testStore()];
        const roots = { ours: rootOf(here.pages, a), theirs: rootOf(there.pages, b) };
        const limits = { pagesPerRequest: 1, heldPages: 1, differencesPerStep: 1, totalPages: 8 };
        const found: Difference[] = [];
        let start: string | undefined;
        for (let isComplete = false; !isComplete;) {
          const initiator = new ExchangeInitiator(here.pages, { ...roots, range: { start }, limits });
          const outcome = run(initiator, there.pages);
          found.push(...outcome.found);
          isComplete = outcome.end.reason === 'complete';
          if (!isComplete) expect(initiator.resumeFrom).not.toBe(start);
          start = initiator.resumeFrom;
          stops += isComplete ? 0 : 1;
        }
        expect(found).toEqual(differences(a, b));
      }),
      { numRuns: 200 },
    );
    expect(stops).toBeGreaterThan(50);
  });

  it('asks again when an answer got lost', () => {
    const [here, there] = [testStore(), testStore()];
    const theirs = rootOf(there.pages, [['a', 1]]);
    const initiator = new ExchangeInitiator(here.pages, { ours: here.pages.emptyRoot, theirs });
    const step = initiator.step();
    expect(initiator.step()).toEqual(step);
    expect(run(initiator, there.pages).found).toHaveLength(1);
  });

  it('ends as stale when the other replica has dropped the root', () => {
    const [here, there] = [testStore(), testStore()];
    const theirs = rootOf(there.pages, [['a', 1]]);
    there.store.delete(theirs);
    const initiator = new ExchangeInitiator(here.pages, { ours: here.pages.emptyRoot, theirs });
    expect(run(initiator, there.pages)).toEqual({ found: [], end: { type: 'end', reason: 'stale' } });
  });

  it('never holds more pages than its bound', () => {
    const [here, there] = [testStore(), testStore()];
    const theirs = rootOf(
      there.pages,
      keys.map((key) => [key, 1]),
    );
    const bounds = { heldPages: 2, bytesPerResponse: 100_000 };
    const initiator = new ExchangeInitiator(here.pages, { ours: here.pages.emptyRoot, theirs, limits: bounds });
    const outcome = run(initiator, there.pages, (step) => {
      if (step.type === 'fetch')
        expect(Math.max(step.request.maxPages, step.request.hashes.length)).toBeLessThanOrEqual(2);
    });
    expect(outcome.found).toHaveLength(keys.length);
  });
});

describe('pages of a peer', () => {
  /** An initiator that has just asked for the root of `theirs`, and the answer that it should get. */
  function begun(theirs: Content): {
    here: TestStore;
    initiator: ExchangeInitiator;
    request: PageRequest;
    good: PageResponse;
  } {
    const [here, there] = [testStore(), testStore()];
    const root = rootOf(there.pages, theirs);
    const initiator = new ExchangeInitiator(here.pages, { ours: rootOf(here.pages, [['x', 1]]), theirs: root });
    const step = initiator.step();
    if (step.type !== 'fetch') throw new Error('nothing to fetch');
    return { here, initiator, request: step.request, good: ask(there.pages, step.request) };
  }

  const everything = new Map(keys.map((key) => [key, 1]));

  it('are refused when a byte has flipped, whichever it is', () => {
    const { initiator, request, good } = begun(everything);
    const page = good.pages[0]!;
    for (let at = 0; at < page.length; at++) {
      const bad = page.slice();
      bad[at]! ^= 0x10;
      expect(() => initiator.receive({ pages: [bad], missing: [] })).toThrow(
        /a peer sent (bytes that are no page|a page that was not asked for)/,
      );
      expect(initiator.step()).toEqual({ type: 'fetch', request });
    }
    initiator.receive(good);
    expect(initiator.step().type).toBe('fetch');
  });

  it.each([
    ['when nobody asked for them', (good: PageResponse) => [good, good], 'an answer that nobody asked for'],
    ['when there are none', () => [{ pages: [], missing: [] }], 'an answer without the page'],
    [
      'when one comes twice',
      ({ pages }: PageResponse) => [{ pages: [...pages, ...pages], missing: [] }],
      'not asked for',
    ],
  ])('are refused %s', (_, answers, message) => {
    const { initiator, good } = begun(everything);
    const sent = answers(good);
    expect(() => sent.forEach((answer) => initiator.receive(answer))).toThrow(message);
  });

  it('are refused when they are more than was allowed', () => {
    const [here, there] = [testStore(), testStore()];
    const theirs = rootOf(there.pages, everything);
    const limits = { heldPages: 1 };
    const initiator = new ExchangeInitiator(here.pages, { ours: here.pages.emptyRoot, theirs, limits });
    const step = initiator.step();
    if (step.type !== 'fetch') throw new Error('nothing to fetch');
    const many = answerPageRequest(there.pages, { ...step.request, levels: 3, maxPages: 10 });
    expect(many.pages.length).toBeGreaterThan(1);
    expect(() => initiator.receive(many)).toThrow('more than it may');
  });

  it.each([
    [
      'a key of another level',
      (pages: Pages, page: Page) => ({ ...page, level: pages.levelOf(page.keys[0]!) + 1 }),
      'keys of another level',
    ],
    [
      'a child beside its place',
      (pages: Pages, page: Page) => ({ ...page, children: [...page.children].reverse() }),
      'lies where its keys or its level do not belong',
    ],
    [
      'a child before its place',
      (_: Pages, page: Page) => {
        const last = page.children.findLast((child) => child !== undefined);
        return { ...page, children: page.children.map((__, i) => (i === 0 ? last : undefined)) };
      },
      'lies where its keys or its level do not belong',
    ],
    [
      'a child of its own level',
      (pages: Pages, page: Page, save: (page: Page) => PageHash) => ({
        ...page,
        keys: page.keys.slice(0, 1),
        leaves: page.leaves.slice(0, 1),
        children: [
          undefined,
          save({
            ...page,
            keys: page.keys.slice(1),
            leaves: page.leaves.slice(1),
            children: page.keys.map(() => undefined),
          }),
        ],
      }),
      'lies where its keys or its level do not belong',
    ],
  ])('are refused when a tree that hashes well has %s', (_, forge, message) => {
    const [here, there] = [testStore(), testStore()];
    const hash = testHash();
    const save = (page: Page): PageHash => {
      const bytes = encodePage(page, 16);
      const name = Buffer.from(hash(bytes)).toString('hex');
      there.store.put(name, bytes);
      return name;
    };
    const root = there.pages.load(rootOf(there.pages, everything));
    const theirs = save({ ...forge(there.pages, { ...root, hash: undefined }, save), hash: undefined });
    const initiator = new ExchangeInitiator(here.pages, { ours: here.pages.emptyRoot, theirs });
    expect(() => run(initiator, there.pages)).toThrow(message);
  });

  it('that are not bytes of a message are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(1, 2), (noise, type) => {
        for (const bytes of [noise, Uint8Array.of(type, ...noise)]) {
          for (const decode of [decodePageRequest, decodePageResponse]) {
            try {
              decode(bytes);
            } catch (error) {
              expect(String(error)).toContain('a peer sent bytes that are not');
            }
          }
        }
      }),
      { numRuns: 2000 },
    );
    expect(() => decodePageRequest(Uint8Array.of(2, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0))).toThrow('a request for pages');
    expect(() => decodePageRequest(Uint8Array.of(1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0))).toThrow('a request for pages');
    expect(() => decodePageResponse(Uint8Array.of(2, 0, 1, 16))).toThrow('a list of pages');
    expect(() => decodePageResponse(Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 9))).toThrow('an answer with pages');
  });
});

describe('replicas', () => {
  class Replica {
    readonly content = new Map<string, number>();
    readonly store = testStore();
    readonly tree = new MerkleSearchTree(this.store.pages);

    /** The higher value wins: a merge that any order of deliveries brings to the same end. */
    merge(key: string, value: number): void {
      const merged = Math.max(value, this.content.get(key) ?? 0);
      this.content.set(key, merged);
      this.tree.upsert(key, leafOf(merged));
    }
  }

  it('that write apart and exchange in any order, in part or whole, end with one root', () => {
    const write = fc.record({
      type: fc.constant('write' as const),
      at: fc.nat({ max: 2 }),
      with: fc.constant(0),
      key: someKey,
      value: fc.integer({ min: 1, max: 9 }),
    });
    const exchange = fc.record({
      type: fc.constant('exchange' as const),
      at: fc.nat({ max: 2 }),
      with: fc.nat({ max: 2 }),
      key: someKey,
      value: fc.nat({ max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(write, exchange), { maxLength: 40 }), limits, (history, bounds) => {
        const replicas = [new Replica(), new Replica(), new Replica()];
        const sync = (a: Replica, b: Replica, most: number): void => {
          const roots = { ours: a.tree.commit(), theirs: b.tree.commit() };
          const { found } = run(new ExchangeInitiator(a.store.pages, { ...roots, limits: bounds }), b.store.pages);
          for (const { key } of found.slice(0, most)) {
            const value = Math.max(a.content.get(key) ?? 0, b.content.get(key) ?? 0);
            for (const replica of [a, b]) replica.merge(key, value);
          }
        };
        for (const step of history) {
          const [a, b] = [replicas[step.at]!, replicas[step.with]!];
          if (step.type === 'write') a.merge(step.key, step.value);
          else if (a !== b) sync(a, b, step.value);
        }
        const [a, b, c] = [replicas[0]!, replicas[1]!, replicas[2]!];
        sync(a, b, Infinity);
        sync(b, c, Infinity);
        sync(a, b, Infinity);
        const roots = replicas.map((replica) => replica.tree.commit());
        expect(new Set(roots).size).toBe(1);
        expect(roots[0]).toBe(rootOf(testStore().pages, a.content));
      }),
      { numRuns: 100 },
    );
  });
});

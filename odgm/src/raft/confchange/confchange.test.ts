import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Configuration, emptyConfiguration, isJoint, type Progress } from '../tracker/index.ts';
import {
  type ConfChange,
  type ConfChangeSingle,
  ConfChangeType,
  type ConfChangeV2,
  type Entry,
  EntryType,
} from '../types.ts';
import {
  type ChangeResult,
  confChangeOf,
  encodeConfChange,
  enterJoint,
  isConfChangeV2,
  leaveJoint,
  type Membership,
  restoreMembership,
  simpleChange,
  toConfChangeV2,
} from './index.ts';

const newMember = { lastIndex: 7, maxInflightMsgs: 10, maxInflightBytes: Infinity };
const empty: Membership = { config: emptyConfiguration, members: new Map<number, Progress>() };

type Step =
  | { readonly kind: 'simple' | 'enter'; readonly autoLeave: boolean; readonly changes: readonly ConfChangeSingle[] }
  | { readonly kind: 'leave' };

const change: fc.Arbitrary<ConfChangeSingle> = fc.record({
  type: fc.constantFrom(...Object.values(ConfChangeType)),
  nodeId: fc.integer({ min: 0, max: 6 }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('simple' as const),
      autoLeave: fc.constant(false),
      changes: fc.array(change, { maxLength: 2 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('enter' as const),
      autoLeave: fc.boolean(),
      changes: fc.array(change, { maxLength: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('leave' as const) }) },
);

function apply(membership: Membership, next: Step): ChangeResult {
  switch (next.kind) {
    case 'simple':
      return simpleChange(membership, next.changes, newMember);
    case 'enter':
      return enterJoint(membership, next.autoLeave, next.changes, newMember);
    case 'leave':
      return leaveJoint(membership, newMember);
  }
}

/** What each node is, by name: the dumb way to keep the same facts. */
interface Naive {
  readonly roles: ReadonlyMap<number, 'voter' | 'learner'>;
  readonly old: ReadonlySet<number>;
  readonly autoLeave: boolean;
}

function naively(before: Naive, next: Step): Naive | undefined {
  if (next.kind === 'leave') {
    return before.old.size === 0 ? undefined : { roles: before.roles, old: new Set(), autoLeave: false };
  }
  if (before.old.size > 0) return undefined;
  const voters = [...before.roles].filter(([, role]) => role === 'voter').map(([id]) => id);
  if (next.kind === 'enter' && voters.length === 0) return undefined;
  const roles = new Map(before.roles);
  for (const { type, nodeId } of next.changes) {
    if (nodeId === 0) continue;
    if (type === ConfChangeType.ConfChangeAddNode) roles.set(nodeId, 'voter');
    if (type === ConfChangeType.ConfChangeAddLearnerNode) roles.set(nodeId, 'learner');
    if (type === ConfChangeType.ConfChangeRemoveNode) roles.delete(nodeId);
  }
  const after = [...roles].filter(([, role]) => role === 'voter').map(([id]) => id);
  if (after.length === 0) return undefined;
  if (next.kind === 'enter') return { roles, old: new Set(voters), autoLeave: next.autoLeave };
  const changed = voters.filter((id) => !after.includes(id)).length + after.filter((id) => !voters.includes(id)).length;
  return changed > 1 ? undefined : { roles, old: new Set(), autoLeave: false };
}

function expectSame({ config, members }: Membership, { roles, old, autoLeave }: Naive): void {
  const sorted = (wanted: (id: number) => boolean) =>
    [...new Set([...roles.keys(), ...old])].filter(wanted).sort((a, b) => a - b);
  expect(config).toEqual({
    voters: sorted((id) => roles.get(id) === 'voter'),
    votersOutgoing: sorted((id) => old.has(id)),
    learners: sorted((id) => roles.get(id) === 'learner' && !old.has(id)),
    learnersNext: sorted((id) => roles.get(id) === 'learner' && old.has(id)),
    autoLeave,
  } satisfies Configuration);
  // Exactly the members have progress, and only those that are learners now are marked as such.
  expect([...members.keys()].sort((a, b) => a - b)).toEqual(sorted(() => true));
  for (const [id, progress] of members) expect(progress.learner).toBe(roles.get(id) === 'learner' && !old.has(id));
}

describe('changes of members', () => {
  it('give what a list of who is what gives, over any sequence of changes, and refuse the same ones', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let membership = empty;
        let naive: Naive = { roles: new Map(), old: new Set(), autoLeave: false };
        for (const next of steps) {
          const result = apply(membership, next);
          const expected = naively(naive, next);
          expect(result.ok).toBe(expected !== undefined);
          if (!result.ok || expected === undefined) continue;
          membership = result;
          naive = expected;
          expectSame(membership, naive);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('leave what they are given as it was, whether they succeed or not', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        let membership = empty;
        for (const next of steps) {
          const before = structuredClone(membership.config);
          const learners = [...membership.members].map(([id, { learner }]) => [id, learner]);
          const result = apply(membership, next);
          expect(membership.config).toEqual(before);
          expect([...membership.members].map(([id, { learner }]) => [id, learner])).toEqual(learners);
          if (result.ok) membership = result;
        }
      }),
    );
  });

  it('keep what is known of a member that stays', () => {
    const first = simpleChange(empty, [{ type: ConfChangeType.ConfChangeAddNode, nodeId: 1 }], newMember);
    if (!first.ok) throw new Error(first.reason);
    const progress = first.members.get(1);
    progress?.maybeUpdate(5);
    const second = simpleChange(first, [{ type: ConfChangeType.ConfChangeAddLearnerNode, nodeId: 2 }], newMember);
    expect(second.ok && second.members.get(1)?.match).toBe(5);
    expect(second.ok && second.members.get(2)?.match).toBe(0);
  });

  it('can be had again from the state that they lead to', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let membership = empty;
        for (const next of steps) {
          const result = apply(membership, next);
          if (result.ok) membership = result;
        }
        const restored = restoreMembership(membership.config, newMember);
        if (!restored.ok) throw new Error(restored.reason);
        expect(restored.config).toEqual(membership.config);
        expect([...restored.members.keys()].sort()).toEqual([...membership.members.keys()].sort());
        expect(isJoint(restored.config)).toBe(isJoint(membership.config));
      }),
      { numRuns: 300 },
    );
  });

  it('are refused when a state contradicts itself: a node that is voter and learner', () => {
    const state = { ...emptyConfiguration, voters: [1, 2], learners: [2] };
    expect(restoreMembership(state, newMember).ok).toBe(false);
  });
});

describe('the encoding of changes', () => {
  const context = fc.uint8Array({ maxLength: 5 });
  const id = fc.oneof(fc.nat(300), fc.maxSafeNat());
  const type = fc.constantFrom(...Object.values(ConfChangeType));
  const v1: fc.Arbitrary<ConfChange> = fc.record({ type, nodeId: id, context });
  const v2: fc.Arbitrary<ConfChangeV2> = fc.record({
    transition: fc.constantFrom(0 as const, 1 as const, 2 as const),
    changes: fc.array(fc.record({ type, nodeId: id }), { maxLength: 4 }),
    context,
  });
  const entry = (kind: EntryType, data: Uint8Array): Entry => ({ term: 1, index: 1, type: kind, data });

  it('gives back what went in', () => {
    fc.assert(
      fc.property(fc.oneof(v1, v2), (original) => {
        const kind = isConfChangeV2(original) ? EntryType.EntryConfChangeV2 : EntryType.EntryConfChange;
        const decoded = confChangeOf(entry(kind, encodeConfChange(original)));
        expect({ ...decoded, context: [...(decoded?.context ?? [])] }).toEqual({
          ...original,
          context: [...original.context],
        });
      }),
    );
  });

  it('is that of raftpb', () => {
    const add = { type: ConfChangeType.ConfChangeAddLearnerNode, nodeId: 300 } as const;
    expect([...encodeConfChange({ ...add, context: new Uint8Array([9]) })]).toEqual([
      0x10, 3, 0x18, 0xac, 2, 0x22, 1, 9,
    ]);
    expect([...encodeConfChange({ transition: 2, changes: [add], context: new Uint8Array() })]).toEqual([
      0x08, 2, 0x12, 5, 0x08, 3, 0x10, 0xac, 2,
    ]);
  });

  it('reads no data as the empty change, which leaves a joint configuration', () => {
    const empty = confChangeOf(entry(EntryType.EntryConfChangeV2, new Uint8Array()));
    expect(empty === undefined ? undefined : toConfChangeV2(empty)).toMatchObject({ transition: 0, changes: [] });
  });

  it('names data that is no change instead of guessing', () => {
    fc.assert(
      fc.property(v2, fc.nat(), (original, cut) => {
        const whole = encodeConfChange({ ...original, context: new Uint8Array([1, 2, 3]) });
        const data = whole.subarray(0, whole.length - 1 - (cut % 3));
        expect(() => confChangeOf(entry(EntryType.EntryConfChangeV2, data))).toThrow(/cannot be decoded/);
      }),
    );
  });
});

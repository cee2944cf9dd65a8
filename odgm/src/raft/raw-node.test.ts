// What a host relies on: reads, members, what ready hands out and when, and what a start takes.
import { describe, expect, it } from 'vitest';
import { entriesOf, exchange, membersOf, messageOf, snapshotOf, TestNode } from '../../testkit/raft-node.ts';
import { entriesSize, entrySize } from './size.ts';
import {
  type ConfChangeSingle,
  ConfChangeType,
  type ConfChangeV2,
  type Message,
  MessageType,
  noBytes,
} from './types.ts';

const heartbeat = messageOf('MsgHeartbeat', 2, 1, { term: 1 });

const ofType = (messages: readonly Message[], type: keyof typeof MessageType): Message[] =>
  messages.filter((message) => message.type === MessageType[type]);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

function change(...changes: readonly ConfChangeSingle[]): ConfChangeV2 {
  return { transition: 0, changes, context: noBytes };
}
const { ConfChangeAddNode, ConfChangeAddLearnerNode, ConfChangeRemoveNode } = ConfChangeType;

/** Three nodes, of which the first leads and the others have all. */
function group(options: ConstructorParameters<typeof TestNode>[0] = {}): [TestNode, TestNode, TestNode] {
  const nodes = [1, 2, 3].map((id) => new TestNode({ ...options, id })) as [TestNode, TestNode, TestNode];
  nodes[0].raw.campaign();
  exchange(nodes, nodes[0].drain());
  return nodes;
}

describe('proposals', () => {
  it('on a leader have the indexes after the last one, in its term: with that the host finds them again when they are applied', () => {
    const [leader] = group();
    const first = leader.raw.lastIndex + 1;
    expect(leader.raw.propose([bytes('a'), bytes('b')])).toBe('ok');
    expect(leader.raw.lastIndex).toBe(first + 1);
    expect(leader.raw.termAt(first)).toBe(leader.raw.term);
  });

  it('on a follower are sent on to the leader, and one that arrives twice is in the log twice, with a place for each', () => {
    const nodes = group();
    const [leader, follower] = nodes;
    const [forwarded] = follower.propose('a');
    if (forwarded === undefined) throw new Error('nothing was forwarded');
    expect(forwarded).toMatchObject({ type: MessageType.MsgProp, to: 1, from: 2, term: 0 });
    exchange(nodes, [forwarded, forwarded]);
    expect(nodes.map(({ applied }) => applied)).toEqual([
      ['a', 'a'],
      ['a', 'a'],
      ['a', 'a'],
    ]);
    const entries = leader.raw.entriesFrom(2);
    expect(entries === 'compacted' ? [] : entries.map(({ index }) => index)).toEqual([2, 3]);
  });

  it('without a leader, while leadership moves, or on a leader that was removed, are dropped', () => {
    expect(new TestNode().raw.propose([bytes('a')])).toBe('proposalDropped');
    const nodes = group();
    const [leader] = nodes;
    exchange(nodes, leader.propose('a'), ({ to }) => to === 3);
    leader.raw.transferLeader(3);
    expect(leader.raw.propose([bytes('b')])).toBe('proposalDropped');
    const [other, ...rest] = group();
    other.raw.proposeConfChange(change({ type: ConfChangeRemoveNode, nodeId: 1 }));
    exchange([other, ...rest], other.drain());
    expect(other.raw.propose([bytes('c')])).toBe('proposalDropped');
  });
});

describe('reads (thesis, 6.4)', () => {
  it('are answered once a quorum has said that this leader still leads', () => {
    const [leader] = group();
    leader.raw.readIndex(bytes('r'));
    const [beat] = ofType(leader.drain(), 'MsgHeartbeat');
    expect(leader.reads).toEqual([]);
    leader.receive('MsgHeartbeatResp', 2, { context: beat?.context ?? noBytes });
    expect(leader.reads.map(({ index, context }) => [index, text(context)])).toEqual([[leader.raw.commit, 'r']]);
  });

  it('are not confirmed by the answer to a heartbeat from before', () => {
    const [leader] = group();
    leader.raw.readIndex(bytes('first'));
    const [early] = ofType(leader.drain(), 'MsgHeartbeat');
    leader.raw.readIndex(bytes('second'));
    leader.drain();
    leader.receive('MsgHeartbeatResp', 2, { context: early?.context ?? noBytes });
    expect(leader.reads.map(({ context }) => text(context))).toEqual(['first']);
  });

  it('need both majorities while members change', () => {
    const [leader] = group();
    leader.raw.applyConfChange({
      transition: 2,
      changes: [4, 5].map((nodeId) => ({ type: ConfChangeAddNode, nodeId })),
      context: noBytes,
    });
    leader.raw.readIndex(bytes('r'));
    const [beat] = ofType(leader.drain(), 'MsgHeartbeat');
    const context = beat?.context ?? noBytes;
    leader.receive('MsgHeartbeatResp', 2, { context });
    expect(leader.reads).toEqual([]);
    leader.receive('MsgHeartbeatResp', 4, { context });
    expect(leader.reads).toHaveLength(1);
  });

  it('wait for the first commit of the term, also on the only voter: it may have acknowledged more than it noted as committed', () => {
    const node = new TestNode({ voters: [1], log: [1, 1, 1], commit: 1 });
    node.raw.campaign();
    node.store(node.raw.ready());
    node.raw.advance();
    expect(node.raw.role).toBe('leader');
    node.raw.readIndex(bytes('r'));
    node.drain();
    expect(node.reads.map(({ index }) => index)).toEqual([4]);
  });

  it('are not answered alone by a leader that is not the only voter, but was removed', () => {
    const nodes = group();
    const [leader] = nodes;
    leader.raw.applyConfChange({
      transition: 2,
      changes: [1, 3].map((nodeId) => ({ type: ConfChangeRemoveNode, nodeId })),
      context: noBytes,
    });
    leader.raw.applyConfChange({ transition: 0, changes: [], context: noBytes });
    expect(leader.raw.status().confState.voters).toEqual([2]);
    leader.raw.readIndex(bytes('r'));
    leader.drain();
    expect(leader.reads).toEqual([]);
  });

  it('with leases are answered at once, and only where check-quorum ends a lease', () => {
    const [leader] = group({ checkQuorum: true, readOnlyOption: 'leaseBased' });
    leader.raw.readIndex(bytes('r'));
    expect(leader.drain()).toEqual([]);
    expect(leader.reads).toHaveLength(1);
    expect(() => new TestNode({ readOnlyOption: 'leaseBased' })).toThrow(/checkQuorum/);
  });
});

/** Lets time pass, with nothing lost, until one of them leads; undefined if none does. */
function electedOf(nodes: readonly TestNode[]): number | undefined {
  for (let i = 0; i < 100; i++) {
    for (const node of nodes) exchange(nodes, node.tick(1));
    const leader = nodes.find(({ raw }) => raw.role === 'leader');
    if (leader !== undefined) return leader.raw.id;
  }
  return undefined;
}

describe('changes of members (§6)', () => {
  it('take effect on each node when they are applied', () => {
    const nodes = group();
    const [leader] = nodes;
    leader.raw.proposeConfChange(change({ type: ConfChangeAddLearnerNode, nodeId: 4 }));
    expect(leader.raw.status().confState.learners).toEqual([]);
    exchange(nodes, leader.drain());
    for (const { raw, confState } of nodes) {
      expect(raw.status().confState).toEqual(membersOf([1, 2, 3], [4]));
      expect(confState).toEqual(raw.status().confState);
    }
    expect(leader.raw.progress(4)).toMatchObject({ learner: true });
  });

  it('come one at a time: another one, before the first is applied, becomes an empty entry', () => {
    const [leader] = group();
    leader.raw.proposeConfChange(change({ type: ConfChangeAddNode, nodeId: 4 }));
    expect(leader.raw.proposeConfChange(change({ type: ConfChangeAddNode, nodeId: 5 }))).toBe('ok');
    const entries = leader.raw.entriesFrom(leader.raw.lastIndex);
    expect(entries).toMatchObject([{ type: 0, data: { length: 0 } }]);
  });

  it('of a new leader wait until everything before its term is applied', () => {
    const node = new TestNode({ log: [1] });
    node.lead();
    node.raw.proposeConfChange(change({ type: ConfChangeAddNode, nodeId: 4 }));
    expect(node.raw.entriesFrom(3)).toMatchObject([{ type: 0 }]);
  });

  it('that make a configuration joint are left by the leader itself once applied', () => {
    const nodes = group();
    const [leader] = nodes;
    leader.raw.proposeConfChange(
      change({ type: ConfChangeAddLearnerNode, nodeId: 3 }, { type: ConfChangeAddLearnerNode, nodeId: 4 }),
    );
    const seen = new Set<string>();
    exchange(nodes, leader.drain(), () => {
      const { voters, votersOutgoing, learnersNext } = leader.raw.status().confState;
      seen.add(`${String(voters)}|${String(votersOutgoing)}|${String(learnersNext)}`);
      return false;
    });
    expect([...seen]).toEqual(['1,2,3||', '1,2|1,2,3|3', '1,2||']);
    expect(leader.raw.status().confState).toEqual(membersOf([1, 2], [3, 4]));
  });

  it('that remove the leader make it step down if that is asked for', () => {
    const nodes = group({ stepDownOnRemoval: true });
    const [leader] = nodes;
    leader.raw.proposeConfChange(change({ type: ConfChangeRemoveNode, nodeId: 1 }));
    exchange(nodes, leader.drain());
    expect(leader.raw.role).toBe('follower');
    leader.raw.campaign();
    expect(leader.raw.role).toBe('follower');
  });

  describe.each([true, false])('that not all have heard of, with commits told in votes: %s', (commitWithVotes) => {
    const options = { preVote: true, checkQuorum: true, stepDownOnRemoval: true, commitWithVotes };

    it('and that leave one of two voters: it is elected though the other one has more, or waits for ever', () => {
      const nodes = [1, 2].map((id) => new TestNode({ ...options, id, voters: [1, 2] })) as [TestNode, TestNode];
      const [leader, left] = nodes;
      leader.raw.campaign();
      exchange(nodes, leader.drain());
      leader.raw.proposeConfChange(change({ type: ConfChangeAddLearnerNode, nodeId: 1 }));
      const [arrives] = leader.drain();
      leader.propose('more');
      exchange(nodes, [arrives as Message], (message) => message.from === 1 && message !== arrives);
      expect(leader.raw.status()).toMatchObject({ softState: { role: 'follower' }, confState: { voters: [2] } });
      expect(left.raw.status()).toMatchObject({ confState: { voters: [1, 2] } });
      expect(electedOf(nodes)).toBe(commitWithVotes ? 2 : undefined);
    });

    it('and that make a second voter: with more than the first one it is elected, or both wait for ever', () => {
      const members = { ...options, voters: [1], learners: [2] };
      const first = new TestNode({ ...members, id: 1 });
      const second = new TestNode({ ...members, id: 2 });
      first.raw.campaign();
      exchange([first, second], first.drain());
      first.raw.proposeConfChange(change({ type: ConfChangeAddNode, nodeId: 2 }));
      const [arrives] = first.drain();
      const kept = first.terms;
      const [more] = first.propose('more');
      for (const message of [arrives, more]) second.raw.step({ ...(message as Message), commit: 0 });
      second.drain();
      expect(second.raw.status()).toMatchObject({ confState: { voters: [1], learners: [2] } });
      // What the first one had not written when it crashed, others may have.
      const again = new TestNode({ ...options, id: 1, voters: [1, 2], log: kept, term: 1, commit: kept.length });
      expect(second.terms.length).toBe(kept.length + 1);
      expect(electedOf([again, second])).toBe(commitWithVotes ? 2 : undefined);
    });
  });

  it('that remove a voter can commit what waited for it', () => {
    const nodes = group();
    const [leader] = nodes;
    leader.raw.applyConfChange(change({ type: ConfChangeRemoveNode, nodeId: 3 }));
    leader.propose('a');
    expect(leader.applied).toEqual([]);
    leader.raw.applyConfChange(change({ type: ConfChangeRemoveNode, nodeId: 2 }));
    leader.drain();
    expect(leader.applied).toEqual(['a']);
  });

  it('that are not possible stop the node when they are applied all the same', () => {
    const [leader] = group();
    const removeAll = [1, 2, 3].map((nodeId) => ({ type: ConfChangeRemoveNode, nodeId }));
    expect(() => leader.raw.applyConfChange(change(...removeAll))).toThrow(/removed all voters/);
  });
});

describe('ready', () => {
  it('asks for a durable write for entries, terms and votes, but not for a new commit index alone', () => {
    const node = new TestNode({ log: [1], term: 1 });
    node.raw.step({ ...heartbeat, commit: 1 });
    expect(node.raw.ready()).toMatchObject({ mustSync: false, hardState: { commit: 1 } });
    node.raw.advance();
    node.raw.step({ ...heartbeat, term: 2 });
    expect(node.raw.ready().mustSync).toBe(true);
  });

  it('hands out each thing once, and is empty without news', () => {
    const node = new TestNode();
    node.raw.campaign();
    expect(node.raw.hasReady()).toBe(true);
    const first = node.raw.ready();
    expect(first.messages).toHaveLength(2);
    node.store(first);
    node.raw.advance();
    expect(node.raw.hasReady()).toBe(false);
    expect(node.raw.ready()).toMatchObject({ messages: [], entries: [], committedEntries: [], hardState: undefined });
    // What was handed out is not touched afterwards.
    expect(first.messages).toHaveLength(2);
  });

  it('with asynchronous writes, hands out more work while earlier work is under way, and applies only what is stored', () => {
    const node = new TestNode({ asyncStorageWrites: true, term: 1 });
    const append = (index: number, commit: number) =>
      node.raw.step({
        ...heartbeat,
        type: MessageType.MsgApp,
        index,
        logTerm: index === 0 ? 0 : 1,
        commit,
        entries: entriesOf(index + 1, [1]),
      });
    append(0, 0);
    const first = node.raw.ready();
    append(1, 2);
    const second = node.raw.ready();
    expect(first.entries.map(({ index }) => index)).toEqual([1]);
    expect(second.entries.map(({ index }) => index)).toEqual([2]);
    expect(second.committedEntries).toEqual([]);
    for (const ready of [first, second]) {
      node.store(ready);
      for (const response of ready.messages.flatMap(({ responses }) => responses ?? [])) node.raw.step(response);
    }
    expect(node.raw.ready().committedEntries.map(({ index }) => index)).toEqual([1, 2]);
  });

  it('keeps entries until the storage surely has them: not when an answer of an earlier term says so', () => {
    const node = new TestNode({ asyncStorageWrites: true, term: 1 });
    node.raw.step({ ...heartbeat, type: MessageType.MsgApp, entries: entriesOf(1, [1]) });
    const first = node.raw.ready();
    // Another leader replaces the entry, and a third one brings the first back: two writes are still to come when the first is answered.
    node.raw.step({ ...heartbeat, type: MessageType.MsgApp, from: 3, term: 2, entries: entriesOf(1, [2]) });
    const second = node.raw.ready();
    node.raw.step({ ...heartbeat, type: MessageType.MsgApp, term: 3, entries: entriesOf(1, [1]) });
    const third = node.raw.ready();
    for (const ready of [first, second]) {
      node.store(ready);
      for (const response of ready.messages.flatMap(({ responses }) => responses ?? [])) node.raw.step(response);
      // The storage shows another entry by now, and the node still its own.
      expect(node.terms).toEqual([1]);
    }
    node.store(third);
    for (const response of third.messages.flatMap(({ responses }) => responses ?? [])) node.raw.step(response);
    expect(node.terms).toEqual([1]);
    expect(node.storage.term(1)).toBe(1);
  });

  it('bounds what is given out to be applied, over several calls', () => {
    const [one] = entriesOf(1, [1]);
    if (one === undefined) throw new Error('no entry');
    const node = new TestNode({
      log: [1, 1, 1, 1, 1],
      term: 1,
      asyncStorageWrites: true,
      maxCommittedSizePerReady: 2 * entrySize(one),
    });
    node.raw.step({ ...heartbeat, commit: 5 });
    const first = node.raw.ready();
    expect(first.committedEntries.map(({ index }) => index)).toEqual([1, 2]);
    expect(node.raw.ready().committedEntries).toEqual([]);
    const work = first.messages.find(({ type }) => type === MessageType.MsgStorageApply);
    for (const response of work?.responses ?? []) node.raw.step(response);
    expect(node.raw.ready().committedEntries.map(({ index }) => index)).toEqual([3, 4]);
  });

  it('refuses advance where it has no meaning', () => {
    expect(() => new TestNode({ asyncStorageWrites: true }).raw.advance()).toThrow(/advance/);
  });
});

describe('messages from outside', () => {
  it('of kinds that stay on a node are refused, and so are answers of nodes that are not members', () => {
    const { raw } = new TestNode();
    expect(raw.step({ ...heartbeat, type: MessageType.MsgHup, from: 2 })).toBe('localMessage');
    expect(raw.step({ ...heartbeat, type: MessageType.MsgAppResp, from: 9 })).toBe('unknownPeer');
    expect(raw.step({ ...heartbeat, type: MessageType.MsgHeartbeat, from: 9, term: 1 })).toBe('ok');
  });
});

describe('a start', () => {
  it('gives out again what was committed but not applied, and nothing before', () => {
    const node = new TestNode({ log: [1, 1, 1], commit: 3, applied: 2 });
    expect(node.raw.ready().committedEntries.map(({ index }) => index)).toEqual([3]);
  });

  it('takes what was applied, or compacted, for committed: the note of a commit need not be durable', () => {
    const node = new TestNode({ log: [1, 1, 1], commit: 1, applied: 2 });
    expect(node.raw.basicStatus()).toMatchObject({ hardState: { commit: 2 }, applied: 2 });
  });

  it('fails when the log ends before what was committed', () => {
    expect(() => new TestNode({ log: [1], commit: 5 })).toThrow(/entries were lost/);
    expect(() => new TestNode({ log: [1], applied: 5 })).toThrow(/entries were lost/);
  });

  it.each([
    ['id', { id: 0 }],
    ['electionTick', { electionTick: 1 }],
    ['heartbeatTick', { heartbeatTick: 0 }],
    ['maxInflightMsgs', { maxInflightMsgs: 0 }],
    ['maxInflightBytes', { maxInflightBytes: 5 }],
    ['maxCommittedSizePerReady', { maxCommittedSizePerReady: 0 }],
  ])('refuses a configuration whose %s is out of bounds, naming it', (field, options) => {
    expect(() => new TestNode(options)).toThrow(new RegExp(field));
  });

  it('has the members of its snapshot', () => {
    const node = new TestNode();
    node.receive('MsgSnap', 2, { term: 2, snapshot: snapshotOf(5, 2, membersOf([1, 2], [3])) });
    expect(node.storage.initialState().confState).toEqual(membersOf([1, 2], [3]));
  });
});

describe('sizes', () => {
  it('of entries are those of their encoding in raftpb', () => {
    expect(entrySize({ term: 1, index: 1, type: 0, data: noBytes })).toBe(6);
    expect(entrySize({ term: 1, index: 128, type: 0, data: new Uint8Array(200) })).toBe(6 + 1 + 3 + 200);
    expect(entrySize({ term: 2 ** 40, index: 2 ** 52, type: 0, data: noBytes })).toBe(4 + 6 + 8);
    expect(entriesSize(entriesOf(1, [1, 1, 1]))).toBe(18);
  });
});

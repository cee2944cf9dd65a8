// Log replication, commitment and snapshots: §5.3, §5.4.2, §7 of the paper, and the flow control of etcd/raft.
import { describe, expect, it } from 'vitest';
import { entriesOf, exchange, membersOf, messageOf, snapshotOf, TestNode } from '../../testkit/raft-node.ts';
import { Inflights } from './tracker/index.ts';
import { type Message, MessageType } from './types.ts';

const empty = messageOf('MsgApp', 0, 1);

const ofType = (messages: readonly Message[], type: keyof typeof MessageType): Message[] =>
  messages.filter((message) => message.type === MessageType[type]);

/** A leader of three whose followers have everything. */
function leaderWithAll(options: ConstructorParameters<typeof TestNode>[0] = {}): TestNode {
  const node = new TestNode(options);
  node.lead();
  for (const id of [2, 3]) node.receive('MsgAppResp', id, { index: node.raw.lastIndex });
  return node;
}

describe('a leader’s log (§5.3)', () => {
  it('several proposals become consecutive entries and one message to each follower', () => {
    const node = leaderWithAll();
    const first = node.raw.lastIndex + 1;
    const appends = ofType(node.propose('a', 'b', 'c'), 'MsgApp');
    expect(appends.map(({ to }) => to)).toEqual([2, 3]);
    expect(appends[0]?.entries.map(({ index, term }) => [index, term])).toEqual([
      [first, 1],
      [first + 1, 1],
      [first + 2, 1],
    ]);
    // Shared, not copied.
    expect(appends[0]?.entries).toBe(appends[1]?.entries);
  });

  it('an entry is committed and applied once a majority has it, and the followers are told', () => {
    const node = leaderWithAll();
    node.propose('a');
    expect(node.applied).toEqual([]);
    const messages = node.receive('MsgAppResp', 2, { index: node.raw.lastIndex });
    expect(node.applied).toEqual(['a']);
    expect(ofType(messages, 'MsgApp')).toMatchObject([
      { to: 2, entries: [], commit: node.raw.lastIndex },
      { to: 3, entries: [], commit: node.raw.lastIndex },
    ]);
  });

  it('of five, two acknowledgements beside the leader’s own commit, and one does not', () => {
    const node = new TestNode({ voters: [1, 2, 3, 4, 5] });
    node.lead();
    node.receive('MsgAppResp', 4, { index: 1 });
    expect(node.raw.commit).toBe(0);
    node.receive('MsgAppResp', 5, { index: 1 });
    expect(node.raw.commit).toBe(1);
  });

  it('the leader’s own entries count only when they are on its disk', () => {
    const node = new TestNode({ asyncStorageWrites: true });
    node.raw.campaign();
    const vote = node.raw.ready().messages.find(({ type }) => type === MessageType.MsgStorageAppend);
    for (const response of vote?.responses ?? []) node.raw.step(response);
    node.raw.step({ ...empty, type: MessageType.MsgVoteResp, from: 2, term: 1 });
    const write = node.raw.ready().messages.find(({ type }) => type === MessageType.MsgStorageAppend);
    expect(write?.entries).toHaveLength(1);
    node.raw.step({ ...empty, type: MessageType.MsgAppResp, from: 2, term: 1, index: 1 });
    expect(node.raw.commit).toBe(0);
    for (const response of write?.responses ?? []) node.raw.step(response);
    expect(node.raw.commit).toBe(1);
  });

  it('committing an entry commits those of earlier terms before it, and only entries of the own term are committed by counting (§5.4.2)', () => {
    const node = new TestNode({ log: [1, 2], term: 2 });
    node.lead();
    node.receive('MsgAppResp', 2, { index: 2 });
    node.receive('MsgAppResp', 3, { index: 2 });
    // On the disk of all three, and still not committed.
    expect(node.raw.commit).toBe(0);
    node.receive('MsgAppResp', 2, { index: 3 });
    expect(node.raw.commit).toBe(3);
  });

  it('a learner’s acknowledgement commits nothing', () => {
    const node = new TestNode({ voters: [1, 2], learners: [3] });
    node.lead([2]);
    node.receive('MsgAppResp', 3, { index: 1 });
    expect(node.raw.commit).toBe(0);
  });
});

describe('a follower’s log (§5.3)', () => {
  it.each([
    ['an entry before that it does not have', [1], 3, 3, 1, 1],
    ['an entry before that it has with another term', [1, 2], 2, 3, 2, 2],
    ['an entry before that it has with a later term: the hint skips that term', [1, 4, 4], 3, 2, 1, 1],
  ] as const)('refuses entries that follow %s', (_, log, index, logTerm, hint, hintTerm) => {
    const node = new TestNode({ log, term: 4 });
    const [answer] = node.receive('MsgApp', 2, { index, logTerm, entries: entriesOf(index + 1, [4]) });
    expect(answer).toMatchObject({
      type: MessageType.MsgAppResp,
      reject: true,
      index,
      rejectHint: hint,
      logTerm: hintTerm,
    });
    expect(node.terms).toEqual(log);
  });

  it.each([
    ['nothing', [1, 2], 2, 2, [], [1, 2], 2],
    ['new entries', [1, 2], 2, 2, [3], [1, 2, 3], 3],
    ['entries that it has', [1, 2], 0, 0, [1], [1, 2], 1],
    ['entries of which it has the first', [1, 2], 1, 1, [2, 3], [1, 2, 3], 3],
    ['entries that contradict its own: those go', [1, 2, 2], 1, 1, [3], [1, 3], 2],
    ['entries that contradict its whole log', [1, 2], 0, 0, [3, 3], [3, 3], 2],
  ] as const)('takes %s', (_, log, index, logTerm, terms, after, match) => {
    const node = new TestNode({ log, term: 3 });
    const [answer] = node.receive('MsgApp', 2, { index, logTerm, entries: entriesOf(index + 1, terms) });
    expect(node.terms).toEqual(after);
    expect(answer).toMatchObject({ reject: false, index: match });
  });

  it('a late message with fewer entries takes nothing away', () => {
    const node = new TestNode({ log: [1, 1, 1], term: 1 });
    node.receive('MsgApp', 2, { index: 0, logTerm: 0, entries: entriesOf(1, [1]) });
    expect(node.terms).toEqual([1, 1, 1]);
  });

  it.each([
    ['nothing is sent', [1], 1, 0, 0],
    ['one entry is sent that it has', [1], 3, 1, 1],
    ['two entries are sent, of which it has one', [1], 3, 2, 2],
    ['the leader has committed less than it sends', [1], 1, 2, 1],
    ['it has more than is sent: the rest may not be the leader’s', [1, 1, 1], 3, 1, 1],
  ] as const)('commits no more than what it knows to match when %s', (_, log, commit, count, expected) => {
    const node = new TestNode({ log, term: 1 });
    node.receive('MsgApp', 2, {
      commit,
      index: 0,
      logTerm: 0,
      entries: entriesOf(1, new Array<number>(count).fill(1)),
    });
    expect(node.raw.commit).toBe(expected);
  });

  it('is acknowledged only with or after the write that keeps it', () => {
    const node = new TestNode({ asyncStorageWrites: true, term: 1 });
    node.raw.step({ ...empty, type: MessageType.MsgApp, from: 2, term: 1, entries: entriesOf(1, [1]) });
    const { messages } = node.raw.ready();
    expect(messages).toMatchObject([
      {
        type: MessageType.MsgStorageAppend,
        responses: [{ type: MessageType.MsgAppResp }, { type: MessageType.MsgStorageAppendResp }],
      },
    ]);
  });

  it('does not even look at what contradicts committed entries, and stops when told of a commit past its end', () => {
    const node = new TestNode({ log: [1, 1], commit: 2 });
    const [answer] = node.receive('MsgApp', 2, { term: 2, index: 1, logTerm: 1, entries: entriesOf(2, [2]) });
    expect(answer).toMatchObject({ reject: false, index: 2 });
    expect(node.terms).toEqual([1, 1]);
    expect(() => node.receive('MsgHeartbeat', 2, { commit: 5 })).toThrow(/committed/);
  });
});

describe('bringing logs together (§5.3, Figure 7)', () => {
  const leaderLog = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];

  it.each([
    ['a: one entry is missing', [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ['b: many are missing', [1, 1, 1, 4]],
    ['c: one too many', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
    ['d: two of a later term too many', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
    ['e: some are missing, some too many', [1, 1, 1, 4, 4, 4, 4]],
    ['f: terms that nobody else saw', [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
    ['nothing at all', []],
  ])('%s', (_, log) => {
    const leader = new TestNode({ log: leaderLog, term: 7, vote: 1 });
    const follower = new TestNode({ id: 2, log, term: 7 });
    // The third member's vote makes the leader; it is silent afterwards.
    leader.raw.campaign();
    leader.drain();
    const messages = leader.receive('MsgVoteResp', 3);
    let probes = 0;
    exchange([leader, follower], messages, (message) => {
      if (message.type === MessageType.MsgAppResp && message.reject) probes++;
      return message.to === 3;
    });
    expect(follower.terms).toEqual([...leaderLog, 8]);
    expect(leader.raw.commit).toBe(11);
    // At most one refused probe for each term of the leader's log.
    expect(probes).toBeLessThanOrEqual(4);
  });
});

describe('flow control', () => {
  it('a follower of which nothing is known gets one message until it answers', () => {
    const node = new TestNode();
    node.lead();
    expect(node.raw.progress(2)).toMatchObject({ state: 'probe', paused: true });
    expect(ofType(node.propose('a'), 'MsgApp')).toEqual([]);
    const messages = node.receive('MsgAppResp', 2, { index: 1 });
    expect(ofType(messages, 'MsgApp').filter(({ to, entries }) => to === 2 && entries.length > 0)).toHaveLength(1);
    expect(node.raw.progress(2)).toMatchObject({ state: 'replicate', paused: false });
  });

  it('a follower that keeps up is sent entries ahead of its answers, up to the bound of messages', () => {
    const node = leaderWithAll({ maxInflightMsgs: 2 });
    expect(ofType(node.propose('a'), 'MsgApp')).toHaveLength(2);
    expect(ofType(node.propose('b'), 'MsgApp')).toHaveLength(2);
    expect(node.raw.progress(2)).toMatchObject({ inflightFull: true, paused: true });
    expect(ofType(node.propose('c'), 'MsgApp')).toEqual([]);
    const freed = ofType(node.receive('MsgAppResp', 2, { index: node.raw.lastIndex - 2 }), 'MsgApp');
    expect(freed.filter(({ to }) => to === 2).flatMap(({ entries }) => entries)).toHaveLength(1);
  });

  it('a full window lets an empty message through with each heartbeat’s answer, in case all was lost', () => {
    const node = leaderWithAll({ maxInflightMsgs: 1 });
    node.propose('a');
    expect(ofType(node.receive('MsgHeartbeatResp', 2), 'MsgApp')).toMatchObject([{ to: 2, entries: [] }]);
    expect(ofType(node.propose('b'), 'MsgApp')).toEqual([]);
  });

  it('a member that cannot be reached is probed from what it surely has', () => {
    const node = leaderWithAll();
    node.propose('a');
    node.raw.reportUnreachable(2);
    expect(node.raw.progress(2)).toMatchObject({ state: 'probe', match: 1, next: 2 });
    expect(ofType(node.receive('MsgHeartbeatResp', 2), 'MsgApp')).toMatchObject([
      { index: 1, entries: [{ index: 2 }] },
    ]);
  });

  it('a refusal that is out of date changes nothing', () => {
    const node = leaderWithAll();
    node.propose('a');
    node.receive('MsgAppResp', 2, { index: 2 });
    expect(node.receive('MsgAppResp', 2, { index: 1, reject: true, rejectHint: 0 })).toEqual([]);
    expect(node.raw.progress(2)).toMatchObject({ state: 'replicate', match: 2 });
  });

  it('heartbeats tell a follower no more than what it surely has', () => {
    const node = leaderWithAll();
    node.propose('a', 'b');
    node.receive('MsgAppResp', 3, { index: 3 });
    const beats = ofType(node.tick(1), 'MsgHeartbeat');
    expect(beats.map(({ to, commit }) => [to, commit])).toEqual([
      [2, 1],
      [3, 3],
    ]);
  });

  it('proposals are dropped when too much is uncommitted, and taken again when it is applied; one alone may be of any size', () => {
    const node = leaderWithAll({ maxUncommittedEntriesSize: 4 });
    expect(node.raw.propose([new Uint8Array(9)])).toBe('ok');
    expect(node.raw.propose([new Uint8Array(1)])).toBe('proposalDropped');
    node.drain();
    node.receive('MsgAppResp', 2, { index: node.raw.lastIndex });
    expect(node.raw.propose([new Uint8Array(3)])).toBe('ok');
    expect(node.raw.propose([new Uint8Array(1)])).toBe('ok');
    expect(node.raw.propose([new Uint8Array(1)])).toBe('proposalDropped');
  });
});

describe('the window of messages on their way', () => {
  it('grows on demand and goes round, freeing from the oldest on', () => {
    const window = new Inflights(5, Infinity);
    for (let index = 1; index <= 5; index++) window.add(index, 1);
    expect(window.full).toBe(true);
    window.freeUpTo(3);
    expect(window.count).toBe(2);
    for (let index = 6; index <= 8; index++) window.add(index, 1);
    expect(window.full).toBe(true);
    window.freeUpTo(6);
    expect(window.count).toBe(2);
    window.freeUpTo(100);
    expect(window.count).toBe(0);
    expect(() => {
      for (let index = 101; index <= 106; index++) window.add(index, 1);
    }).toThrow();
  });

  it('is full at its bound of bytes, too, and the message that reaches it is the last', () => {
    const window = new Inflights(5, 10);
    window.add(1, 9);
    expect(window.full).toBe(false);
    window.add(2, 9);
    expect(window.full).toBe(true);
    window.freeUpTo(1);
    expect(window.full).toBe(false);
  });
});

describe('snapshots (§7)', () => {
  const recent = snapshotOf(9, 3, membersOf([1, 2, 3], [4]));

  it('a follower that is behind takes the snapshot in place of its log, with its members, and says so once it is stored', () => {
    const node = new TestNode({ log: [1, 1], term: 3 });
    const [answer] = node.receive('MsgSnap', 2, { snapshot: recent });
    expect(answer).toMatchObject({ type: MessageType.MsgAppResp, index: 9, reject: false });
    expect(node.raw.status().confState).toEqual(recent.metadata.confState);
    expect([node.raw.firstIndex, node.raw.lastIndex, node.raw.commit, node.raw.applied]).toEqual([10, 9, 9, 9]);
  });

  it('a snapshot of what the log already has only moves the commit index: what comes after stays', () => {
    const node = new TestNode({ log: [1, 1, 1, 1], term: 1 });
    node.receive('MsgSnap', 2, { snapshot: snapshotOf(2, 1) });
    expect(node.terms).toEqual([1, 1, 1, 1]);
    expect(node.raw.commit).toBe(2);
  });

  it('a snapshot of what is committed already is answered with the commit index', () => {
    const node = new TestNode({ log: [1, 1, 1], commit: 3 });
    expect(node.receive('MsgSnap', 2, { snapshot: snapshotOf(2, 1) })).toMatchObject([{ index: 3 }]);
    expect(node.raw.lastIndex).toBe(3);
  });

  it('a snapshot without this node in it is not taken', () => {
    const node = new TestNode({ term: 3 });
    node.receive('MsgSnap', 2, { snapshot: snapshotOf(9, 3, membersOf([2, 3])) });
    expect(node.raw.lastIndex).toBe(0);
  });

  it('a snapshot that comes while entries are being applied is not taken: they would be applied to its state', () => {
    const node = new TestNode({ log: [1, 1], term: 1, asyncStorageWrites: true });
    node.raw.step({ ...empty, type: MessageType.MsgHeartbeat, from: 2, term: 1, commit: 2 });
    const apply = node.raw.ready().messages.find(({ type }) => type === MessageType.MsgStorageApply);
    expect(apply?.entries).toHaveLength(2);
    node.raw.step({ ...empty, type: MessageType.MsgSnap, from: 2, term: 1, snapshot: recent });
    expect(node.raw.lastIndex).toBe(2);
    for (const response of apply?.responses ?? []) node.raw.step(response);
    node.raw.step({ ...empty, type: MessageType.MsgSnap, from: 2, term: 1, snapshot: recent });
    expect(node.raw.lastIndex).toBe(9);
  });

  it('a leader without the entries that a member lacks sends a snapshot, and nothing else until that is over', () => {
    const node = leaderWithAll();
    node.propose('a', 'b');
    node.receive('MsgAppResp', 2, { index: 3 });
    node.storage.saveSnapshot(snapshotOf(3, 1));
    node.storage.compact(3);
    node.raw.reportUnreachable(3);
    const [message] = ofType(node.receive('MsgHeartbeatResp', 3), 'MsgSnap');
    expect(message).toMatchObject({ to: 3, snapshot: { metadata: { index: 3 } } });
    expect(node.raw.progress(3)).toMatchObject({ state: 'snapshot', pendingSnapshot: 3, paused: true });
    expect(ofType(node.propose('c'), 'MsgApp').map(({ to }) => to)).toEqual([2]);
    node.receive('MsgAppResp', 3, { index: 3 });
    expect(node.raw.progress(3)).toMatchObject({ state: 'replicate', match: 3 });
  });

  it('a member that was not heard of gets no snapshot', () => {
    const node = new TestNode();
    node.lead();
    node.receive('MsgAppResp', 2, { index: 1 });
    node.storage.saveSnapshot(snapshotOf(1, 1));
    node.storage.compact(1);
    node.raw.reportUnreachable(3);
    node.tick(1);
    expect(ofType(node.propose('a'), 'MsgSnap')).toEqual([]);
  });
});

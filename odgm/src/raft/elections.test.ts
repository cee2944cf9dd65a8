// Terms, elections and votes: Figure 2, §5.1, §5.2 and §5.4.1 of the paper; 3.10 and 9.6 of the thesis; check-quorum as in etcd/raft.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exchange, messageOf, snapshotOf, TestNode } from '../../testkit/raft-node.ts';
import { type Message, MessageType } from './types.ts';

const voteRequest = messageOf('MsgVote', 2, 1, { term: 4 });

const ofType = (messages: readonly Message[], type: keyof typeof MessageType): Message[] =>
  messages.filter((message) => message.type === MessageType[type]);

describe('terms (§5.1)', () => {
  it('a node starts as a follower of nobody, with the term and vote that it stored', () => {
    const { raw } = new TestNode({ term: 3, vote: 2 });
    expect(raw.basicStatus()).toMatchObject({
      hardState: { term: 3, vote: 2 },
      softState: { lead: 0, role: 'follower' },
    });
  });

  it.each(['follower', 'candidate', 'leader'] as const)(
    'a %s that meets a higher term becomes its follower',
    (role) => {
      const node = new TestNode();
      if (role !== 'follower') node.raw.campaign();
      if (role === 'leader') node.lead();
      node.drain();
      expect(node.raw.role).toBe(role);
      node.receive('MsgApp', 2, { term: 7 });
      expect(node.raw.basicStatus()).toMatchObject({
        hardState: { term: 7, vote: 0 },
        softState: { role: 'follower', lead: 2 },
      });
    },
  );

  it('a message of an earlier term changes nothing and is not answered', () => {
    const node = new TestNode({ term: 5 });
    expect(node.receive('MsgApp', 2, { term: 4, commit: 3 })).toEqual([]);
    expect(node.raw.basicStatus()).toMatchObject({ hardState: { term: 5 }, softState: { lead: 0 } });
  });

  it('a new term forgets the vote of the one before', () => {
    const node = new TestNode({ term: 1, vote: 2 });
    const [answer] = node.receive('MsgVote', 3, { term: 2 });
    expect(answer).toMatchObject({ type: MessageType.MsgVoteResp, to: 3, reject: false });
  });
});

describe('elections (§5.2)', () => {
  it('a follower that hears nothing for an election timeout asks everyone for their vote in a new term', () => {
    const node = new TestNode({ term: 1 });
    expect(node.tick(9)).toEqual([]);
    const messages = node.tick(1);
    expect(messages.map(({ type, to, term }) => [type, to, term])).toEqual([
      [MessageType.MsgVote, 2, 2],
      [MessageType.MsgVote, 3, 2],
    ]);
    expect(node.raw.basicStatus()).toMatchObject({ hardState: { term: 2, vote: 1 }, softState: { role: 'candidate' } });
  });

  it('a candidate whose election does not end stands again in the next term', () => {
    const node = new TestNode();
    node.tick(10);
    node.tick(10);
    expect(node.raw.term).toBe(2);
    expect(node.raw.role).toBe('candidate');
  });

  it('hearing from the leader puts the next election off', () => {
    const node = new TestNode({ term: 1 });
    for (let i = 0; i < 5; i++) {
      node.tick(9);
      node.receive('MsgHeartbeat', 2);
    }
    expect(node.raw.role).toBe('follower');
  });

  it('election timeouts are spread by chance between one and two timeouts, and drawn again each time', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 2, max: 50 }),
        (chance, ticks) => {
          const node = new TestNode({ random: { next: () => chance }, electionTick: ticks });
          let waited = 0;
          while (node.raw.role === 'follower') {
            node.raw.tick();
            waited++;
          }
          expect(waited).toBe(ticks + Math.floor(chance * ticks));
          expect(waited).toBeLessThan(2 * ticks);
        },
      ),
    );
  });

  it.each([
    { voters: [1], granted: [], refused: [], role: 'leader' },
    { voters: [1, 2, 3], granted: [2], refused: [], role: 'leader' },
    { voters: [1, 2, 3], granted: [], refused: [2], role: 'candidate' },
    { voters: [1, 2, 3], granted: [], refused: [2, 3], role: 'follower' },
    { voters: [1, 2, 3, 4, 5], granted: [2], refused: [3], role: 'candidate' },
    { voters: [1, 2, 3, 4, 5], granted: [2, 3], refused: [4, 5], role: 'leader' },
    { voters: [1, 2, 3, 4, 5], granted: [2], refused: [3, 4, 5], role: 'follower' },
    { voters: [1, 2, 3, 4], granted: [2], refused: [3, 4], role: 'follower' },
  ] as const)('of $voters, with the votes of $granted and the refusal of $refused, a candidate is $role', (example) => {
    const node = new TestNode({ voters: example.voters });
    node.raw.campaign();
    node.drain();
    for (const id of example.granted) node.receive('MsgVoteResp', id);
    for (const id of example.refused) node.receive('MsgVoteResp', id, { reject: true });
    expect(node.raw.role).toBe(example.role);
  });

  it('a vote that is said twice counts once', () => {
    const node = new TestNode({ voters: [1, 2, 3, 4, 5] });
    node.raw.campaign();
    node.drain();
    node.receive('MsgVoteResp', 2);
    node.receive('MsgVoteResp', 2);
    expect(node.raw.role).toBe('candidate');
  });

  it('a candidate that hears from a leader of its term follows it', () => {
    const node = new TestNode();
    node.tick(10);
    node.receive('MsgHeartbeat', 3);
    expect(node.raw.basicStatus().softState).toEqual({ role: 'follower', lead: 3 });
  });

  it('a leader sends heartbeats at its interval, so that nobody else stands', () => {
    const node = new TestNode({ heartbeatTick: 2 });
    node.lead();
    expect(node.tick(1)).toEqual([]);
    expect(ofType(node.tick(1), 'MsgHeartbeat').map(({ to }) => to)).toEqual([2, 3]);
  });

  it('a new leader begins its term with an empty entry', () => {
    const node = new TestNode({ log: [1] });
    const appends = ofType(node.lead(), 'MsgApp');
    expect(appends).toHaveLength(2);
    expect(appends[0]).toMatchObject({ index: 1, logTerm: 1, term: 2 });
    expect(appends[0]?.entries).toMatchObject([{ index: 2, term: 2, data: { length: 0 } }]);
  });
});

describe('votes (§5.2, §5.4.1)', () => {
  it('a node votes for one candidate of a term, the first, and says so again if asked again', () => {
    const node = new TestNode();
    expect(node.receive('MsgVote', 2, { term: 1 })[0]).toMatchObject({ to: 2, reject: false });
    expect(node.receive('MsgVote', 3, { term: 1 })[0]).toMatchObject({ to: 3, reject: true });
    expect(node.receive('MsgVote', 2, { term: 1 })[0]).toMatchObject({ to: 2, reject: false });
  });

  it('a node that follows a leader does not vote for another one in its term', () => {
    const node = new TestNode({ term: 1 });
    node.receive('MsgHeartbeat', 2);
    expect(node.receive('MsgVote', 3)[0]).toMatchObject({ reject: true });
  });

  it.each([
    ['the same last entry', [1], 1, 1, true],
    ['a longer log of the same last term', [1], 2, 1, true],
    ['a shorter log of the same last term', [1, 1], 1, 1, false],
    ['a later last term, however short the log,', [1, 1], 1, 2, true],
    ['an earlier last term, however long the log,', [2], 5, 1, false],
  ] as const)(
    'a candidate with %s (the voter has %j, the candidate ends at %i with term %i) gets the vote: %s',
    (_, log, index, logTerm, granted) => {
      const node = new TestNode({ log });
      expect(node.receive('MsgVote', 2, { term: 3, index, logTerm })[0]).toMatchObject({ reject: !granted });
    },
  );

  it('a vote leaves only with or after the write that keeps it', () => {
    const node = new TestNode({ asyncStorageWrites: true });
    node.raw.step({ ...voteRequest });
    const ready = node.raw.ready();
    expect(ready.messages.map(({ type }) => type)).toEqual([MessageType.MsgStorageAppend]);
    expect(ready.messages[0]).toMatchObject({
      term: 4,
      vote: 2,
      responses: [{ type: MessageType.MsgVoteResp, to: 2 }],
    });
    expect(ready.mustSync).toBe(true);
  });

  it('a learner votes, as it may have been promoted without knowing, but does not stand', () => {
    const node = new TestNode({ voters: [2, 3], learners: [1] });
    expect(node.receive('MsgVote', 2, { term: 1 })[0]).toMatchObject({ reject: false });
    expect(node.tick(40)).toEqual([]);
    node.raw.campaign();
    expect(node.drain()).toEqual([]);
  });

  it('a node that is taking in a snapshot does not stand', () => {
    const node = new TestNode({ asyncStorageWrites: true });
    node.raw.step({ ...voteRequest, type: MessageType.MsgSnap, from: 2, snapshot: snapshotOf(9, 3) });
    node.raw.campaign();
    expect(node.raw.role).toBe('follower');
  });

  it('a node with a committed but unapplied change of members does not stand', () => {
    const leader = new TestNode();
    leader.lead();
    leader.receive('MsgAppResp', 2, { index: 1 });
    leader.raw.proposeConfChange({ transition: 0, changes: [{ type: 3, nodeId: 4 }], context: new Uint8Array() });
    leader.drain();
    const entries = leader.raw.entriesFrom(1);
    const node = new TestNode({ id: 2, asyncStorageWrites: true });
    if (entries === 'compacted') throw new Error(entries);
    node.raw.step({
      ...voteRequest,
      type: MessageType.MsgApp,
      from: 1,
      term: 1,
      entries,
      commit: 2,
      index: 0,
      logTerm: 0,
    });
    node.raw.campaign();
    expect(node.raw.role).toBe('follower');
  });
});

describe('pre-votes (thesis, 9.6)', () => {
  it('a candidate first asks whether it could win, without raising its term', () => {
    const node = new TestNode({ preVote: true, term: 4 });
    const requests = node.tick(10);
    expect(requests).toMatchObject([
      { type: MessageType.MsgPreVote, term: 5 },
      { type: MessageType.MsgPreVote, term: 5 },
    ]);
    expect(node.raw.basicStatus()).toMatchObject({
      hardState: { term: 4, vote: 0 },
      softState: { role: 'preCandidate' },
    });
  });

  it('only with a majority of promises it starts the election', () => {
    const node = new TestNode({ preVote: true, voters: [1, 2, 3, 4, 5] });
    node.tick(10);
    node.receive('MsgPreVoteResp', 2, { term: 1 });
    expect(node.raw.role).toBe('preCandidate');
    expect(ofType(node.receive('MsgPreVoteResp', 3, { term: 1 }), 'MsgVote')).toHaveLength(4);
    expect(node.raw.basicStatus()).toMatchObject({ hardState: { term: 1, vote: 1 }, softState: { role: 'candidate' } });
  });

  it('a promise binds nobody: it is given to several, and changes neither term nor vote', () => {
    const node = new TestNode({ term: 1 });
    expect(node.receive('MsgPreVote', 2, { term: 2 })[0]).toMatchObject({ reject: false, term: 2 });
    expect(node.receive('MsgPreVote', 3, { term: 2 })[0]).toMatchObject({ reject: false, term: 2 });
    expect(node.raw.basicStatus().hardState).toMatchObject({ term: 1, vote: 0 });
  });

  it('a promise that comes after the election has begun is no vote', () => {
    const node = new TestNode({ preVote: true });
    node.tick(10);
    node.receive('MsgPreVoteResp', 2, { term: 1 });
    expect(node.raw.role).toBe('candidate');
    node.receive('MsgPreVoteResp', 3, { term: 1 });
    expect(node.raw.role).toBe('candidate');
  });

  it('who is behind is told the present term, and follows it', () => {
    const node = new TestNode({ preVote: true, term: 2 });
    node.tick(10);
    node.receive('MsgPreVoteResp', 2, { term: 5, reject: true });
    expect(node.raw.basicStatus()).toMatchObject({ hardState: { term: 5 }, softState: { role: 'follower' } });
    const answer = node.receive('MsgPreVote', 3, { term: 3 });
    expect(answer).toMatchObject([{ type: MessageType.MsgPreVoteResp, term: 5, reject: true }]);
  });
});

describe('check-quorum', () => {
  it('a leader that hears from no quorum for an election timeout steps down', () => {
    const node = new TestNode({ checkQuorum: true });
    node.lead();
    node.receive('MsgHeartbeatResp', 2);
    node.tick(10);
    expect(node.raw.role).toBe('leader');
    node.tick(10);
    expect(node.raw.basicStatus().softState).toEqual({ role: 'follower', lead: 0 });
  });

  it('a leader that hears from a quorum, itself included, leads on', () => {
    const node = new TestNode({ checkQuorum: true, voters: [1, 2, 3] });
    node.lead();
    for (let i = 0; i < 5; i++) {
      node.receive('MsgHeartbeatResp', 3);
      node.tick(10);
    }
    expect(node.raw.role).toBe('leader');
  });

  it('a follower of a live leader ignores candidates, until an election timeout has passed', () => {
    const node = new TestNode({ checkQuorum: true, term: 1, random: { next: () => 0.9 } });
    node.receive('MsgHeartbeat', 2);
    expect(node.receive('MsgVote', 3, { term: 2 })).toEqual([]);
    expect(node.raw.term).toBe(1);
    node.tick(10);
    expect(node.receive('MsgVote', 3, { term: 2 })[0]).toMatchObject({ reject: false });
  });

  it('a leader of an earlier term is told of the later one', () => {
    const node = new TestNode({ checkQuorum: true, term: 5 });
    expect(node.receive('MsgHeartbeat', 2, { term: 3 })).toMatchObject([{ type: MessageType.MsgAppResp, term: 5 }]);
  });
});

describe('leadership transfer (thesis, 3.10)', () => {
  it('a follower that is told to take over stands at once, without a pre-vote, and overrides loyalty to the leader', () => {
    const options = { checkQuorum: true, preVote: true } as const;
    const nodes = [1, 2, 3].map((id) => new TestNode({ ...options, id }));
    const [first, second] = nodes as [TestNode, TestNode, TestNode];
    first.raw.campaign();
    exchange(nodes, first.drain());
    expect(first.raw.role).toBe('leader');
    first.raw.transferLeader(2);
    exchange(nodes, first.drain());
    expect(second.raw.role).toBe('leader');
    expect(nodes.map(({ raw }) => raw.lead)).toEqual([2, 2, 2]);
  });

  it('a follower that is no voter does not take over', () => {
    const node = new TestNode({ voters: [2, 3], learners: [1], term: 1 });
    expect(node.receive('MsgTimeoutNow', 2)).toEqual([]);
    expect(node.raw.role).toBe('follower');
  });
});

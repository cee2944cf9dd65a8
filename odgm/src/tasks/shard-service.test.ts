import { eventually } from '@oaas/commons/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { channels } from '../mesh/index.ts';
import { introduce, leaderOf, startHost, type TestHost } from '../../testkit/hosts.ts';
import { type ShardObservation, type ShardRequest, ShardService } from './index.ts';

let running: TestHost[] = [];
afterEach(async () => {
  await Promise.all(running.map((host) => host.stop()));
  running = [];
});

const shard = 1;
const none = { addLearners: [], promote: [], demote: [], remove: [], joint: false };
const epochs = {};

interface Grid {
  readonly leader: TestHost;
  readonly ask: (request: ShardRequest) => Promise<ShardObservation | undefined>;
  /** Sends what the same member asked first of all only now. */
  readonly askLate: (request: ShardRequest) => Promise<unknown>;
}

/** Members 1 to 3 as voters and 4 as a learner, asked by way of a member that does not lead. */
async function start(): Promise<Grid> {
  running = await Promise.all([1, 2, 3, 4].map((number) => startHost(number)));
  introduce(...running);
  const services = running.map((host) => {
    const group = host.group.bind(host);
    const local = { handle: () => undefined, group: () => ({ group: group(), sentBytes: () => 0 }) };
    return new ShardService(host.member.mesh, local);
  });
  await Promise.all(running.map((host) => host.open(shard, { voters: host.number === 4 ? [] : [1, 2, 3] })));
  const leader = await leaderOf(running.slice(0, 3));
  const asking = services[3];
  const ask = (request: ShardRequest): Promise<ShardObservation | undefined> =>
    asking === undefined ? Promise.reject(new Error('nobody asks')) : asking.ask(leader.number, request);
  const askLate = (request: ShardRequest): Promise<unknown> => {
    const payload = new TextEncoder().encode(JSON.stringify({ ...request, order: 0 }));
    return running[3]?.member.mesh.request(leader.number, channels.shards, payload) ?? Promise.resolve();
  };
  await eventually(() => running.every((host) => host === leader || leader.member.mesh.isUp(host.number)));
  await ask({ do: 'change', shard, change: { ...none, addLearners: [4] }, epochs });
  return { leader, ask, askLate };
}

/** As often as it takes: a member that has not applied a change of the members yet does not campaign. */
async function handOver(to: TestHost | undefined): Promise<void> {
  await eventually(async () => {
    const leading = running.find((host) => host.number < 4 && host.group().isLeader);
    await leading?.group().transferLeadership(to?.number ?? 0);
    return leading !== undefined && leading === to;
  });
}

const promote = { do: 'change', shard, change: { ...none, promote: [4] }, epochs } as const;
const remove = { do: 'change', shard, change: { ...none, remove: [4] }, epochs } as const;

describe('a step of a coordinator that was paused', () => {
  it('does not take away a learner that its successor has made a voter meanwhile', async () => {
    const { leader, ask } = await start();
    const expected = await ask({ do: 'observe', shard });
    await ask({ ...promote, expected });
    await expect(ask({ ...remove, expected })).rejects.toMatchObject({
      code: 'Conflict',
      details: { code: 'MembershipNotMatch', list: 'voters', expected: [1, 2, 3], actual: [1, 2, 3, 4] },
    });
    expect(leader.group().confState.voters).toEqual([1, 2, 3, 4]);
    const { voters: to } = leader.group().confState;
    const other = to.find((member) => member !== leader.number) ?? 0;
    const transfer = { do: 'transferLeader', shard, to: other, expected } as const;
    await expect(ask(transfer)).rejects.toMatchObject({ details: { code: 'MembershipNotMatch' } });
    await ask({ ...remove, expected: await ask({ do: 'observe', shard }) });
    expect(leader.group().confState.voters).toEqual([1, 2, 3]);
  });

  it('is judged when it goes into the log, not when it comes: other changes may have been under way', async () => {
    const { leader } = await start();
    const group = leader.group();
    const asked: unknown[] = [];
    const removed = group.changeMembers([{ type: 'remove', member: 4 }], new Uint8Array(0), false, () => {
      asked.push(group.confState.learners);
      return new Error('somebody else was first');
    });
    expect(asked).toEqual([]);
    await expect(removed).rejects.toThrow('somebody else was first');
    expect(asked).toEqual([[4]]);
    // It is not in the way of the next one.
    expect(await group.changeMembers([{ type: 'voter', member: 4 }], new Uint8Array(0))).toMatchObject({
      voters: [1, 2, 3, 4],
    });
  });

  it('does not take away a replica that was made anew meanwhile', async () => {
    const { leader, ask } = await start();
    const expected = await ask({ do: 'observe', shard });
    await ask({ ...remove, expected });
    await ask({ do: 'change', shard, change: { ...none, addLearners: [4] }, epochs: { '4': 2 } });
    await expect(ask({ ...remove, expected })).rejects.toMatchObject({
      code: 'Conflict',
      details: { code: 'EpochConflict', member: 4, epoch: 2 },
    });
    expect(leader.group().confState.learners).toEqual([4]);
  });

  it('leaves no joint configuration that it has not seen', async () => {
    const { leader, ask } = await start();
    const expected = await ask({ do: 'observe', shard });
    const change = { ...none, promote: [4], demote: [3], joint: true };
    await ask({ do: 'change', shard, change, epochs, expected });
    await expect(ask({ do: 'leaveJoint', shard, expected })).rejects.toMatchObject({ code: 'Conflict' });
    expect(leader.group().confState.votersOutgoing).toEqual([1, 2, 3]);
    await ask({ do: 'leaveJoint', shard, expected: await ask({ do: 'observe', shard }) });
    expect(leader.group().confState).toMatchObject({ votersOutgoing: [], learners: [3] });
  });

  it('is refused under a leader that lost its place and has it again, although the members are the same', async () => {
    const { leader, ask } = await start();
    const expected = await ask({ do: 'observe', shard });
    const other = running.find(({ number }) => number < 4 && number !== leader.number);
    await handOver(other);
    await handOver(leader);
    await expect(ask({ ...remove, expected })).rejects.toMatchObject({
      code: 'Conflict',
      details: { code: 'LeaderChanged' },
    });
    expect(leader.group().confState.learners).toEqual([4]);
  });

  it('is refused when it comes after what the same coordinator has asked since', async () => {
    const { leader, ask, askLate } = await start();
    const expected = await ask({ do: 'observe', shard, term: 7 });
    await expect(askLate({ ...remove, expected, term: 7 })).rejects.toMatchObject({
      code: 'Conflict',
      details: { code: 'Overtaken' },
    });
    expect(leader.group().confState.learners).toEqual([4]);
  });

  it('is refused once the leader has heard of its successor, although the members are the same', async () => {
    const { leader, ask } = await start();
    const expected = await ask({ do: 'observe', shard, term: 7 });
    await ask({ do: 'observe', shard, term: 8 });
    await expect(ask({ ...remove, expected, term: 7 })).rejects.toMatchObject({
      code: 'Conflict',
      details: { code: 'StaleCoordinator', term: 7, newest: 8 },
    });
    expect(leader.group().confState.learners).toEqual([4]);
    await ask({ ...remove, expected, term: 8 });
    expect(leader.group().confState.learners).toEqual([]);
  });
});

it('no voter goes when those that stay do not answer by then: its leader knows that before the coordinator does', async () => {
  const { leader, ask } = await start();
  const expected = await ask({ do: 'observe', shard });
  const [leaving, gone] = [1, 2, 3].filter((member) => member !== leader.number) as [number, number];
  const takeOut = { do: 'change', shard, change: { ...none, remove: [leaving] }, epochs, expected } as const;
  await running.find(({ number }) => number === gone)?.stop();
  await eventually(() => !leader.member.mesh.isUp(gone));
  await expect(ask(takeOut)).rejects.toMatchObject({
    code: 'Unavailable',
    details: { code: 'QuorumAtRisk', silent: [gone] },
  });
  // The one that is gone may go: those that stay answer.
  await ask({ ...takeOut, change: { ...none, remove: [gone] } });
  expect(leader.group().confState.voters).toEqual([leader.number, leaving].sort());
});

it('no voter goes on an old word of those that stay: a leader whose group has gone quiet asks them first', async () => {
  const { leader, ask } = await start();
  const [leaving, failing] = [1, 2, 3].filter((member) => member !== leader.number) as [number, number];
  await eventually(() => leader.group().isQuiet);
  // Its node goes on, so that no link tells.
  running
    .find(({ number }) => number === failing)
    ?.group()
    .fail(new Error('its disk is lost'));
  const takeOut = { do: 'change', shard, change: { ...none, remove: [leaving] }, epochs } as const;
  await expect(ask(takeOut)).rejects.toMatchObject({
    code: 'Unavailable',
    details: { code: 'QuorumAtRisk', silent: [failing] },
  });
  expect(leader.group().confState.voters).toEqual([1, 2, 3]);
});

it('a leader with a change in its log that is not applied yet says of no members what they are', async () => {
  const { leader, ask } = await start();
  const voters = leader.group().confState.voters.filter((member) => member !== leader.number);
  const away = running.filter(({ number }) => voters.includes(number));
  await Promise.all(away.map((host) => host.stop()));
  const [leaving = 0] = voters;
  // Nobody is there to commit it.
  const removed = expect(
    leader.group().changeMembers([{ type: 'remove', member: leaving }], new Uint8Array(0)),
  ).rejects.toBeInstanceOf(Error);
  await eventually(() => leader.group().hasOpenChange);
  await expect(ask({ do: 'observe', shard })).rejects.toMatchObject({ code: 'NoLeader' });
  await removed;
});

it('a coordinator of a former version, which says nothing of what it has seen, is served', async () => {
  const { leader, ask } = await start();
  await ask({ do: 'observe', shard, term: 8 });
  await ask(remove);
  expect(leader.group().confState.learners).toEqual([]);
});

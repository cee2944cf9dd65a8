import { eventually } from '@oaas/commons/testkit';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { introduce, leaderOf, startGroup, startHost, type TestHost } from '../../testkit/hosts.ts';
import { MessageType } from '../raft/index.ts';
import { createMemoryEngine } from '../storage/memory.ts';
import { readFrame } from './frame.ts';

let running: TestHost[] = [];
afterEach(async () => {
  await Promise.all(running.map((host) => host.stop()));
  running = [];
});

async function group(count: number, options: Parameters<typeof startGroup>[1] = {}): Promise<TestHost[]> {
  running = await startGroup(count, options);
  return [...running];
}

const others = (hosts: readonly TestHost[], host: TestHost): TestHost[] => hosts.filter((other) => other !== host);

async function untilEqual(hosts: readonly TestHost[], name: string, value: string): Promise<void> {
  await eventually(() => {
    expect(hosts.map((host) => host.machine().read(name))).toEqual(hosts.map(() => value));
  });
}

describe('a group of three', () => {
  it('answers a proposal once it is applied, and brings it to all members', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    await leader.set('a', '1');
    expect(leader.machine().read('a')).toBe('1');
    await untilEqual(hosts, 'a', '1');
  });

  it('applies proposals of one turn in their order, each with its own answer', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    const indexes = await Promise.all(Array.from({ length: 500 }, (_, i) => leader.set('a', String(i))));
    expect(indexes).toEqual([...indexes].sort((a, b) => Number(a) - Number(b)));
    await untilEqual(hosts, 'a', '499');
    expect(hosts.map((host) => host.machine().applied.length)).toEqual([500, 500, 500]);
  });

  it('refuses with what the state machine says', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    await expect(leader.group().propose(Buffer.from('!no'), undefined)).rejects.toThrow('no');
  });

  it('names the leader to whom a follower cannot be', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    for (const follower of others(hosts, leader)) {
      await expect(follower.set('a', '1')).rejects.toMatchObject({
        code: 'NoLeader',
        details: { leader: leader.number, outcome: 'notApplied' },
      });
    }
  });

  it('goes on without a member that was killed, whoever it is', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    await leader.set('a', '1');
    await leader.kill();
    const rest = others(hosts, leader);
    const next = await leaderOf(rest);
    await next.group().linearize();
    expect(next.machine().read('a')).toBe('1');
    await next.set('a', '2');
    await untilEqual(rest, 'a', '2');
  });

  it('without a majority neither confirms nor reads', async () => {
    const hosts = await group(3, { tuning: { readTimeoutMs: 300 } });
    const leader = await leaderOf(hosts);
    await Promise.all(others(hosts, leader).map((host) => host.kill()));
    const write = leader.set('a', '1');
    await expect(leader.group().linearize()).rejects.toMatchObject({ consequence: 'retry' });
    await expect(write).rejects.toMatchObject({ code: 'Unavailable', details: { outcome: 'unknown' } });
    await eventually(() => !leader.group().isLeader);
    await expect(leader.set('a', '2')).rejects.toMatchObject({ code: 'NoLeader' });
  });

  it('moves leadership, and answers what was on its way', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    const [target] = others(hosts, leader);
    if (target === undefined) throw new Error('no target');
    await leader.set('a', '1');
    const answers = Promise.allSettled(Array.from({ length: 100 }, (_, i) => leader.set(`k${String(i)}`, 'v')));
    await leader.group().transferLeadership(target.number);
    expect((await leaderOf(hosts)).number).toBe(target.number);
    for (const answer of await answers) {
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ details: { outcome: 'notApplied' } });
    }
  });

  it('hands its leadership over when a node stops', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    await leader.set('a', '1');
    await leader.host.stop();
    const rest = others(hosts, leader);
    await eventually(() => rest.some((host) => host.group().isLeader));
    await expect(leader.set('a', '2')).rejects.toMatchObject({ code: 'Unavailable' });
  });
});

describe('reads', () => {
  it('are good at once on a group of one', async () => {
    const [host] = await group(1);
    await host?.set('a', '1');
    expect(host?.group().linearize()).toBeUndefined();
  });

  it('share rounds, on the leader and on followers', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    await leader.set('a', '1');
    const promises = Array.from({ length: 100 }, () => leader.group().linearize());
    expect(new Set(promises).size).toBe(1);
    for (const follower of others(hosts, leader)) {
      await follower.group().linearize();
      expect(follower.machine().read('a')).toBe('1');
    }
  });

  it('under a lease need no round, until it ends', async () => {
    const hosts = await group(3, { tuning: { leaseReads: true } });
    const leader = await leaderOf(hosts);
    await leader.set('a', '1');
    await eventually(async () => {
      const wait = leader.group().linearize();
      await wait;
      return wait === undefined;
    });
    await Promise.all(others(hosts, leader).map((host) => host.kill()));
    await eventually(() => leader.group().linearize() !== undefined);
  });
});

describe('bounds', () => {
  it('refuse proposals when too many wait', async () => {
    const hosts = await group(3, { tuning: { maxProposals: 10 } });
    const leader = await leaderOf(hosts);
    const answers = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => leader.set('a', String(i))));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(answers.at(-1)).toMatchObject({ reason: { code: 'ResourceExhausted' } });
    await leader.set('a', 'again');
  });

  it('refuse proposals when their bytes are too many, and take them again afterwards', async () => {
    const hosts = await group(3, { tuning: { maxProposalBytes: 10_000 } });
    const leader = await leaderOf(hosts);
    const large = 'x'.repeat(4000);
    const answers = await Promise.allSettled([1, 2, 3, 4].map((i) => leader.set(`k${String(i)}`, large)));
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
    await leader.set('a', large);
  });
});

describe('many groups of the same members', () => {
  it('send what they have in one pass in one frame to each of the others', async () => {
    const hosts = await group(3);
    const [host, ...rest] = hosts as [TestHost, TestHost, TestHost];
    const ids = Array.from({ length: 20 }, (_, i) => i + 10);
    await Promise.all(hosts.flatMap((one) => ids.map((id) => one.open(id, { voters: [1, 2, 3] }))));
    for (const id of ids) host.group(id).campaign();
    await eventually(() => ids.every((id) => hosts.some((one) => one.group(id).isLeader)));
    const led = ids.filter((id) => host.group(id).isLeader);
    expect(led.length).toBeGreaterThan(5);
    await Promise.all(led.map((id) => host.set('a', '1', id)));

    /** Groups with entries in each frame, by member. */
    const frames = new Map(rest.map(({ number }) => [number, [] as number[][]]));
    const { mesh } = host.member;
    const send = mesh.send.bind(mesh);
    vi.spyOn(mesh, 'send').mockImplementation((to, channel, payload) => {
      const groups: number[] = [];
      // What is sent may lie in a buffer that is used again.
      const bytes = payload instanceof Uint8Array ? Uint8Array.from(payload) : Buffer.concat(payload);
      readFrame(bytes, host.number, to, ({ group: id, message: { type, entries } }) => {
        if (type === MessageType.MsgApp && entries.length > 0) groups.push(id);
      });
      if (groups.length > 0) frames.get(to)?.push(groups);
      return send(to, channel, payload);
    });
    await Promise.all(led.map((id) => host.set('a', '2', id)));
    for (const { number } of rest) expect(frames.get(number)).toEqual([led]);
  });
});

describe('quiet', () => {
  it('comes over all members when there is nothing to do, and a proposal ends it', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    await leader.set('a', '1');
    await eventually(() => hosts.every((host) => host.group().isQuiet));
    const { term } = leader.group();
    await leader.set('a', '2');
    await untilEqual(hosts, 'a', '2');
    expect(leader.group().term).toBe(term);
    expect(leader.group().isLeader).toBe(true);
    await eventually(() => hosts.every((host) => host.group().isQuiet));
  });

  it('ends when the leader dies: somebody else leads soon', async () => {
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    await eventually(() => hosts.every((host) => host.group().isQuiet));
    await leader.kill();
    const next = await leaderOf(others(hosts, leader));
    await next.set('a', '1');
  });

  it('comes also while a member is down, and the member is caught up when it is back', async () => {
    const engines = [1, 2, 3].map(() => createMemoryEngine());
    const hosts = await Promise.all(engines.map((engine, i) => startHost(i + 1, { engine })));
    introduce(...hosts);
    await Promise.all(hosts.map((host) => host.open(1, { voters: [1, 2, 3] })));
    const leader = await leaderOf(hosts);
    const [gone, ...rest] = others(hosts, leader);
    if (gone === undefined) throw new Error('no follower');
    await gone.kill();
    await leader.set('a', '1');
    await eventually(() => [leader, ...rest].every((host) => host.group().isQuiet));
    const back = await startHost(gone.number, { engine: gone.engine, mesh: { incarnation: 2 } });
    running = [leader, ...rest, back];
    introduce(...running);
    await back.open(1);
    await untilEqual(running, 'a', '1');
  });
});

describe('a message for a group that is not here', () => {
  it('is told to the node, which then makes the replica; a snapshot fills it', async () => {
    const unknown: number[] = [];
    const hosts = await group(3);
    const leader = await leaderOf(hosts);
    for (let i = 0; i < 50; i++) await leader.set(`k${String(i)}`, `v${String(i)}`);
    const fourth = await startHost(4, { events: { unknown: (id) => unknown.push(id) } });
    running.push(fourth);
    introduce(...running);
    await leader.group().changeMembers([{ type: 'learner', member: 4 }], Buffer.from('why'));
    await eventually(() => unknown.includes(1));
    await fourth.open(1, { voters: [] });
    await eventually(() => fourth.machine().read('k49') === 'v49');
    await eventually(
      () =>
        leader
          .group()
          .status()
          .progress.find(({ member }) => member === 4)?.lag === 0,
    );
    expect(
      leader
        .group()
        .status()
        .progress.find(({ member }) => member === 4)?.role,
    ).toBe('learner');
    await leader.set('a', '1');
    await untilEqual(running, 'a', '1');
  });
});

describe('a replica whose removal was cut short by a crash', () => {
  it('leaves no log to the next replica of its group on the same member', async () => {
    const engine = createMemoryEngine();
    const first = await startHost(1, { engine });
    await first.open(1, { voters: [1] });
    await eventually(() => first.group().isLeader);
    await first.set('a', '1');
    const dropGroup = engine.dropGroup.bind(engine);
    const dropping = new Promise<void>((resolve) => {
      engine.dropGroup = () => {
        resolve();
        return new Promise(() => undefined);
      };
    });
    void first.host.remove(1);
    await dropping;
    await first.kill();
    expect(engine.log(1).lastIndex).toBeGreaterThan(1);

    engine.dropGroup = dropGroup;
    const second = await startHost(1, { engine });
    running = [second];
    await second.open(1, { voters: [] }, 2);
    expect(second.group().status()).toMatchObject({ epoch: 2, lastIndex: 0, term: 0 });
  });
});

describe('a replica that is removed while a snapshot is being installed', () => {
  it('leaves nothing of the snapshot to the next replica of its group on the same member', async () => {
    const engine = createMemoryEngine();
    const append = engine.append.bind(engine);
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const installing = new Promise<void>((resolve) => {
      engine.append = async (writes, operations) => {
        if (writes.some(({ reset }) => reset !== undefined)) {
          resolve();
          await gate;
        }
        return append(writes, operations);
      };
    });
    const [leader, joining] = [await startHost(1), await startHost(2, { engine })];
    running = [leader, joining];
    introduce(leader, joining);
    await leader.open(1, { voters: [1] });
    await eventually(() => leader.group().isLeader);
    await leader.set('a', '1');
    await joining.open(1, { voters: [] });
    await leader.group().changeMembers([{ type: 'learner', member: 2 }], new Uint8Array(0));
    await installing;
    const removing = joining.host.remove(1);
    release();
    await removing;
    await joining.open(1, { voters: [] }, 2);
    expect(joining.machine().read('a')).toBeUndefined();
  });
});

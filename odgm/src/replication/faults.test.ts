import { oaasError } from '@oaas/commons/errors';
import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CuttingProxy } from '../../testkit/cutting-proxy.ts';
import {
  directoryOf,
  introduce,
  introduceThroughProxy,
  leaderOf,
  openTestEngine,
  reopenCopy,
  startGroup,
  startHost,
  type TestHost,
  type TestHostOptions,
} from '../../testkit/hosts.ts';
import { makeMessage, MessageType } from '../raft/index.ts';
import type { Engine } from '../storage/index.ts';
import { createMemoryEngine } from '../storage/memory.ts';

let running: TestHost[] = [];
let proxies: CuttingProxy[] = [];
let directory: TempDir;
beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await Promise.all(running.map((host) => host.stop()));
  await Promise.all(proxies.map((proxy) => proxy.close()));
  await directory.remove();
  running = [];
  proxies = [];
});

const others = (hosts: readonly TestHost[], host: TestHost): TestHost[] => hosts.filter((other) => other !== host);

async function startAll(engines: readonly Engine[], options: TestHostOptions = {}): Promise<TestHost[]> {
  const hosts = await Promise.all(engines.map((engine, i) => startHost(i + 1, { ...options, engine })));
  running.push(...hosts);
  return hosts;
}

const founders = async (hosts: readonly TestHost[]): Promise<void> => {
  const voters = hosts.map(({ number }) => number);
  await Promise.all(hosts.map((host) => host.open(1, { voters })));
};

/** Writes k0, k1, … one after the other, wherever the leader is, until told to stop. */
function writer(hosts: () => readonly TestHost[]) {
  const acknowledged = new Map<string, string>();
  let isStopped = false;
  const mayGoOn = (): boolean => !isStopped;
  let refused = 0;
  const run = async (): Promise<void> => {
    for (let i = 0; mayGoOn(); i++) {
      const [name, value] = [`k${String(i)}`, `v${String(i)}`];
      while (!acknowledged.has(name)) {
        if (!mayGoOn()) return;
        const leader = hosts().find((host) => host.host.group(1)?.isLeader === true);
        try {
          if (leader === undefined) throw new Error('no leader');
          await leader.set(name, value);
          acknowledged.set(name, value);
        } catch {
          refused += 1;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    }
  };
  const done = run();
  return {
    acknowledged,
    refused: () => refused,
    stop: async () => {
      isStopped = true;
      await done;
    },
  };
}

async function untilAllAreThere(hosts: readonly TestHost[], acknowledged: ReadonlyMap<string, string>): Promise<void> {
  await eventually(() => {
    for (const host of hosts) {
      for (const [name, value] of acknowledged) expect(host.machine().read(name)).toBe(value);
    }
  });
}

describe('on disk', () => {
  it('nothing that was confirmed is lost when all nodes are killed at once, twice', async () => {
    const open = (number: number): Promise<Engine> => openTestEngine(directoryOf(directory.path, number));
    let hosts = await startAll(await Promise.all([1, 2, 3].map(open)));
    introduce(...hosts);
    await founders(hosts);
    let current = directory.path;
    const confirmed = new Map<string, string>();
    for (let round = 0; round < 2; round++) {
      await leaderOf(hosts);
      const writers = [writer(() => hosts)];
      await eventually(() => (writers[0]?.acknowledged.size ?? 0) > 50);
      const killed = hosts;
      await Promise.all(killed.map((host) => host.kill()));
      for (const one of writers) {
        for (const [name, value] of one.acknowledged) confirmed.set(name, value);
      }
      // What is on disk now, with the writes that were under way half done.
      const next = `${directory.path}-${String(round)}`;
      const engines = await Promise.all(
        killed.map(({ number }) => reopenCopy(directoryOf(current, number), directoryOf(next, number))),
      );
      await Promise.all(writers.map((one) => one.stop()));
      await Promise.all(killed.map(({ engine }) => engine.close()));
      running = [];
      current = next;
      hosts = await startAll(engines);
      introduce(...hosts);
      await Promise.all(hosts.map((host) => host.open(1)));
      await leaderOf(hosts);
      await untilAllAreThere(hosts, confirmed);
    }
    expect(confirmed.size).toBeGreaterThan(50);
  });

  it('a state that does not fit its log is not served', async () => {
    const [host] = await startAll([createMemoryEngine()]);
    if (host === undefined) throw new Error('no host');
    await host.open(1, { voters: [1] });
    await eventually(() => host.group().isLeader);
    for (let i = 0; i < 5; i++) await host.set('a', String(i));
    host.host.close(1);
    await host.engine.append([{ group: 1, reset: { index: 2, term: 1 } }]);
    await expect(host.open(1)).rejects.toMatchObject({ code: 'StorageCorrupt' });
  });
});

describe('a follower that is too far behind', () => {
  const tuning = { keepEntries: 50, keepBytes: 20_000, snapshotChunkBytes: 4096, quietAfterTicks: 1000 };

  async function withLaggard(more: TestHostOptions['tuning'] = {}, bytesPerSecond?: number) {
    const engines = [1, 2, 3].map(() => createMemoryEngine());
    const hosts = await startAll(engines, { tuning: { ...tuning, ...more }, bytesPerSecond });
    introduce(...hosts);
    await founders(hosts);
    const leader = await leaderOf(hosts);
    await leader.set('old', 'state');
    const laggard = others(hosts, leader)[0];
    if (laggard === undefined) throw new Error('no follower');
    await eventually(() => laggard.machine().read('old') === 'state');
    await laggard.kill();
    for (let i = 0; i < 400; i++) await leader.set(`k${String(i)}`, `${String(i)}-`.padEnd(500, 'x'));
    expect(leader.group().status().firstIndex).toBeGreaterThan(laggard.group().status().lastIndex);
    const restart = async (): Promise<TestHost> => {
      const back = await startHost(laggard.number, {
        tuning: { ...tuning, ...more },
        bytesPerSecond,
        engine: laggard.engine,
        mesh: { incarnation: 2 },
      });
      running = [...others(running, laggard), back];
      return back;
    };
    return { leader, hosts, restart };
  }

  it('gets the state, and the old one is deleted', async () => {
    const { leader, restart } = await withLaggard();
    const back = await restart();
    introduce(...running);
    await back.open(1);
    await eventually(() => back.machine().read('k399')?.startsWith('399-') === true);
    expect(back.group().generation).toBe(2);
    expect(back.machine().read('old')).toBe('state');
    await leader.set('new', 'entry');
    await eventually(() => back.machine().read('new') === 'entry');
    // The entries of the first generation are gone in the background; what is left is one state and one record.
    await eventually(() => back.engine.usage().entries === leader.engine.usage().entries);
  });

  it('gets the rest of the state after its link broke, not all of it again', async () => {
    const { leader, restart } = await withLaggard({}, 400_000);
    const back = await restart();
    const proxy = await introduceThroughProxy(...running);
    proxies.push(proxy);
    await back.open(1);
    const sent = (): number => leader.host.snapshots().sending[0]?.sentBytes ?? 0;
    let most = 0;
    for (const goal of [40_000, 100_000]) {
      await eventually(() => (most = Math.max(most, sent())) > goal);
      for (const other of others(running, back)) proxy.cut(other.member.id, back.member.id);
      await eventually(() => !leader.member.mesh.isUp(back.number));
      proxy.heal();
    }
    await eventually(() => {
      most = Math.max(most, sent());
      return back.machine().read('k399')?.startsWith('399-') === true;
    });
    // 400 texts of 500 bytes, and what was on its way when the link broke.
    expect(most).toBeLessThan(2 * 230_000);
    const missing = Array.from({ length: 400 }, (_, i) => i).filter(
      (i) =>
        back
          .machine()
          .read(`k${String(i)}`)
          ?.startsWith(`${String(i)}-`) !== true,
    );
    expect(missing).toEqual([]);
  });

  it('gets the rest of the state at another rate at once when the rate changes meanwhile', async () => {
    const { leader, restart } = await withLaggard({}, 1);
    const back = await restart();
    introduce(...running);
    await back.open(1);
    const sending = () => leader.host.snapshots().sending[0];
    await eventually(() => (sending()?.sentBytes ?? 0) > 0);
    const index = sending()?.index;
    // At a byte a second the next chunk would go in hours.
    expect(back.machine().read('k399')).toBeUndefined();
    leader.rate.bytesPerSecond = 10_000_000;
    await eventually(() => back.machine().read('k399')?.startsWith('399-') === true);
    expect(leader.host.snapshots().sending.every((one) => one.index === index)).toBe(true);
  });

  it('does not pass for one that has all, and answers no local reads, until the state is in place', async () => {
    const { leader, restart } = await withLaggard({}, 1);
    const back = await restart();
    introduce(...running);
    await back.open(1);
    await eventually(() => (leader.host.snapshots().sending[0]?.sentBytes ?? 0) > 0);
    // Heartbeats go on meanwhile, and commit no more than what the follower has.
    let heard = 0;
    const group = back.group();
    const receive = group.receive.bind(group);
    group.receive = (...args) => {
      if (args[4].type === MessageType.MsgHeartbeat) heard += 1;
      receive(...args);
    };
    await eventually(() => heard >= 3);
    expect(back.group().staleMs).toBeUndefined();
    expect(back.group().isReadable).toBe(false);
    leader.rate.bytesPerSecond = 10_000_000;
    await eventually(() => back.group().isReadable);
    expect(back.machine().read('k399')).toMatch(/^399-/);
    expect(back.group().staleMs).toBeTypeOf('number');
  });

  it('learns from heartbeats how far the leader is; one of a former version does not tell', async () => {
    const { leader, restart } = await withLaggard();
    const back = await restart();
    await back.open(1);
    const { term, lastIndex } = back.group().status();
    const beat = (index: number): void => {
      const message = makeMessage(MessageType.MsgHeartbeat, back.number, leader.number, term);
      message.commit = lastIndex;
      message.index = index;
      back.group().receive(leader.number, 1, 1, false, message);
    };
    const seen = () => {
      const { leader: known, isReadable, staleMs } = back.group();
      return [known, isReadable, typeof staleMs];
    };
    expect(seen()).toEqual([0, true, 'undefined']);
    beat(0);
    await eventually(() => back.group().applied === lastIndex);
    expect(seen()).toEqual([leader.number, false, 'undefined']);
    beat(lastIndex);
    expect(seen()).toEqual([leader.number, true, 'number']);
  });

  it('keeps the state that it has when the sender dies in the middle', async () => {
    const { leader, hosts, restart } = await withLaggard({}, 100_000);
    const back = await restart();
    introduce(...running);
    await back.open(1);
    await eventually(() => back.host.snapshots().receiving === 1);
    await leader.kill();
    expect(back.machine().read('old')).toBe('state');
    running = running.filter((host) => host !== leader);
    const survivor = hosts.find((host) => running.includes(host));
    await eventually(() => survivor?.group().isLeader === true);
    if (survivor !== undefined) survivor.rate.bytesPerSecond = Infinity;
    await eventually(() => back.machine().read('k399')?.startsWith('399-') === true);
    await leader.engine.close();
  });
});

describe('a change of members under load', () => {
  it('replaces one by another without a lost or refused write', async () => {
    running = await startGroup(3);
    const hosts = [...running];
    const fourth = await startHost(4);
    running.push(fourth);
    introduce(...running);
    await fourth.open(1, { voters: [] });
    const leader = await leaderOf(hosts);
    const load = writer(() => running);
    await eventually(() => load.acknowledged.size > 20);
    const leaving = others(hosts, leader)[0];
    if (leaving === undefined) throw new Error('no follower');
    await leader.group().changeMembers([{ type: 'learner', member: 4 }], new Uint8Array(0));
    await eventually(() => {
      const learner = leader
        .group()
        .status()
        .progress.find(({ member }) => member === 4);
      return learner !== undefined && learner.state === 'replicate' && learner.lag < 10;
    });
    const after = await leader.group().changeMembers(
      [
        { type: 'voter', member: 4 },
        { type: 'remove', member: leaving.number },
      ],
      new Uint8Array(0),
    );
    const expected = [...hosts.filter((host) => host !== leaving).map(({ number }) => number), 4];
    expect(after).toMatchObject({ voters: expected, votersOutgoing: [], learners: [] });
    await leaving.host.remove(1);
    const size = load.acknowledged.size;
    await eventually(() => load.acknowledged.size > size + 20);
    await load.stop();
    expect(load.refused()).toBe(0);
    await untilAllAreThere(others(running, leaving), load.acknowledged);
    expect(leaving.engine.groups()).toEqual([]);
  });

  it('moves the leadership away from a leader that is removed', async () => {
    running = await startGroup(3);
    const leader = await leaderOf(running);
    await leader.group().changeMembers([{ type: 'remove', member: leader.number }], new Uint8Array(0));
    const rest = others(running, leader);
    await eventually(() => rest.some((host) => host.group().isLeader));
    await (await leaderOf(rest)).set('a', '1');
  });

  it('is refused while another one is under way', async () => {
    running = await startGroup(3);
    const leader = await leaderOf(running);
    const first = leader.group().changeMembers([{ type: 'learner', member: 8 }], new Uint8Array(0));
    await expect(
      leader.group().changeMembers([{ type: 'learner', member: 9 }], new Uint8Array(0)),
    ).rejects.toMatchObject({ code: 'FailedPrecondition' });
    expect(await first).toMatchObject({ learners: [8] });
  });
});

describe('a leader that is cut off', () => {
  it('gives no stale answer, while the others go on with another leader', async () => {
    const hosts = await startAll(
      [1, 2, 3].map(() => createMemoryEngine()),
      { tuning: { readTimeoutMs: 500 } },
    );
    const proxy = await introduceThroughProxy(...hosts);
    proxies.push(proxy);
    await founders(hosts);
    const old = await leaderOf(hosts);
    await old.set('a', 'old');
    proxy.isolate(old.member.id);
    const rest = others(hosts, old);
    const stale = old.group().linearize();
    const next = await leaderOf(rest);
    await next.set('a', 'new');
    let seen: string | undefined;
    await Promise.resolve(stale).then(
      () => {
        seen = old.machine().read('a');
      },
      () => undefined,
    );
    expect(seen).not.toBe('old');
    proxy.heal();
    await eventually(() => {
      expect(old.group().leader).toBe(next.number);
    });
    await old.group().linearize();
    expect(old.machine().read('a')).toBe('new');
  });

  it('says of its last proposals that they never happened once it sees others in their place', async () => {
    const hosts = await startAll(
      [1, 2, 3].map(() => createMemoryEngine()),
      { tuning: { electionTicks: 30 } },
    );
    const proxy = await introduceThroughProxy(...hosts);
    proxies.push(proxy);
    await founders(hosts);
    const old = await leaderOf(hosts);
    const rest = others(hosts, old);
    for (const { member } of rest) proxy.cut(old.member.id, member.id);
    await eventually(() => rest.every(({ number }) => !old.member.mesh.isUp(number)));
    const lost = old.set('a', 'lost').catch((error: unknown) => error);
    const next = await leaderOf(rest);
    await next.set('a', 'kept');
    proxy.heal();
    expect(await lost).toMatchObject({ code: 'Unavailable', details: { outcome: 'notApplied' } });
    expect(old.machine().read('a')).toBe('kept');
  });
});

describe('a peer that does not read', () => {
  it('does not fill the memory of the others, nor stop them', async () => {
    const hosts = await startAll(
      [1, 2, 3].map(() => createMemoryEngine()),
      { mesh: { pingMs: 60_000 }, tuning: { electionTicks: 100, maxInflightBytes: 2 * 1024 * 1024 } },
    );
    const proxy = await introduceThroughProxy(...hosts);
    proxies.push(proxy);
    await founders(hosts);
    await eventually(() => hosts.some((host) => host.group().leader !== 0));
    const leader = await leaderOf(hosts);
    const stalled = others(hosts, leader)[0];
    if (stalled === undefined) throw new Error('no follower');
    proxy.blackhole(leader.member.id, stalled.member.id);
    const value = 'x'.repeat(64 * 1024);
    for (let i = 0; i < 40; i++) {
      await Promise.all(Array.from({ length: 16 }, (_, j) => leader.set(`k${String(j)}`, value)));
    }
    const queued = leader.member.mesh.peers().find(({ number }) => number === stalled.number)?.queuedBytes ?? 0;
    expect(queued).toBeLessThan(8 * 1024 * 1024);
    expect(
      leader
        .group()
        .status()
        .progress.find(({ member }) => member === stalled.number)?.lag,
    ).toBeGreaterThan(100);
    proxy.heal();
  });
});

describe('faults of one node', () => {
  it('a state machine that cannot go on stops its group there only', async () => {
    const failed: number[] = [];
    running = await startGroup(3, { events: { failed: (group) => failed.push(group) } });
    await Promise.all(running.map((host) => host.open(2, { voters: [1, 2, 3] })));
    const leader = await leaderOf(running);
    const broken = others(running, leader)[0];
    if (broken === undefined) throw new Error('no follower');
    broken.machine().apply = () => {
      throw oaasError('StorageCorrupt', 'a value is damaged');
    };
    await leader.set('a', '1');
    await eventually(() => failed.length > 0);
    expect(failed).toEqual([1]);
    expect(broken.group().status()).toMatchObject({ state: 'failed', problem: 'a value is damaged' });
    await expect(broken.group().linearize()).rejects.toMatchObject({ code: 'Unavailable' });
    await leader.set('a', '2');
    const other = await leaderOf(running, 2);
    await other.set('b', '1', 2);
    await eventually(() => broken.machine(2).read('b') === '1');
  });

  it('a member whose disk does not answer asks for no votes: it could win them, forget that, and win them again', async () => {
    const gate = { of: undefined as Engine | undefined, waiting: [] as (() => void)[] };
    const engines = [1, 2, 3].map(() => createMemoryEngine());
    for (const engine of engines) {
      const append = engine.append.bind(engine);
      engine.append = async (writes, operations) => {
        if (engine === gate.of) await new Promise<void>((resolve) => gate.waiting.push(resolve));
        return append(writes, operations);
      };
    }
    const hosts = await startAll(engines);
    introduce(...hosts);
    await founders(hosts);
    const leader = await leaderOf(hosts);
    await leader.set('a', '1');
    const { term } = leader.group().status();
    const slow = others(hosts, leader)[0]!;
    gate.of = slow.engine;
    await expect(leader.group().transferLeadership(slow.number)).rejects.toMatchObject({ code: 'Unavailable' });
    expect(slow.group().status()).toMatchObject({ term: term + 1 });
    expect(leader.group().status()).toMatchObject({ role: 'leader', term });
    gate.of = undefined;
    for (const go of gate.waiting.splice(0)) go();
    await eventually(() => hosts.some((host) => host.group().isLeader && host.group().status().term > term));
    await eventually(async () => {
      const next = await leaderOf(hosts);
      return next.set('a', '2').then(() => true);
    });
  });

  it('whoever waits for a change hears that it may have happened when the leader cannot go on with it; the others do', async () => {
    running = await startGroup(3);
    const leader = await leaderOf(running);
    leader.machine().apply = () => {
      throw oaasError('StorageCorrupt', 'a value is damaged');
    };
    const changes = await Promise.allSettled([leader.set('a', '1'), leader.set('b', '1')]);
    for (const change of changes) {
      expect(change).toMatchObject({ reason: { code: 'Unavailable', details: { outcome: 'unknown' } } });
    }
    const rest = others(running, leader);
    await eventually(() => rest.some((host) => host.machine().read('b') === '1'));
  });

  it('a full disk holds writes up until there is space, and loses none', async () => {
    let isFull = false;
    const engine = createMemoryEngine();
    const append = engine.append.bind(engine);
    engine.append = (...writes) => (isFull ? Promise.reject(oaasError('StorageFull', 'full')) : append(...writes));
    const [host] = await startAll([engine]);
    if (host === undefined) throw new Error('no host');
    await host.open(1, { voters: [1] });
    await eventually(() => host.group().isLeader);
    await host.set('a', '1');
    isFull = true;
    const held = host.set('a', '2');
    const refusals: unknown[] = [];
    await eventually(() => {
      host.set('b', '1').catch((error: unknown) => refusals.push(error));
      expect(refusals).toContainEqual(expect.objectContaining({ code: 'StorageFull' }));
    });
    expect(host.machine().read('a')).toBe('1');
    expect(host.host.refusal?.message).toBe('full');
    isFull = false;
    await held;
    expect(host.host.refusal).toBeUndefined();
    expect(host.machine().read('a')).toBe('2');
    await eventually(() => host.set('b', '1'));
  });

  it('an engine that failed stops all groups of the node', async () => {
    const engine = createMemoryEngine();
    const [host] = await startAll([engine]);
    if (host === undefined) throw new Error('no host');
    await host.open(1, { voters: [1] });
    await eventually(() => host.group().isLeader);
    engine.append = () => Promise.reject(oaasError('Unavailable', 'the disk is gone'));
    await expect(host.set('a', '1')).rejects.toMatchObject({ code: 'Unavailable' });
    expect(host.group().status().state).toBe('failed');
  });
});

describe('a replica that was removed', () => {
  it('does not come back by a late message, only by a new epoch; what was said to the old one does not count', async () => {
    const unknown: boolean[] = [];
    running = await startGroup(3, { events: { unknown: (_, __, isRemoved) => unknown.push(isRemoved) } });
    const leader = await leaderOf(running);
    await leader.set('a', '1');
    const removed = others(running, leader)[0];
    if (removed === undefined) throw new Error('no follower');
    // Without a change of members: the leader goes on sending to it.
    await removed.host.remove(1);
    await leader.set('a', '2');
    await eventually(() => unknown.length > 0);
    expect(unknown).not.toContain(false);
    expect(removed.host.stored()).toMatchObject([{ group: 1, state: 'removed', epoch: 1 }]);
    await expect(removed.open(1, { voters: [] })).rejects.toMatchObject({ code: 'FailedPrecondition' });
    await leader.group().changeMembers([{ type: 'remove', member: removed.number }], new Uint8Array(0));
    await leader.group().changeMembers([{ type: 'learner', member: removed.number, epoch: 2 }], new Uint8Array(0));
    await removed.open(1, { voters: [] }, 2);
    await eventually(() => removed.machine().read('a') === '2');
    expect(leader.group().epochOf(removed.number)).toBe(2);
  });

  it('has no say with its next epoch before the configuration names it: it does not know what it had acknowledged', async () => {
    running = await startGroup(3);
    const leader = await leaderOf(running);
    await leader.set('a', '1');
    const [removed, other] = others(running, leader);
    if (removed === undefined || other === undefined) throw new Error('no followers');
    await eventually(() => other.machine().read('a') === '1');
    await removed.host.remove(1);
    await removed.open(1, { voters: [] }, 2);
    // With the one that was made anew it would go on as if it had a quorum.
    await other.stop();
    running = running.filter((host) => host !== other);
    await eventually(() => !leader.group().isLeader);
    const { term } = leader.group().status();
    await eventually(() => leader.group().status().role === 'preCandidate');
    await expect(leader.set('a', '2')).rejects.toMatchObject({ code: 'NoLeader' });
    expect(leader.group().status().term).toBe(term);
  });
});

import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '@oaas/commons/testkit';
import { createLogger } from '@oaas/commons/telemetry';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import {
  type CommittedEntry,
  type FirstMembers,
  type HostEvents,
  type RaftGroup,
  RaftHost,
  type StateMachine,
  statePrefix,
  type Tuning,
} from '../src/replication/index.ts';
import { ByteRate } from '../src/mesh/rate.ts';
import { openDurableEngine } from '../src/storage/durable.ts';
import type { Engine, StorageReader, WriteOperation } from '../src/storage/index.ts';
import { createMemoryEngine } from '../src/storage/memory.ts';
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.ts';
import { startMember, type TestMember, type TestMemberOptions } from './mesh.ts';

/** A state machine of named texts. Entries are `name=text`; an entry `!text` is refused with an error that says text. */
export class TextMachine implements StateMachine {
  readonly #group: number;
  readonly #engine: StorageReader;
  #prefix: Uint8Array = new Uint8Array(0);
  /** Texts of all entries that this machine applied since it was made. */
  readonly applied: string[] = [];

  constructor(group: number, engine: StorageReader) {
    this.#group = group;
    this.#engine = engine;
  }

  open(generation: number): void {
    this.#prefix = statePrefix(this.#group, generation);
  }

  apply(entries: readonly CommittedEntry[], results: unknown[]): readonly WriteOperation[] {
    const operations: WriteOperation[] = [];
    for (const { data, index } of entries) {
      const text = Buffer.from(data).toString();
      this.applied.push(text);
      if (text.startsWith('!')) {
        results.push(new Error(text.slice(1)));
        continue;
      }
      const [name = '', value = ''] = text.split('=');
      operations.push({
        type: 'put',
        key: Buffer.concat([this.#prefix, Buffer.from(name)]),
        value: Buffer.from(value),
      });
      results.push(index);
    }
    return operations;
  }

  read(name: string): string | undefined {
    const value = this.#engine.get(Buffer.concat([this.#prefix, Buffer.from(name)]));
    return value === undefined ? undefined : Buffer.from(value).toString();
  }
}

export interface TestHostOptions {
  readonly tuning?: Partial<Tuning> | undefined;
  readonly events?: HostEvents | undefined;
  /** Default: in memory. */
  readonly engine?: Engine | undefined;
  readonly mesh?: TestMemberOptions | undefined;
  /** Bytes a second of snapshots. Default: no bound. */
  readonly bytesPerSecond?: number | undefined;
}

/** One node's groups over real sockets. */
export interface TestHost {
  readonly number: number;
  readonly member: TestMember;
  readonly engine: Engine;
  readonly host: RaftHost;
  /** Of its snapshots. */
  readonly rate: ByteRate;
  readonly machines: Map<number, TextMachine>;
  open(group: number, first?: FirstMembers, epoch?: number): Promise<RaftGroup>;
  group(group?: number): RaftGroup;
  machine(group?: number): TextMachine;
  /** Proposes a text; gives the index of its entry. */
  set(name: string, value: string, group?: number): Promise<unknown>;
  /** Ends at once, without a word to anybody but the links that break. The engine stays open. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Faster than a real node, so that tests need not wait. */
export const quickTuning: Partial<Tuning> = {
  tickMs: 10,
  electionTicks: 12,
  quietAfterTicks: 30,
  campaignSpreadMs: 40,
};

export async function startHost(number: number, options: TestHostOptions = {}): Promise<TestHost> {
  const member = await startMember(number, options.mesh);
  const engine = options.engine ?? createMemoryEngine();
  const bytesPerSecond = options.bytesPerSecond ?? Infinity;
  const rate = new ByteRate({ clock: systemClock, timers: systemTimers, bytesPerSecond });
  const host = new RaftHost({
    rateOf: () => rate,
    ...{ engine, mesh: member.mesh, self: number, clock: systemClock, timers: systemTimers, random: systemRandom },
    logger: createLogger({ service: 'test', level: 'silent' }),
    schedule: (run) => {
      setImmediate(run);
    },
    events: options.events,
    tuning: { ...quickTuning, ...options.tuning },
  });
  const machines = new Map<number, TextMachine>();
  const groupOf = (group = 1): RaftGroup => {
    const found = host.group(group);
    if (found === undefined) throw new Error(`no group ${String(group)} on member ${String(number)}`);
    return found;
  };
  return {
    ...{ number, member, engine, host, rate, machines },
    open: async (group, first, epoch = 1) => {
      const machine = new TextMachine(group, engine);
      machines.set(group, machine);
      const config = { group, epoch, machine };
      return first === undefined ? host.open(config) : host.create(config, first);
    },
    group: groupOf,
    machine: (group = 1) => {
      const found = machines.get(group);
      if (found === undefined) throw new Error('no machine');
      return found;
    },
    set: (name, value, group) => groupOf(group).propose(Buffer.from(`${name}=${value}`), undefined),
    kill: async () => {
      host.abandon();
      await member.stop();
    },
    stop: async () => {
      await host.stop();
      await member.stop();
      await engine.close();
    },
  };
}

/** Tells members of each other; links come up by themselves. */
export function introduce(...hosts: readonly TestHost[]): void {
  for (const { member } of hosts) member.mesh.setPeers(hosts.map((host) => host.member));
}

/** The same, with a proxy between each two that can cut their links. */
export async function introduceThroughProxy(...hosts: readonly TestHost[]): Promise<CuttingProxy> {
  const nodes = hosts.map(({ member }) => ({ id: member.id, target: member.address }));
  const proxy = await startCuttingProxy({ nodes });
  const peers = hosts.map(({ member: { number, id } }) => ({ number, id, address: proxy.addressOf(id) }));
  for (const { member } of hosts) member.mesh.setPeers(peers);
  return proxy;
}

/** Hosts with one group (number 1) of all of them, and somebody who leads it. */
export async function startGroup(count: number, options: TestHostOptions = {}): Promise<TestHost[]> {
  const hosts = await Promise.all(Array.from({ length: count }, (_, i) => startHost(i + 1, options)));
  introduce(...hosts);
  const voters = hosts.map(({ number }) => number);
  await Promise.all(hosts.map((host) => host.open(1, { voters })));
  await leaderOf(hosts);
  return hosts;
}

/** The member that leads, once all given ones agree. */
export async function leaderOf(hosts: readonly TestHost[], group = 1): Promise<TestHost> {
  return eventually(() => {
    const leaders = new Set(hosts.map((host) => host.group(group).leader));
    const [number] = leaders;
    const leader = hosts.find((host) => host.number === number);
    return leaders.size === 1 && leader?.group(group).isLeader === true ? leader : false;
  });
}

/** What a process that is killed now leaves behind, opened anew: the directory as it is, in another place. */
export async function reopenCopy(directory: string, copy: string): Promise<Engine> {
  await cp(directory, copy, {
    recursive: true,
    filter: (source) => !source.endsWith('.sock') && !source.endsWith('.lock'),
  });
  return openTestEngine(copy);
}

export function openTestEngine(directory: string): Promise<Engine> {
  return openDurableEngine({
    directory,
    owner: 'test',
    timers: systemTimers,
    logger: createLogger({ service: 'test', level: 'silent' }),
    segmentBytes: 4 * 1024 * 1024,
  });
}

export const directoryOf = (root: string, number: number): string => join(root, `grid-${String(number)}`);

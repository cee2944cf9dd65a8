import { sleep } from '@oaas/commons/time';
import { describe, expect, it } from 'vitest';
import type { Mesh } from '../../src/mesh/port.ts';
import {
  chooseSwarm,
  createSimMesh,
  describeVerdict,
  FaultDriver,
  History,
  type ObjectInput,
  objectModel,
  type ObjectOutput,
  SimDisk,
  SimNetwork,
  type SimProcess,
  SimWorld,
} from './index.ts';

/**
 * A register on three nodes that is right by design, or wrong on purpose: a put is flushed by a majority under a higher
 * round, a get reads a majority and writes back what it found (H. Attiya, A. Bar-Noy, D. Dolev, 1995; one writer at a time
 * is not needed, for rounds carry the number of the node).
 */
class Register {
  private round = 0;
  private value = '';
  private readonly mesh: Mesh;
  private readonly defect: Defect;
  private readonly process: SimProcess;
  private readonly disk: SimDisk;

  constructor(network: SimNetwork, process: SimProcess, disk: SimDisk, number: number, defect: Defect) {
    this.process = process;
    this.defect = defect;
    this.disk = disk;
    this.mesh = createSimMesh(network, process, { number });
  }

  async start(): Promise<void> {
    const { files } = this.disk.mount(this.process);
    const isNew = !(await files.list()).some(({ name }) => name === 'state');
    const file = await files.open('state', isNew ? 'new' : 'existing');
    await files.syncNames();
    // Two slots in turn, each with its own checksum of sorts, so that a torn write leaves the other.
    let slot = 0;
    for (const position of [0, 512]) {
      const bytes = new Uint8Array(512);
      if ((await file.read(bytes, position)) < 512) continue;
      const [round, value, end] = Buffer.from(bytes).toString().split('\n');
      if (end === `${round ?? ''}.` && Number(round) > this.round) {
        this.round = Number(round);
        this.value = value ?? '';
        slot = position === 0 ? 512 : 0;
      }
    }
    let turn = Promise.resolve();
    const store = (round: number, value: string): Promise<void> => {
      turn = turn.then(async () => {
        if (round <= this.round) return;
        await file.write([Buffer.from(`${round}\n${value}\n${round}.\n`.padEnd(512))], slot);
        if (this.defect !== 'no flush') await file.datasync();
        slot = slot === 0 ? 512 : 0;
        this.round = round;
        this.value = value;
      });
      return turn;
    };
    this.mesh.onRequest(1, () => Buffer.from(`${this.round}\n${this.value}`));
    this.mesh.onRequest(2, async (payload) => {
      const [round, value] = Buffer.from(payload).toString().split('\n');
      await store(Number(round), value ?? '');
      return Buffer.from('stored');
    });
    this.mesh.setPeers([1, 2, 3].map((number) => ({ number, id: `n${number}`, address: `n${number}` })));
    this.store = store;
  }

  async put(value: string): Promise<void> {
    const { round } = await this.read();
    const { number } = this.mesh.self;
    await this.write((Math.floor(round / 10) + 1) * 10 + number, value);
  }

  async get(): Promise<string> {
    if (this.defect === 'local reads') return this.value;
    const { round, value } = await this.read();
    if (this.defect !== 'no write-back') await this.write(round, value);
    return value;
  }

  private store: (round: number, value: string) => Promise<void> = () => Promise.resolve();

  private async read(): Promise<{ round: number; value: string }> {
    const answers = await this.ask(1, Buffer.alloc(0), () => Buffer.from(`${this.round}\n${this.value}`));
    const all = answers.map((answer) => Buffer.from(answer).toString().split('\n'));
    const [round, value] = all.sort((a, b) => Number(b[0]) - Number(a[0]))[0] ?? [];
    return { round: Number(round), value: value ?? '' };
  }

  private async write(round: number, value: string): Promise<void> {
    await this.ask(2, Buffer.from(`${round}\n${value}`), async () => {
      await this.store(round, value);
      return Buffer.from('stored');
    });
  }

  /** The answers of a majority, this node's among them. */
  private async ask(
    channel: number,
    payload: Uint8Array,
    own: () => Uint8Array | Promise<Uint8Array>,
  ): Promise<Uint8Array[]> {
    const others = [1, 2, 3].filter((number) => number !== this.mesh.self.number);
    const first = Promise.any(others.map((to) => this.mesh.request(to, channel, payload, { timeoutMs: 1000 })));
    first.catch(() => undefined);
    return [await own(), await first];
  }
}

type Defect = 'none' | 'no flush' | 'no write-back' | 'local reads';

interface Outcome {
  readonly problems: readonly string[];
  readonly isLive: boolean;
  readonly operations: number;
  readonly driver: FaultDriver;
  readonly hash: string;
}

/** Three nodes, a client on each, faults for 60 s, then a healed majority that must make progress. */
async function play(seed: number, defect: Defect): Promise<Outcome> {
  const world = new SimWorld({ seed });
  const network = new SimNetwork(world);
  const disks = new Map<string, SimDisk>();
  const history = new History<ObjectInput, ObjectOutput>();
  let values = 0;
  let successes = 0;

  const client = async (process: SimProcess, register: Register): Promise<void> => {
    const { random, timers } = process;
    for (;;) {
      await sleep(timers, 1 + random.next() * 500);
      const isPut = random.next() < 0.5;
      const value = String((values += 1));
      const recorded = history.call('x', isPut ? { type: 'put', value } : { type: 'get' }, process.node.id);
      try {
        if (isPut) {
          await register.put(value);
          recorded.returned({ type: 'done' });
        } else {
          const got = await register.get();
          recorded.returned({ type: 'got', value: got === '' ? undefined : got });
        }
        successes += 1;
      } catch {
        recorded.unknown();
      }
    }
  };

  const nodes = [1, 2, 3].map((number) => {
    const node = world.node(`n${number}`);
    const disk = new SimDisk(world, node.id);
    disks.set(node.id, disk);
    node.boot(async (process) => {
      const register = new Register(network, process, disk, number, defect);
      await register.start();
      void client(process, register);
    });
    return node;
  });
  const swarm = chooseSwarm(world.randomOf('swarm'));
  const driver = new FaultDriver({ world, network, nodes, disks, swarm });
  await world.run(3000);
  driver.start();
  await world.run(60_000);
  driver.healCore(driver.chooseCore(2));
  const before = successes;
  const isLive = await world.until(() => successes > before + 10, 60_000);
  const problems = history.check(objectModel, { configurationsMax: 20_000 }).map(describeVerdict);
  return { problems, isLive, operations: history.size, driver, hash: world.trace.hash() };
}

describe('faults from a seed', () => {
  it('find nothing in a register that is right, and a healed majority makes progress', async () => {
    const counts = { clogs: 0, partitions: 0, crashes: 0, pauses: 0, clocks: 0 };
    for (let seed = 1; seed <= 12; seed += 1) {
      const { problems, isLive, driver } = await play(seed, 'none');
      expect(
        problems.filter((problem) => problem.includes('no order')),
        `seed ${seed}`,
      ).toEqual([]);
      expect(isLive, `seed ${seed}`).toBe(true);
      for (const kind of Object.keys(counts) as (keyof typeof counts)[]) counts[kind] += driver.counts[kind];
    }
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(10);
  });

  it.each(['no flush', 'no write-back', 'local reads'] as const)('find the defect: %s', async (defect) => {
    let found = 0;
    for (let seed = 1; seed <= 40 && found === 0; seed += 1) {
      const { problems } = await play(seed, defect);
      found += problems.some((problem) => problem.includes('no order')) ? 1 : 0;
    }
    expect(found).toBe(1);
  });

  it('are the same for the same seed, to the last event', async () => {
    const [one, again, other] = [await play(5, 'none'), await play(5, 'none'), await play(6, 'none')];
    expect(again.hash).toBe(one.hash);
    expect(other.hash).not.toBe(one.hash);
  });

  it('differ in kind from seed to seed', () => {
    const swarms = Array.from({ length: 50 }, (_, seed) => chooseSwarm(new SimWorld({ seed }).randomOf('swarm')));
    const some = (isOn: (swarm: (typeof swarms)[number]) => boolean): void => {
      const count = swarms.filter(isOn).length;
      expect(count).toBeGreaterThan(10);
      expect(count).toBeLessThan(40);
    };
    some(({ link }) => link.loss > 0);
    some(({ link }) => link.reorders);
    some(({ crashes }) => Number.isFinite(crashes.everyMs));
    some(({ partitions }) => Number.isFinite(partitions.everyMs));
    expect(swarms.every(({ disk }) => disk.lostFlushes === 0 && disk.flushFailures === 0)).toBe(true);
  });
});

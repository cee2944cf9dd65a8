import { describe, expect, it } from 'vitest';
import { type DiskFaults, healthyDisk, SimDisk, type SimFile, type SimFiles } from './disk.ts';
import { SimWorld } from './world.ts';

interface Machine {
  readonly world: SimWorld;
  readonly disk: SimDisk;
  files: SimFiles;
  /** Lets the call end, or says after a second that it does not. */
  done<T>(call: Promise<T>): Promise<T>;
  crash(): void;
}

function machine(seed: number, faults: Partial<DiskFaults> = {}): Machine {
  const world = new SimWorld({ seed });
  const disk = new SimDisk(world, 'n1');
  disk.faults = { ...healthyDisk, ...faults };
  const node = world.node('n1');
  const boot = (): SimFiles => disk.mount(node.boot(() => undefined)).files;
  const self: Machine = {
    ...{ world, disk, files: boot() },
    done: async (call) => {
      let outcome: (() => unknown) | undefined;
      call.then(
        (value) => (outcome = () => value),
        (error: unknown) => {
          outcome = () => {
            throw error;
          };
        },
      );
      if (!(await world.until(() => outcome !== undefined, 1000))) throw new Error('the call does not return');
      return outcome?.() as Awaited<typeof call>;
    },
    crash: () => {
      node.crash();
      self.files = boot();
    },
  };
  return self;
}

async function contents(m: Machine, name: string): Promise<Buffer> {
  const file = await m.done(m.files.open(name, 'existing'));
  const bytes = Buffer.alloc(await m.done(file.size()));
  expect(await m.done(file.read(bytes, 0))).toBe(bytes.length);
  return bytes;
}

async function newFile(m: Machine, name: string): Promise<SimFile> {
  const file = await m.done(m.files.open(name, 'new'));
  await m.done(m.files.syncNames());
  return file;
}

describe('a simulated disk', () => {
  it('shows what was written at once, and keeps what was flushed through every crash', async () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const m = machine(seed);
      const file = await newFile(m, 'log');
      const write = file.write([Buffer.from('flu'), Buffer.from('shed')], 0);
      await m.done(write);
      expect((await contents(m, 'log')).toString()).toBe('flushed');
      await m.done(file.datasync());
      await m.done(file.write([Buffer.alloc(5000, 1)], 7));
      m.crash();
      expect((await contents(m, 'log')).subarray(0, 7).toString()).toBe('flushed');
    }
  });

  it('after a crash has any part of what was not flushed: none, some, all, torn', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 400; seed += 1) {
      const m = machine(seed, { tears: 0.5 });
      const file = await newFile(m, 'log');
      for (let i = 0; i < 3; i += 1) await m.done(file.write([Buffer.alloc(2048, i + 1)], i * 2048));
      m.crash();
      const bytes = await contents(m, 'log');
      const part = (i: number): string => {
        const own = bytes.subarray(i * 2048, (i + 1) * 2048);
        const written = own.filter((byte) => byte === i + 1).length;
        return written === 0 ? '-' : written === 2048 ? '+' : '~';
      };
      seen.add([0, 1, 2].map(part).join(''));
    }
    for (const pattern of ['---', '+++', '+--', '+~-', '-+-', '--+', '++~']) expect(seen).toContain(pattern);
  });

  it('crashes in the middle of a write: the caller never hears, and the bytes may be there', async () => {
    const ends = new Set<string>();
    for (let seed = 0; seed < 60; seed += 1) {
      const m = machine(seed, { delay: { minMs: 10, meanMs: 10, maxMs: 10 } });
      const file = await newFile(m, 'log');
      let isTold = false;
      void file.write([Buffer.from('x')], 0).then(() => (isTold = true));
      m.crash();
      await m.world.run(1000);
      expect(isTold).toBe(false);
      ends.add((await contents(m, 'log')).toString());
    }
    expect([...ends].sort()).toEqual(['', 'x']);
  });

  it('forgets names that were not made durable, but never half of a rename', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 100; seed += 1) {
      const m = machine(seed);
      const old = await newFile(m, 'old');
      await m.done(old.write([Buffer.from('old')], 0));
      await m.done(old.datasync());
      await m.done(m.files.open('new', 'new'));
      await m.done(m.files.rename('old', 'kept'));
      await m.done(m.files.open('later', 'new'));
      m.crash();
      seen.add(
        m.disk
          .list()
          .map(({ name }) => name)
          .join(),
      );
    }
    expect([...seen].sort()).toEqual(['kept,later,new', 'kept,new', 'new,old', 'old']);
  });

  it('is full at its capacity, says so, and takes more once there is room', async () => {
    const m = machine(1, { capacityBytes: 1000 });
    const file = await newFile(m, 'a');
    await m.done(file.write([Buffer.alloc(900, 1)], 0));
    await expect(m.done(file.write([Buffer.alloc(200, 2)], 850))).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await m.done(file.size())).toBe(900);
    await m.done(file.write([Buffer.alloc(100, 3)], 0));
    m.disk.faults = healthyDisk;
    await m.done(file.write([Buffer.alloc(200, 2)], 850));
    expect(await m.done(file.size())).toBe(1050);
  });

  it('fails writes and flushes when told to; what a failed flush was for may be lost though it can be read', async () => {
    const m = machine(1, { writeFailures: 1 });
    const file = await newFile(m, 'a');
    await expect(m.done(file.write([Buffer.from('x')], 0))).rejects.toMatchObject({ code: 'EIO' });
    let lost = 0;
    for (let seed = 0; seed < 40; seed += 1) {
      const n = machine(seed);
      const log = await newFile(n, 'log');
      await n.done(log.write([Buffer.from('x')], 0));
      n.disk.faults = { ...healthyDisk, flushFailures: 1 };
      await expect(n.done(log.datasync())).rejects.toMatchObject({ code: 'EIO' });
      n.disk.faults = healthyDisk;
      await n.done(log.datasync());
      expect((await contents(n, 'log')).toString()).toBe('x');
      n.crash();
      lost += (await contents(n, 'log')).length === 0 ? 1 : 0;
    }
    expect(lost).toBeGreaterThan(5);
    expect(lost).toBeLessThan(35);
  });

  it('that lies about flushes loses what it said was safe', async () => {
    const m = machine(1, { lostFlushes: 1, crashKeeps: 'nothing' });
    const file = await newFile(m, 'a');
    await m.done(file.write([Buffer.from('x')], 0));
    await m.done(file.datasync());
    m.crash();
    expect((await contents(m, 'a')).length).toBe(0);
  });

  it('flips a bit for good', async () => {
    const m = machine(1);
    const file = await newFile(m, 'a');
    await m.done(file.write([Buffer.alloc(10_000)], 0));
    await m.done(file.datasync());
    m.disk.flipBit('a');
    const flipped = await contents(m, 'a');
    expect(flipped.filter((byte) => byte !== 0)).toHaveLength(1);
    m.crash();
    expect((await contents(m, 'a')).equals(flipped)).toBe(true);
  });

  it('takes its time, and tells of files that are not there', async () => {
    const m = machine(1, { delay: { minMs: 50, meanMs: 50, maxMs: 50 } });
    await m.done(m.files.open('a', 'new'));
    expect(m.world.now).toBe(50);
    await m.done(m.files.syncNames());
    expect(m.world.now).toBe(300);
    await expect(m.done(m.files.open('b', 'existing'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('reads holes as zeros, across pages, and no further than the end', async () => {
    const m = machine(1);
    const file = await newFile(m, 'a');
    await m.done(file.write([Buffer.alloc(6000, 7)], 10_000));
    const bytes = new Uint8Array(20_000);
    expect(file.readSync(bytes, 4000)).toBe(12_000);
    expect(bytes.subarray(0, 6000).every((byte) => byte === 0)).toBe(true);
    expect(bytes.subarray(6000, 12_000).every((byte) => byte === 7)).toBe(true);
    expect(file.readSync(bytes, 17_000)).toBe(0);
  });
});

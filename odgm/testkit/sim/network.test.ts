import { oaasError } from '@oaas/commons/errors';
import { describe, expect, it } from 'vitest';
import type { LinkEvent, Mesh, Refusal } from '../../src/mesh/port.ts';
import { healthyLink, type LinkFaults, SimNetwork, type SimNetworkOptions } from './network.ts';
import { createSimMesh, type SimMeshOptions } from './sim-mesh.ts';
import { SimWorld } from './world.ts';

const text = (payload: Uint8Array): string => Buffer.from(payload).toString();
const bytes = (words: string): Uint8Array => Buffer.from(words);

interface Member {
  mesh: Mesh;
  readonly got: string[];
  readonly links: LinkEvent[];
  readonly refusals: Refusal[];
}

/** Members n1, n2, … that know each other, note what they get on channel 1, and answer requests of channel 1. */
async function cluster(
  count: number,
  options: SimNetworkOptions & { seed?: number; mesh?: Partial<SimMeshOptions> } = {},
): Promise<{ world: SimWorld; network: SimNetwork; members: Member[] }> {
  const world = new SimWorld({ seed: options.seed ?? 1 });
  const network = new SimNetwork(world, options);
  const peers = Array.from({ length: count }, (_, i) => ({ number: i + 1, id: `n${i + 1}`, address: `n${i + 1}` }));
  const members: Member[] = [];
  for (const [i, { id, number }] of peers.entries()) {
    world.node(id).boot((process) => {
      const mesh = createSimMesh(network, process, { number, ...options.mesh });
      const member = members[i] ?? { mesh, got: [], links: [], refusals: [] };
      member.mesh = mesh;
      members[i] = member;
      mesh.onMessage(1, (from, payload) => member.got.push(`${from}:${text(payload)}`));
      mesh.onRequest(1, async (payload, { peer }) => {
        await Promise.resolve();
        if (payload.length === 0) throw oaasError('NoLeader', 'nobody leads');
        return bytes(`${peer.id} asked ${text(payload)}`);
      });
      mesh.onStream(1, async (_header, chunks) => {
        let sum = 0;
        for await (const chunk of chunks) {
          if (chunk[0] !== sum % 256) throw new Error(`chunk ${chunk[0]} at ${sum}`);
          sum += 1;
        }
        return bytes(String(sum));
      });
      mesh.onLink((event) => void member.links.push(event));
      mesh.onRefused((refusal) => void member.refusals.push(refusal));
      mesh.setPeers(peers);
    });
  }
  await world.until(() => areLinked(members, count), 10_000);
  expect(areLinked(members, count)).toBe(true);
  return { world, network, members };
}

function areLinked(members: readonly Member[], count: number): boolean {
  return members.length === count && members.every(({ mesh }) => mesh.peers().every(({ state }) => state === 'up'));
}

const rough: LinkFaults = {
  ...healthyLink,
  ...{ loss: 0.2, duplication: 0.2, reorders: true, delay: { minMs: 0.1, meanMs: 20, maxMs: 500 } },
};

describe('the simulated network', () => {
  it('plays the same story for the same seed, and another one for another', async () => {
    const story = async (seed: number): Promise<string> => {
      const { world, network, members } = await cluster(3, { seed, faults: { ...rough, resets: 0.001 } });
      for (let i = 0; i < 300; i += 1) {
        world.after(i * 10, () => {
          members[i % 3]?.mesh.send(((i + 1) % 3) + 1, 1, bytes(String(i)));
          members[i % 3]?.mesh.request(((i + 2) % 3) + 1, 1, bytes('x'), { timeoutMs: 200 }).catch(() => undefined);
        });
      }
      world.after(500, () => network.isolate('n2'));
      world.after(7000, () => network.heal());
      world.after(8000, () => world.node('n1').crash());
      world.after(9000, () => world.node('n1').restart());
      await world.run(15_000);
      expect(network.counts.lost * network.counts.duplicated * network.counts.overtaken).toBeGreaterThan(0);
      expect(areLinked(members, 3)).toBe(true);
      return world.trace.hash();
    };
    const hashes = [await story(1), await story(1), await story(2)];
    expect(hashes[1]).toBe(hashes[0]);
    expect(hashes[2]).not.toBe(hashes[0]);
  });

  it('without faults brings every message once and in order', async () => {
    const { world, members } = await cluster(2);
    for (let i = 0; i < 100; i += 1) members[0]?.mesh.send(2, 1, [bytes(String(i)), bytes('!')]);
    await world.run(100);
    expect(members[1]?.got).toEqual(Array.from({ length: 100 }, (_, i) => `1:${i}!`));
  });

  it('gives each member bytes of its own', async () => {
    const { world, members } = await cluster(2);
    const payload = bytes('before');
    members[0]?.mesh.send(2, 1, payload);
    payload.fill(0);
    await world.run(100);
    expect(members[1]?.got).toEqual(['1:before']);
  });

  it('loses, doubles and reorders messages as it is told', async () => {
    const { world, network, members } = await cluster(2, { faults: rough });
    for (let i = 0; i < 1000; i += 1) members[0]?.mesh.send(2, 1, bytes(String(i)));
    await world.run(2000);
    const got = members[1]?.got.map((line) => Number(line.slice(2))) ?? [];
    const kinds = new Set(got);
    expect(kinds.size).toBeGreaterThan(700);
    expect(kinds.size).toBeLessThan(900);
    expect(got.length).toBeGreaterThan(kinds.size);
    expect(got).not.toEqual([...got].sort((a, b) => a - b));
    expect(network.counts.overtaken).toBeGreaterThan(100);
  });

  it('carries requests: answers, errors, and timeouts where something was lost', async () => {
    const { world, network, members } = await cluster(2);
    const [a] = members;
    const ask = (payload: string) =>
      a?.mesh
        .request(2, 1, bytes(payload), { timeoutMs: 100 })
        .then(text, (error: unknown) => (error as { code: string }).code);
    const answers = Promise.all([ask('this'), ask('')]);
    await world.run(50);
    expect(await answers).toEqual(['n1 asked this', 'NoLeader']);
    network.setFaults({ ...healthyLink, loss: 1 });
    const lost = ask('that');
    await world.run(200);
    expect(await lost).toBe('DeadlineExceeded');
  });

  it('carries streams whole through loss and reordering, or breaks them', async () => {
    const { world, network, members } = await cluster(2, { faults: rough });
    const write = async (): Promise<string> => {
      const stream = members[0]?.mesh.stream(2, 1, bytes(''));
      for (let i = 0; i < 200; i += 1) await stream?.write(new Uint8Array(20_000).fill(i % 256));
      return text((await stream?.end()) ?? bytes(''));
    };
    let outcome: string | undefined;
    void write().then((result) => (outcome = result));
    expect(await world.until(() => outcome !== undefined, 100_000)).toBe(true);
    expect(outcome).toBe('200');
    network.setFaults({ ...rough, resets: 0.05 });
    let failure: unknown;
    write().catch((error: unknown) => (failure = error));
    expect(await world.until(() => failure !== undefined, 100_000)).toBe(true);
    expect(failure).toMatchObject({ code: 'Unavailable' });
  });

  it('delivers of a stream only what comes without a gap from its beginning, whatever is cut off and reset meanwhile', async () => {
    let broken = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const slow = { ...healthyLink, delay: { minMs: 1, meanMs: 10, maxMs: 40 } };
      const { world, network, members } = await cluster(2, { seed, faults: slow });
      const taken: number[] = [];
      members[1]?.mesh.onStream(2, async (_header, chunks) => {
        for await (const [number = -1] of chunks) taken.push(number);
        return bytes('');
      });
      const write = async (): Promise<void> => {
        const stream = members[0]?.mesh.stream(2, 2, bytes(''));
        for (let i = 0; i < 100; i += 1) {
          await stream?.write(Uint8Array.of(i));
          await new Promise<void>((resolve) => void world.after(world.random.next(), resolve));
        }
        await stream?.end();
      };
      const written = write().catch(() => (broken += 1));
      const soon = (run: () => void): void => void world.after(world.random.next() * 40, run);
      soon(() => network.partition([['n1'], ['n2']]));
      soon(() => network.heal());
      soon(() => network.partition([['n1'], ['n2']]));
      soon(() => network.reset('n1', 'n2'));
      await world.run(100);
      network.heal();
      await world.run(10_000);
      await written;
      expect(taken, `seed ${seed}`).toEqual(Array.from(taken, (_, i) => i));
    }
    expect(broken).toBeGreaterThan(0);
  });

  it('takes a while to say that the other side is cut off, and links again after it is healed', async () => {
    const { world, network, members } = await cluster(3, { silenceMs: 4000 });
    network.isolate('n1');
    await world.run(2000);
    expect(members[0]?.mesh.isUp(2)).toBe(true);
    await world.run(4000);
    expect(members[0]?.mesh.peers().map(({ state }) => state)).toEqual(['down', 'down']);
    expect(members[1]?.mesh.peers().map(({ number, state }) => [number, state])).toEqual([
      [1, 'down'],
      [3, 'up'],
    ]);
    network.heal();
    await world.run(5000);
    expect(areLinked(members, 3)).toBe(true);
    expect(members[0]?.links.map(({ state }) => state)).toEqual(['up', 'up', 'down', 'down', 'up', 'up']);
  });

  it('cut in one direction lets the other one through until the link is given up', async () => {
    const { world, network, members } = await cluster(2);
    network.cutOneWay('n1', 'n2');
    members[0]?.mesh.send(2, 1, bytes('lost'));
    members[1]?.mesh.send(1, 1, bytes('heard'));
    await world.run(1000);
    expect(members[0]?.got).toEqual(['2:heard']);
    expect(members[1]?.got).toEqual([]);
    await world.run(6000);
    expect(members[0]?.mesh.isUp(2)).toBe(false);
  });

  it('partitions into groups', async () => {
    const { world, network, members } = await cluster(5);
    network.partition([
      ['n1', 'n2'],
      ['n3', 'n4'],
    ]);
    for (const [i, { mesh }] of members.entries()) {
      for (let to = 1; to <= 5; to += 1) if (to !== i + 1) mesh.send(to, 1, bytes('x'));
    }
    await world.run(100);
    expect(members.map(({ got }) => got)).toEqual([['2:x'], ['1:x'], ['4:x'], ['3:x'], []]);
  });

  it('tells the peers of a crashed process, and links its next one with a higher incarnation', async () => {
    const { world, members } = await cluster(2);
    world.node('n2').crash();
    await world.run(100);
    expect(members[0]?.mesh.isUp(2)).toBe(false);
    expect(members[0]?.mesh.send(2, 1, bytes('x'))).toBe(false);
    world.node('n2').restart();
    await world.run(5000);
    expect(areLinked(members, 2)).toBe(true);
    expect(members[0]?.mesh.peers()).toMatchObject([{ incarnation: 2 }]);
  });

  it('queues for a paused node no more than the bound', async () => {
    const { world, members } = await cluster(2, { mesh: { queueBytesMax: 10_000 }, silenceMs: 60_000 });
    world.node('n2').pause();
    let sent = 0;
    for (let i = 0; i < 100; i += 1) sent += members[0]?.mesh.send(2, 1, new Uint8Array(1000)) === true ? 1 : 0;
    expect(sent).toBe(9);
    await world.run(1000);
    world.node('n2').resume();
    await world.run(1000);
    expect(members[1]?.got).toHaveLength(9);
    expect(members[0]?.mesh.send(2, 1, new Uint8Array(1000))).toBe(true);
  });

  it('takes longer for more bytes where the path is narrow', async () => {
    const { world, network, members } = await cluster(2);
    network.setFaults({ ...healthyLink, bytesPerMs: 100 });
    members[0]?.mesh.send(2, 1, new Uint8Array(50_000));
    await world.run(490);
    expect(members[1]?.got).toHaveLength(0);
    await world.run(50);
    expect(members[1]?.got).toHaveLength(1);
  });

  it('refuses members of another cluster, as the real mesh does', async () => {
    const world = new SimWorld({ seed: 1 });
    const network = new SimNetwork(world);
    const refusals: Refusal[] = [];
    for (const [id, number, other, clusterId] of [
      ['a', 1, 2, 'one'],
      ['b', 2, 1, 'two'],
    ] as const) {
      world.node(id).boot((process) => {
        const mesh = createSimMesh(network, process, { number, clusterId });
        mesh.onRefused((refusal) => void refusals.push(refusal));
        mesh.setPeers([{ number: other, id: id === 'a' ? 'b' : 'a', address: id === 'a' ? 'b' : 'a' }]);
      });
    }
    await world.run(20_000);
    expect(refusals).toMatchObject([
      { reason: 'cluster', byPeer: false, clusterId: 'one' },
      { reason: 'cluster', byPeer: true, clusterId: 'two' },
    ]);
  });
});

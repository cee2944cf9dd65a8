import { eventually, tempDir, type TempDir } from '@oaas/commons/testkit';
import { systemClock } from '@oaas/commons/time/system';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts, type NodeOptions, type RunningNode, startNode } from '../../../testkit/index.ts';
import { RaftShard } from '../../shard/index.ts';

/** Findings that real nodes give when what they are about is made to happen. */
let directory: TempDir;
const running: RunningNode[] = [];

beforeEach(async () => {
  directory = await tempDir();
});
afterEach(async () => {
  await Promise.allSettled(running.splice(0).map((one) => one.stop()));
  await directory.remove();
});

interface Finding {
  readonly severity: string;
  readonly code: string;
  readonly message: string;
  readonly evidence: string;
  readonly remedy: string;
}

type Area = 'consensus_health' | 'network_partitions' | 'leader_stability' | 'member_health';
type ShardArea = 'distribution_balance' | 'replication_health' | 'migration_status' | 'consistency_issues';
interface Report {
  readonly cluster: Readonly<Record<Area, readonly Finding[]>>;
  readonly shards: Readonly<Record<ShardArea, readonly Finding[]>>;
}

/** The finding with this code, once there is one. */
async function finding(node: RunningNode, of: (report: Report) => readonly Finding[], code: string): Promise<Finding> {
  const found = await eventually(
    async () => {
      const report = (await (await fetch(`${node.admin}/admin/diagnostics`)).json()) as Report;
      return of(report).find((one) => one.code === code) ?? false;
    },
    { timeoutMs: 20_000 },
  );
  // Each says what it was seen by and what to do.
  expect(found.evidence).not.toBe('');
  expect(found.remedy).not.toBe('');
  return found;
}

async function start(
  ids: readonly string[],
  collections: readonly object[],
  options: (id: string) => Partial<NodeOptions> = () => ({}),
): Promise<RunningNode[]> {
  const ports = await freePorts(ids.length);
  const members = ids.map((id, i) => `${id}=127.0.0.1:${String(ports[i])}`);
  const nodes = await Promise.all(
    ids.map((id, i) =>
      startNode({
        ...{ id, members, collections, dataDir: `${directory.path}/${id}`, grpcPort: ports[i] ?? 0 },
        ...options(id),
      }),
    ),
  );
  running.push(...nodes);
  return nodes;
}

const three = ['n1', 'n2', 'n3'];

describe('the report of a real grid names', () => {
  it('a clock that is ahead, leaders that do not stay, a member that is down with the replicas that it had, and a lost majority', async () => {
    const ahead = { now: () => systemClock.now() + 7000, monotonic: () => systemClock.monotonic() };
    const [n1, n2, n3] = await start(three, [{ name: 'c', shardType: 'raft', replicaCount: 3 }], (id) =>
      id === 'n2' ? { clock: ahead } : {},
    );
    if (n1 === undefined || n2 === undefined || n3 === undefined) throw new Error('no nodes');
    for (const node of [n1, n2]) {
      const clock = await finding(node, ({ cluster }) => cluster.member_health, 'member.clock');
      expect(clock).toMatchObject({ severity: 'error', message: 'the clock of n2 is ahead' });
      expect(clock.evidence).toContain('7.0 s');
    }

    const shardOf = ({ program }: RunningNode): RaftShard | undefined => {
      const shard = program.node.collection('c').handle(0);
      return shard instanceof RaftShard ? shard : undefined;
    };
    for (let moved = 0; moved < 4; moved++) {
      await eventually(async () => {
        const leading = [n1, n2, n3].map(shardOf).find((shard) => shard?.isPrimary);
        const to = leading?.group.bestSuccessor();
        if (leading === undefined || to === undefined) return false;
        await leading.group.transferLeadership(to);
        return true;
      });
    }
    const unstable = await finding(n1, ({ cluster }) => cluster.leader_stability, 'leadership.shards-unstable');
    expect(unstable.evidence).toContain('c/0');

    await eventually(() => n1.program.node.meta?.group.status().confState.voters.length === 3);
    await n3.stop();
    running.splice(running.indexOf(n3), 1);
    const down = await finding(n1, ({ cluster }) => cluster.member_health, 'member.down');
    expect(down).toMatchObject({ severity: 'error', message: 'n3 is down' });
    expect(down.evidence).toMatch(
      /^last heard from \d+ s ago; .*heard by nobody who answers, last by n[12] \d+ s ago$/,
    );
    const degraded = await finding(n1, ({ shards }) => shards.replication_health, 'replication.degraded');
    expect(degraded.message).toContain('c/0 has 2 of 3 replicas');
    expect(degraded.evidence).toContain('n3');

    await n2.stop();
    running.splice(running.indexOf(n2), 1);
    await finding(n1, ({ cluster }) => cluster.consensus_health, 'consensus.no-quorum');
    await finding(n1, ({ shards }) => shards.replication_health, 'replication.no-majority');
  });

  it('shards that are unevenly spread', async () => {
    const collections = [{ name: 'c', shardType: 'raft', partitionCount: 4 }];
    const [first] = await start(['n1'], collections);
    if (first === undefined) throw new Error('no node');
    const second = await startNode({
      ...{ id: 'n2', dataDir: `${directory.path}/n2`, collections },
      members: [`n1=${first.grpc}`, `n2=127.0.0.1:${String((await freePorts(1))[0])}`],
    });
    running.push(second);
    const suggested = await finding(first, ({ shards }) => shards.distribution_balance, 'balance.suggested');
    expect(suggested.message).toContain('rebalance');
  });
});

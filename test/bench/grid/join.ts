import { spawn } from 'node:child_process';
import { join as joinPath } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDataClient } from '@oaas/commons/client';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import type { GridPlan } from './grid.ts';
import { ask, fill, type Filled, Load, p99AtRest, runTask } from './load.ts';
import { end, type GridMember, pause, startGrid } from './servers.ts';
import type { Figure } from './throughput.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const replicas = 3;
const filled: Filled = { cls: 'shared', partitions: 30, objects: 1200, entries: 8 };
const joinMs = 60_000;

/** A sixth node joins five, and takes its share of the replicas while clients go on. */
export async function join(plan: GridPlan): Promise<Figure[]> {
  const args = ['--nodes', '5', '--port-base', String(plan.portBase)];
  args.push('--collection', `name=${filled.cls},type=raft,partitions=${filled.partitions},replicas=${replicas}`);
  const grid = await startGrid(`${plan.dir}/join`, args);
  const five = grid.members();
  const http = five[0]?.http ?? '';
  const time = { clock: systemClock, timers: systemTimers, random: systemRandom };
  const channel = createEdgeChannel(five[0]?.grpc ?? '', time);
  let sixth: ReturnType<typeof startSixth> | undefined;
  try {
    const client = createDataClient(channel);
    await fill(client, filled);
    const before = await p99AtRest(client, filled);
    const placed = await placement(http);
    const starting = new Load(client, filled);
    sixth = startSixth(plan, five);
    await untilUp(http, 'n6');
    const start = await starting.stop();
    const load = new Load(client, filled);
    const startedAt = performance.now();
    await runTask(http, '/admin/rebalance');
    const seconds = (performance.now() - startedAt) / 1000;
    const { calls, failed, p99 } = await load.stop();
    const ratio = p99 / before;
    const all = filled.partitions * replicas;
    const most = Math.ceil(all / 6);
    const moved = [...(await placement(http))].filter((replica) => !placed.has(replica)).length;
    return [
      {
        name: `a sixth node joins: replicas moved, of ${all}`,
        ...{ value: moved, unit: '', bar: { text: `<= ${most}, and not none`, met: moved > 0 && moved <= most } },
      },
      { name: 'time of these moves, under load', value: seconds, unit: 's' },
      {
        name: `calls failed since the sixth was started, of ${calls + start.calls}`,
        ...{ value: failed + start.failed, unit: '', bar: { text: '0', met: failed + start.failed === 0 } },
      },
      { name: 'p99 of calls without a join', value: before, unit: 'ms' },
      // All nodes are on one machine here: this is what a program costs that starts beside five others on two cores.
      { name: 'p99 of calls while the process of the sixth starts', value: start.p99, unit: 'ms' },
      {
        name: 'p99 of calls while it takes its share',
        ...{ value: p99, unit: 'ms', bar: { text: `< 3x idle (${ratio.toFixed(2)}x)`, met: ratio < 3 } },
      },
    ];
  } finally {
    channel.close();
    if (sixth !== undefined) await end(sixth, 'SIGTERM');
    await grid.stop();
  }
}

/** A node that is told of all six, as `npm run grid` tells its own. */
function startSixth(plan: GridPlan, five: readonly GridMember[]): ReturnType<typeof spawn> {
  const host = '127.0.0.1';
  const [port, adminPort] = [plan.portBase + 10, plan.portBase + 11];
  const others = five.map(({ id, grpc, http }) => `${id}=${grpc};admin=${http.slice('http://'.length)}`);
  return spawn(process.execPath, [joinPath(root, 'dist/odgm.mjs')], {
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      ODGM_CLUSTER_ID: 'grid',
      ODGM_NODE_ID: 'n6',
      ODGM_NODE_ADDR: `${host}:${port}`,
      ODGM_MEMBERS: [...others, `n6=${host}:${port};admin=${host}:${adminPort}`].join(','),
      ODGM_COLLECTION: JSON.stringify([
        { name: filled.cls, shardType: 'raft', partitionCount: filled.partitions, replicaCount: replicas },
      ]),
      ODGM_DATA_DIR: joinPath(plan.dir, 'join-n6'),
      ODGM_BIND_HOST: host,
      ODGM_HTTP_PORT: String(port),
      ODGM_ADMIN_PORT: String(adminPort),
    },
  });
}

async function untilUp(http: string, id: string): Promise<void> {
  for (const until = performance.now() + joinMs; performance.now() < until;) {
    const { members } = (await ask(http, 'GET', '/admin/cluster/members')) as { members: Record<string, unknown>[] };
    if (members.some((member) => Object.values(member).includes(id) && member['state'] === 'up')) return;
    await pause(100);
  }
  throw new Error(`${id} has not joined in time`);
}

/** Each replica, as shard and node. */
async function placement(http: string): Promise<Set<string>> {
  const { shards } = (await ask(http, 'GET', '/admin/shards/distribution')) as {
    shards: { shard_id: string; replicas: { node: string }[] }[];
  };
  return new Set(shards.flatMap(({ shard_id, replicas: all }) => all.map(({ node }) => `${shard_id} ${node}`)));
}

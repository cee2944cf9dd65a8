import { createDataClient, type DataClient } from '@oaas/commons/client';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { median } from '../edge/report.ts';
import type { GridPlan } from './grid.ts';
import { valueOf } from './load.ts';
import { perSecond } from './rate.ts';
import { startGrid } from './servers.ts';
import type { Figure } from './throughput.ts';

const collections = [
  { cls: 'single', type: 'basic', replicas: 1 },
  { cls: 'merged', type: 'basic', replicas: 3 },
  { cls: 'versioned', type: 'mst', replicas: 3 },
] as const;
const objects = 1000;

/** Set and Get of shards that need no agreement, by a client in Node, which writes another value each time. */
export async function types(plan: GridPlan): Promise<Figure[]> {
  const args = ['--nodes', '3', '--port-base', String(plan.portBase)];
  for (const { cls, type, replicas } of collections) {
    args.push('--collection', `name=${cls},type=${type},partitions=1,replicas=${replicas}`);
  }
  const grid = await startGrid(`${plan.dir}/types`, args);
  try {
    const figures: Figure[] = [];
    for (const { cls, type, replicas } of collections) {
      // Where all replicas take writes, none leads.
      const grpc = replicas === 1 ? (await grid.leader(cls)).grpc : (grid.members()[0]?.grpc ?? '');
      const channel = createEdgeChannel(grpc, { clock: systemClock, timers: systemTimers, random: systemRandom });
      const name = `${type}, ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`;
      try {
        figures.push(...(await measure(plan, createDataClient(channel), cls, name)));
      } finally {
        channel.close();
      }
    }
    return figures;
  } finally {
    await grid.stop();
  }
}

async function measure(plan: GridPlan, client: DataClient, cls: string, name: string): Promise<Figure[]> {
  const set = async (n: number): Promise<number> => {
    await client.set({ clsId: cls, objectId: `o${n % objects}`, object: { entries: { value: { data: valueOf(n) } } } });
    return 1;
  };
  const get = async (n: number): Promise<number> => {
    await client.get({ clsId: cls, objectId: `o${n % objects}` });
    return 1;
  };
  await Promise.all(Array.from({ length: objects }, (_, n) => set(n)));
  const figures: Figure[] = [];
  for (const atOnce of [64, 256]) {
    for (const [call, run] of Object.entries({ Set: set, Get: get })) {
      const all: number[] = [];
      for (let i = 0; i < plan.runs; i++) all.push(await perSecond(run, atOnce, plan.seconds));
      figures.push({ name: `${name}: ${call}, ${atOnce} outstanding`, value: median(all), unit: '/s' });
    }
  }
  return figures;
}

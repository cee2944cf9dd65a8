import { createDataClient, type DataClient } from '@oaas/commons/client';
import { createEdgeChannel } from '@oaas/commons/grpc/edge';
import { systemClock, systemRandom, systemTimers } from '@oaas/commons/time/system';
import { median } from '../edge/report.ts';
import type { GridPlan } from './grid.ts';
import { valueOf } from './load.ts';
import { perSecond } from './rate.ts';
import { startGrid } from './servers.ts';
import type { Figure } from './throughput.ts';

const cls = 'single';
const outstanding = 256;
/** Before each load is measured: by then both processes run compiled code. */
const warmUpSeconds = 8;
/** Entries of a batch, and of the object that is streamed. */
const batchEntries = 100;
const streamedEntries = 1000;

/** What one client in Node gets out of a durable basic shard; this process is that client. */
export async function client(plan: GridPlan): Promise<Figure[]> {
  const args = ['--nodes', '1', '--port-base', String(plan.portBase)];
  args.push('--collection', `name=${cls},type=basic,partitions=1,replicas=1`);
  const grid = await startGrid(`${plan.dir}/client`, args);
  const address = grid.members()[0]?.grpc ?? '';
  const channel = createEdgeChannel(address, { clock: systemClock, timers: systemTimers, random: systemRandom });
  try {
    const data = createDataClient(channel);
    await data.batchSetValues({ clsId: cls, objectId: 'streamed', values: entriesOf(streamedEntries, 0) });
    await data.setValue({ clsId: cls, objectId: 'o0', key: 'k', value: { data: valueOf(0) } });
    const loads: { name: string; least: number | undefined; atOnce: number; run: (n: number) => Promise<number> }[] = [
      {
        name: `SetValue, ${outstanding} at once`,
        least: undefined,
        atOnce: outstanding,
        run: async (n) => {
          await data.setValue({ clsId: cls, objectId: `o${n % 1000}`, key: 'k', value: { data: valueOf(n) } });
          return 1;
        },
      },
      {
        name: `GetValue, ${outstanding} at once`,
        least: 40_000,
        atOnce: outstanding,
        run: async () => {
          await data.getValue({ clsId: cls, objectId: 'o0', key: 'k' });
          return 1;
        },
      },
      {
        name: `BatchSetValues of ${batchEntries}, entries`,
        least: 80_000,
        atOnce: 16,
        run: async (n) => {
          await data.batchSetValues({ clsId: cls, objectId: `b${n % 100}`, values: entriesOf(batchEntries, n) });
          return batchEntries;
        },
      },
      { name: 'ListValues streamed, entries', least: 80_000, atOnce: 4, run: () => streamed(data) },
    ];
    const figures: Figure[] = [];
    for (const { name, least, atOnce, run } of loads) {
      await perSecond(run, atOnce, warmUpSeconds);
      const all: number[] = [];
      for (let i = 0; i < plan.runs; i++) all.push(await perSecond(run, atOnce, plan.seconds));
      const rate = median(all);
      const bar = least === undefined ? undefined : { text: `>= ${least / 1000} k/s`, met: rate >= least };
      figures.push({ name: `one Node client on a basic shard: ${name}`, value: rate, unit: '/s', bar });
    }
    return figures;
  } finally {
    channel.close();
    await grid.stop();
  }
}

/** Each call writes values that no other one does: what is there already would not be written. */
function entriesOf(count: number, n: number): Record<string, { readonly data: Buffer }> {
  const value = { data: valueOf(n) };
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, value]));
}

async function streamed(data: DataClient): Promise<number> {
  let count = 0;
  for await (const { value: entry } of data.listValues({ clsId: cls, objectId: 'streamed', limit: streamedEntries }))
    count += entry === undefined ? 0 : 1;
  return count;
}

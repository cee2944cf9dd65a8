import { data } from '@oaas/proto';
import { loadNatively } from '../edge/h2load.ts';
import { median } from '../edge/report.ts';
import type { GridPlan } from './grid.ts';
import { type EtcdCluster, findEtcd, startEtcd, startGrid } from './servers.ts';

/** A figure beside what is demanded of it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: '/s' | 'ms' | 'MiB' | 'MiB/s' | 's' | '';
  readonly bar?: { readonly text: string; readonly met: boolean } | undefined;
}

const shapes = [
  { outstanding: 1, connections: 1, streams: 1 },
  { outstanding: 64, connections: 16, streams: 4 },
  { outstanding: 256, connections: 16, streams: 16 },
] as const;
/** Puts of one batch. */
export const batchSize = 16;
const equalRate = 3000;
/** Of each load, before anything is measured: a program that has just started is not as fast as one that has run for a while. */
const warmUpSeconds = 10;
/** What the older implementation makes of 64 and 256 sets at once, in memory: measured on a machine like this one. */
const olderSets: Readonly<Record<number, number>> = { 64: 5500, 256: 8400 };
/**
 * h2load has one request: as many of them as there are values here write one after the other, so that most writes change
 * something. All of them write to one object, or key.
 */
const values = Array.from({ length: 8 }, (_, i) => Buffer.alloc(1024, 0x61 + i));
const key = Buffer.from('object-1');

/** Raft shards beside etcd: three nodes each, every write on disk before it is answered, the load on the leader. */
export async function throughput(plan: GridPlan): Promise<Figure[]> {
  const grid = await startGrid(`${plan.dir}/grid`, [
    '--nodes',
    '3',
    '--port-base',
    String(plan.portBase),
    '--collection',
    'name=agreed,type=raft,partitions=1,replicas=3',
    '--collection',
    'name=single,type=basic,partitions=1,replicas=1',
  ]);
  const program = findEtcd(process.env);
  let etcd: EtcdCluster | undefined;
  try {
    etcd = program === undefined ? undefined : await startEtcd(program, plan.dir, plan.portBase + 50);
    if (etcd === undefined) console.log('SKIPPED: etcd beside it, since there is no etcd in OAAS_ETCD or on PATH.');
    else console.log(`beside etcd ${etcd.version}\n`);
    return await compare(plan, grid, etcd);
  } finally {
    await etcd?.stop();
    await grid.stop();
  }
}

interface Load {
  readonly name: string;
  readonly path: string;
  readonly bodies: readonly Uint8Array[];
  readonly port: () => Promise<number>;
}

async function compare(
  plan: GridPlan,
  grid: Awaited<ReturnType<typeof startGrid>>,
  etcd: EtcdCluster | undefined,
): Promise<Figure[]> {
  const portOf = (collection: string) => async () => Number((await grid.leader(collection)).grpc.split(':')[1]);
  const set = (collection: string, name: string): Load => ({
    name,
    path: '/oprc.DataService/Set',
    bodies: values.map((value) =>
      framed(
        data.SetObjectRequest.encode(
          data.SetObjectRequest.fromPartial({
            clsId: collection,
            objectId: 'object-1',
            object: { entries: { value: { data: value } } },
          }),
        ).finish(),
      ),
    ),
    port: portOf(collection),
  });
  const get = (collection: string, name: string): Load => ({
    name,
    path: '/oprc.DataService/Get',
    bodies: [
      framed(
        data.SingleObjectRequest.encode(
          data.SingleObjectRequest.fromPartial({ clsId: collection, objectId: 'object-1' }),
        ).finish(),
      ),
    ],
    port: portOf(collection),
  });
  const ours = [
    set('agreed', 'raft Set'),
    get('agreed', 'raft Get, linearizable'),
    {
      name: `raft batch of ${batchSize} puts`,
      path: '/oprc.DataService/BatchSetValues',
      bodies: values.map((value) => framed(batchRequest('agreed', value))),
      port: portOf('agreed'),
    },
    set('single', 'basic Set'),
    get('single', 'basic Get'),
  ];
  const others: Load[] =
    etcd === undefined
      ? []
      : [
          {
            name: 'etcd put',
            path: '/etcdserverpb.KV/Put',
            bodies: values.map((value) => framed(putRequest(value))),
            port: () => etcd.leader(),
          },
          {
            name: 'etcd get, linearizable',
            path: '/etcdserverpb.KV/Range',
            bodies: [framed(field(1, key))],
            port: () => etcd.leader(),
          },
          {
            name: `etcd transaction of ${batchSize} puts`,
            path: '/etcdserverpb.KV/Txn',
            bodies: values.map((value) => framed(transactionRequest(value))),
            port: () => etcd.leader(),
          },
        ];
  const loads = besideEachOther(ours, others);
  for (const load of loads) {
    await loadNatively(plan.dir, {
      ...(await target(load)),
      ...{ connections: 16, streams: 16, seconds: warmUpSeconds, warmUpSeconds: 0 },
    });
  }
  const figures: Figure[] = [];
  const rates = new Map<string, number>();
  for (const { outstanding, connections, streams } of shapes) {
    const runs = new Map<string, number[]>();
    for (let run = 0; run < plan.runs; run++) {
      // In turn, so that what disturbs the machine hits them all.
      for (const load of loads) {
        // A basic shard writes nothing when a value is set to what it is, and one connection has one value.
        if (load.name === 'basic Set' && connections === 1) continue;
        const { perSecond } = await loadNatively(plan.dir, {
          ...(await target(load)),
          ...timing(plan),
          connections,
          streams,
        });
        runs.set(load.name, [...(runs.get(load.name) ?? []), perSecond]);
      }
    }
    for (const [name, all] of runs) {
      const perSecond = median(all);
      rates.set(`${name} ${outstanding}`, perSecond);
      figures.push({ name: `${name}, ${outstanding} outstanding`, value: perSecond, unit: '/s' });
    }
  }
  const times = new Map<string, number[]>();
  for (let run = 0; run < plan.runs; run++) {
    for (const load of besideEachOther(ours.slice(0, 2), others.slice(0, 2))) {
      const { p99Ms = Number.NaN } = await loadNatively(plan.dir, {
        ...(await target(load)),
        ...timing(plan),
        connections: 16,
        streams: 16,
        rate: equalRate,
      });
      times.set(load.name, [...(times.get(load.name) ?? []), p99Ms]);
    }
  }
  const late = [...times].map(([name, all]): Figure => ({
    name: `${name} at ${equalRate}/s, p99`,
    value: median(all),
    unit: 'ms',
  }));
  return [...withBars(figures, rates), ...withLatencyBars(late)];
}

/**
 * What is compared is measured one after the other. What nothing is compared with comes last, and of that what only reads:
 * after heavy writes the disk is slow for a while.
 */
function besideEachOther(ours: readonly Load[], others: readonly Load[]): readonly Load[] {
  return ours.flatMap((load, i) => [load, ...others.slice(i, i + 1)]);
}

async function target({ path, bodies, port }: Load): Promise<Omit<Load, 'name' | 'port'> & { port: number }> {
  return { path, bodies, port: await port() };
}

function timing({ seconds }: GridPlan): { seconds: number; warmUpSeconds: number } {
  return { seconds, warmUpSeconds: 1 };
}

function withBars(figures: readonly Figure[], rates: ReadonlyMap<string, number>): Figure[] {
  return figures.map((figure) => {
    const { name, value: rate } = figure;
    const outstanding = Number(/(\d+) outstanding/.exec(name)?.[1]);
    // One call at a time measures the disk.
    if (outstanding === 1) return figure;
    const put = rates.get(`etcd put ${outstanding}`);
    const range = rates.get(`etcd get, linearizable ${outstanding}`);
    const ratio = (other: number | undefined, factor: number, what: string) =>
      other === undefined
        ? undefined
        : { text: `>= ${factor}x ${what} (${(rate / other).toFixed(2)}x)`, met: rate >= factor * other };
    if (name.startsWith('raft Set')) {
      const least = 3 * (olderSets[outstanding] ?? Number.NaN);
      const text = `>= ${(least / 1000).toFixed(1)} k/s`;
      const beside = ratio(put, 2.5, "etcd's put");
      if (beside === undefined) return { ...figure, bar: { text, met: rate >= least } };
      return { ...figure, bar: { text: `${beside.text} and ${text}`, met: beside.met && rate >= least } };
    }
    if (name.startsWith('raft Get')) return { ...figure, bar: ratio(range, 2, "etcd's get") };
    const least = { 'basic Set, 256': 45_000, 'basic Get, 256': 80_000 }[name.replace(' outstanding', '')];
    if (least !== undefined) return { ...figure, bar: { text: `>= ${least / 1000} k/s`, met: rate >= least } };
    return figure;
  });
}

function withLatencyBars(figures: readonly Figure[]): Figure[] {
  const of = (name: string): number | undefined => figures.find((figure) => figure.name.startsWith(name))?.value;
  const pairs: Readonly<Record<string, string>> = { 'raft Set': 'etcd put', 'raft Get': 'etcd get' };
  return figures.map((figure) => {
    const other = Object.entries(pairs).find(([ours]) => figure.name.startsWith(ours))?.[1];
    const reference = other === undefined ? undefined : of(other);
    if (reference === undefined) return figure;
    return { ...figure, bar: { text: "no worse than etcd's", met: figure.value <= reference } };
  });
}

function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

/** etcdserverpb.PutRequest{key 1, value 2}. */
function putRequest(value: Buffer): Buffer {
  return Buffer.concat([field(1, key), field(2, value)]);
}

/** As many entries of one object. */
function batchRequest(clsId: string, value: Buffer): Uint8Array {
  const entries = Object.fromEntries(Array.from({ length: batchSize }, (_, i) => [`k${i}`, { data: value }]));
  return data.BatchSetValuesRequest.encode(
    data.BatchSetValuesRequest.fromPartial({ clsId, objectId: 'object-2', values: entries }),
  ).finish();
}

/** etcdserverpb.TxnRequest{success 2: RequestOp{request_put 2}}: as many keys. */
function transactionRequest(value: Buffer): Buffer {
  const puts = Array.from({ length: batchSize }, (_, i) =>
    field(2, field(2, Buffer.concat([field(1, Buffer.from(`object-2/k${i}`)), field(2, value)]))),
  );
  return Buffer.concat(puts);
}

/** A field of bytes. */
function field(number: number, bytes: Uint8Array): Buffer {
  const length: number[] = [];
  for (let left = bytes.length; ; left >>= 7) {
    if (left < 128) {
      length.push(left);
      break;
    }
    length.push((left & 127) | 128);
  }
  return Buffer.concat([Buffer.of((number << 3) | 2, ...length), bytes]);
}

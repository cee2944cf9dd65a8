import { type Clock, sleep, type Timers } from '@oaas/commons/time';
import { contentBuckets } from '../shard/index.ts';
import { differingObjects } from './check-raft.ts';
import type { CheckService } from './check-service.ts';
import type { Answer, Round } from './checks.ts';
import type { CheckControl } from './coordinator.ts';
import type { ObjectList } from './scrubber.ts';

/** Objects that are named. */
const namedMax = 100;
/** Parts of the objects that are looked into: as many as have about so many objects together, at least one. */
const objectsMax = 2048;
const withinMs = 60_000;
const pollMs = 250;

/**
 * Names objects that are not the same on the replicas that have read what they have stored: first which of the parts that
 * objects fall into differ, then the hashes of the objects in these.
 */
export async function differencesOf(
  options: { readonly checks: CheckService; readonly clock: Clock; readonly timers: Timers },
  shard: number,
  { id, answers }: Round,
  control: CheckControl,
): Promise<string[]> {
  const read = answers.filter(({ scan }) => scan?.isDone === true && scan.buckets !== '');
  const objects = Math.max(1, ...read.map(({ replica }) => replica.objects));
  const most = Math.max(1, Math.floor((objectsMax * contentBuckets) / objects));
  const differing = differingBuckets(read.map(({ scan }) => Buffer.from(scan?.buckets ?? '', 'base64')));
  const buckets = differing.slice(0, most);
  if (buckets.length === 0) return [];
  const lists = await Promise.all(
    read.map(async (answer) => [answer.member, await listOf(options, shard, id, answer, buckets, control)] as const),
  );
  const known = lists.flatMap(([member, list]) => (list === undefined ? [] : [{ member, list }]));
  if (known.length < 2) return [];
  // Behind the end of a list nothing is known.
  const ends = known.flatMap(({ list }) => (list.hasMore ? [list.objects.at(-1)?.[0] ?? ''] : []));
  const isKnown = (name: string): boolean => ends.every((end) => name <= end);
  const hashes = new Map(
    known.map(({ member, list }) => [member, new Map(list.objects.filter(([name]) => isKnown(name)))]),
  );
  return differingObjects(hashes, namedMax);
}

/** Each is two words for each bucket. */
function differingBuckets(all: readonly Buffer[]): number[] {
  const [first, ...others] = all;
  if (first === undefined) return [];
  const differing: number[] = [];
  for (let bucket = 0; bucket < contentBuckets; bucket++) {
    const at = 8 * bucket;
    const own = first.subarray(at, at + 8);
    if (others.some((other) => !own.equals(other.subarray(at, at + 8)))) differing.push(bucket);
  }
  return differing;
}

async function listOf(
  { checks, clock, timers }: { readonly checks: CheckService; readonly clock: Clock; readonly timers: Timers },
  shard: number,
  id: string,
  { member }: Answer,
  buckets: readonly number[],
  control: CheckControl,
): Promise<ObjectList | undefined> {
  const until = clock.monotonic() + withinMs;
  while (clock.monotonic() < until && !control.isCancelled()) {
    try {
      const list = await checks.list(member, shard, id, buckets);
      if (list?.isDone !== false) return list;
    } catch {
      // Perhaps the next time.
    }
    await sleep(timers, pollMs);
  }
  return undefined;
}

import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, sleep, type Timer, type Timers } from '@oaas/commons/time';
import { ContentScan, MergingScan, type ReplicaMark, rootOf, type ScanSource } from '../shard/index.ts';
import type { Engine, JournalPlace, JournalScrub } from '../storage/index.ts';
import { takeTokens, type TokenBucket } from './throttle.ts';

export interface ScrubberOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Bytes a second that this node may read; asked anew for each piece. */
  readonly bytesPerSecond: () => number;
}

/** What a replica found in what it has stored. Travels as JSON. */
export interface ScanReport {
  readonly isDone: boolean;
  readonly readBytes: number;
  /** Computed from the stored objects and entries. */
  readonly root: string;
  /** Values that cannot be read, as `object` or `object/key`; at most 100. */
  readonly bad: readonly string[];
  /** What is wrong, in one sentence; absent when nothing is. */
  readonly damage?: string | undefined;
  /** Why nothing was read. */
  readonly refused?: string | undefined;
  /** Of the node's journal, not of this replica. */
  readonly note?: string | undefined;
  /** Hashes of the parts that objects fall into, as base64; empty while not done. */
  readonly buckets: string;
}

/** Objects of some buckets with their hashes. */
export interface ObjectList {
  readonly isDone: boolean;
  /** In the order of ids. */
  readonly objects: readonly (readonly [string, string])[];
  /** There are more behind the last one. */
  readonly hasMore: boolean;
}

/** What is read between two looks at the event loop: about a millisecond of work. */
const sliceBytes = 128 * 1024;
/** Scans that a node holds, each with a snapshot of its storage; more are refused. */
const maxScans = 8;
/** A scan that nobody asks for is dropped: whoever wanted it is gone. */
const leaseMs = 30_000;
const sweepMs = 5000;
/** Rounds whose look at the journal is remembered. */
const maxRounds = 4;

interface Job {
  readonly source: ScanSource;
  readonly scan: ContentScan | MergingScan;
  readonly pass: JournalPass;
  listing: ContentScan | undefined;
  listed: string;
  touchedAt: number;
}

/** One look at the whole journal, for all shards that are scanned in a round. */
interface JournalPass {
  readonly engine: Engine;
  next: JournalPlace | undefined;
  isDone: boolean;
  readonly bad: JournalScrub['bad'][number][];
}

/**
 * Reads what replicas of this node have stored, at a bounded rate and off the way of calls: all scans of the node share
 * the rate and take turns.
 */
export class Scrubber {
  readonly #options: ScrubberOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #refused = new Set<string>();
  readonly #passes = new Map<string, JournalPass>();
  readonly #sweeper: Timer;
  readonly #closed = new AbortController();
  #bucket: TokenBucket;
  #isWorking = false;

  constructor(options: ScrubberOptions) {
    this.#options = options;
    this.#bucket = { tokens: 0, at: options.clock.monotonic() };
    this.#sweeper = options.timers.every(sweepMs, () => {
      this.#sweep();
    });
  }

  /** Takes the snapshot over. Does nothing where there is a scan at the mark. */
  scan(source: ScanSource): void {
    const key = keyOf(source.shard, source.mark.id);
    if (this.#jobs.has(key)) {
      source.snapshot.close();
      return;
    }
    if (this.#jobs.size >= maxScans || this.#closed.signal.aborted) {
      source.snapshot.close();
      this.#refused.add(key);
      return;
    }
    this.#jobs.set(key, {
      source,
      scan: new (source.merges === true ? MergingScan : ContentScan)(source.snapshot, source.location),
      pass: this.#passOf(source),
      listing: undefined,
      listed: '',
      touchedAt: this.#options.clock.monotonic(),
    });
    void this.#work();
  }

  /** How far the scan at a mark is; undefined for one that is not known. */
  report(shard: number, mark: string): ScanReport | undefined {
    const key = keyOf(shard, mark);
    if (this.#refused.has(key)) return refusal;
    const job = this.#touched(key);
    return job === undefined ? undefined : reportOf(job);
  }

  /** The mark of a scan that is held. */
  markOf(shard: number, mark: string): ReplicaMark | undefined {
    return this.#jobs.get(keyOf(shard, mark))?.source.mark;
  }

  /** Objects in these buckets, read once more. Undefined for a scan that is not known. */
  list(shard: number, mark: string, buckets: readonly number[]): ObjectList | undefined {
    const job = this.#touched(keyOf(shard, mark));
    if (job === undefined) return undefined;
    const wanted = buckets.join();
    if (job.listing === undefined || job.listed !== wanted) {
      job.listing = new ContentScan(job.source.snapshot, job.source.location, buckets);
      job.listed = wanted;
      void this.#work();
    }
    const { isDone, listed, hasMore } = job.listing;
    return { isDone, hasMore, objects: isDone ? [...listed].map(([id, sum]) => [id, rootOf(sum)] as const) : [] };
  }

  /** Nobody wants to know more of it. */
  release(shard: number, mark: string): void {
    const key = keyOf(shard, mark);
    this.#refused.delete(key);
    this.#drop(key);
  }

  close(): void {
    this.#closed.abort();
    this.#sweeper.cancel();
    for (const key of [...this.#jobs.keys()]) this.#drop(key);
  }

  #touched(key: string): Job | undefined {
    const job = this.#jobs.get(key);
    if (job !== undefined) job.touchedAt = this.#options.clock.monotonic();
    return job;
  }

  #drop(key: string): void {
    this.#jobs.get(key)?.source.snapshot.close();
    this.#jobs.delete(key);
  }

  #sweep(): void {
    const now = this.#options.clock.monotonic();
    for (const [key, { touchedAt }] of this.#jobs) if (now - touchedAt > leaseMs) this.#drop(key);
    if (this.#jobs.size === 0) this.#refused.clear();
  }

  #passOf({ mark, engine }: ScanSource): JournalPass {
    const round = `${engine.isDurable ? '' : 'memory '}${mark.id.split('.', 1)[0] ?? ''}`;
    let pass = this.#passes.get(round);
    if (pass === undefined) {
      pass = { engine, next: undefined, isDone: !engine.isDurable, bad: [] };
      this.#passes.set(round, pass);
      const [oldest] = this.#passes.keys();
      if (this.#passes.size > maxRounds && oldest !== undefined) this.#passes.delete(oldest);
    }
    return pass;
  }

  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    const { timers, logger } = this.#options;
    const { signal } = this.#closed;
    try {
      for (let turn = 0; !signal.aborted; turn++) {
        const busy = [...this.#jobs.values()].filter(hasWork);
        const job = busy[turn % Math.max(1, busy.length)];
        if (job === undefined) break;
        const waitMs = this.#take();
        if (waitMs === 0) this.#charge(step(job));
        // Between two pieces everything else has its turn.
        await sleep(timers, waitMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) logger.error({ err: error }, 'a scan of stored data ended');
    } finally {
      this.#isWorking = false;
    }
  }

  #take(): number {
    const { clock, bytesPerSecond } = this.#options;
    const { bucket, waitMs } = takeTokens(this.#bucket, sliceBytes, bytesPerSecond(), clock.monotonic());
    this.#bucket = bucket;
    return waitMs;
  }

  /** What was read may be more or less than what was taken. */
  #charge(readBytes: number): void {
    this.#bucket = { ...this.#bucket, tokens: this.#bucket.tokens + sliceBytes - readBytes };
  }
}

function keyOf(shard: number, mark: string): string {
  return `${String(shard)}/${mark}`;
}

function hasWork({ scan, pass, listing }: Job): boolean {
  return !scan.isDone || !pass.isDone || listing?.isDone === false;
}

/** Reads the next piece; gives how much that was. */
function step({ scan, pass, listing }: Job): number {
  const content = !scan.isDone ? scan : listing?.isDone === false ? listing : undefined;
  if (content !== undefined) {
    const before = content.readBytes;
    content.read(sliceBytes);
    return content.readBytes - before;
  }
  const found = pass.engine.scrubJournal(pass.next, sliceBytes);
  pass.bad.push(...found.bad);
  pass.next = found.next;
  pass.isDone = found.next === undefined;
  return found.bytes;
}

const refusal: ScanReport = {
  ...{ isDone: true, readBytes: 0, root: '', bad: [], buckets: '' },
  refused: 'the node has too many scans at once',
};

function reportOf({ source, scan, pass }: Job): ScanReport {
  const isDone = scan.isDone && pass.isDone;
  const { readBytes } = scan;
  if (!isDone) return { isDone, readBytes, root: '', bad: [], buckets: '' };
  const own = pass.bad.filter(({ groups }) => groups.includes(source.shard));
  const others = pass.bad.filter(({ groups }) => groups.length === 0);
  const isMerging = scan instanceof MergingScan;
  const { content, buckets, bad: badValues } = isMerging ? scan.content : scan;
  const stored = isMerging ? scan.damage : contentDamage(source, scan);
  const damage = [...stored, ...own.map((bad) => `the log is damaged in ${placeOf(bad)}`)];
  return {
    isDone,
    readBytes,
    root: rootOf(content),
    bad: isMerging ? scan.bad : badValues.map(({ objectId, key }) => (key === '' ? objectId : `${objectId}/${key}`)),
    ...(damage.length === 0 ? {} : { damage: damage.join('; ') }),
    ...(others.length === 0 ? {} : { note: `the journal is damaged in ${others.map(placeOf).join(', ')}` }),
    buckets: Buffer.from(buckets.buffer, buckets.byteOffset, buckets.byteLength).toString('base64'),
  };
}

function contentDamage({ mark }: ScanSource, scan: ContentScan): string[] {
  if (!scan.isReadable) return [scan.problem ?? 'the storage cannot be read'];
  if (scan.badCount > 0) {
    const [first] = scan.bad;
    const name = first === undefined ? '' : ` (${first.objectId}${first.key === '' ? '' : `/${first.key}`})`;
    return [`${String(scan.badCount)} stored values cannot be read${name}`];
  }
  const root = rootOf(scan.content);
  if (root !== mark.root) return [`what is stored has the root ${root}, what was written ${mark.root}`];
  return scan.problem === undefined ? [] : [scan.problem];
}

function placeOf({ file, offset }: JournalScrub['bad'][number]): string {
  return `${file} at byte ${String(offset)}`;
}

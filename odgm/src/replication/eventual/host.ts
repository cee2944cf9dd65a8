import { oaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import { type Clock, type Random, type Timer, type Timers } from '@oaas/commons/time';
import { channels, type Mesh, type MeshPayload, type RateLimit } from '../../mesh/index.ts';
import type { Engine } from '../../storage/index.ts';
import { Cleaner } from '../cleaner.ts';
import { garbageKey } from '../keys.ts';
import { Agenda } from './agenda.ts';
import { compare, complete, exchange, type ExchangePort, handOver } from './exchange.ts';
import {
  decodeAnswers,
  encodeGossip,
  encodeRequest,
  encodeStates,
  formerEpoch,
  type Head,
  headTo,
  requests,
} from './messages.ts';
import { answerOfHeir } from './heir.ts';
import { RefTraffic } from './ref-traffic.ts';
import { differInRefs, settleRefs } from './refs.ts';
import { type ReplicaRecord, readRecord, readRecords, writeRecord } from './record.ts';
import { Responder } from './responder.ts';
import { WaitingBytes } from './waiting-bytes.ts';
import type { Announcement, Comparison, EventualReplica, ReplicaId } from './types.ts';

export interface EventualTuning {
  /** A replica that has news is compared with one other so often, taking turns. Default 1,000 ms. */
  readonly gossipMs: number;
  /** …and one of which nothing was news lately, at last. Default 30,000 ms. */
  readonly idleGossipMs: number;
  /** How often the host looks for what is due. Default 100 ms. */
  readonly tickMs: number;
  /** Exchanges at once, as the one that asks. Others wait for their turn. Default 4. */
  readonly maxExchanges: number;
  /** Longest wait for an answer. Default 10,000 ms. */
  readonly requestMs: number;
  /** Longest wait for another replica to have labels and branches that changed here. Default 2,000 ms. */
  readonly spreadMs: number;
}

export const defaultEventualTuning: EventualTuning = {
  gossipMs: 1000,
  idleGossipMs: 30_000,
  tickMs: 100,
  maxExchanges: 4,
  requestMs: 10_000,
  spreadMs: 2000,
};

export interface EventualHostOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
  /** Storage of the replicas, as durable as they are to be. */
  readonly engines: readonly Engine[];
  readonly tuning?: Partial<EventualTuning> | undefined;
  /** Meters the states that exchanges of a shard carry, both ways, as the one that asks. Default: no bound. */
  readonly rateOf?: ((shard: number) => RateLimit) | undefined;
}

const maxWriteBytes = 128 * 1024 * 1024;
const maxStateBytes = 64 * 1024 * 1024;

interface Hosted {
  readonly replica: EventualReplica;
  /** Monotonic time of the next comparison, and the wait after it. */
  nextAt: number;
  intervalMs: number;
  turn: number;
  isBusy: boolean;
}

/** What anti-entropy has done since the node started. */
export interface EventualCounters {
  /** Comparisons of roots as the one that asks, and those that found them equal. */
  compared: number;
  equal: number;
  /** Exchanges that came to their end, keys that differed in them, and exchanges that did not. */
  exchanges: number;
  differences: number;
  failures: number;
  /** Bytes of comparisons and exchanges, asked for by either side. What is sent on at once with each change is not among them. */
  sentBytes: number;
  receivedBytes: number;
}

/**
 * Eventual shards of one node: has each replica compare its root with the others', one after the other. Roots of all
 * shards that are due for a member go in one request; equal replicas exchange nothing else. What others ask of the replicas
 * here {@link Responder} answers; how labels and branches go between them, {@link RefTraffic} knows.
 */
export class EventualHost {
  readonly #options: EventualHostOptions;
  readonly #tuning: EventualTuning;
  readonly #hosted = new Map<number, Hosted>();
  /** All that are hosted and not busy. */
  readonly #agenda: Agenda<Hosted>;
  readonly #cleaners: ReadonlyMap<Engine, Cleaner>;
  readonly #refs: RefTraffic;
  readonly #responder: Responder;
  readonly #timer: Timer;
  readonly #undo: () => void;
  readonly #stop = new AbortController();
  readonly #asking = new Set<number>();
  #running = 0;
  /** What waits to be stored in all replicas here: writes of clients, as much as of shards that agree; states of others. */
  readonly waiting = { mutations: new WaitingBytes(maxWriteBytes), states: new WaitingBytes(maxStateBytes) };
  readonly counters: EventualCounters = {
    ...{ compared: 0, equal: 0, exchanges: 0, differences: 0, failures: 0 },
    ...{ sentBytes: 0, receivedBytes: 0 },
  };

  constructor(options: EventualHostOptions) {
    const { mesh, timers, logger, engines } = options;
    this.#options = options;
    this.#tuning = { ...defaultEventualTuning, ...options.tuning };
    this.#agenda = new Agenda(this.#tuning.tickMs, ({ nextAt }) => nextAt);
    this.#cleaners = new Map(
      engines.map((engine) => [
        engine,
        new Cleaner(engine, timers, (error) => {
          logger.warn({ err: error }, 'old states are not deleted');
        }),
      ]),
    );
    this.#refs = new RefTraffic({
      ...{ timers, logger, spreadMs: this.#tuning.spreadMs },
      isUp: (member) => mesh.isUp(member),
      portTo: (member, head) => this.#portTo(member, head),
    });
    this.#responder = new Responder({
      ...{ timers, logger, refs: this.#refs },
      replicaOf: (shard) => this.#hosted.get(shard)?.replica,
      onNews: (shard) => {
        this.poke(shard);
      },
    });
    mesh.onMessage(channels.eventual, (from, payload) => {
      this.#responder.take(from, payload);
    });
    mesh.onRequest(channels.eventual, async (payload, { peer }) => {
      this.counters.receivedBytes += payload.length;
      const answer = await this.#responder.answer(peer.number, payload);
      this.counters.sentBytes += lengthOf(answer);
      return answer;
    });
    this.#undo = mesh.onLink((event) => {
      // What waited for an answer may ask another one.
      this.#agenda.wake(event.peer.number);
      if (event.state !== 'up') return;
      for (const { replica } of this.#hosted.values()) {
        if (replica.epochOf(event.peer.number) === undefined) continue;
        replica.linkUp(event.peer.number);
        this.poke(replica.shard, event.peer.number);
      }
    });
    this.#timer = timers.every(this.#tuning.tickMs, () => {
      this.#tick();
    });
  }

  get self(): number {
    return this.#options.mesh.self.number;
  }

  /** Replicas that are stored on this node and not removed, with their epochs. */
  stored(): ReadonlyMap<number, number> {
    const present = new Map<number, number>();
    for (const engine of this.#options.engines) {
      for (const { shard, state, epoch } of readRecords(engine)) if (state === 'present') present.set(shard, epoch);
    }
    return present;
  }

  /**
   * Where the replica with this epoch lies; a new one is made where there is none. `FailedPrecondition` when this or a
   * later epoch was removed, or another one is there.
   */
  async place(
    engine: Engine,
    shard: number,
    epoch: number,
    isFounder: boolean,
  ): Promise<{ readonly generation: number; readonly isFounder: boolean }> {
    const stored = readRecord(engine, shard);
    if (stored?.state === 'present' && stored.epoch === epoch) return stored;
    if (stored !== undefined && (stored.state === 'present' || stored.epoch >= epoch)) {
      throw oaasError(
        'FailedPrecondition',
        `shard ${String(shard)} is or was here with epoch ${String(stored.epoch)}`,
        { details: { shard, epoch: stored.epoch, state: stored.state } },
      );
    }
    const generation = (stored?.generation ?? 0) + 1;
    const record: ReplicaRecord = { shard, state: 'present', epoch, generation, isFounder };
    await engine.write([writeRecord(record)]);
    return record;
  }

  /** Where the replica with this epoch lies; undefined when it is not in this storage. */
  generationOf(engine: Engine, shard: number, epoch: number): number | undefined {
    const stored = readRecord(engine, shard);
    return stored?.state === 'present' && stored.epoch === epoch ? stored.generation : undefined;
  }

  /** The replica takes part from now on. */
  attach(replica: EventualReplica): void {
    const { clock, random } = this.#options;
    const nextAt = clock.monotonic() + random.next() * this.#tuning.tickMs;
    const hosted: Hosted = {
      ...{ replica, nextAt, turn: Math.floor(random.next() * 64), isBusy: false },
      intervalMs: this.#tuning.gossipMs,
    };
    this.detach(replica.shard);
    this.#hosted.set(replica.shard, hosted);
    this.#agenda.put(hosted);
  }

  detach(shard: number): void {
    const hosted = this.#hosted.get(shard);
    if (hosted !== undefined) this.#agenda.remove(hosted);
    this.#hosted.delete(shard);
  }

  /** Takes the replica with this epoch away with all its data; the epoch is remembered. Idempotent. */
  async remove(shard: number, epoch: number): Promise<void> {
    if (this.#hosted.get(shard)?.replica.epoch === epoch) this.detach(shard);
    for (const [engine, cleaner] of this.#cleaners) {
      const record = readRecord(engine, shard);
      if (record?.state !== 'present' || record.epoch !== epoch) continue;
      await engine.write([
        writeRecord({ ...record, state: 'removed' }),
        { type: 'put', key: garbageKey(shard, record.generation), value: Uint8Array.of(1) },
      ]);
      cleaner.add(shard, record.generation);
    }
  }

  /** The replica has news, or may lack some: it is compared again soon; with `member` at once, and with that one first. */
  poke(shard: number, member?: number): void {
    const hosted = this.#hosted.get(shard);
    if (hosted === undefined) return;
    const now = this.#options.clock.monotonic();
    hosted.intervalMs = this.#tuning.gossipMs;
    if (member !== undefined) hosted.turn = Math.max(0, hosted.replica.members.indexOf(member));
    const at = member === undefined ? now + this.#tuning.gossipMs : now;
    if (member === undefined && at >= hosted.nextAt) return;
    hosted.nextAt = Math.min(hosted.nextAt, at);
    if (!hosted.isBusy) this.#agenda.put(hosted);
  }

  /** Sends states to the replica of a member. False when they cannot go now. */
  send(replica: EventualReplica, to: number, states: Uint8Array): boolean {
    const head = headTo(replica, to);
    if (head === undefined) return true;
    const { mesh } = this.#options;
    return mesh.isUp(to) && mesh.send(to, channels.eventual, encodeStates(head, states));
  }

  /**
   * Labels and branches of the replica changed. Resolves when another one has them as well, on its disk; when none can be
   * reached, when all refuse, or when none has them in time: they go to the others with comparisons then.
   */
  async spread(replica: EventualReplica): Promise<void> {
    this.poke(replica.shard);
    if (this.#hosted.get(replica.shard)?.replica === replica) await this.#refs.spread(replica);
  }

  /** See {@link EventualReplica}: compares it with that of a member. `Unavailable` when there is none that answers. */
  async differencesWith(replica: EventualReplica, member: number, max: number): Promise<Comparison> {
    const toEpoch = replica.epochOf(member);
    const head = { shard: replica.shard, fromEpoch: replica.epoch, toEpoch: toEpoch ?? 0 };
    const mine = await replica.announce();
    const answer = await this.#request(member, encodeGossip([{ head, announcement: mine }]));
    const [theirs] = decodeAnswers(answer, 1);
    if (theirs === undefined) throw oaasError('Unavailable', 'the member has no replica that knows this one');
    replica.heard({ member, epoch: head.toEpoch }, theirs);
    const found = await compare(replica, mine, theirs, this.#portTo(member, head), max);
    return { mine, theirs, ...found };
  }

  /**
   * Gives the replica of a member what this one has and that one lacks, then labels and branches: before it is removed,
   * when it is no part of the shard any more. Resolves with the number of keys; rejects when it did not come to the end:
   * with `StorageCorrupt` or `DataLoss` when this replica cannot be read, never for what is wrong with the other one.
   */
  async handOver(replica: EventualReplica, member: number, epoch: number): Promise<number> {
    const head = { shard: replica.shard, fromEpoch: formerEpoch, toEpoch: epoch };
    const theirPort = this.#portTo(member, head);
    const port: ExchangePort = {
      ask: (type, body) => answerOfHeir(member, theirPort.ask(type, body)),
      pace: (bytes) => theirPort.pace(bytes),
    };
    const [theirs] = decodeAnswers(await port.ask(requests.hello, new Uint8Array(0)), 1);
    if (theirs === undefined) throw oaasError('Unavailable', 'the member has no replica to hand over to');
    const mine = await replica.announce();
    const given = await handOver(replica, mine, theirs, port);
    if (differInRefs(mine, theirs)) await this.#refs.handOver(replica, port);
    return given;
  }

  isUp(member: number): boolean {
    return this.#options.mesh.isUp(member);
  }

  close(): void {
    this.#stop.abort();
    this.#timer.cancel();
    this.#undo();
    for (const cleaner of this.#cleaners.values()) cleaner.close();
    this.#hosted.clear();
    this.#agenda.clear();
  }

  // ---- comparing

  #tick(): void {
    const now = this.#options.clock.monotonic();
    const due = new Map<number, Hosted[]>();
    for (const hosted of this.#agenda.takeDue(now)) {
      const member = this.#nextMember(hosted);
      if (member === undefined) {
        // A link that comes up pokes it sooner.
        hosted.nextAt = now + this.#tuning.gossipMs;
        this.#agenda.put(hosted);
        continue;
      }
      if (this.#asking.has(member)) {
        this.#agenda.wait(hosted, member);
        continue;
      }
      const list = due.get(member);
      if (list === undefined) due.set(member, [hosted]);
      else list.push(hosted);
    }
    for (const [member, list] of due) void this.#compare(member, list);
  }

  /** The next in turn that can be reached. */
  #nextMember(hosted: Hosted): number | undefined {
    const { members } = hosted.replica;
    for (let i = 0; i < members.length; i++) {
      const member = members[(hosted.turn + i) % members.length];
      if (member !== undefined && this.#options.mesh.isUp(member)) {
        hosted.turn = (hosted.turn + i) % members.length;
        return member;
      }
    }
    return undefined;
  }

  async #compare(member: number, list: readonly Hosted[]): Promise<void> {
    this.#asking.add(member);
    for (const hosted of list) hosted.isBusy = true;
    const exchanges: Promise<void>[] = [];
    try {
      const announced = await Promise.all(list.map((hosted) => this.#announce(member, hosted)));
      const sent = announced.filter((one) => one !== undefined);
      if (sent.length === 0) return;
      const answer = await this.#request(member, encodeGossip(sent));
      const answers = decodeAnswers(answer, sent.length);
      for (const [i, { hosted, head, announcement }] of sent.entries()) {
        const theirs = answers[i];
        const from = { member, epoch: head.toEpoch };
        this.counters.compared += 1;
        hosted.turn += 1;
        if (theirs === undefined) continue;
        hosted.replica.heard(from, theirs);
        if (theirs.root === announcement.root) {
          hosted.replica.completed(from, { mine: announcement, theirs });
          if (!differInRefs(announcement, theirs)) {
            this.counters.equal += 1;
            this.#slowDown(hosted);
            continue;
          }
        }
        exchanges.push(this.#exchange(from, hosted, announcement, theirs));
      }
    } catch (error) {
      this.#failed(error, member);
    } finally {
      this.#asking.delete(member);
      this.#agenda.wake(member);
      const busy = exchanges.length > 0 ? Promise.all(exchanges) : Promise.resolve();
      void busy.then(() => {
        const now = this.#options.clock.monotonic();
        for (const hosted of list) {
          hosted.isBusy = false;
          hosted.nextAt = Math.max(hosted.nextAt, now + this.#waitMs(hosted));
          if (this.#hosted.get(hosted.replica.shard) === hosted) this.#agenda.put(hosted);
        }
      });
    }
  }

  /** A little more or less each time, so that shards do not go in step. One that is new hurries. */
  #waitMs({ intervalMs, replica }: Hosted): number {
    const base = replica.isComplete ? intervalMs : Math.min(intervalMs, 2 * this.#tuning.tickMs);
    return base * (0.9 + 0.2 * this.#options.random.next());
  }

  /** All members in turn found nothing: there is less and less hurry. */
  #slowDown(hosted: Hosted): void {
    const { idleGossipMs } = this.#tuning;
    const isRound = hosted.turn % Math.max(1, hosted.replica.members.length) === 0;
    if (isRound) hosted.intervalMs = Math.min(idleGossipMs, hosted.intervalMs * 2);
  }

  async #announce(
    member: number,
    hosted: Hosted,
  ): Promise<{ hosted: Hosted; head: Head; announcement: Announcement } | undefined> {
    const { replica } = hosted;
    const head = headTo(replica, member);
    if (head === undefined) return undefined;
    try {
      return { hosted, head, announcement: await replica.announce() };
    } catch (error) {
      this.#failed(error, member);
      return undefined;
    }
  }

  /** `from`: the replica that announced `theirs`. While its answer was under way the member may have got another one. */
  async #exchange(from: ReplicaId, hosted: Hosted, mine: Announcement, theirs: Announcement): Promise<void> {
    const { replica } = hosted;
    const { member, epoch: toEpoch } = from;
    if (replica.epochOf(member) !== toEpoch || this.#running >= this.#tuning.maxExchanges) return;
    this.#running += 1;
    hosted.intervalMs = this.#tuning.gossipMs;
    const head = { shard: replica.shard, fromEpoch: replica.epoch, toEpoch };
    try {
      const port = this.#portTo(member, head);
      const settle = (): Promise<Announcement> =>
        settleRefs(mine, theirs, () => this.#refs.take(replica, member, head), port).catch((error: unknown) => {
          this.#failed(error, member);
          return mine;
        });
      if (mine.root === theirs.root) {
        const settled = await settle();
        if (settled !== mine) await complete(replica, from, settled, theirs, 0, port);
        return;
      }
      const found = await exchange(replica, from, mine, theirs, port, settle);
      this.counters.exchanges += 1;
      this.counters.differences += found;
    } catch (error) {
      this.#failed(error, member);
    } finally {
      this.#running -= 1;
    }
  }

  #portTo(member: number, head: Head): ExchangePort {
    return {
      ask: (type, body) => this.#request(member, encodeRequest(type, head, body)),
      pace: async (bytes) => {
        await this.#options.rateOf?.(head.shard).take(bytes, this.#stop.signal);
      },
    };
  }

  #failed(error: unknown, member: number): void {
    if (this.#stop.signal.aborted) return;
    this.counters.failures += 1;
    this.#options.logger.debug({ err: error, member }, 'replicas could not be compared');
  }

  async #request(member: number, payload: MeshPayload): Promise<Uint8Array> {
    const { signal } = this.#stop;
    this.counters.sentBytes += lengthOf(payload);
    const answer = await this.#options.mesh.request(member, channels.eventual, payload, {
      timeoutMs: this.#tuning.requestMs,
      signal,
    });
    this.counters.receivedBytes += answer.length;
    return answer;
  }
}

function lengthOf(payload: MeshPayload): number {
  if (payload instanceof Uint8Array) return payload.length;
  return payload.reduce((sum, { length }) => sum + length, 0);
}

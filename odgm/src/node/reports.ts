import { toOaasError } from '@oaas/commons/errors';
import type { Clock } from '@oaas/commons/time';
import type { peer } from '@oaas/proto';
import type { PeerStatus } from '../mesh/index.ts';
import type { MemberRecord, MetaState, ShardLoad } from '../meta/index.ts';
import { byNaturalOrder } from '../placement/index.ts';
import type { Member } from './members.ts';

/** `suspect`: the link is lost, and nobody has said yet that the member is down. */
export type MemberViewState = 'up' | 'suspect' | 'draining' | 'down';

/** Asks another member for its report. The adapter is given by the composition root. */
export interface ReportPort {
  report(address: string, request: peer.ReportRequest, timeoutMs: number): Promise<peer.NodeReport>;
}

export interface MemberView {
  readonly record: MemberRecord;
  readonly state: MemberViewState;
  /** Milliseconds since the Unix epoch; absent when it was never heard from. */
  readonly lastSeen?: number | undefined;
  /** What it last said, also when it is down now. */
  readonly report?: peer.NodeReport | undefined;
  /** Why there is no newer one. */
  readonly problem?: string | undefined;
  /** Of its wall clock, against that of this node; absent when it has not told it. */
  readonly clock?: ClockOffset | undefined;
}

/** How far a clock is ahead (or behind, below 0), in milliseconds, and how far off that may be at most. */
export interface ClockOffset {
  readonly aheadMs: number;
  readonly withinMs: number;
}

export interface ReportsOptions {
  readonly port: ReportPort;
  readonly clock: Clock;
  readonly clusterId: string;
  readonly self: Member;
  readonly ownReport: () => peer.NodeReport;
  /** Of the shards that this node leads, and of those whose replicas merge. Cheaper than a report, and asked often. */
  readonly ownLoads: () => Iterable<readonly [shard: number, ShardLoad]>;
  /** Undefined before this node has joined. */
  readonly state: () => MetaState | undefined;
  readonly links: () => readonly PeerStatus[];
}

interface Heard {
  at: number;
  report: peer.NodeReport | undefined;
  problem: string | undefined;
  clock: ClockOffset | undefined;
}

/** Reports are asked for again when they are older than this. */
const freshMs = 400;
const timeoutMs = 1000;

/** What the members say of themselves, asked when somebody wants to know. */
export class Reports {
  readonly #options: ReportsOptions;
  readonly #heard = new Map<number, Heard>();
  #refreshing: Promise<void> | undefined;
  #refreshedAt = -Infinity;

  constructor(options: ReportsOptions) {
    this.#options = options;
  }

  /**
   * Asks all members, unless that was done a moment ago; with `anew` in any case, and not together with those who asked
   * before. Resolves when each has answered or cannot. Never rejects.
   */
  async refresh(anew = false): Promise<void> {
    const { clock } = this.#options;
    if (!anew && clock.monotonic() - this.#refreshedAt < freshMs) return;
    // What is under way may have been answered already.
    if (anew) await this.#refreshing;
    this.#refreshing ??= this.#askAll().finally(() => {
      this.#refreshing = undefined;
      this.#refreshedAt = clock.monotonic();
    });
    await this.#refreshing;
  }

  /** All members as of the last {@link refresh}, in the natural order of their ids; those that were replaced are left out. */
  members(): MemberView[] {
    const { clock, self, ownReport, links } = this.#options;
    const states = new Map(links().map((link) => [link.number, link.state]));
    return this.#records().map((record) => {
      if (record.id === self.id) {
        const report = ownReport();
        const state = record.state === 'down' ? 'up' : report.draining ? 'draining' : record.state;
        return { record, state, lastSeen: clock.now(), report, clock: { aheadMs: 0, withinMs: 0 } };
      }
      const heard = this.#heard.get(record.number);
      const isLinked = states.get(record.number) === 'up';
      const isDraining = record.state === 'draining' || heard?.report?.draining === true;
      const state = record.state === 'down' ? 'down' : !isLinked ? 'suspect' : isDraining ? 'draining' : 'up';
      return {
        record,
        state,
        ...(heard === undefined || heard.at === 0 ? {} : { lastSeen: isLinked ? clock.now() : heard.at }),
        report: heard?.report,
        problem: heard?.problem,
        clock: heard?.clock,
      };
    });
  }

  /**
   * What the leaders of shards say of them, as of the last {@link refresh}. Of replicas that merge each tells the
   * operations that came to it: the shard has all of them.
   */
  loads(): Map<number, ShardLoad> {
    const { self, ownLoads } = this.#options;
    const loads = new Map<number, ShardLoad>();
    const isSilent = ({ id, number }: MemberRecord): boolean =>
      id !== self.id && this.#heard.get(number)?.problem !== undefined;
    const records = this.#records();
    // What one said that does not answer any more is all that there is of what it alone had; others overrule it.
    for (const { number } of records.filter(isSilent)) {
      for (const [shard, load] of toldLoads(number, this.#heard.get(number)?.report)) {
        loads.set(shard, load.leader === undefined ? { ...load, ops: 0 } : load);
      }
    }
    for (const { id, number } of records.filter((record) => !isSilent(record))) {
      const told = id === self.id ? ownLoads() : toldLoads(number, this.#heard.get(number)?.report);
      for (const [shard, load] of told) {
        const ops = load.leader === undefined ? load.ops + (loads.get(shard)?.ops ?? 0) : load.ops;
        loads.set(shard, { ...load, ops });
      }
    }
    return loads;
  }

  #records(): MemberRecord[] {
    const members = [...(this.#options.state()?.members.values() ?? [])];
    return members.filter(({ replacedBy }) => replacedBy === undefined).sort((a, b) => byNaturalOrder(a.id, b.id));
  }

  async #askAll(): Promise<void> {
    const { self } = this.#options;
    const records = this.#records();
    const known = new Set(records.map(({ number }) => number));
    for (const number of [...this.#heard.keys()]) if (!known.has(number)) this.#heard.delete(number);
    await Promise.all(records.filter(({ id }) => id !== self.id).map((record) => this.#ask(record)));
  }

  async #ask({ number, address }: MemberRecord): Promise<void> {
    const { port, clock, clusterId, self, links } = this.#options;
    const heard = this.#heard.get(number) ?? { at: 0, report: undefined, problem: undefined, clock: undefined };
    this.#heard.set(number, heard);
    const link = links().find((one) => one.number === number);
    if (link?.state !== 'up') {
      heard.problem = link?.problem ?? 'there is no link to the member';
      return;
    }
    const [askedAt, since] = [clock.now(), clock.monotonic()];
    try {
      heard.report = await port.report(address, { clusterId, from: self.id }, timeoutMs);
      heard.at = clock.now();
      // It was read at some time between question and answer.
      const withinMs = (clock.monotonic() - since) / 2;
      const { clockMs } = heard.report;
      heard.clock = clockMs === 0 ? undefined : { aheadMs: clockMs - askedAt - withinMs, withinMs };
      heard.problem = undefined;
    } catch (error) {
      heard.problem = toOaasError(error).message;
    }
  }
}

function* toldLoads(member: number, report: peer.NodeReport | undefined): Iterable<[shard: number, ShardLoad]> {
  for (const { shards } of report?.collections ?? []) {
    for (const { shardId, bytes, group, operationsPerSecond: ops } of shards) {
      if (group?.role === 'replica') yield [shardId, { bytes, ops }];
      else if (group?.leader === member) yield [shardId, { leader: member, bytes, ops }];
    }
  }
}

import { toOaasError } from '@oaas/commons/errors';
import type { Logger } from '@oaas/commons/telemetry';
import type { Clock, Timer, Timers } from '@oaas/commons/time';
import type { peer } from '@oaas/proto';
import type { Member } from './members.ts';

export type MemberState = 'up' | 'suspect' | 'draining' | 'down';

/** Asks another member for its report. The adapter is given by the composition root. */
export interface PeerPort {
  report(member: Member, timeoutMs: number): Promise<peer.NodeReport>;
  close(): void;
}

export interface MemberView {
  readonly member: Member;
  readonly state: MemberState;
  /** Milliseconds since the Unix epoch; absent when it was never heard from. */
  readonly lastSeen?: number | undefined;
  /** What it last said, also when it is down now. */
  readonly report?: peer.NodeReport | undefined;
  /** Why the last question failed. */
  readonly problem?: string | undefined;
}

export interface MembershipOptions {
  readonly members: readonly Member[];
  readonly self: Member;
  readonly peers: PeerPort;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly heartbeatMs: number;
  /** This node's own report. */
  readonly ownReport: () => peer.NodeReport;
  /** Called when a member said something new about what it holds. */
  readonly onChange: () => void;
}

interface Heard {
  at: number;
  monotonicAt: number;
  report: peer.NodeReport | undefined;
  failures: number;
  problem: string | undefined;
  isAsking: boolean;
}

/** Silence, in heartbeats, after which a member is suspect and after which it is down. */
const suspectAfter = 3;
const downAfter = 10;

/** What this node knows about the members: asks each of them at every heartbeat. One question per member at a time. */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #heard = new Map<string, Heard>();
  readonly #startedAt: number;
  #timer: Timer | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonic();
    for (const { id } of this.#others()) {
      this.#heard.set(id, {
        at: 0,
        monotonicAt: 0,
        report: undefined,
        failures: 0,
        problem: undefined,
        isAsking: false,
      });
    }
  }

  /** Starts the heartbeats. */
  start(): void {
    this.#timer = this.#options.timers.every(this.#options.heartbeatMs, () => void this.askAll());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#options.peers.close();
  }

  /** Asks all other members once. Resolves to true when each has answered at least once. Never rejects. */
  async askAll(): Promise<boolean> {
    await Promise.all(this.#others().map((member) => this.#ask(member)));
    return [...this.#heard.values()].every(({ report }) => report !== undefined);
  }

  /** All members in the order of the list, this one included. */
  view(): MemberView[] {
    return this.#options.members.map((member) =>
      member.id === this.#options.self.id ? this.#own() : this.#other(member),
    );
  }

  #others(): Member[] {
    return this.#options.members.filter(({ id }) => id !== this.#options.self.id);
  }

  async #ask(member: Member): Promise<void> {
    const heard = this.#heard.get(member.id);
    if (heard === undefined || heard.isAsking) return;
    heard.isAsking = true;
    const { peers, clock, heartbeatMs, logger } = this.#options;
    try {
      const report = await peers.report(member, Math.max(heartbeatMs, 500));
      const isNews = heard.report === undefined || holdingsOf(heard.report) !== holdingsOf(report);
      if (heard.failures > 0 || heard.report === undefined) logger.info({ member: member.id }, 'member heard');
      Object.assign(heard, {
        report,
        at: clock.now(),
        monotonicAt: clock.monotonic(),
        failures: 0,
        problem: undefined,
      });
      if (isNews) this.#options.onChange();
    } catch (error) {
      heard.failures += 1;
      heard.problem = toOaasError(error).message;
      if (heard.failures === suspectAfter) logger.warn({ member: member.id, err: error }, 'member does not answer');
    } finally {
      heard.isAsking = false;
    }
  }

  #own(): MemberView {
    const report = this.#options.ownReport();
    return {
      member: this.#options.self,
      state: report.draining ? 'draining' : 'up',
      lastSeen: this.#options.clock.now(),
      report,
    };
  }

  #other(member: Member): MemberView {
    const heard = this.#heard.get(member.id);
    if (heard?.report === undefined) {
      return {
        member,
        state: this.#stateAfter(this.#startedAt) === 'down' ? 'down' : 'suspect',
        problem: heard?.problem,
      };
    }
    const state = this.#stateAfter(heard.monotonicAt);
    return {
      member,
      state: state === 'up' && heard.report.draining ? 'draining' : state,
      lastSeen: heard.at,
      report: heard.report,
      problem: heard.problem,
    };
  }

  #stateAfter(since: number): MemberState {
    const beats = (this.#options.clock.monotonic() - since) / this.#options.heartbeatMs;
    if (beats >= downAfter) return 'down';
    return beats >= suspectAfter ? 'suspect' : 'up';
  }
}

/** The part of a report that decides where calls go. */
function holdingsOf(report: peer.NodeReport): string {
  return JSON.stringify(
    report.collections.map(({ name, partitionCount, shards }) => [
      name,
      partitionCount,
      shards.filter(({ objects }) => objects > 0).map(({ partition }) => partition),
    ]),
  );
}

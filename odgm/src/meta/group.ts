import { oaasError, toOaasError } from '@oaas/commons/errors';
import { type CancelSignal, type Clock, sleep, type Timers } from '@oaas/commons/time';
import { channels, type Mesh } from '../mesh/index.ts';
import type { RaftGroup } from '../replication/index.ts';
import { Absences, type IsGone } from './absences.ts';
import { encodeCommand } from './codec.ts';
import type { Accepted, ApplyResult, Command } from './commands.ts';
import { FirstSeen } from './first-seen.ts';
import type { MetaMachine } from './machine.ts';
import type { MetaState } from './types.ts';
import { lastFullCheck, refusalError } from './view.ts';

export interface MetaGroupOptions {
  readonly group: RaftGroup;
  readonly machine: MetaMachine;
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** A command without the time, which the group puts in. */
export type NewCommand = { [T in Command['type']]: Omit<Extract<Command, { type: T }>, 'at'> }[Command['type']];

const proposeMs = 5000;
const retryMs = 25;
const text = new TextEncoder();
const bytes = new TextDecoder();

/** The meta group as one member has it: the state as applied here, and commands that reach the leader from anywhere. */
export class MetaGroup {
  readonly #options: MetaGroupOptions;
  readonly #listeners = new Set<() => void>();
  readonly #absences: Absences;
  /** The cluster, and the last check of all shards. */
  readonly #seen: FirstSeen;
  #isTelling = false;

  constructor(options: MetaGroupOptions) {
    this.#options = options;
    this.#absences = new Absences(options.clock);
    this.#seen = new FirstSeen(options.clock);
    this.#note();
    options.mesh.onRequest(channels.meta, async (payload) => {
      const result = await this.#proposeHere(payload);
      return text.encode(JSON.stringify(result));
    });
  }

  /** As applied here: may be behind the leader's by a moment. */
  get state(): MetaState {
    return this.#options.machine.state;
  }

  get isLeader(): boolean {
    return this.#options.group.isLeader;
  }

  /** Member number; 0 while unknown. */
  get leader(): number {
    return this.#options.group.leader;
  }

  /** For how long this member may lack what was decided; undefined: not known since it runs. See {@link RaftGroup.staleMs}. */
  get staleMs(): number | undefined {
    return this.#options.group.staleMs;
  }

  get term(): number {
    return this.#options.group.term;
  }

  get group(): RaftGroup {
    return this.#options.group;
  }

  /** By what this member has seen itself: see {@link Absences}. */
  readonly isGone: IsGone = (member) => this.#absences.isGone(member, this.state.settings.nodeDownMs);

  /** For how long this member has known of the cluster, in milliseconds of its own clock. */
  get clusterKnownMs(): number {
    return this.#seen.ageOf(nameOfCluster(this.state)) ?? 0;
  }

  /** For how long it has known that no check of all shards began after the last one. From the cluster on when there was none. */
  get uncheckedMs(): number {
    return this.#seen.ageOf(nameOfCheck(this.state)) ?? 0;
  }

  /** Called after changes, several of them at once, in a turn of its own. Returns what takes the listener away. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** To be called when the machine's state has changed. */
  changed(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    this.#options.timers.after(0, () => {
      this.#isTelling = false;
      this.#note();
      for (const listener of this.#listeners) listener();
    });
  }

  /**
   * Carries a command to the leader, whoever that is. Resolves when it is committed and applied there; this member
   * applies it a moment later. Rejects with the refusal, or `Unavailable` when no leader took it within 5 s (then
   * `outcome: unknown` in the details says that it may have been taken all the same).
   */
  async propose(command: NewCommand, signal?: CancelSignal): Promise<Accepted> {
    const { group, mesh, clock, timers } = this.#options;
    const data = encodeCommand({ ...command, at: clock.now() });
    const deadline = clock.monotonic() + proposeMs;
    for (;;) {
      try {
        const result = group.isLeader ? await this.#proposeHere(data) : await this.#proposeThere(data);
        if (result.ok) return result;
        throw refusalError(result);
      } catch (thrown) {
        const error = toOaasError(thrown);
        const canRetry = error.code === 'NoLeader' || (error.code === 'Unavailable' && !isUnknown(error));
        if (!canRetry || clock.monotonic() >= deadline) throw error;
      }
      // A leader that is not reachable is soon another one.
      await sleep(timers, mesh.isUp(group.leader) ? 1 : retryMs, signal);
    }
  }

  /** Waits until what this member has applied contains everything that was answered before the call. */
  async catchUp(): Promise<void> {
    await this.#options.group.linearize();
  }

  #note(): void {
    const { state } = this;
    this.#absences.note(state.members.values());
    this.#seen.note(state.cluster === undefined ? [] : [nameOfCluster(state), nameOfCheck(state)]);
  }

  async #proposeHere(data: Uint8Array): Promise<ApplyResult> {
    return (await this.#options.group.propose(data, undefined)) as ApplyResult;
  }

  async #proposeThere(data: Uint8Array): Promise<ApplyResult> {
    const { group, mesh } = this.#options;
    if (group.leader === 0) throw oaasError('NoLeader', 'the meta group has no leader', { retryAfterMs: 100 });
    if (group.leader === mesh.self.number) return this.#proposeHere(data);
    const answer = await mesh.request(group.leader, channels.meta, data, { timeoutMs: proposeMs });
    return JSON.parse(bytes.decode(answer)) as ApplyResult;
  }
}

function nameOfCluster({ cluster }: MetaState): string {
  return `cluster ${cluster?.id ?? ''}`;
}

function nameOfCheck(state: MetaState): string {
  return `check ${lastFullCheck(state)?.id ?? 0}`;
}

function isUnknown(error: { readonly details?: Readonly<Record<string, unknown>> | undefined }): boolean {
  return error.details?.['outcome'] === 'unknown';
}

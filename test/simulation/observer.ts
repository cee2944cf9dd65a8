import { createHash } from 'node:crypto';
import { statePrefix, type RaftGroup } from '@oaas/odgm/replication';
import { GuaranteeChecker } from '@oaas/odgm/raft';
import { type Engine, prefixEnd } from '@oaas/odgm/storage';
import type { SimNode, SimWorld } from '@oaas/odgm/testkit/sim';

/** What is looked at. */
export interface Observed {
  readonly world: SimWorld;
  /** All replicas that run now, or those of one node. */
  replicas(of: SimNode | undefined): Iterable<ObservedReplica>;
}

export interface ObservedReplica {
  readonly member: number;
  readonly group: RaftGroup;
  /** Of the state of its machine: equal for equal states. */
  readonly stateHash: () => string;
}

interface Watched {
  applied: number;
  /** Position of the state that was looked at last. */
  compared: number | undefined;
  commit: number;
  last: number;
  lastTerm: number;
  term: number;
  role: string;
}

/** What was seen of the state at one applied index. */
interface Seen {
  readonly hash: string;
  readonly member: number;
}

/** Looks at all replicas after every event: the guarantees of the protocol, and that equal positions have equal states. */
export class Observer {
  /** States that were compared with those of another replica. */
  compared = 0;
  readonly #observed: Observed;
  readonly #checkers = new Map<number, GuaranteeChecker>();
  readonly #states = new Map<number, Map<number, Seen>>();
  readonly #watched = new WeakMap<RaftGroup, Watched>();

  constructor(observed: Observed) {
    this.#observed = observed;
    observed.world.always((touched) => {
      this.look(touched);
    });
  }

  look(touched: SimNode | undefined): void {
    for (const replica of this.#observed.replicas(touched)) if (replica.group.isRunning) this.#lookAt(replica);
  }

  /** Looks at every entry in the logs of all that run: a look after a step goes by the ends of the log. */
  audit(): void {
    const views = new Map<number, RaftGroup['view'][]>();
    for (const { group } of this.#observed.replicas(undefined)) {
      if (group.isRunning) views.set(group.group, [...(views.get(group.group) ?? []), group.view]);
    }
    for (const [group, of] of views) this.#checkerOf(group).audit(of);
  }

  #lookAt(replica: ObservedReplica): void {
    const { member, group } = replica;
    const { view } = group;
    const before = this.#watched.get(group);
    const lastTerm = view.termAt(view.lastIndex);
    if (
      before !== undefined &&
      before.term === view.term &&
      before.role === view.role &&
      before.commit === view.commit &&
      before.applied === group.applied &&
      before.last === view.lastIndex &&
      before.lastTerm === lastTerm
    ) {
      return;
    }
    const checker = this.#checkerOf(group.group);
    if (before === undefined) checker.restarted(member);
    checker.observe(view);
    const appliedBefore = before?.applied ?? view.applied;
    const watched: Watched = {
      ...{ term: view.term, role: view.role, commit: view.commit },
      ...{ applied: group.applied, last: view.lastIndex, lastTerm: typeof lastTerm === 'number' ? lastTerm : -1 },
      compared: before?.compared,
    };
    this.#watched.set(group, watched);
    if (group.applied !== view.applied) return;
    this.#checkApplied(member, group, appliedBefore, checker);
    // To read a whole state is most of what a look costs; whatever changes it without an entry shows at the next one.
    if (watched.compared === group.applied) return;
    watched.compared = group.applied;
    this.#checkState(replica);
  }

  #checkApplied(member: number, { view }: RaftGroup, before: number, checker: GuaranteeChecker): void {
    if (view.applied === before || before + 1 < view.firstIndex) return;
    const entries = view.entriesFrom(before + 1);
    if (entries === 'compacted') return;
    for (const entry of entries) {
      if (entry.index > view.applied) break;
      checker.applied(member, entry);
    }
  }

  #checkState({ member, group, stateHash }: ObservedReplica): void {
    const { applied } = group;
    const states = this.#states.get(group.group) ?? new Map<number, Seen>();
    this.#states.set(group.group, states);
    const hash = stateHash();
    const seen = states.get(applied);
    if (seen === undefined) states.set(applied, { hash, member });
    else if (seen.hash === hash) this.compared += 1;
    else {
      throw new Error(
        `group ${String(group.group)} at index ${String(applied)}: member ${String(member)} has another state than member ${String(seen.member)} had`,
      );
    }
  }

  #checkerOf(group: number): GuaranteeChecker {
    let checker = this.#checkers.get(group);
    if (checker === undefined) this.#checkers.set(group, (checker = new GuaranteeChecker()));
    return checker;
  }
}

/** Of all bytes of the stored state. */
export function storedHash(engine: Engine, { group, generation }: RaftGroup): string {
  const start = statePrefix(group, generation);
  const hash = createHash('sha1');
  for (const { key, value } of engine.range({ start, end: prefixEnd(start) })) {
    hash.update(key.subarray(start.length)).update('=').update(value).update(';');
  }
  return hash.digest('base64');
}

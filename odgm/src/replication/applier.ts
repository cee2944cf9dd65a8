import { confChangeOf, type Entry, isConfChangeV2, type RawNode } from '../raft/index.ts';
import type { Engine } from '../storage/index.ts';
import type { AppliedState } from './applied-state.ts';
import { decodeContext } from './conf-context.ts';
import { recordKey } from './keys.ts';
import type { Proposal } from './pending-proposals.ts';
import type { Proposer } from './proposer.ts';
import type { CommittedEntry, StateMachine } from './types.ts';

export interface ApplierOptions {
  readonly group: number;
  readonly engine: Engine;
  readonly machine: StateMachine;
  readonly node: RawNode;
  readonly proposer: Proposer;
  readonly state: AppliedState;
  /** The members changed; it is stored. */
  readonly onMembers: (context: Uint8Array) => void;
}

/** A change of the members, or one that was refused: who waits for it, and what follows once it is stored. */
interface Changed {
  readonly proposal: Proposal | undefined;
  readonly run: () => void;
}

/** Applies committed entries: the state machine's writes and the record go to storage together, and proposers are answered. */
export class Applier {
  readonly #options: ApplierOptions;
  readonly #recordKey: Buffer;

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#recordKey = recordKey(options.group);
  }

  apply(entries: readonly Entry[]): void {
    const { machine } = this.#options;
    const { isMark } = machine;
    let from = 0;
    for (let i = 0; isMark !== undefined && i < entries.length; i++) {
      const entry = entries[i];
      if (entry?.type !== 0 || !isMark(entry.data)) continue;
      this.#applyRun(entries.slice(from, i + 1));
      machine.marked?.(entry.index);
      from = i + 1;
    }
    if (from < entries.length) this.#applyRun(from === 0 ? entries : entries.slice(from));
  }

  #applyRun(entries: readonly Entry[]): void {
    const { proposer } = this.#options;
    const proposals: (Proposal | undefined)[] = [];
    const changed: Changed[] = [];
    const results: unknown[] = [];
    try {
      this.#store(entries, proposals, changed, results);
    } catch (error) {
      // This replica goes no further. The entries are committed, and the others may go on with them.
      for (const proposal of proposals) if (proposal !== undefined) proposer.lost(proposal, 'unknown');
      for (const { proposal } of changed) if (proposal !== undefined) proposer.lost(proposal, 'unknown');
      throw error;
    }
    for (let i = 0; i < proposals.length; i++) {
      const proposal = proposals[i];
      if (proposal !== undefined) proposer.answer(proposal, results[i]);
    }
    for (const { run } of changed) run();
  }

  /** Adds who waits for an answer, `results` for the `proposals`, and what follows. */
  #store(entries: readonly Entry[], proposals: (Proposal | undefined)[], changed: Changed[], results: unknown[]): void {
    const { engine, machine, proposer, state } = this.#options;
    const { pending } = proposer;
    const committed: CommittedEntry[] = [];
    for (const entry of entries) {
      const proposal = pending.size === 0 ? undefined : pending.take(entry.index, entry.term, proposer.lost);
      if (entry.type !== 0) changed.push({ proposal, run: this.#applyChange(entry, proposal) });
      else if (entry.data.length > 0) {
        committed.push({ index: entry.index, data: entry.data, own: proposal?.own });
        if (proposal?.span !== undefined) proposal.span = proposal.span.next('apply', entry.index, entry.term);
        proposals.push(proposal);
      } else if (proposal !== undefined) {
        const run = (): void => {
          proposer.refuseChange(proposal);
        };
        changed.push({ proposal, run });
      }
    }
    const last = entries.at(-1);
    if (last === undefined) return;
    state.index = last.index;
    state.term = last.term;
    const operations = committed.length === 0 ? [] : machine.apply(committed, results);
    engine.apply([...operations, { type: 'put', key: this.#recordKey, value: state.record() }]);
  }

  /** What follows once it is stored is returned, so that nobody hears of a change that is not. */
  #applyChange(entry: Entry, proposal: Proposal | undefined): () => void {
    const { node, proposer, state, onMembers } = this.#options;
    const change = confChangeOf(entry);
    if (change === undefined) return () => undefined;
    const confState = node.applyConfChange(change);
    const { epochs, context } = decodeContext(change.context);
    state.membership.change(confState, epochs);
    const isEntering = isConfChangeV2(change) && change.changes.length > 0;
    return () => {
      proposer.changed(proposal, confState, isEntering);
      onMembers(context);
    };
  }
}

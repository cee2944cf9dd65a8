import { type JsonValue, oaasError } from '@oaas/commons/errors';
import type { LogMiss } from './storage.ts';
import type { Entry, Role } from './types.ts';

/** The guarantees of the paper (Figure 3), and one of each node alone. */
export type Guarantee =
  /** At most one leader per term. */
  | 'election safety'
  /** A leader never overwrites or deletes entries of its log. */
  | 'leader append-only'
  /** Logs that agree on index and term of one entry agree on that and on all before it. */
  | 'log matching'
  /** A leader has every entry that was committed in an earlier term. */
  | 'leader completeness'
  /** No two nodes apply different entries at the same index. */
  | 'state-machine safety'
  /** A node's term, commit and applied index go back only with a restart, as far as they were not stored. */
  | 'monotonic state';

/** A node as seen from outside, between two steps. {@link RawNode} is one. */
export interface NodeView {
  readonly id: number;
  readonly term: number;
  readonly role: Role;
  readonly commit: number;
  readonly applied: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Known from `firstIndex - 1` to `lastIndex`. */
  termAt(index: number): number | LogMiss;
  /** All entries from `index` on. */
  entriesFrom(index: number): readonly Entry[] | 'compacted';
}

/** What is known of all logs at one index. */
interface Place {
  /** One per term in which an entry was seen here, with the term of the entry before it. */
  readonly seen: { readonly entry: Entry; readonly previousTerm: number }[];
  /** Term of the entry that was committed here; 0 if none was yet. */
  committed: number;
  applied: Entry | undefined;
}

/** A node as it was when it was last looked at. */
interface Memory {
  term: number;
  leads: boolean;
  commit: number;
  applied: number;
  /** First index of its log. */
  first: number;
  /** Terms of its entries, the first one at index `from`, which is `first` or less. */
  from: number;
  terms: number[];
}

/**
 * Watches the nodes of one group and throws `Internal`, with the guarantee in `details.guarantee`, at the first step that breaks one.
 *
 * `observe` after each step of a node costs as much as that step changed. It takes an unchanged last entry for an unchanged log; `audit` does
 * not, and looks at everything. Memory grows with the log: `forgetUpTo` bounds it.
 */
export class GuaranteeChecker {
  readonly #leaders = new Map<number, number>();
  readonly #nodes = new Map<number, Memory>();
  readonly #places = new Map<number, Place>();
  /** Highest index that was seen committed, by the term of the first node that knew it. */
  readonly #committedIn = new Map<number, number>();
  #forgotten = 0;
  #maxCommitted = 0;

  /** Highest index that any node has committed. */
  get maxCommitted(): number {
    return this.#maxCommitted;
  }

  /** The node took a step. */
  observe(node: NodeView): void {
    const memory = this.#memoryOf(node);
    if (node.term < memory.term)
      fail('monotonic state', node.id, 'its term went back', { from: memory.term, to: node.term });
    if (node.commit < memory.commit || node.applied < memory.applied || node.applied > node.commit) {
      fail('monotonic state', node.id, 'its commit or applied index went back, or applied passed commit', {
        commit: node.commit,
        applied: node.applied,
        before: { commit: memory.commit, applied: memory.applied },
      });
    }
    const leads = node.role === 'leader';
    const ledBefore = memory.leads && memory.term === node.term;
    if (leads && !ledBefore) this.#checkElection(node);
    this.#followLog(node, memory, ledBefore);
    if (node.commit > memory.commit) this.#checkCommits(node, memory.commit);
    if (leads && !ledBefore) this.#checkCompleteness(node);
    memory.term = node.term;
    memory.leads = leads;
    memory.commit = node.commit;
    memory.applied = node.applied;
    memory.first = node.firstIndex;
  }

  /** The node applied an entry. */
  applied(id: number, entry: Entry): void {
    const place = this.#placeAt(entry.index);
    if (place === undefined) return;
    if (place.committed !== 0 && place.committed !== entry.term) {
      fail('state-machine safety', id, 'it applied what was not committed', { index: entry.index, term: entry.term });
    }
    if (place.applied !== undefined && !equalEntries(place.applied, entry)) {
      fail('state-machine safety', id, 'it applied another entry than another node', {
        index: entry.index,
        terms: [place.applied.term, entry.term],
      });
    }
    place.applied ??= entry;
  }

  /** The node lost what it had not stored: its log may be shorter now, and its term and commit index lower. */
  restarted(id: number): void {
    const memory = this.#nodes.get(id);
    if (memory === undefined) return;
    memory.term = 0;
    memory.leads = false;
    memory.commit = 0;
    memory.applied = 0;
    memory.from = 0;
    memory.terms = [];
  }

  /** Looks at every entry that is in a log, also where nothing seemed to change. */
  audit(nodes: readonly NodeView[]): void {
    for (const node of nodes) {
      const memory = this.#memoryOf(node);
      memory.from = node.firstIndex;
      memory.terms = [];
      this.#take(node, memory, node.firstIndex);
      for (let index = node.firstIndex; index <= node.commit; index++) this.#checkCommitted(node, index);
    }
  }

  /** Nothing up to `index` is of interest any more, as no node has it in its log. */
  forgetUpTo(index: number): void {
    for (let at = this.#forgotten + 1; at <= index; at++) this.#places.delete(at);
    this.#forgotten = Math.max(this.#forgotten, index);
  }

  #memoryOf(node: NodeView): Memory {
    let memory = this.#nodes.get(node.id);
    if (memory === undefined) {
      memory = {
        term: 0,
        leads: false,
        commit: 0,
        applied: 0,
        first: node.firstIndex,
        from: node.firstIndex,
        terms: [],
      };
      this.#nodes.set(node.id, memory);
    }
    return memory;
  }

  #placeAt(index: number): Place | undefined {
    if (index <= this.#forgotten) return undefined;
    let place = this.#places.get(index);
    if (place === undefined) {
      place = { seen: [], committed: 0, applied: undefined };
      this.#places.set(index, place);
    }
    return place;
  }

  #checkElection(node: NodeView): void {
    const other = this.#leaders.get(node.term);
    if (other !== undefined && other !== node.id) {
      fail('election safety', node.id, 'it leads a term that has a leader', { term: node.term, other });
    }
    this.#leaders.set(node.term, node.id);
  }

  /** Finds what changed in the node's log, and checks what is new in it. */
  #followLog(node: NodeView, memory: Memory, ledBefore: boolean): void {
    const lastBefore = memory.from + memory.terms.length - 1;
    const { firstIndex, lastIndex } = node;
    if (lastIndex === lastBefore && node.termAt(lastIndex) === memory.terms[lastBefore - memory.from]) return;
    if (firstIndex > lastBefore + 1 || memory.from === 0) {
      // A snapshot, or the first look since a restart.
      memory.from = firstIndex;
      memory.terms = [];
      this.#take(node, memory, firstIndex);
      return;
    }
    let common = Math.min(lastIndex, lastBefore);
    const lowest = Math.max(firstIndex, memory.from);
    while (common >= lowest && node.termAt(common) !== memory.terms[common - memory.from]) common--;
    if (common < lastBefore) {
      if (ledBefore)
        fail('leader append-only', node.id, 'its log lost entries while it led', { term: node.term, from: common + 1 });
      if (common < memory.commit)
        fail('state-machine safety', node.id, 'its log lost committed entries', { from: common + 1 });
    }
    memory.terms.length = Math.max(0, common + 1 - memory.from);
    this.#take(node, memory, common + 1);
    if (firstIndex - memory.from > memory.terms.length / 2) {
      memory.terms = memory.terms.slice(firstIndex - memory.from);
      memory.from = firstIndex;
    }
  }

  /** Entries from `index` on are new in this log. By induction it is enough that each has the predecessor that it has in all other logs. */
  #take(node: NodeView, memory: Memory, index: number): void {
    if (index > node.lastIndex) return;
    const entries = node.entriesFrom(index);
    if (entries === 'compacted') return;
    let previous = node.termAt(index - 1);
    for (const entry of entries) {
      memory.terms.push(entry.term);
      const place = this.#placeAt(entry.index);
      if (place !== undefined && typeof previous === 'number') this.#match(node, place, entry, previous);
      previous = entry.term;
    }
  }

  #match(node: NodeView, place: Place, entry: Entry, previousTerm: number): void {
    for (const seen of place.seen) {
      if (seen.entry.term !== entry.term) continue;
      if (seen.previousTerm === previousTerm && equalEntries(seen.entry, entry)) return;
      fail('log matching', node.id, 'it has another entry, or another one before it, than another log', {
        index: entry.index,
        term: entry.term,
        before: [seen.previousTerm, previousTerm],
      });
    }
    place.seen.push({ entry, previousTerm });
  }

  #checkCommits(node: NodeView, before: number): void {
    for (let index = Math.max(before + 1, node.firstIndex); index <= node.commit; index++)
      this.#checkCommitted(node, index);
    if (node.commit <= this.#maxCommitted) return;
    this.#maxCommitted = node.commit;
    this.#committedIn.set(node.term, node.commit);
    // News of a commit can come late: those who lead later terms by now must have it as well.
    for (const [id, memory] of this.#nodes) {
      if (id === node.id || !memory.leads || memory.term <= node.term) continue;
      const term = node.termAt(node.commit);
      if (node.commit < memory.first || typeof term !== 'number') continue;
      if (memory.terms[node.commit - memory.from] !== term) {
        fail('leader completeness', id, 'it leads without an entry that an earlier term committed', {
          term: memory.term,
          index: node.commit,
          committedIn: node.term,
        });
      }
    }
  }

  #checkCommitted(node: NodeView, index: number): void {
    const term = node.termAt(index);
    const place = this.#placeAt(index);
    if (place === undefined || typeof term !== 'number') return;
    if (place.committed !== 0 && place.committed !== term) {
      fail('state-machine safety', node.id, 'it committed another entry than another node', {
        index,
        terms: [place.committed, term],
      });
    }
    place.committed = term;
  }

  /** By log matching it is enough that the last one of the committed entries is there. */
  #checkCompleteness(node: NodeView): void {
    let needed = 0;
    for (const [term, index] of this.#committedIn) if (term < node.term && index > needed) needed = index;
    const committed = this.#places.get(needed)?.committed ?? 0;
    if (needed < node.firstIndex || committed === 0) return;
    if (needed > node.lastIndex || node.termAt(needed) !== committed) {
      fail('leader completeness', node.id, 'it was elected without an entry that an earlier term committed', {
        term: node.term,
        index: needed,
        committed,
      });
    }
  }
}

function equalEntries(left: Entry, right: Entry): boolean {
  if (left === right) return true;
  if (left.term !== right.term || left.type !== right.type || left.data.length !== right.data.length) return false;
  return left.data === right.data || left.data.every((byte, at) => byte === right.data[at]);
}

function fail(guarantee: Guarantee, node: number, what: string, details: Readonly<Record<string, JsonValue>>): never {
  throw oaasError('Internal', `raft guarantee broken: ${guarantee}: node ${node}: ${what}`, {
    details: { guarantee, node, ...details },
  });
}

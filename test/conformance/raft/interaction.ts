// Cases of kind interaction: whole groups, command by command. Messages wait until a command delivers or drops them, and so does the work of
// the storage threads.
import {
  type ConfChange,
  type ConfChangeTransition,
  type ConfChangeV2,
  describeEntries,
  describeMembers,
  describeMessage,
  describeReady,
  describeRole,
  type Entry,
  type HardState,
  isLocalThread,
  jointIds,
  makeMessage,
  type Message,
  MessageType,
  noBytes,
  type Snapshot,
  type StepOutcome,
} from '@oaas/odgm/raft';
import { CaseNode, configOf } from './interaction-node.ts';
import { parseChanges } from './confchange.ts';
import { Output } from './output.ts';
import { CaseError, type Directive, truth, valueOf, wholeNumber } from './reader.ts';
import type { Replay } from './replay.ts';

/** What a caller is told of a step that was not taken, in etcd/raft's words. */
const outcomeTexts: Readonly<Record<StepOutcome, string | undefined>> = {
  ok: undefined,
  proposalDropped: 'raft proposal dropped',
  localMessage: 'raft: cannot step raft local message',
  unknownPeer: 'raft: cannot step as peer not found',
};

/** An error of the group, which is printed: the case goes on. */
class Refusal extends Error {}

export function replayInteraction(): Replay {
  const cluster = new Cluster();
  return (directive) => cluster.run(directive);
}

class Cluster {
  readonly #output = new Output();
  readonly #nodes: CaseNode[] = [];
  #messages: Message[] = [];

  run(directive: Directive): string {
    const output = this.#output;
    output.text = '';
    try {
      this.#handle(directive);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // Errors are printed even when nothing else is.
      if (output.quiet) return error.message;
      output.write(error.message);
    }
    return output.text === '' ? 'ok' : output.text;
  }

  #handle(directive: Directive): void {
    const node = (): CaseNode => this.#node(wholeNumber(directive.args[0]?.key ?? ''));
    switch (directive.command) {
      case '_breakpoint':
        return;
      case 'add-nodes':
        this.#addNodes(directive);
        return;
      case 'campaign':
        check(node().raw.campaign());
        return;
      case 'compact':
        this.#compact(node(), wholeNumber(directive.args[1]?.key ?? ''));
        return;
      case 'deliver-msgs':
        this.#deliver(directive);
        return;
      case 'process-ready':
        this.#forEach(directive, 'handling Ready', (each) => this.#processReady(each));
        return;
      case 'process-append-thread':
        this.#forEach(directive, 'processing append thread', (each) => this.#processAppend(each));
        return;
      case 'process-apply-thread':
        this.#forEach(directive, 'processing apply thread', (each) => this.#processApply(each));
        return;
      case 'log-level':
        this.#setLevel(directive.args[0]?.key ?? '');
        return;
      case 'raft-log':
        this.#showLog(node());
        return;
      case 'raft-state':
        this.#showState();
        return;
      case 'set-randomized-election-timeout':
        node().raw.setRandomizedElectionTimeout(wholeNumber(valueOf(directive, 'timeout')));
        return;
      case 'stabilize':
        this.#stabilize(directive);
        return;
      case 'status':
        this.#output.write(describeMembers(node().raw.status().progress));
        return;
      case 'tick-election':
        for (let i = 0; i < node().config.electionTick; i++) node().raw.tick();
        return;
      case 'tick-heartbeat':
        for (let i = 0; i < node().config.heartbeatTick; i++) node().raw.tick();
        return;
      case 'transfer-leadership': {
        const to = this.#node(wholeNumber(valueOf(directive, 'to')));
        this.#node(wholeNumber(valueOf(directive, 'from'))).raw.transferLeader(to.id);
        return;
      }
      case 'forget-leader':
        node().raw.forgetLeader();
        return;
      case 'send-snapshot':
        this.#sendSnapshot(directive);
        return;
      case 'propose': {
        const [, data] = directive.args;
        if (directive.args.length !== 2 || data === undefined || data.values.length > 0) {
          throw new CaseError('propose takes a node and what is proposed');
        }
        check(node().raw.propose([bytesOf(data.key)]));
        return;
      }
      case 'propose-conf-change':
        check(node().raw.proposeConfChange(parseConfChange(directive)));
        return;
      case 'report-unreachable': {
        const [on, about, ...more] = this.#listed(directive);
        if (on === undefined || about === undefined || more.length > 0) {
          throw new Refusal('must specify exactly two node indexes: node on which to report, and reported node');
        }
        on.raw.reportUnreachable(about.id);
        return;
      }
      // Not in etcd/raft's own runner: what its commands leave out.
      case 'report-snapshot': {
        const about = this.#node(wholeNumber(valueOf(directive, 'of')));
        node().raw.reportSnapshot(about.id, valueOf(directive, 'status') === 'finish');
        return;
      }
      case 'read-index':
        node().raw.readIndex(bytesOf(valueOf(directive, 'context')));
        return;
      case 'restart':
        node().restart();
        return;
      default:
        throw new CaseError(`unknown command: ${directive.command}`);
    }
  }

  #node(id: number): CaseNode {
    const node = this.#nodes[id - 1];
    if (node === undefined) throw new CaseError(`there is no node ${id}`);
    return node;
  }

  /** Nodes that are named by arguments without a value. */
  #listed({ args }: Directive): CaseNode[] {
    return args.filter(({ values }) => values.length === 0).map(({ key }) => this.#node(wholeNumber(key)));
  }

  /** With several nodes each gets a heading, and what it prints is indented. */
  #forEach(directive: Directive, what: string, work: (node: CaseNode) => void): void {
    const nodes = this.#listed(directive);
    for (const node of nodes) {
      if (nodes.length === 1) {
        work(node);
        continue;
      }
      this.#output.write(`> ${node.id} ${what}\n`);
      this.#output.indented(() => work(node));
    }
  }

  #addNodes(directive: Directive): void {
    const count = wholeNumber(directive.args[0]?.key ?? '');
    const { options, snapshot } = configOf(directive.args.slice(1));
    for (let i = 0; i < count; i++) {
      if (snapshot !== undefined && snapshot.metadata.index <= 1) {
        throw new Refusal('index must be specified as > 1 due to bootstrap');
      }
      this.#nodes.push(new CaseNode(this.#nodes.length + 1, options, snapshot, this.#output));
    }
  }

  #setLevel(level: string): void {
    if (!this.#output.setLevel(level)) throw new Refusal(Output.levelsText);
  }

  #compact(node: CaseNode, index: number): void {
    if (!node.storage.compact(index)) throw new Refusal('requested index is unavailable due to compaction');
    this.#showLog(node);
  }

  #showLog({ storage }: CaseNode): void {
    const first = storage.firstIndex();
    const last = storage.lastIndex();
    if (last < first) {
      this.#output.write(`log is empty: first index=${first}, last index=${last}`);
      return;
    }
    const entries = storage.entries(first, last + 1, Infinity);
    if (typeof entries === 'string') throw new Refusal(entries);
    this.#output.write(describeEntries(entries));
  }

  #showState(): void {
    for (const { raw } of this.#nodes) {
      const { id, softState, hardState, confState } = raw.status();
      const voters = jointIds({ incoming: confState.voters, outgoing: confState.votersOutgoing });
      const voter = voters.includes(id) ? '(Voter)' : '(Non-Voter)';
      this.#output.write(
        `${id}: ${describeRole(softState.role)} ${voter} Term:${hardState.term} Lead:${softState.lead}\n`,
      );
    }
  }

  #deliver(directive: Directive): void {
    let type: MessageType | undefined;
    const recipients: { readonly id: number; readonly drop: boolean }[] = [];
    for (const { key, values } of directive.args) {
      if (values.length === 0) recipients.push({ id: wholeNumber(key), drop: false });
      for (const value of values) {
        if (key === 'drop') {
          const id = wholeNumber(value);
          if (recipients.some((recipient) => recipient.id === id)) {
            throw new CaseError(`can't both deliver and drop msgs to ${id}`);
          }
          recipients.push({ id, drop: true });
        } else if (key === 'type') {
          type = (MessageType as Readonly<Record<string, MessageType>>)[value];
          if (type === undefined) throw new CaseError(`unknown message type ${value}`);
        } else {
          throw new CaseError(`unknown argument: ${key}`);
        }
      }
    }
    let count = 0;
    for (const { id, drop } of recipients) count += this.#deliverTo(id, drop, type);
    if (count === 0) this.#output.write('no messages\n');
  }

  #deliverTo(id: number, drop: boolean, type: MessageType | undefined): number {
    const taken = this.#messages.filter((message) => isFor(message, id, drop, type));
    this.#messages = this.#messages.filter((message) => !isFor(message, id, drop, type));
    for (const message of taken) {
      this.#output.write(`${drop ? 'dropped: ' : ''}${describeMessage(message)}\n`);
      // Messages to nodes that do not exist yet can be dropped.
      if (drop) continue;
      const text = outcomeTexts[this.#node(id).raw.step(message)];
      if (text !== undefined) this.#output.write(`${text}\n`);
    }
    return taken.length;
  }

  #processReady(node: CaseNode): void {
    const ready = node.raw.ready();
    this.#output.write(describeReady(ready));
    const async = node.config.asyncStorageWrites === true;
    if (!async) {
      store(node, ready.hardState, ready.entries, ready.snapshot);
      node.apply(ready.committedEntries);
    }
    for (const message of ready.messages) {
      if (message.type === MessageType.MsgStorageAppend) node.appendWork.push(message);
      else if (message.type === MessageType.MsgStorageApply) node.applyWork.push(message);
      else this.#messages.push(message);
    }
    if (!async) node.raw.advance();
  }

  #processAppend(node: CaseNode): void {
    const work = node.appendWork.shift();
    if (work === undefined) {
      this.#output.write('no append work to perform');
      return;
    }
    const { term, vote, commit } = work;
    const hardState = term === 0 && vote === 0 && commit === 0 ? undefined : { term, vote, commit };
    this.#finish(work, () => store(node, hardState, work.entries, work.snapshot));
  }

  #processApply(node: CaseNode): void {
    const work = node.applyWork.shift();
    if (work === undefined) {
      this.#output.write('no apply work to perform');
      return;
    }
    this.#finish(work, () => node.apply(work.entries));
  }

  #finish(work: Message, perform: () => void): void {
    this.#output.write(`Processing:\n${describeMessage({ ...work, responses: undefined })}\n`);
    perform();
    const responses = work.responses ?? [];
    this.#output.write('Responses:\n');
    for (const response of responses) this.#output.write(`${describeMessage(response)}\n`);
    this.#messages.push(...responses);
  }

  #sendSnapshot(directive: Directive): void {
    const [from, to, ...more] = this.#listed(directive);
    if (from === undefined || to === undefined || more.length > 0) throw new CaseError('send-snapshot takes two nodes');
    const message = makeMessage(MessageType.MsgSnap, to.id, from.id, from.raw.term);
    message.snapshot = from.latest();
    this.#messages.push(message);
    this.#output.write(describeMessage(message));
  }

  /** Everything that can happen among these nodes (all, if none is named) happens, until nothing is left. */
  #stabilize(directive: Directive): void {
    const before = this.#output.level;
    for (const { key, values } of directive.args) {
      if (values.length === 0) continue;
      if (key !== 'log-level') throw new CaseError(`unknown argument: ${key}`);
      this.#setLevel(values[0] ?? '');
    }
    const listed = this.#listed(directive);
    const nodes = listed.length > 0 ? listed : this.#nodes;
    try {
      while (this.#round(nodes));
    } finally {
      this.#output.setLevel(before);
    }
  }

  /** False if there was nothing to do. */
  #round(nodes: readonly CaseNode[]): boolean {
    let active = false;
    const section = (node: CaseNode, what: string, work: () => void) => {
      active = true;
      this.#output.write(`> ${node.id} ${what}\n`);
      work();
    };
    for (const node of nodes) {
      if (!node.raw.hasReady()) continue;
      section(node, 'handling Ready', () => this.#output.indented(() => this.#processReady(node)));
    }
    for (const node of nodes) {
      if (!this.#messages.some((message) => isFor(message, node.id, false, undefined))) continue;
      section(node, 'receiving messages', () =>
        this.#output.indented(() => this.#deliverTo(node.id, false, undefined)),
      );
    }
    for (const node of nodes) {
      if (node.appendWork.length === 0) continue;
      section(node, 'processing append thread', () => {
        while (node.appendWork.length > 0) this.#output.indented(() => this.#processAppend(node));
      });
    }
    for (const node of nodes) {
      if (node.applyWork.length === 0) continue;
      section(node, 'processing apply thread', () => {
        while (node.applyWork.length > 0) this.#output.indented(() => this.#processApply(node));
      });
    }
    return active;
  }
}

/** Messages within a node are never lost, so they are not dropped. */
function isFor(message: Message, id: number, drop: boolean, type: MessageType | undefined): boolean {
  const { from, to } = message;
  if (to !== id || (type !== undefined && message.type !== type)) return false;
  return !drop || (from !== to && !isLocalThread(from) && !isLocalThread(to));
}

function check(outcome: StepOutcome): void {
  const text = outcomeTexts[outcome];
  if (text !== undefined) throw new Refusal(text);
}

function store(
  { storage }: CaseNode,
  hardState: HardState | undefined,
  entries: readonly Entry[],
  snapshot: Snapshot | undefined,
): void {
  if (hardState !== undefined) storage.setHardState(hardState);
  if (snapshot === undefined) {
    storage.append(entries);
    return;
  }
  if (entries.length > 0) throw new Refusal("can't apply snapshot and entries at the same time");
  if (!storage.applySnapshot(snapshot)) throw new Refusal('requested index is older than the existing snapshot');
}

const transitions: Readonly<Record<string, ConfChangeTransition>> = { auto: 0, implicit: 1, explicit: 2 };

function parseConfChange(directive: Directive): ConfChange | ConfChangeV2 {
  let v1 = false;
  let transition: ConfChangeTransition = 0;
  for (const { key, values } of directive.args.slice(1)) {
    for (const value of values) {
      if (key === 'v1') {
        v1 = truth(value);
      } else if (key === 'transition') {
        const found = transitions[value];
        if (found === undefined) throw new Refusal(`unknown transition ${value}`);
        transition = found;
      } else {
        throw new Refusal(`unknown command ${key}`);
      }
    }
  }
  const changes = parseChanges(directive.input);
  if (typeof changes === 'string') throw new Refusal(changes);
  if (!v1) return { transition, changes, context: noBytes };
  const [only] = changes;
  if (changes.length > 1 || transition !== 0) {
    throw new Refusal('v1 conf change can only have one operation and no transition');
  }
  if (only === undefined) throw new CaseError('a v1 conf change needs an operation');
  return { ...only, context: noBytes };
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

import {
  confChangeOf,
  type ConfState,
  type Entry,
  EntryType,
  makeMessage,
  MemoryStorage,
  type Message,
  MessageType,
  noBytes,
  type RaftConfig,
  RawNode,
  type Ready,
  type Snapshot,
} from '../src/raft/index.ts';

export interface NodeOptions extends Partial<Omit<RaftConfig, 'storage' | 'logger'>> {
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
  /** Terms of the stored entries, from index 1 on. */
  readonly log?: readonly number[];
  readonly term?: number;
  readonly vote?: number;
  readonly commit?: number;
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export function membersOf(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false };
}

/** A storage whose group has these members from the start, before any entry. */
class NodeStorage extends MemoryStorage {
  readonly #members: ConfState;

  constructor(members: ConfState) {
    super();
    this.#members = members;
  }

  override initialState(): ReturnType<MemoryStorage['initialState']> {
    const state = super.initialState();
    return this.snapshot().metadata.index === 0 ? { ...state, confState: this.#members } : state;
  }
}

/** A node for tests of single rules, and the host's part of it: everything is stored and applied at once. */
export class TestNode {
  readonly storage: MemoryStorage;
  readonly raw: RawNode;
  /** Data of the normal entries that were applied, as text; empty ones left out. */
  readonly applied: string[] = [];
  readonly reads: Ready['readStates'][number][] = [];
  confState: ConfState;

  constructor(options: NodeOptions = {}) {
    const {
      voters = [1, 2, 3],
      learners = [],
      log = [],
      term = lastOf(options.log),
      vote = 0,
      commit = 0,
      ...config
    } = options;
    this.confState = membersOf(voters, learners);
    this.storage = new NodeStorage(this.confState);
    this.storage.append(entriesOf(1, log));
    this.storage.setHardState({ term, vote, commit });
    this.raw = new RawNode({
      id: 1,
      electionTick: 10,
      heartbeatTick: 1,
      random: { next: () => 0 },
      ...config,
      storage: this.storage,
      logger: silent,
    });
  }

  /** Does all work that there is, and returns the messages to other nodes. */
  drain(): Message[] {
    const messages: Message[] = [];
    while (this.raw.hasReady()) {
      const ready = this.raw.ready();
      this.store(ready);
      messages.push(...ready.messages);
      this.apply(ready.committedEntries);
      this.reads.push(...ready.readStates);
      this.raw.advance();
    }
    return messages;
  }

  store({ hardState, snapshot, entries }: Pick<Ready, 'hardState' | 'snapshot' | 'entries'>): void {
    if (hardState !== undefined) this.storage.setHardState(hardState);
    if (snapshot !== undefined) this.storage.applySnapshot(snapshot);
    this.storage.append(entries);
  }

  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const change = confChangeOf(entry);
      if (change !== undefined) this.confState = this.raw.applyConfChange(change);
      else if (entry.data.length > 0) this.applied.push(new TextDecoder().decode(entry.data));
    }
  }

  /** Delivers a message and does the work that follows. */
  receive(type: keyof typeof MessageType, from: number, fields: Partial<Message> = {}): Message[] {
    this.raw.step(messageOf(type, from, this.raw.id, { term: this.raw.term, ...fields }));
    return this.drain();
  }

  tick(times: number): Message[] {
    for (let i = 0; i < times; i++) this.raw.tick();
    return this.drain();
  }

  propose(...texts: readonly string[]): Message[] {
    this.raw.propose(texts.map((text) => new TextEncoder().encode(text)));
    return this.drain();
  }

  /** Stands for election and gets the votes of these members. */
  lead(voters: readonly number[] = [2, 3]): Message[] {
    this.raw.campaign();
    const messages = this.drain();
    for (const id of voters) messages.push(...this.receive('MsgVoteResp', id));
    return messages;
  }

  /** Terms of the log, stable or not. */
  get terms(): number[] {
    const entries = this.raw.entriesFrom(this.raw.firstIndex);
    return entries === 'compacted' ? [] : entries.map(({ term }) => term);
  }
}

export function messageOf(
  type: keyof typeof MessageType,
  from: number,
  to: number,
  fields: Partial<Message> = {},
): Message {
  return { ...makeMessage(MessageType[type], to, from, 0), ...fields };
}

/** Entries from `first` on, with these terms and without data. */
export function entriesOf(first: number, terms: readonly number[]): Entry[] {
  return terms.map((term, at) => ({ term, index: first + at, type: EntryType.EntryNormal, data: noBytes }));
}

export function snapshotOf(index: number, term: number, confState: ConfState = membersOf([1, 2, 3])): Snapshot {
  return { metadata: { index, term, confState }, data: noBytes };
}

function lastOf(terms: readonly number[] = []): number {
  return terms[terms.length - 1] ?? 0;
}

/** Delivers messages among nodes until there are none. `lost` says which do not arrive. */
export function exchange(
  nodes: readonly TestNode[],
  messages: readonly Message[],
  lost: (message: Message) => boolean = () => false,
): void {
  const queue = [...messages];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const message = next;
    if (lost(message)) continue;
    const node = nodes.find(({ raw }) => raw.id === message.to);
    node?.raw.step(message);
    queue.push(...(node?.drain() ?? []));
  }
}

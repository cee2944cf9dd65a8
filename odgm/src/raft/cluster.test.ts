// Whole groups of bare cores under chance: messages that are lost, late, doubled and out of order, nodes that crash with work half done, members
// that come and go. After each step the paper's guarantees are checked. A failure names its seed.
import { describe, expect, it } from 'vitest';
import { confChangeOf } from './confchange/index.ts';
import { GuaranteeChecker } from './invariants.ts';
import { MemoryStorage } from './memory-storage.ts';
import { isLocalThread, RawNode } from './raw-node.ts';
import { describeMessage } from './describe.ts';
import {
  type ConfChangeSingle,
  type ConfChangeTransition,
  ConfChangeType,
  type ConfState,
  type Entry,
  type HardState,
  type Message,
  MessageType,
  noBytes,
  type Snapshot,
} from './types.ts';

/** Numbers in [0, 1) from a seed (mulberry32). */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const bytesOf = (value: number): Uint8Array => new Uint8Array(new Float64Array([value]).buffer);
const numberOf = (bytes: Uint8Array): number => new Float64Array(bytes.slice().buffer)[0] ?? 0;

/** In place of expect, which is slow where millions of things are checked. */
function demand(condition: boolean, what: string): void {
  if (!condition) throw new Error(`does not hold: ${what}`);
}

/** What a peer gets is never the sender's own object. */
function overTheWire(message: Message): Message {
  return {
    ...message,
    entries: message.entries.map((entry) => ({ ...entry, data: entry.data.slice() })),
    context: message.context.slice(),
  };
}

/** A sum over all entries that were applied, in order: equal for equal histories only. */
function digest(before: number, { index, term, type, data }: Entry): number {
  let sum = before;
  for (const value of [index, term, type, ...data]) sum = (Math.imul(sum, 16777619) ^ value) >>> 0;
  return sum;
}

/** What survives a crash: all that was written in full. */
class Disk extends MemoryStorage {
  /** The state machine as it is now: what a member that is far behind gets. */
  live: () => Snapshot = () => this.saved();

  saved(): Snapshot {
    return super.snapshot();
  }

  override snapshot(): Snapshot {
    return this.live();
  }
}

class Member {
  readonly id: number;
  readonly disk = new Disk();
  core: RawNode | undefined;
  /** Storage work that is under way. */
  appends: Message[] = [];
  applies: Message[] = [];
  /** The state machine, which is in memory: after a crash it is built again from the last snapshot. */
  state = 0;
  confState: ConfState = this.disk.initialState().confState;
  appliedIndex = 0;
  appliedTerm = 0;

  constructor(id: number) {
    this.id = id;
    this.disk.live = () => this.snapshot();
  }

  snapshot(): Snapshot {
    const { appliedIndex: index, appliedTerm: term, confState, state } = this;
    return { metadata: { index, term, confState }, data: bytesOf(state) };
  }
}

type Action = 'tick' | 'work' | 'propose' | 'read' | 'compact' | 'change' | 'annoy' | 'crash' | 'partition';

interface Flight {
  readonly message: Message;
  readonly due: number;
}

const firstMembers = [1, 2, 3];
const everyone = [1, 2, 3, 4, 5, 6];

class Group {
  readonly checker = new GuaranteeChecker();
  readonly members = everyone.map((id) => new Member(id));
  readonly #chance: Chance;
  readonly #async: boolean;
  readonly #options;
  /**
   * The host moves leadership away before it removes a leader. One that does not can end with nobody who may and can be elected: the removed
   * one has the longer log but is no voter any more, the others wait for its vote.
   */
  readonly leaderStays: boolean;
  readonly #loss: number;
  readonly #maxDelay: number;
  /** How likely a write under way is done when it could be. */
  readonly #diskSpeed: number;
  /** How often what happens: every seed is another place. */
  readonly #weights: readonly (readonly [Action, number])[];
  readonly #weightOfAll: number;
  #flights: Flight[] = [];
  #now = 0;
  #calm = false;
  /** Nodes of different sides do not hear each other. */
  #side = new Map<number, number>();
  #proposed = 0;
  /** What was committed when a read was asked for, by the read. */
  readonly #reads = new Map<number, number>();
  readsAnswered = 0;

  constructor(seed: number) {
    const chance = new Chance(seed);
    this.#chance = chance;
    this.#async = chance.happens(0.5);
    this.leaderStays = chance.happens(0.8);
    this.#loss = chance.pick([0, 0.02, 0.2]);
    this.#maxDelay = chance.pick([1, 5, 30]);
    this.#diskSpeed = chance.pick([0.1, 0.5, 1]);
    this.#weights = [
      ['work', 80],
      ['tick', chance.pick([6, 12, 24])],
      ['propose', 16],
      ['read', 6],
      ['compact', chance.pick([0, 3])],
      ['change', chance.pick([0, 1, 4])],
      ['annoy', chance.pick([0.2, 1, 4])],
      ['crash', chance.pick([0.1, 0.5, 2])],
      ['partition', chance.pick([0, 0.2, 1])],
    ];
    this.#weightOfAll = this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
    this.#options = {
      electionTick: 5 + chance.below(6),
      heartbeatTick: 1 + chance.below(2),
      preVote: chance.happens(0.5),
      checkQuorum: chance.happens(0.5),
      stepDownOnRemoval: chance.happens(0.5),
      commitWithVotes: chance.happens(0.5),
      maxSizePerMsg: chance.pick([0, 40, 1000]),
      maxCommittedSizePerReady: chance.pick([1, 60, 1000]),
      maxInflightMsgs: chance.pick([1, 3, 64]),
      maxUncommittedEntriesSize: chance.pick([50, 1000]),
      asyncStorageWrites: this.#async,
      logger: silent,
      random: chance,
    };
    const confState = { voters: firstMembers, learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false };
    for (const member of this.members) {
      if (firstMembers.includes(member.id)) {
        member.disk.applySnapshot({ metadata: { index: 5, term: 1, confState }, data: bytesOf(0) });
        member.disk.setHardState({ term: 1, vote: 0, commit: 5 });
      }
      this.#start(member);
    }
  }

  get alive(): Member[] {
    return this.members.filter(({ core }) => core !== undefined);
  }

  step(): void {
    this.#now++;
    this.#deliverDue();
    const member = this.#chance.pick(this.members);
    const { core } = member;
    if (core === undefined) {
      if (this.#chance.happens(0.1)) this.#start(member);
      return;
    }
    switch (this.#draw()) {
      case 'tick':
        core.tick();
        break;
      case 'work':
        for (let i = this.#chance.below(4); i >= 0; i--) this.#work(member);
        break;
      case 'propose':
        this.#propose(core);
        break;
      case 'read':
        this.#read(core);
        break;
      case 'compact':
        this.#compact(member);
        break;
      case 'change':
        this.#changeMembers(core);
        break;
      case 'annoy':
        this.#annoy(core);
        break;
      case 'crash':
        this.#crash(member);
        break;
      case 'partition':
        this.#partition();
        break;
    }
    this.#check(member);
  }

  #draw(): Action {
    let dice = this.#chance.next() * this.#weightOfAll;
    for (const [action, weight] of this.#weights) {
      dice -= weight;
      if (dice < 0) return action;
    }
    return 'work';
  }

  /** No more faults: everyone is there, and all messages arrive. */
  heal(): void {
    this.#calm = true;
    this.#side = new Map();
    for (const member of this.members) if (member.core === undefined) this.#start(member);
  }

  /** Everyone ticks, and all work is done. */
  calmRound(): void {
    for (const member of this.members) member.core?.tick();
    for (let i = 0; i < 12; i++) {
      this.#now += this.#maxDelay + 1;
      for (const member of this.members) {
        while (this.#work(member));
        this.#check(member);
      }
      this.#deliverDue();
    }
  }

  leader(): RawNode | undefined {
    const leaders = this.members.flatMap(({ core }) => (core?.role === 'leader' ? [core] : []));
    return leaders.sort((a, b) => b.term - a.term)[0];
  }

  #start(member: Member): void {
    const { disk } = member;
    const { metadata, data } = disk.saved();
    member.state = data.length === 0 ? 0 : numberOf(data);
    member.confState = metadata.confState;
    member.appliedIndex = metadata.index;
    member.appliedTerm = metadata.term;
    this.checker.restarted(member.id);
    member.core = new RawNode({ ...this.#options, id: member.id, storage: disk, applied: metadata.index });
    this.#check(member);
  }

  /** Whatever was not written is gone. Of the writes under way, some are done. */
  #crash(member: Member): void {
    while (member.appends.length > 0 && this.#chance.happens(0.5)) this.#store(member, member.appends.shift());
    member.appends = [];
    member.applies = [];
    member.core = undefined;
  }

  #check({ core }: Member): void {
    if (core !== undefined) this.checker.observe(core);
  }

  /** Does one piece of the host's work. False if there is none. */
  #work(member: Member): boolean {
    const { core } = member;
    if (core === undefined) return false;
    const { appends, applies } = member;
    const work: (() => void)[] = [];
    if (appends.length > 0 && (this.#calm || this.#chance.happens(this.#diskSpeed)))
      work.push(() => this.#finishAppend(member));
    if (applies.length > 0) work.push(() => this.#finishApply(member));
    if (core.hasReady()) work.push(() => this.#takeReady(member, core));
    if (work.length === 0) return appends.length > 0;
    this.#chance.pick(work)();
    return true;
  }

  #finishAppend(member: Member): void {
    const work = member.appends.shift();
    this.#store(member, work);
    for (const response of work?.responses ?? []) this.#send(member, response);
  }

  #finishApply(member: Member): void {
    const work = member.applies.shift();
    this.#apply(member, work?.entries ?? []);
    for (const response of work?.responses ?? []) this.#send(member, response);
  }

  #takeReady(member: Member, core: RawNode): void {
    const ready = core.ready();
    for (const { index, context } of ready.readStates) this.#checkRead(index, numberOf(context));
    if (this.#async) {
      for (const message of ready.messages) {
        if (message.type === MessageType.MsgStorageAppend) member.appends.push(message);
        else if (message.type === MessageType.MsgStorageApply) member.applies.push(message);
        else this.#send(member, message);
      }
      return;
    }
    // A crash can come before the write, after it, or while messages leave.
    if (this.#fails(0.002)) {
      this.#crash(member);
      return;
    }
    this.#write(member, ready.hardState, ready.entries, ready.snapshot);
    if (this.#fails(0.002)) {
      this.#crash(member);
      return;
    }
    for (const message of ready.messages) {
      this.#send(member, message);
      if (this.#fails(0.0005)) {
        this.#crash(member);
        return;
      }
    }
    this.#apply(member, ready.committedEntries);
    core.advance();
  }

  #fails(probability: number): boolean {
    return !this.#calm && this.#chance.happens(probability);
  }

  #store(member: Member, work: Message | undefined): void {
    if (work === undefined) return;
    const { term, vote, commit } = work;
    const hardState = term === 0 && vote === 0 && commit === 0 ? undefined : { term, vote, commit };
    this.#write(member, hardState, work.entries, work.snapshot);
  }

  #write(
    member: Member,
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    const { disk } = member;
    if (hardState !== undefined) disk.setHardState(hardState);
    if (snapshot !== undefined) {
      demand(disk.applySnapshot(snapshot), 'a snapshot is newer than the one before');
      member.state = numberOf(snapshot.data);
      member.confState = snapshot.metadata.confState;
      member.appliedIndex = snapshot.metadata.index;
      member.appliedTerm = snapshot.metadata.term;
    }
    disk.append(entries);
  }

  #apply(member: Member, entries: readonly Entry[]): void {
    const { core } = member;
    if (core === undefined) return;
    for (const entry of entries) {
      demand(entry.index === member.appliedIndex + 1, 'entries are applied one after the other');
      this.checker.applied(member.id, entry);
      member.state = digest(member.state, entry);
      member.appliedIndex = entry.index;
      member.appliedTerm = entry.term;
      const change = confChangeOf(entry);
      if (change !== undefined) member.confState = core.applyConfChange(change);
    }
  }

  #send(member: Member, message: Message): void {
    const { to, from } = message;
    if (to === member.id) {
      member.core?.step(message);
      return;
    }
    demand(!isLocalThread(to), 'storage work stays on its node');
    const copies = this.#fails(this.#loss / 4) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.#fails(this.#loss)) continue;
      this.#flights.push({ message: overTheWire(message), due: this.#now + 1 + this.#chance.below(this.#maxDelay) });
    }
    // The host always says how it ended, but it may be wrong.
    if (message.type === MessageType.MsgSnap) this.members[from - 1]?.core?.reportSnapshot(to, !this.#fails(0.3));
  }

  #deliverDue(): void {
    const due = this.#flights.filter((flight) => flight.due <= this.#now);
    if (due.length === 0) return;
    this.#flights = this.#flights.filter((flight) => flight.due > this.#now);
    for (const { message } of due) {
      const member = this.members[message.to - 1];
      if (member?.core === undefined) continue;
      if (this.#side.get(message.from) !== this.#side.get(message.to)) continue;
      try {
        member.core.step(message);
      } catch (error) {
        throw new Error(`node ${message.to} failed at ${describeMessage(message)}`, { cause: error });
      }
      this.#check(member);
    }
  }

  #propose(core: RawNode): void {
    if (core.role !== 'leader' && !this.#chance.happens(0.1)) return;
    const datas = Array.from({ length: 1 + this.#chance.below(4) }, () => bytesOf(++this.#proposed));
    core.propose(datas);
  }

  #read(core: RawNode): void {
    const read = this.#reads.size + 1;
    this.#reads.set(read, this.checker.maxCommitted);
    core.readIndex(bytesOf(read));
  }

  #checkRead(index: number, read: number): void {
    this.readsAnswered++;
    // What was committed anywhere when the read was asked for, the read must see.
    if (index < (this.#reads.get(read) ?? 0)) {
      throw new Error(`stale read: index ${index}, committed before ${this.#reads.get(read) ?? 0}`);
    }
  }

  #compact(member: Member): void {
    const { disk, appliedIndex } = member;
    if (appliedIndex <= disk.saved().metadata.index || appliedIndex > disk.lastIndex()) return;
    disk.saveSnapshot(member.snapshot());
    disk.compact(appliedIndex - this.#chance.below(Math.min(20, appliedIndex - disk.firstIndex() + 1)));
  }

  #changeMembers(core: RawNode): void {
    if (core.role !== 'leader') return;
    const changes = this.#chance.happens(0.5) ? this.#aFewChanges() : this.#otherMembers();
    // What would leave no voter is not proposed: applying it is an error, and hosts must not let it happen.
    const voters = new Set(core.status().confState.voters);
    for (const { type, nodeId } of changes) {
      if (type === ConfChangeType.ConfChangeAddNode) voters.add(nodeId);
      else voters.delete(nodeId);
    }
    if (voters.size === 0 || (this.leaderStays && !voters.has(core.id))) return;
    const transition: ConfChangeTransition = changes.length === 0 ? 0 : this.#chance.pick([0, 0, 1, 2]);
    core.proposeConfChange({ transition, changes, context: noBytes });
  }

  #aFewChanges(): ConfChangeSingle[] {
    const { ConfChangeAddNode, ConfChangeAddLearnerNode, ConfChangeRemoveNode } = ConfChangeType;
    const types = [ConfChangeAddNode, ConfChangeAddNode, ConfChangeAddLearnerNode, ConfChangeRemoveNode];
    return Array.from({ length: this.#chance.pick([0, 1, 1, 2]) }, () => ({
      type: this.#chance.pick(types),
      nodeId: this.#chance.pick(everyone),
    }));
  }

  /** Everyone gets a role by chance: whole quorums are replaced. */
  #otherMembers(): ConfChangeSingle[] {
    const { ConfChangeAddNode, ConfChangeAddLearnerNode, ConfChangeRemoveNode } = ConfChangeType;
    const types = [
      ConfChangeAddNode,
      ConfChangeAddNode,
      ConfChangeAddLearnerNode,
      ConfChangeRemoveNode,
      ConfChangeRemoveNode,
    ];
    return everyone.map((nodeId) => ({ type: this.#chance.pick(types), nodeId }));
  }

  #annoy(core: RawNode): void {
    const other = this.#chance.pick(everyone);
    this.#chance.pick([
      () => core.campaign(),
      () => core.transferLeader(other),
      () => core.forgetLeader(),
      () => core.reportUnreachable(other),
    ])();
  }

  #partition(): void {
    this.#side = new Map();
    if (this.#chance.happens(0.5)) return;
    for (const id of everyone) this.#side.set(id, this.#chance.below(2));
  }
}

function run(seed: number, steps: number): { committed: number; reads: number } {
  const group = new Group(seed);
  for (let i = 0; i < steps; i++) group.step();
  if (!group.leaderStays) return { committed: group.checker.maxCommitted, reads: group.readsAnswered };
  group.heal();
  // Progress: a leader comes up, leaves a joint configuration that nobody else leaves, and commits something new that all its members apply.
  let target = 0;
  for (let round = 0; round < 400; round++) {
    group.calmRound();
    const leader = group.leader();
    if (leader === undefined) continue;
    const { voters, learners, votersOutgoing } = leader.status().confState;
    // A change that an earlier leader proposed can remove this one. It leads on where nothing else was asked for, but takes no proposals.
    if (!voters.includes(leader.id)) leader.transferLeader(voters[0] ?? 0);
    if (target === 0 || leader.commit < target) {
      if (target === 0 && leader.propose([bytesOf(-1)]) === 'ok') target = leader.lastIndex;
      else if (target !== 0 && leader.lastIndex < target) target = 0;
      continue;
    }
    const applied = [...voters, ...learners, ...votersOutgoing].map((id) => group.members[id - 1]?.appliedIndex ?? 0);
    if (applied.every((index) => index >= target)) {
      group.checker.audit(group.alive.flatMap(({ core }) => core ?? []));
      const states = new Map(group.members.map(({ appliedIndex, state }) => [appliedIndex, state]));
      for (const { appliedIndex, state } of group.members)
        demand(states.get(appliedIndex) === state, 'equal histories give equal states');
      return { committed: group.checker.maxCommitted, reads: group.readsAnswered };
    }
  }
  throw new Error('no progress after all faults were healed');
}

describe('a group under chance keeps the guarantees of the paper and makes progress once healed', () => {
  const runs = 100;
  const steps = 6000;

  it(`over ${runs} seeds`, () => {
    let committed = 0;
    let reads = 0;
    for (let seed = 1; seed <= runs; seed++) {
      try {
        const result = run(seed, steps);
        committed += result.committed;
        reads += result.reads;
      } catch (error) {
        throw new Error(`seed ${seed} failed`, { cause: error });
      }
    }
    // The runs were worth something.
    expect(committed).toBeGreaterThan(runs * 50);
    expect(reads).toBeGreaterThan(runs);
  });
});

import type { Guarantee } from './guarantees.ts';
import type { Mutation } from './patch.ts';
import type { World } from './run.ts';

/** A bug that the simulation must find. */
export interface SimulatedMutation extends Mutation {
  /** Fresh seeds within which it must be found. */
  readonly seeds: number;
  /** What it breaks: a run that fails with anything else has not found it. */
  readonly breaks: readonly Guarantee[];
  /** What finds it. Default: groups. */
  readonly world?: World;
}

/** What follows when what was committed is not: which of these is seen first depends on who looks next. */
const commits: readonly Guarantee[] = [
  'leader completeness',
  'state-machine safety',
  'equal states',
  'linearizability',
  'an assertion of the core',
];

/** The same for replicas that merge, when one passes for having what it has not. */
const merges: readonly Guarantee[] = ['nothing acknowledged is lost', 'what is deleted stays away', 'convergence'];

const raft = 'odgm/src/raft/raft.ts';
const log = 'odgm/src/raft/log.ts';
const tracker = 'odgm/src/raft/tracker/tracker.ts';
const writes = 'odgm/src/replication/log-writes.ts';
const membership = 'odgm/src/replication/membership.ts';
const receiver = 'odgm/src/replication/snapshot-receiver.ts';
const reaping = 'odgm/src/merge/reaping.ts';
const exchange = 'odgm/src/replication/eventual/exchange.ts';
const eventualShard = 'odgm/src/shard/eventual/eventual-shard.ts';
const announcer = 'odgm/src/shard/eventual/announcer.ts';
const peers = 'odgm/src/shard/eventual/peers.ts';

export const mutations: readonly SimulatedMutation[] = [
  {
    name: 'a vote is sent before it is on disk',
    file: raft,
    find: `      case MessageType.MsgVoteResp:
      case MessageType.MsgPreVoteResp:
        this.messagesAfterAppend.push(message);`,
    replace: `        this.messagesAfterAppend.push(message);
        return;
      case MessageType.MsgVoteResp:
      case MessageType.MsgPreVoteResp:
        this.messages.push(message);`,
    breaks: ['election safety'],
    seeds: 200,
  },
  {
    name: 'a vote is not written at all',
    file: writes,
    find: `(state.term !== this.#storedTerm || state.vote !== this.#storedVote)`,
    replace: `state.term !== this.#storedTerm && state.vote === -1`,
    breaks: ['election safety'],
    seeds: 60,
  },
  {
    name: 'a node votes twice in a term',
    file: raft,
    find: `      (this.vote === noNode && this.lead === noNode) ||`,
    replace: `      this.lead === noNode ||`,
    breaks: ['election safety'],
    seeds: 60,
  },
  {
    name: 'a candidate with a shorter log gets votes',
    file: log,
    find: `return term > lastTerm || (term === lastTerm && index >= this.lastIndex());`,
    replace: `return term >= lastTerm || index >= this.lastIndex();`,
    breaks: commits,
    seeds: 60,
  },
  {
    name: 'learners count for the quorum of a commit',
    file: tracker,
    find: `this.#incoming = this.members.filter(({ id }) => config.voters.includes(id));`,
    replace: `this.#incoming = this.members;`,
    breaks: commits,
    seeds: 60,
  },
  {
    name: 'a commit needs one voter less than a majority',
    file: 'odgm/src/raft/quorum/majority.ts',
    find: `return reached[count - majorityOf(count)] as number;`,
    replace: `return reached[Math.min(count - 1, count - majorityOf(count) + 1)] as number;`,
    breaks: commits,
    seeds: 60,
  },
  {
    name: 'the outgoing half of a joint configuration has no say in commits',
    file: tracker,
    find: `return this.#outgoing.length === 0 ? incoming : Math.min(incoming, this.#reached(this.#outgoing));`,
    replace: `return incoming;`,
    breaks: commits,
    seeds: 600,
  },
  {
    name: 'messages of earlier terms are taken',
    file: raft,
    find: `    } else if (message.term < this.term && message.term !== 0) {`,
    replace: `    } else if (message.term < this.term && message.term !== 0 && message.type !== MessageType.MsgApp) {`,
    breaks: commits,
    seeds: 300,
  },
  {
    name: 'the entry before new ones is not compared',
    file: log,
    find: `if (!this.matchTerm(prevIndex, prevTerm)) return undefined;`,
    replace: `if (prevIndex > this.lastIndex() || prevTerm < 0) return undefined;`,
    breaks: ['log matching', ...commits],
    seeds: 60,
  },
  {
    name: 'a heartbeat commits what the follower need not have',
    file: raft,
    find: `const commit = Math.min(progress.match, this.log.committed);`,
    replace: `const commit = this.log.committed;`,
    breaks: commits,
    seeds: 60,
  },
  {
    name: 'entries are applied before they are committed',
    file: log,
    find: `    this.commitTo(Math.min(leaderCommit, lastNew));`,
    replace: `    this.commitTo(lastNew);`,
    breaks: commits,
    seeds: 60,
  },
  {
    name: 'entries are acknowledged before they are on disk',
    file: raft,
    find: `      case MessageType.MsgAppResp:
      case MessageType.MsgVoteResp:
      case MessageType.MsgPreVoteResp:
        this.messagesAfterAppend.push(message);`,
    replace: `      case MessageType.MsgAppResp:
        this.messages.push(message);
        return;
      case MessageType.MsgVoteResp:
      case MessageType.MsgPreVoteResp:
        this.messagesAfterAppend.push(message);`,
    breaks: commits,
    seeds: 60,
  },
  {
    name: 'the journal says that a frame is on disk without a flush',
    file: 'odgm/src/storage/journal/journal.ts',
    find: `await segment.file.writeDurably(`,
    replace: `await (segment.file as unknown as { write: typeof segment.file.writeDurably }).write(`,
    breaks: ['undamaged storage', 'election safety', ...commits],
    seeds: 60,
  },
  {
    name: 'a leader answers reads without asking a quorum',
    file: raft,
    find: `if (this.#config.readOnlyOption === 'leaseBased' || this.tracker.isOnlyVoter(this.id)) {`,
    replace: `if (this.role === 'leader') {`,
    breaks: ['linearizability'],
    seeds: 300,
  },
  {
    name: 'a leader answers reads before the first commit of its term',
    file: raft,
    find: `    if (this.log.matchTerm(this.log.committed, this.term)) {
      this.#startRead(request);`,
    replace: `    if (request.term >= 0) {
      this.#startRead(request);`,
    breaks: ['linearizability'],
    seeds: 200,
  },
  {
    name: 'a read does not wait until its index is applied',
    file: 'odgm/src/replication/reads.ts',
    find: `if (applied >= state.index) round.resolve();`,
    replace: `if (applied >= 0) round.resolve();`,
    breaks: ['linearizability'],
    seeds: 60,
  },
  {
    name: 'a lease lasts three times as long as it may',
    file: 'odgm/src/replication/lease.ts',
    find: `const lengthMs = (electionTicks - 2) * tickMs * (1 - drift);`,
    replace: `const lengthMs = 3 * electionTicks * tickMs * (1 - drift);`,
    breaks: ['linearizability'],
    seeds: 1000,
  },
  {
    name: 'the applied index is forgotten when a snapshot is installed',
    file: 'odgm/src/replication/applied-state.ts',
    find: `    this.index = index;
    this.term = term;
    this.generation = received.generation;`,
    replace: `    this.generation = received.generation;`,
    breaks: ['equal states', 'state-machine safety', 'an assertion of the core', 'undamaged storage'],
    seeds: 60,
  },
  {
    // The receiver's own check of completeness is not here: a stream that breaks ends with an error, so that without the
    // check nothing happens that could not happen with it.
    name: 'a snapshot is installed as far as it came when its stream breaks',
    file: receiver,
    find: `      await storing;
    } finally {`,
    replace: `      await storing;
    } catch {
      staging.isComplete = true;
    } finally {`,
    breaks: ['equal states', 'undamaged storage'],
    seeds: 100,
  },
  {
    name: 'a resumed snapshot leaves out one record',
    file: 'odgm/src/replication/snapshot-codec.ts',
    find: `  for (const { key, value } of reader.range({ start, end: prefixEnd(prefix) })) {`,
    replace: `  let leavesOut = after !== undefined;
  for (const { key, value } of reader.range({ start, end: prefixEnd(prefix) })) {
    if (leavesOut) {
      leavesOut = false;
      continue;
    }`,
    breaks: ['equal states', 'undamaged storage'],
    seeds: 300,
  },
  {
    name: 'a change of members is accepted while one is pending',
    file: raft,
    find: `    if (this.hasPendingChange) return 'another change may not be applied yet';`,
    replace: ``,
    breaks: ['election safety', 'log matching', ...commits],
    seeds: 300,
  },
  {
    // In PendingProposals.take it would be no bug: what a snapshot skipped is given up before, and of all else that is
    // passed over another entry was applied in its place.
    name: 'a proposal that may be in the log is answered as not done',
    file: 'odgm/src/replication/proposer.ts',
    find: `    for (const proposal of this.pending.takeAll()) this.lost(proposal, 'unknown');`,
    replace: `    for (const proposal of this.pending.takeAll()) this.lost(proposal, 'notApplied');`,
    breaks: ['linearizability'],
    seeds: 200,
  },
  {
    name: 'compare-and-set is decided when it is proposed',
    file: 'odgm/src/shard/apply.ts',
    find: `if (mutation.expectedVersion !== undefined && mutation.expectedVersion !== current) {`,
    replace: `if (mutation.expectedVersion !== undefined && mutation.expectedVersion > current) {`,
    breaks: ['linearizability'],
    seeds: 60,
  },
  {
    name: 'a leader commits entries of earlier terms by counting',
    file: log,
    find: `if (index <= this.committed || !this.matchTerm(index, term)) return false;`,
    replace: `if (index <= this.committed || term === 0) return false;`,
    breaks: commits,
    seeds: 300,
  },
  {
    name: 'a heartbeat for an earlier replica commits in a new one',
    file: membership,
    find: `const isOfEarlier = toEpoch < epoch || this.isEmpty;`,
    replace: `const isOfEarlier = epoch === 0;`,
    breaks: commits,
    seeds: 300,
  },
  {
    name: 'a snapshot that was given up is still written to',
    file: receiver,
    find: `      this.#assertWanted(staging);
      await this.#write(`,
    replace: `      await this.#write(`,
    breaks: ['equal states', 'nothing is left behind', 'undamaged storage'],
    seeds: 100,
  },
  {
    name: 'the log of a replica whose removal was cut short is left to the next one',
    file: 'odgm/src/replication/host.ts',
    find: `if (engine.groups().includes(group)) await engine.dropGroup(group);`,
    replace: `await Promise.resolve();`,
    breaks: ['log matching', 'undamaged storage', ...commits],
    seeds: 300,
  },
  {
    name: 'a removal goes by what there was before a snapshot was installed',
    file: 'odgm/src/replication/host.ts',
    find: `    await this.#appends.idle();
    const record = this.#record(group);
    if (record?.state !== 'present') return;`,
    replace: `    const record = this.#record(group);
    await this.#appends.idle();
    if (record?.state !== 'present') return;`,
    breaks: ['nothing is left behind', 'equal states'],
    seeds: 300,
  },
  {
    name: 'a node removes replicas on the word of a meta state that is older than they are',
    file: 'odgm/src/node/replicas.ts',
    find: `    if (wanted !== undefined) return epoch < wanted;
    return shard < state.next.shard && this.#options.isCurrent();`,
    replace: `    return epoch !== wanted && shard < state.next.shard;`,
    breaks: ['replicas that are wanted stay'],
    ...{ seeds: 100, world: 'nodes' as const },
  },
  {
    name: 'a voter goes before the one that replaces it has a vote',
    file: 'odgm/src/tasks/steps-raft.ts',
    find: `{ promote: [to], demote: [leaving], joint: true }`,
    replace: `{ demote: [leaving], joint: true }`,
    breaks: ['as many voters as wanted'],
    ...{ seeds: 60, world: 'nodes' as const },
  },
  {
    name: 'a replica is made anew while it still has a vote',
    file: 'odgm/src/tasks/steps-rebuild.ts',
    find: `      : change('take-out', { remove: [member] });
  }`,
    replace: `      : renew(input, member);
  }`,
    breaks: ['replicas that are wanted stay', 'election safety', ...commits],
    ...{ seeds: 60, world: 'nodes' as const },
  },
  {
    name: 'a replica that was made anew votes for the one before it',
    file: membership,
    find: `    if (toEpoch < epoch && (isResponse(type) || isVote(type))) return false;
    // A voter that was made anew has nothing of what it had when it got its vote. That there is a later term counts.
    if (isResponse(type) && fromEpoch !== this.#votingEpochOf(from) && message.term <= term) return false;`,
    replace: `    if (toEpoch < epoch && isResponse(type)) return false;`,
    breaks: ['election safety', ...commits],
    seeds: 100,
  },
  {
    name: 'a commit needs all voters',
    file: 'odgm/src/raft/quorum/majority.ts',
    find: `return reached[count - majorityOf(count)] as number;`,
    replace: `return reached[0] as number;`,
    breaks: ['progress'],
    ...{ seeds: 60, world: 'nodes' as const },
  },
  {
    name: 'a tombstone is reaped before all replicas have it',
    file: reaping,
    find: `const isEverywhere = others.every(({ pushed }) => compareStamps(pushed, candidate.at) >= 0);`,
    replace: `const isEverywhere = true;`,
    breaks: ['what is deleted stays away', 'convergence'],
    ...{ seeds: 3000, world: 'storms' as const },
  },
  {
    name: 'a tombstone is reaped before all older writes are here',
    file: reaping,
    find: `const known = others.reduce((earliest, { pulled }) => earlierStamp(earliest, pulled), now);`,
    replace: `const known = now;`,
    breaks: ['what is deleted stays away', 'convergence'],
    ...{ seeds: 200, world: 'storms' as const },
  },
  {
    name: 'keys that changed since the tree was stored are forgotten with a restart',
    file: 'odgm/src/shard/eventual/tree-index.ts',
    find: `for (const treeKey of decodeDirty(value)) this.#set`,
    replace: `for (const treeKey of decodeDirty(value).slice(1)) this.#set`,
    breaks: ['convergence', 'tombstones are reaped', 'undamaged storage'],
    ...{ seeds: 100, world: 'storms' as const },
  },
  {
    name: 'a clock begins anew with a restart',
    file: eventualShard,
    find: `last: decodeClock(engine.get(clockKey(location)))`,
    replace: `last: { ms: 0, counter: 0, member: 0 }`,
    breaks: merges,
    ...{ seeds: 100, world: 'storms' as const },
  },
  {
    name: 'states count as taken over before they are on disk',
    file: 'odgm/src/replication/eventual/responder.ts',
    find: `return Uint8Array.of((await replica.merge(bodyOf(reader), isFormer)) ? 1 : 0);`,
    replace: `void replica.merge(bodyOf(reader), isFormer).catch(() => undefined);
        return Uint8Array.of(1);`,
    breaks: merges,
    ...{ seeds: 200, world: 'storms' as const },
  },
  {
    name: 'an exchange counts although the other one left out what it was given',
    file: exchange,
    find: `if (answer[0] !== 1) throw tooEarly();`,
    replace: ``,
    breaks: merges,
    ...{ seeds: 200, world: 'storms' as const },
  },
  {
    name: 'an exchange counts although what came from too far in the future was left out',
    file: exchange,
    find: `if (!(await replica.merge(states))) throw tooEarly();`,
    replace: `await replica.merge(states);`,
    breaks: merges,
    ...{ seeds: 400, world: 'storms' as const },
  },
  {
    name: 'an exchange counts before the other one has all that it lacks',
    file: exchange,
    find: `      await give(replica, port, keysOf(step.differences, 'give'));
    }`,
    replace: `      void give(replica, port, keysOf(step.differences, 'give')).catch(() => undefined);
    }`,
    breaks: merges,
    ...{ seeds: 200, world: 'storms' as const },
  },
  {
    name: 'the clock is not stored with what it has stamped',
    file: eventualShard,
    find: `    operations.push(this.#clockOperation());
    await`,
    replace: `    await`,
    breaks: merges,
    ...{ seeds: 200, world: 'storms' as const },
  },
  {
    name: 'a replica that is gone holds tombstones up',
    file: peers,
    find: `if (!others.some((other) => other.member === member)) this.#peers.delete(member);`,
    replace: ``,
    breaks: ['tombstones are reaped'],
    ...{ seeds: 100, world: 'storms' as const },
  },
  {
    name: 'an entry that is taken away leaves no tombstone',
    file: 'odgm/src/shard/eventual/transaction.ts',
    find: `entries.set(key, replace ? undefined : tombstoneOf(stamp))`,
    replace: `entries.set(key, undefined)`,
    breaks: ['what is deleted stays away', 'convergence'],
    ...{ seeds: 100, world: 'storms' as const },
  },
  {
    name: 'an entry that has expired is deleted as a client would, after what others have written meanwhile',
    file: 'odgm/src/shard/eventual/transaction.ts',
    find: `new Map([[key, expiredOf(register)]])`,
    replace: `new Map([[key, tombstoneOf(this.#options.clock.tick(this.#options.now))]])`,
    breaks: ['nothing acknowledged is lost'],
    ...{ seeds: 400, world: 'storms' as const },
  },
  {
    name: 'a replica that is about to go still takes writes',
    file: eventualShard,
    find: `this.isComplete && this.#peers.ownRole === 'voter' && this.#aloneMs === 0;`,
    replace: `this.isComplete;`,
    breaks: ['nothing acknowledged is lost', 'what is deleted stays away'],
    ...{ seeds: 200, world: 'storms' as const },
  },
  {
    name: 'replicas count as alike from before the members changed',
    file: peers,
    find: `return (this.#peers.get(member)?.syncedMembership ?? -1) >= this.#membership.epoch;`,
    replace: `return (this.#peers.get(member)?.syncedMembership ?? -1) >= 0;`,
    breaks: ['nothing acknowledged is lost', 'what is deleted stays away'],
    ...{ seeds: 200, world: 'storms' as const },
  },
  {
    name: 'a replica reaps while another one follows a newer record',
    file: announcer,
    find: `if (!this.#isComplete || this.#heardMembership > peers.membership.epoch) return;`,
    replace: `if (!this.#isComplete) return;`,
    breaks: ['what is deleted stays away', 'convergence'],
    ...{ seeds: 3000, world: 'storms' as const },
  },
  {
    name: 'labels and branches are taken over without what they name',
    file: 'odgm/src/replication/eventual/refs.ts',
    find: `for (const { root, like } of takeover.roots) await takeRoot(takeover, root, like, port);`,
    replace: ``,
    breaks: ['nothing acknowledged is lost', 'undamaged storage'],
    ...{ seeds: 100, world: 'storms' as const },
  },
  {
    name: 'of two lines of one branch only the later one stays',
    file: 'odgm/src/merkle/refs.ts',
    find: `return ordered([...leftOf(a, b), ...leftOf(b, a).filter(isNotIn(a))], [...a.seen, ...b.seen]);`,
    replace: `const { refs, seen } = ordered([...leftOf(a, b), ...leftOf(b, a).filter(isNotIn(a))], [...a.seen, ...b.seen]);
  return { seen, refs: refs.filter((ref, i) => refs[i + 1]?.kind !== ref.kind || refs[i + 1]?.name !== ref.name) };`,
    breaks: ['nothing acknowledged is lost'],
    ...{ seeds: 200, world: 'storms' as const },
  },
  {
    name: 'a replica goes although its labels and branches are nowhere else',
    file: peers,
    find: `const hasRefs = mine.refs === undefined || theirs.refs === undefined || mine.refs === theirs.refs;`,
    replace: `const hasRefs = true;`,
    breaks: ['nothing acknowledged is lost'],
    ...{ seeds: 400, world: 'storms' as const },
  },
  {
    name: 'a trigger whose call failed counts as delivered',
    file: 'odgm/src/events/schedule.ts',
    find: `if (attempts < policy.attempts && ageMs < policy.maxAgeMs) return again();`,
    replace: `if (again !== undefined) return { kind: 'delivered' };`,
    breaks: ['what was acknowledged is told'],
    ...{ seeds: 20, world: 'nodes' as const },
  },
  {
    name: 'triggers are set off by the replica that proposed the change, not by the log',
    file: 'odgm/src/shard/raft-shard.ts',
    find: `firesTriggers(data) ? index : 0`,
    replace: `own !== undefined && firesTriggers(data) ? index : 0`,
    breaks: ['equal states', 'what was acknowledged is told'],
    ...{ seeds: 20, world: 'nodes' as const },
  },
  {
    name: 'a former replica goes without handing over when its member has a new one',
    file: 'odgm/src/node/replicas.ts',
    find: `!epochs.has(id) || state.shards.get(id)?.merges === true`,
    replace: `!epochs.has(id)`,
    breaks: ['nothing acknowledged is lost'],
    ...{ seeds: 300, world: 'nodes' as const },
  },
];

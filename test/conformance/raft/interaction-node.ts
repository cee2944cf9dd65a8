import {
  type ConfState,
  confChangeOf,
  type Entry,
  type Message,
  MemoryStorage,
  noBytes,
  type RaftConfig,
  type RaftLogger,
  RawNode,
  type Snapshot,
  toConfChangeV2,
} from '@oaas/odgm/raft';
import { type Argument, CaseError, truth, wholeNumber } from './reader.ts';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type Options = Mutable<Omit<RaftConfig, 'id' | 'storage' | 'random' | 'logger'>>;

/** Reads what `add-nodes` says. No bounds are set but those that it names. The snapshot is what the nodes start with, if anything. */
export function configOf(args: readonly Argument[]): { options: Options; snapshot: Snapshot | undefined } {
  const options: Options = {
    electionTick: 3,
    heartbeatTick: 1,
    maxSizePerMsg: Infinity,
    maxInflightMsgs: 2 ** 31 - 1,
    maxUncommittedEntriesSize: Infinity,
  };
  const voters: number[] = [];
  const learners: number[] = [];
  let index = 0;
  let data: Uint8Array = noBytes;
  for (const { key, values } of args) {
    for (const value of values) {
      switch (key) {
        case 'voters':
          voters.push(wholeNumber(value));
          break;
        case 'learners':
          learners.push(wholeNumber(value));
          break;
        case 'index':
          index = wholeNumber(value);
          options.applied = index;
          break;
        case 'content':
          data = new TextEncoder().encode(value);
          break;
        case 'inflight':
          options.maxInflightMsgs = wholeNumber(value);
          break;
        case 'async-storage-writes':
          options.asyncStorageWrites = truth(value);
          break;
        case 'prevote':
          options.preVote = truth(value);
          break;
        case 'checkquorum':
          options.checkQuorum = truth(value);
          break;
        case 'max-committed-size-per-ready':
          options.maxCommittedSizePerReady = wholeNumber(value);
          break;
        case 'disable-conf-change-validation':
          options.disableConfChangeValidation = truth(value);
          break;
        case 'read-only':
          if (value !== 'safe' && value !== 'lease-based') throw new CaseError(`invalid read-only option "${value}"`);
          options.readOnlyOption = value === 'safe' ? 'safe' : 'leaseBased';
          break;
        case 'step-down-on-removal':
          options.stepDownOnRemoval = truth(value);
          break;
        // Not in etcd/raft's own runner.
        case 'max-size-per-msg':
          options.maxSizePerMsg = wholeNumber(value);
          break;
        case 'inflight-bytes':
          options.maxInflightBytes = wholeNumber(value);
          break;
        case 'max-uncommitted-size':
          options.maxUncommittedEntriesSize = wholeNumber(value);
          break;
        case 'disable-proposal-forwarding':
          options.disableProposalForwarding = truth(value);
          break;
        default:
          throw new CaseError(`unknown argument: ${key}`);
      }
    }
  }
  const confState = { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false };
  const empty = voters.length === 0 && learners.length === 0 && index === 0 && data.length === 0;
  return { options, snapshot: empty ? undefined : { metadata: { index, term: 1, confState }, data } };
}

const emptySnapshot: Snapshot = {
  metadata: {
    index: 0,
    term: 0,
    confState: { voters: [], learners: [], votersOutgoing: [], learnersNext: [], autoLeave: false },
  },
  data: noBytes,
};

/** The stored log, which always has a snapshot of the newest applied state at hand. */
class CaseStorage extends MemoryStorage {
  latest: Snapshot = emptySnapshot;

  override snapshot(): Snapshot {
    return this.latest;
  }
}

/** A node, its storage, its state (all data that was ever applied, one after the other), and the work that its threads have not done yet. */
export class CaseNode {
  readonly id: number;
  readonly config: RaftConfig;
  readonly storage = new CaseStorage();
  readonly appendWork: Message[] = [];
  readonly applyWork: Message[] = [];
  raw: RawNode;

  constructor(id: number, options: Options, snapshot: Snapshot | undefined, logger: RaftLogger) {
    this.id = id;
    if (snapshot !== undefined) {
      this.storage.applySnapshot(snapshot);
      this.storage.latest = snapshot;
    }
    // The shortest election timeout, always: cases that need another one set it.
    this.config = { ...options, id, storage: this.storage, random: { next: () => 0 }, logger };
    this.raw = new RawNode(this.config);
  }

  latest(): Snapshot {
    return this.storage.latest;
  }

  /** What was not stored is lost; what was applied is kept, as by a state machine on disk. */
  restart(): void {
    this.appendWork.length = 0;
    this.applyWork.length = 0;
    const { latest } = this.storage;
    const { index } = latest.metadata;
    const { hardState } = this.storage.initialState();
    this.storage.saveSnapshot(latest);
    // What was applied was committed, though the note of that may be lost.
    this.storage.setHardState({ ...hardState, commit: Math.max(hardState.commit, index) });
    this.raw = new RawNode({ ...this.config, applied: index });
  }

  apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const change = confChangeOf(entry);
      let confState: ConfState = this.storage.latest.metadata.confState;
      let update = entry.data;
      if (change !== undefined) {
        confState = this.raw.applyConfChange(change);
        update = toConfChangeV2(change).context;
      }
      const { data } = this.storage.latest;
      const appended = new Uint8Array(data.length + update.length);
      appended.set(data);
      appended.set(update, data.length);
      const { index, term } = entry;
      this.storage.latest = { metadata: { index, term, confState }, data: appended };
    }
  }
}

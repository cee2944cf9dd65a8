import { confChangeOf, toConfChangeV2 } from './confchange/index.ts';
import { describeIds } from './quorum/index.ts';
import {
  type ConfChangeSingle,
  ConfChangeType,
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  localAppendThread,
  localApplyThread,
  type Message,
  MessageType,
  noNode,
  type ProgressState,
  type ProgressView,
  type Ready,
  type Role,
  type Snapshot,
} from './types.ts';

// The textual forms of etcd/raft, to the byte: its data-driven cases compare them, and people who know it read them.

/** How the data of a normal entry is shown. */
export type DataFormat = (data: Uint8Array) => string;

const roleNames: Readonly<Record<Role, string>> = {
  follower: 'StateFollower',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
  preCandidate: 'StatePreCandidate',
};

const progressNames: Readonly<Record<ProgressState, string>> = {
  probe: 'StateProbe',
  replicate: 'StateReplicate',
  snapshot: 'StateSnapshot',
};

const messageNames = Object.keys(MessageType);
const entryNames = Object.keys(EntryType);

export function describeRole(role: Role): string {
  return roleNames[role];
}

export function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === noNode ? '' : ` Vote:${vote}`} Commit:${commit}`;
}

export function describeConfState(state: ConfState): string {
  const list = (ids: readonly number[]) => `[${ids.join(' ')}]`;
  return (
    `Voters:${list(state.voters)} VotersOutgoing:${list(state.votersOutgoing)} Learners:${list(state.learners)} ` +
    `LearnersNext:${list(state.learnersNext)} AutoLeave:${state.autoLeave}`
  );
}

/** `voters=(1 2)&&(1) learners=(3) learners_next=(4) autoleave`. */
export function describeConfiguration(state: ConfState): string {
  let text = `voters=${describeIds(state.voters)}`;
  if (state.votersOutgoing.length > 0) text += `&&${describeIds(state.votersOutgoing)}`;
  if (state.learners.length > 0) text += ` learners=${describeIds(state.learners)}`;
  if (state.learnersNext.length > 0) text += ` learners_next=${describeIds(state.learnersNext)}`;
  return state.autoLeave ? `${text} autoleave` : text;
}

export function describeSnapshot({ metadata }: Snapshot): string {
  return `Index:${metadata.index} Term:${metadata.term} ConfState:${describeConfState(metadata.confState)}`;
}

export function describeReady(ready: Ready, format: DataFormat = quote): string {
  const { softState, hardState, readStates, entries, snapshot, committedEntries, messages } = ready;
  let text = '';
  if (softState !== undefined) text += `Lead:${softState.lead} State:${describeRole(softState.role)}\n`;
  if (hardState !== undefined) text += `HardState ${describeHardState(hardState)}\n`;
  if (readStates.length > 0) {
    text += `ReadStates [${readStates.map(({ index, context }) => `{${index} [${context.join(' ')}]}`).join(' ')}]\n`;
  }
  if (entries.length > 0) text += `Entries:\n${describeEntries(entries, format)}`;
  if (snapshot !== undefined) text += `Snapshot ${describeSnapshot(snapshot)}\n`;
  if (committedEntries.length > 0) text += `CommittedEntries:\n${describeEntries(committedEntries, format)}`;
  if (messages.length > 0) {
    text += `Messages:\n${messages.map((message) => `${describeMessage(message, format)}\n`).join('')}`;
  }
  return text === '' ? '<empty Ready>' : `Ready MustSync=${ready.mustSync}:\n${text}`;
}

export function describeMessage(message: Message, format: DataFormat = quote, indent = ''): string {
  const { type, from, to, term, logTerm, index, entries, snapshot, responses } = message;
  let text = `${indent}${describeTarget(from)}->${describeTarget(to)} ${messageNames[type] ?? type} Term:${term} Log:${logTerm}/${index}`;
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`;
  if (message.commit !== 0) text += ` Commit:${message.commit}`;
  if (message.vote !== 0) text += ` Vote:${message.vote}`;
  const [only] = entries;
  if (entries.length === 1 && only !== undefined) {
    text += ` Entries:[${describeEntry(only, format)}]`;
  } else if (entries.length > 1) {
    text += ` Entries:[${entries.map((entry) => `\n${indent}  ${describeEntry(entry, format)}`).join('')}\n${indent}]`;
  }
  if (snapshot !== undefined && snapshot.metadata.index !== 0) {
    text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  }
  if (responses !== undefined && responses.length > 0) {
    const lines = responses.map((response) => `\n${describeMessage(response, format, `${indent}  `)}`);
    text += ` Responses:[${lines.join('')}\n${indent}]`;
  }
  return text;
}

function describeTarget(id: number): string {
  switch (id) {
    case noNode:
      return 'None';
    case localAppendThread:
      return 'AppendThread';
    case localApplyThread:
      return 'ApplyThread';
    default:
      return id.toString(16);
  }
}

export function describeEntries(entries: readonly Entry[], format: DataFormat = quote): string {
  return entries.map((entry) => `${describeEntry(entry, format)}\n`).join('');
}

export function describeEntry(entry: Entry, format: DataFormat = quote): string {
  const change = confChangeOf(entry);
  const content = change === undefined ? format(entry.data) : describeConfChanges(toConfChangeV2(change).changes);
  return `${entry.term}/${entry.index} ${entryNames[entry.type] ?? entry.type}${content === '' ? '' : ` ${content}`}`;
}

const changeLetters: Readonly<Record<ConfChangeType, string>> = {
  [ConfChangeType.ConfChangeAddNode]: 'v',
  [ConfChangeType.ConfChangeAddLearnerNode]: 'l',
  [ConfChangeType.ConfChangeRemoveNode]: 'r',
  [ConfChangeType.ConfChangeUpdateNode]: 'u',
};

/** `v1 l2 r3 u4`: a voter, a learner, a removal, an update. */
export function describeConfChanges(changes: readonly ConfChangeSingle[]): string {
  return changes.map(({ type, nodeId }) => `${changeLetters[type]}${nodeId}`).join(' ');
}

export function describeProgress(progress: ProgressView): string {
  let text = `${progressNames[progress.state]} match=${progress.match} next=${progress.next}`;
  if (progress.learner) text += ' learner';
  if (progress.paused) text += ' paused';
  if (progress.pendingSnapshot > 0) text += ` pendingSnap=${progress.pendingSnapshot}`;
  if (!progress.recentActive) text += ' inactive';
  if (progress.inflightMessages > 0) {
    text += ` inflight=${progress.inflightMessages}${progress.inflightFull ? '[full]' : ''}`;
  }
  return text;
}

/** One line per member, by ascending id. */
export function describeMembers(members: readonly ProgressView[]): string {
  return members.map((member) => `${member.id}: ${describeProgress(member)}\n`).join('');
}

const namedEscapes: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

/** Bytes as a quoted string in Go's way: UTF-8 text as it is, other bytes and what cannot be seen escaped. */
export function quote(data: Uint8Array): string {
  let text = '';
  for (let at = 0; at < data.length;) {
    const length = sequenceLength(data, at);
    if (length === 0) {
      text += `\\x${hex(data[at] ?? 0, 2)}`;
      at++;
      continue;
    }
    text += quoteCharacter(new TextDecoder().decode(data.subarray(at, at + length)));
    at += length;
  }
  return `"${text}"`;
}

function quoteCharacter(character: string): string {
  const named = namedEscapes[character];
  if (named !== undefined) return named;
  if (character === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');

/** Length of the UTF-8 sequence at `at`; 0 if there is none. */
function sequenceLength(data: Uint8Array, at: number): number {
  const first = data[at] ?? 0;
  const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length <= 1) return length;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(data.subarray(at, at + length));
    return at + length <= data.length ? length : 0;
  } catch {
    return 0;
  }
}

import { oaasError } from '@oaas/commons/errors';
import type { Stamp } from '../../merge/index.ts';
import type { Key } from '../../merkle/index.ts';
import { Reader, Writer } from '../wire.ts';
import type { Announcement, EventualReplica, LeafName } from './types.ts';

/**
 * Requests on the channel of eventual shards begin with one of these. Messages are {@link encodeStates} without it.
 * `refs`: which labels and branches there are; `versions`: states of leaves that a version has; `changed`: take over what
 * was changed of labels and branches here; the answer is 1 when it is on the disk, 0 from one that is new. Members that run a former build refuse
 * these three, and are no worse for it; the first two go only to those that have announced a digest of what they have.
 */
export const requests = {
  ...{ gossip: 1, pages: 2, states: 3, push: 4, done: 5, hello: 6 },
  ...{ refs: 7, versions: 8, changed: 9 },
} as const;

/**
 * Epoch of a replica that is no part of the shard any more and hands over what it still has: it may ask for `hello`,
 * `pages`, `push` and `changed`, and may be asked for `refs`, `pages` and `versions` then. Real epochs are 1 and more.
 */
export const formerEpoch = 0;

/** From a replica to a replica: both by their epochs, so that one that was made anew is not taken for the old one. */
export interface Head {
  readonly shard: number;
  readonly fromEpoch: number;
  readonly toEpoch: number;
}

export interface Addressed {
  readonly head: Head;
  readonly announcement: Announcement;
}

const headBytes = 24;
const announcementBytes = 128;

function writeHead(out: Writer, { shard, fromEpoch, toEpoch }: Head): void {
  out.number(shard);
  out.number(fromEpoch);
  out.number(toEpoch);
}

function readHead(from: Reader): Head {
  return { shard: from.number(), fromEpoch: from.number(), toEpoch: from.number() };
}

function writeStamp(out: Writer, { ms, counter, member }: Stamp): void {
  out.number(ms);
  out.number(counter);
  out.number(member);
}

function readStamp(from: Reader): Stamp {
  return { ms: from.number(), counter: from.number(), member: from.number() };
}

function writeAnnouncement(out: Writer, { root, stamp, cut, membership, isComplete }: Announcement): void {
  out.reserve(announcementBytes);
  out.u8(isComplete ? 1 : 0);
  out.u8(root.length / 2);
  out.raw(Buffer.from(root, 'hex'));
  writeStamp(out, stamp);
  writeStamp(out, cut);
  out.number(membership);
}

function readAnnouncement(from: Reader): Announcement {
  const isComplete = from.u8() === 1;
  const root = from.raw(from.u8()).toString('hex');
  return { isComplete, root, stamp: readStamp(from), cut: readStamp(from), membership: from.number() };
}

/**
 * Digests of labels and branches come behind everything else, where a former build does not look: the length of each,
 * and its bytes.
 */
function writeRefs(out: Writer, announcements: readonly (Announcement | undefined)[]): void {
  for (const announcement of announcements) {
    const digest = Buffer.from(announcement?.refs ?? '', 'hex');
    out.reserve(1 + digest.length);
    out.u8(digest.length);
    out.raw(digest);
  }
}

/** Adds them to what was read before. */
function readRefs<T extends Announcement | undefined>(from: Reader, announcements: readonly T[]): T[] {
  return announcements.map((announcement) => {
    const refs = from.isAtEnd ? '' : from.raw(from.u8()).toString('hex');
    return announcement === undefined || refs === '' ? announcement : { ...announcement, refs };
  });
}

/** Count, then head and announcement of each. */
export function encodeGossip(all: readonly Addressed[]): Uint8Array {
  const out = new Writer(16 + all.length * (headBytes + announcementBytes));
  out.u8(requests.gossip);
  out.number(all.length);
  for (const { head, announcement } of all) {
    out.reserve(headBytes);
    writeHead(out, head);
    writeAnnouncement(out, announcement);
  }
  writeRefs(
    out,
    all.map(({ announcement }) => announcement),
  );
  return out.finish();
}

export function decodeGossip(from: Reader): Addressed[] {
  const all = Array.from({ length: bounded(from.number()) }, () => ({
    head: readHead(from),
    announcement: readAnnouncement(from),
  }));
  const announcements = readRefs(
    from,
    all.map(({ announcement }) => announcement),
  );
  return all.map(({ head, announcement }, i) => ({ head, announcement: announcements[i] ?? announcement }));
}

/** Per announcement, in their order: 1 and the answering replica's, or 0 where there is none that knows the asking one. */
export function encodeAnswers(answers: readonly (Announcement | undefined)[]): Uint8Array {
  const out = new Writer(16 + answers.length * announcementBytes);
  for (const answer of answers) {
    out.reserve(1);
    out.u8(answer === undefined ? 0 : 1);
    if (answer !== undefined) writeAnnouncement(out, answer);
  }
  writeRefs(out, answers);
  return out.finish();
}

export function decodeAnswers(bytes: Uint8Array, count: number): (Announcement | undefined)[] {
  const from = new Reader(bytes);
  const answers = Array.from({ length: count }, () => (from.u8() === 1 ? readAnnouncement(from) : undefined));
  return readRefs(from, answers);
}

/** Head, then whatever the request carries. */
export function encodeRequest(type: number, head: Head, body: Uint8Array): Uint8Array[] {
  const out = new Writer(headBytes + 1);
  out.u8(type);
  writeHead(out, head);
  return [out.finish(), body];
}

/** To the replica that the member has; undefined for one that has none, as far as is known. */
export function headTo(replica: EventualReplica, member: number): Head | undefined {
  const toEpoch = replica.epochOf(member);
  return toEpoch === undefined ? undefined : { shard: replica.shard, fromEpoch: replica.epoch, toEpoch };
}

/** What is left of `from` is the body. */
export function decodeHead(from: Reader): Head {
  return readHead(from);
}

/** A message: the head, and states. */
export function encodeStates(head: Head, states: Uint8Array): Uint8Array[] {
  const out = new Writer(headBytes);
  writeHead(out, head);
  return [out.finish(), states];
}

export function bodyOf(from: Reader): Uint8Array {
  return from.raw(from.bytes.length - from.at);
}

/** Most bytes of states in the answer, then the keys, each after its length. */
export function encodeKeys(maxBytes: number, keys: readonly Key[]): Uint8Array {
  const out = new Writer(keys.reduce((sum, key) => sum + 4 + key.length, 16));
  out.number(maxBytes);
  for (const key of keys) {
    out.number(key.length);
    out.raw(Buffer.from(key, 'latin1'));
  }
  return out.finish();
}

export function decodeKeys(from: Reader): { readonly maxBytes: number; readonly keys: Key[] } {
  const maxBytes = from.number();
  const keys: Key[] = [];
  while (!from.isAtEnd) keys.push(from.raw(from.number()).toString('latin1'));
  return { maxBytes, keys };
}

/** For how many of the keys, and their states. */
export function encodeTaken(count: number, states: Uint8Array): Uint8Array[] {
  const out = new Writer(8);
  out.number(count);
  return [out.finish(), states];
}

export function decodeTaken(bytes: Uint8Array): { readonly count: number; readonly states: Uint8Array } {
  const from = new Reader(bytes);
  return { count: from.number(), states: bodyOf(from) };
}

export function encodeHello(announcement: Announcement): Uint8Array {
  return encodeAnswers([announcement]);
}

/** The two announcements that were exchanged, the asking replica's first, and how many keys differed. */
export function encodeDone(mine: Announcement, theirs: Announcement, found: number): Uint8Array {
  const out = new Writer(2 * announcementBytes + 8);
  writeAnnouncement(out, mine);
  writeAnnouncement(out, theirs);
  out.reserve(8);
  out.number(found);
  writeRefs(out, [mine, theirs]);
  return out.finish();
}

export function decodeDone(from: Reader): {
  readonly mine: Announcement;
  readonly theirs: Announcement;
  readonly found: number;
} {
  const announcements = [readAnnouncement(from), readAnnouncement(from)] as const;
  const found = from.number();
  const [mine = announcements[0], theirs = announcements[1]] = readRefs(from, announcements);
  return { mine, theirs, found };
}

/** Most bytes of states in the answer, then the leaves: key and leaf, each after its length. */
export function encodeLeaves(maxBytes: number, leaves: readonly LeafName[]): Uint8Array {
  const out = new Writer(leaves.reduce((sum, { key, leaf }) => sum + 16 + key.length + leaf.length, 16));
  out.number(maxBytes);
  for (const { key, leaf } of leaves) {
    out.number(key.length);
    out.raw(Buffer.from(key, 'latin1'));
    out.number(leaf.length);
    out.raw(leaf);
  }
  return out.finish();
}

export function decodeLeaves(from: Reader): { readonly maxBytes: number; readonly leaves: LeafName[] } {
  const maxBytes = from.number();
  const leaves: LeafName[] = [];
  while (!from.isAtEnd) {
    const key = from.raw(from.number()).toString('latin1');
    leaves.push({ key, leaf: from.raw(from.number()) });
  }
  return { maxBytes, leaves };
}

/** Each state after its length and one more; 0 for one that is not kept. */
export function encodeVersions(states: readonly (Uint8Array | undefined)[]): Uint8Array {
  const out = new Writer(states.reduce((sum, state) => sum + 8 + (state?.length ?? 0), 8));
  for (const state of states) {
    out.number(state === undefined ? 0 : state.length + 1);
    if (state !== undefined) out.raw(state);
  }
  return out.finish();
}

export function decodeVersions(bytes: Uint8Array): (Uint8Array | undefined)[] {
  const from = new Reader(bytes);
  const states: (Uint8Array | undefined)[] = [];
  while (!from.isAtEnd) {
    const length = from.number();
    states.push(length === 0 ? undefined : from.raw(length - 1));
  }
  return states;
}

const maxAnnouncements = 100_000;

function bounded(count: number): number {
  if (count > maxAnnouncements) throw oaasError('InvalidArgument', 'too many announcements in one message');
  return count;
}
